/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/base/opt.h"
#include "agent/base/show.h"

int cli_misuse(const char *command, const char *format, ...)
{
    struct buf shown = { 0 };
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    show_add(&shown, span(text, strlen(text)));
    fprintf(stderr, "tallyman %s: %.*s\nTry 'tallyman %s --help'.\n", command,
            (int)shown.len, shown.at, command);
    buf_free(&shown);
    free(text);
    return EXIT_USAGE;
}

static size_t count(const struct cli_flag *flags)
{
    size_t n = 0;

    while (flags[n].name != NULL)
        n++;
    return n;
}

static int unknown(const char *command, const char *flag,
                   const struct cli_flag *flags)
{
    size_t n = count(flags);
    const char **names = xcalloc(n + 2, sizeof(*names)), *nearest;

    for (size_t i = 0; i < n; i++)
        names[i] = flags[i].name;
    names[n] = "--help";
    nearest = opt_nearest(names, flag);
    free(names);
    if (nearest == NULL)
        return cli_misuse(command, "unknown option '%s'", flag);
    return cli_misuse(command, "unknown option '%s', did you mean '%s'?", flag,
                      nearest);
}

/* The row that `arg` names; behind "=" is its value, else that is NULL. */
static const struct cli_flag *find(const struct cli_flag *flags,
                                   const char *arg, const char **value)
{
    size_t len = strcspn(arg, "=");

    for (; flags->name != NULL; flags++) {
        if (span_is(span(arg, len), flags->name)) {
            *value = arg[len] == '=' ? arg + len + 1 : NULL;
            return flags;
        }
    }
    return NULL;
}

/* Takes argv[*i], and the one after it where that is its value. */
static int take(int argc, char **argv, int *i, const struct cli_flag *flags)
{
    const char *value, *arg = argv[*i];
    const struct cli_flag *flag = find(flags, arg, &value);

    if (flag == NULL)
        return unknown(argv[0], arg, flags);
    if (flag->value == NULL && value != NULL)
        return cli_misuse(argv[0], "%s takes no value", flag->name);
    if (flag->value != NULL && value == NULL && *i + 1 < argc)
        value = argv[++*i];
    if (flag->value != NULL && value == NULL)
        return cli_misuse(argv[0], "%s needs a value", flag->name);
    if (flag->value != NULL)
        *flag->value = value;
    if (flag->set != NULL)
        *flag->set = true;
    return EXIT_OK;
}

int cli_parse(int argc, char **argv, const struct cli_flag *flags,
              struct cli_rest *rest)
{
    bool ended = false;
    int kept = 0, rc = EXIT_OK;

    for (int i = 1; i < argc && rc == EXIT_OK; i++) {
        if (!ended && strcmp(argv[i], "--") == 0)
            ended = true;
        else if (!ended && argv[i][0] == '-' && argv[i][1] != '\0')
            rc = take(argc, argv, &i, flags);
        else
            argv[1 + kept++] = argv[i];
    }
    if (rc == EXIT_OK && rest == NULL && kept > 0)
        rc = cli_misuse(argv[0], "takes no argument, but there is '%s'",
                        argv[1]);
    if (rest != NULL)
        *rest = (struct cli_rest){ argv + 1, kept };
    return rc;
}

int cli_set(const char *command, const char *flag, const struct opt *table,
            const char *row, void *conf, const char *text)
{
    struct err e = { 0 };

    if (text == NULL ||
        opt_set(opt_find(table, span(row, strlen(row))), conf, text, &e) == 0)
        return EXIT_OK;
    return cli_misuse(command, "%s: '%s' %s", flag, text, e.text);
}

struct duration {
    uint64_t ms;
};

static const struct opt duration_opts[] = {
    OPT_DURATION(struct duration, ms, .help = ""),
    OPT_END,
};

int cli_duration(const char *command, const char *flag, uint64_t *ms,
                 const char *text)
{
    struct duration d = { *ms };
    int rc = cli_set(command, flag, duration_opts, "ms", &d, text);

    *ms = d.ms;
    return rc;
}

int cli_find_level(const char *command, const char *name, unsigned *level)
{
    if (name == NULL)
        return EXIT_OK;
    for (*level = 0; *level < LOG_NLEVELS; ++*level) {
        if (strcmp(name, log_level_names[*level]) == 0)
            return EXIT_OK;
    }
    return cli_misuse(command,
                      "'%s' is no log level: error, warn, info or debug", name);
}

void cli_be_agent(void)
{
    /* Batches and long lines go back to the system when they are freed; what
     * libcurl takes and gives for every request does not. */
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    signal(SIGPIPE, SIG_IGN);
}

int cli_flush(const char *command)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_OK;
    fprintf(stderr, "tallyman %s: standard output: %m\n", command);
    return EXIT_FAILED;
}
