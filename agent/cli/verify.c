/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify - is every event of the log in the index? Reads the log, asks the
 * server, and changes nothing unless it is told to repair.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/show.h"
#include "agent/cli/report.h"
#include "agent/cli/target.h"
#include "agent/cli/verify_report.h"
#include "agent/cli/visible.h"
#include "agent/ops/buried.h"
#include "agent/trail/match.h"
#include "agent/trail/watch.h"

#define NAME       "verify"
#define WAIT_MS    10000
#define SHOW_EVERY 250 /* ms */

struct numbers {
    uint64_t show;
};

static const struct opt number_opts[] = {
    OPT_COUNT(struct numbers, show, .def = "10", .max = VERIFY_KEPT,
              .help = "Missing events to name."),
    OPT_END
};

struct job {
    struct target target;
    struct trail_conf trail; /* of files that are given */
    struct numbers numbers;
    struct verify_options options;
    struct report progress;
    uint64_t start_ms;
    uint64_t shown_ms;
    bool json;
    char **files;
    size_t nfiles;
    struct ask ask;
    struct verify verify;
    size_t trails; /* that were walked */
};

/* ---- what is walked ---- */

static void on_progress(void *arg, const struct verify_counts *c)
{
    struct job *j = arg;
    uint64_t ms = clock_mono_ms() - j->start_ms;

    if (ms - j->shown_ms < SHOW_EVERY)
        return;
    j->shown_ms = ms;
    j->progress.progress.done = c->bytes;
    report_show(&j->progress,
                &(struct progress_point){ ms, c->bytes, c->events });
}

static int walk(struct job *j, struct trail *t, bool is_live)
{
    struct trail_lag lag;

    trail_lag(t, trail_oldest(t), 0, &lag);
    j->progress.progress.total += lag.bytes;
    j->trails++;
    return verify_walk(&j->verify, t, is_live);
}

static int walk_files(struct job *j, struct err *e)
{
    struct trail *t = trail_open_files(&j->ask.loop, "files", &j->trail,
                                       j->files, j->nfiles, e);
    int rc = t != NULL ? walk(j, t, false) : ERR_MISSING;

    trail_close(t);
    return rc;
}

/* A log and its rotated files, up to what is there now. */
static int walk_log(struct job *j, const char *name,
                    const struct trail_conf *like, char *path)
{
    struct watcher *w = watcher_open(&j->ask.loop);
    struct trail_conf conf = *like;
    struct trail *t;
    int rc;

    conf.path = path;
    conf.pin_max_bytes = 0;
    t = trail_open(w, &j->ask.loop, -1, name, &conf);
    trail_end_here(t);
    rc = walk(j, t, true);
    trail_close(t);
    watcher_close(w);
    return rc;
}

static int walk_pattern(struct job *j, const struct conf_trail *c,
                        struct err *e)
{
    struct match found = { 0 };
    int rc = match_find(&found, c->conf.path, e);

    for (size_t i = 0; i < found.n && rc == 0; i++) {
        char *name = match_trail_name(c->name, found.paths[i]);

        rc = walk_log(j, name, &c->conf, found.paths[i]);
        free(name);
    }
    match_free(&found);
    return rc;
}

static int walk_configured(struct job *j, struct err *e)
{
    const struct conf *c = j->target.conf;
    int rc = 0;

    for (size_t i = 0; i < c->ntrails && rc == 0; i++) {
        const struct conf_trail *t = &c->trails[i];

        if (!conf_output_wants(j->target.output, t->name))
            continue;
        if (trail_is_stdin(&t->conf))
            log_warn("verify",
                     "trail %s is standard input: nothing is left "
                     "of it to be verified",
                     t->name);
        else if (trail_is_pattern(&t->conf))
            rc = walk_pattern(j, t, e);
        else
            rc = walk_log(j, t->name, &t->conf, t->conf.path);
    }
    if (rc == 0 && j->trails == 0)
        rc = err_set(e, ERR_MISSING, "there is no log to verify");
    return rc;
}

/* ---- what comes of it ---- */

static void say(const char *text)
{
    struct buf shown = { 0 };

    report_stop(NULL);
    show_add(&shown, span(text, strlen(text)));
    fprintf(stderr, "tallyman verify: %.*s\n", (int)shown.len, shown.at);
    buf_free(&shown);
}

/* Nobody knows what is in the index. */
static int unknown(const struct job *j, const char *why)
{
    struct buf out = { 0 };

    say(why);
    if (strstr(why, " 403 ") != NULL ||
        strstr(why, "security_exception") != NULL)
        say("it takes the right to read the index: the privilege \"read\" in "
            "Elasticsearch, the permission \"read\" in OpenSearch; and that "
            "of shipping, to repair");
    if (j->json) {
        buf_printf(&out, "{\"complete\":null,\"error\":\"");
        buf_add_json(&out, span(why, strlen(why)));
        buf_printf(&out, "\"}\n");
        fwrite(out.at, 1, out.len, stdout);
        buf_free(&out);
    }
    return EXIT_UNKNOWN;
}

static int report(struct job *j)
{
    struct verify_range range;
    struct verify_report r = {
        .v = &j->verify,
        .range = &range,
        .product = &j->ask.product,
        .target = elasticsearch_target(j->verify.settings),
        .show = j->numbers.show,
        .grouped = isatty(STDOUT_FILENO),
    };
    struct buf out = { 0 };

    verify_range_count(&range, &j->verify);
    report_stop(NULL);
    if (j->json)
        verify_report_json(&r, &out);
    else
        verify_report_text(&r, &out);
    fwrite(out.at, 1, out.len, stdout);
    buf_free(&out);
    return verify_is_complete(&j->verify) ? EXIT_OK : EXIT_FAILED;
}

/* A search or a count sees what was refreshed, and what was deleted since. */
static void refresh(struct job *j)
{
    struct verify *v = &j->verify;
    bool done = visible_refresh(&j->ask, elasticsearch_target(v->settings));

    v->may_count = done && !v->by_search;
    if (done || !v->by_search)
        return;
    say(j->ask.why);
    if (j->ask.status == 403)
        say("without the right to refresh the index (the privilege "
            "\"maintenance\") what was written in its last refresh interval "
            "may seem to be missing");
}

static int walk_all(struct job *j)
{
    struct err e = { 0 };
    int rc = j->nfiles > 0 ? walk_files(j, &e) : walk_configured(j, &e);

    if (rc == 0 && j->nfiles == 0 && !j->options.repair)
        rc = verify_ask_again(&j->verify, j->options.wait_ms);
    if (j->verify.failed.code != 0)
        return unknown(j, j->verify.failed.text);
    if (rc != 0) {
        say(e.text);
        return EXIT_FAILED;
    }
    return report(j);
}

static int with_verify(struct job *j)
{
    struct err e = { 0 };
    int rc;

    if (verify_open(&j->verify, &j->ask, j->target.output, &j->options, &e) !=
        0)
        return unknown(j, e.text);
    if (ask_product(&j->ask) != 0)
        j->ask.product = (struct product){ 0 };
    refresh(j);
    rc = walk_all(j);
    verify_stop(&j->verify);
    return rc;
}

static int with_cluster(struct job *j)
{
    struct err e = { 0 };
    bool opened;
    int rc;

    if (ask_open(&j->ask, j->target.output->conf, &e) != 0)
        return unknown(j, e.text);
    rc = with_verify(j);
    opened = j->verify.slots != NULL;
    ask_close(&j->ask);
    if (opened)
        verify_free(&j->verify);
    return rc;
}

/* `state`: the directory in which dead/ is, or NULL: nobody's. */
static struct idset *read_buried(const struct job *j, const char *state)
{
    struct idset *ids;
    struct err e = { 0 };

    if (state == NULL)
        return NULL;
    ids = idset_new(BURIED_MOST);
    if (buried_read(ids, state, j->target.output->name, &e) != 0) {
        say(e.text);
        say("so what is a dead letter counts as missing");
    }
    return ids;
}

static int verify_with(struct job *j, const char *state)
{
    struct idset *dead = read_buried(j, state);
    int rc;

    signal(SIGPIPE, SIG_IGN);
    j->options.dead = dead;
    j->options.progress = on_progress;
    j->options.arg = j;
    j->start_ms = clock_mono_ms();
    j->progress.command = NAME;
    report_start(&j->progress);
    rc = with_cluster(j);
    report_stop(&j->progress);
    idset_free(dead);
    return rc;
}

struct verify_args {
    struct target_args target;
    struct cli_rest files;
    const char *wait, *show, *parser, *state, *level;
};

static int read_args(struct job *j, const struct verify_args *a)
{
    unsigned level = LOG_WARN;
    int rc;

    opt_defaults(number_opts, &j->numbers);
    opt_defaults(trail_opts, &j->trail);
    j->options.wait_ms = WAIT_MS;
    j->files = a->files.at;
    j->nfiles = (size_t)a->files.n;
    if (a->target.hosts != NULL && j->nfiles == 0)
        return cli_misuse(NAME, "--hosts needs a FILE: there are no trails "
                                "without a configuration");
    rc = cli_duration(NAME, "--wait", &j->options.wait_ms, a->wait);
    if (rc == EXIT_OK)
        rc = cli_set(NAME, "--show", number_opts, "show", &j->numbers, a->show);
    if (rc == EXIT_OK)
        rc = cli_set(NAME, "--parser", trail_opts, "parser", &j->trail,
                     a->parser);
    if (rc == EXIT_OK)
        rc = cli_find_level(NAME, a->level, &level);
    log_set_level(level);
    return rc;
}

static int verify(int argc, char **argv)
{
    struct job j = { 0 };
    struct verify_args args = { 0 };
    const struct cli_flag flags[] = {
        TARGET_FLAGS(&args.target),
        { "--repair", NULL, &j.options.repair },
        { "--parser", &args.parser, NULL },
        { "--state", &args.state, NULL },
        { "--json", NULL, &j.json },
        { "--quiet", NULL, &j.progress.quiet },
        { "--show", &args.show, NULL },
        { "--wait", &args.wait, NULL },
        { "--log-level", &args.level, NULL },
        { NULL, NULL, NULL },
    };
    int rc = cli_parse(argc, argv, flags, &args.files);

    if (rc == EXIT_OK)
        rc = read_args(&j, &args);
    if (rc == EXIT_OK)
        rc = target_open(&j.target, NAME, &args.target, "elasticsearch");
    if (rc == EXIT_OK) {
        if (args.state == NULL && args.target.hosts == NULL)
            args.state = j.target.conf->agent.state_dir;
        rc = verify_with(&j, args.state);
        target_close(&j.target);
        if (cli_flush(NAME) != EXIT_OK)
            rc = EXIT_FAILED;
    }
    opt_free(trail_opts, &j.trail);
    return rc;
}

extern const struct command command_verify;

const struct command command_verify = {
    .name = NAME,
    .help = "is every event of the log in the index?",
    .usage =
        " [FILE...] [-c FILE] [--output NAME] [OPTION...]\n"
        "       tallyman verify FILE... --hosts URL[,URL...] [OPTION...]\n\n"
        "Reads the FILEs (.gz, too), or without any the trails of the "
        "configuration with\ntheir rotated files, up to the last line there is "
        "now. Asks the server for each\nevent by its id, and prints how many "
        "are there, how many are not, and where the\nfirst of these stand. "
        "Needs the right to read the index, and changes nothing. An\nagent "
        "that runs is not disturbed.\n\n"
        "  -c FILE            the configuration; default\n"
        "                     " CLI_DEFAULT_CONF "\n"
        "  --output NAME      which of its outputs, where there are several\n"
        "  --hosts URLS       instead of a configuration: an output with "
        "hosts alone\n"
        "  --repair           ship what is missing, as 'run' would\n"
        "  --parser NAME      what a line of a FILE is: audit (default) or "
        "json\n"
        "  --state DIR        where the dead letters are, instead of "
        "state_dir\n"
        "  --json             print one JSON object\n"
        "  --quiet            no progress\n"
        "  --show N           most missing events to name; default 10\n"
        "  --wait TIME        how long to wait for a server that does not "
        "answer, and for\n                     events of a trail that are on "
        "their way; default 10s\n"
        "  --log-level LEVEL  error, warn (default), info or debug\n\n"
        "More documents of the same time, of other clusters for instance, are "
        "counted and\nare no fault.\n\n"
        "Exit codes: 0 every event is in the index, once; 1 not, or a part of "
        "the log\ncannot be read, or there is no event in it; 2 wrong command "
        "line; 3 wrong\nconfiguration; 8 the server cannot be asked, so nobody "
        "knows.\n",
    .run = verify,
};
