/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - the agent itself.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/cli/cli.h"
#include "agent/ops/agent.h"

struct run_args {
    const char *conf;
    const char *level; /* NULL: the configuration's */
};

static int take_value(int argc, char **argv, int *i, const char **out)
{
    if (*i + 1 == argc) {
        fprintf(stderr, "tallyman run: %s needs a value\n", argv[*i]);
        return EXIT_USAGE;
    }
    *out = argv[++*i];
    return EXIT_OK;
}

static int parse_args(int argc, char **argv, struct run_args *args)
{
    static const char *const flags[] = { "-c", "--log-level", "--help", NULL };
    int rc = EXIT_OK;

    for (int i = 1; i < argc && rc == EXIT_OK; i++) {
        if (strcmp(argv[i], "-c") == 0)
            rc = take_value(argc, argv, &i, &args->conf);
        else if (strcmp(argv[i], "--log-level") == 0)
            rc = take_value(argc, argv, &i, &args->level);
        else
            rc = cli_unknown_flag("run", argv[i], flags);
    }
    return rc;
}

static int find_level(const char *name, unsigned *level)
{
    for (*level = 0; *level < LOG_NLEVELS; ++*level) {
        if (strcmp(name, log_level_names[*level]) == 0)
            return EXIT_OK;
    }
    fprintf(stderr,
            "tallyman run: '%s' is no log level: error, warn, info or "
            "debug\n",
            name);
    return EXIT_USAGE;
}

static void cut_short(void)
{
    _exit(EXIT_CUT_SHORT);
}

static int exit_code(enum agent_end end)
{
    switch (end) {
    case AGENT_STOPPED:
        return EXIT_OK;
    case AGENT_STATE:
        return EXIT_STATE;
    case AGENT_LOCKED:
        return EXIT_LOCKED;
    default:
        return EXIT_FAILED;
    }
}

int cmd_run(int argc, char **argv)
{
    struct run_args args = { .conf = CLI_DEFAULT_CONF };
    int rc = parse_args(argc, argv, &args);
    unsigned level = 0;
    struct conf *conf;

    if (rc == EXIT_OK && args.level != NULL)
        rc = find_level(args.level, &level);
    if (rc != EXIT_OK)
        return rc;
    conf = conf_read(args.conf, stderr);
    if (conf == NULL)
        return EXIT_CONFIG;
    log_set_level(args.level != NULL ? level : conf->agent.log_level);
    /* Batches and long lines go back to the system when they are freed; what
     * libcurl takes and gives for every request does not. */
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    signal(SIGPIPE, SIG_IGN);
    rc = exit_code(agent_run(conf, cut_short));
    conf_free(conf);
    return rc;
}
