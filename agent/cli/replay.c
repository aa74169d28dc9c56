/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - dead letters again, through the present rules.
 */
#include "agent/ops/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/base/show.h"
#include "agent/cli/report.h"
#include "agent/cli/target.h"
#include "agent/cli/visible.h"

#define NAME "replay"

struct replay_args {
    struct target_args target;
    const char *parser;
    const char *state;
    const char *give_up;
    const char *level;
    bool dry_run;
    bool quiet;
    bool json;
};

/* What is no option of a configuration, but typed like one. */
struct replay_conf {
    const char *state_dir;
    uint64_t give_up;
    struct trail_conf trail; /* for its parser */
};

static int parse_args(int argc, char **argv, struct replay_args *a)
{
    const struct cli_flag flags[] = {
        TARGET_FLAGS(&a->target),
        { "--dry-run", NULL, &a->dry_run },
        { "--parser", &a->parser, NULL },
        { "--state", &a->state, NULL },
        { "--give-up", &a->give_up, NULL },
        { "--log-level", &a->level, NULL },
        { "--quiet", NULL, &a->quiet },
        { "--json", NULL, &a->json },
        { NULL, NULL, NULL },
    };
    int rc = cli_parse(argc, argv, flags, NULL);

    if (rc == EXIT_OK && a->target.hosts != NULL && a->state == NULL)
        return cli_misuse(NAME, "--hosts needs --state: the directory in which "
                                "dead/ is");
    return rc;
}

/* ---- one output ---- */

/*
 * An agent goes on in its file where its checkpoint says, and cuts off what is
 * behind that. What such an output has are lines that were no events.
 */
static int leave(const struct replay_conf *conf, const struct conf_output *o)
{
    struct replay_count count;
    struct err e = { 0 };

    if (replay_count(conf->state_dir, o->name, &count, &e) != 0) {
        log_error(NAME, "%s", e.text);
        return EXIT_FAILED;
    }
    if (count.letters == 0)
        return EXIT_OK;
    fprintf(stderr,
            "tallyman %s: output %s writes a file that its agent goes on with: "
            "its %" PRIu64 " dead letters stay\n",
            NAME, o->name, count.letters);
    return EXIT_DEAD;
}

static void tick(void *arg, const struct ship_view *v)
{
    report_tick(arg, v);
}

/* `*stopped`: by a signal, which is meant for all. */
static int replay_output(const struct replay_args *a,
                         const struct replay_conf *conf, const struct conf *c,
                         const struct conf_output *o, bool *stopped)
{
    struct report report = {
        .command = NAME,
        .output = o->name,
        .quiet = a->quiet,
        .json = a->json,
        .stdout_is_his = strcmp(o->ops->name, "stdout") == 0,
    };
    struct replay_env env = {
        .conf = c,
        .output = o,
        .state_dir = conf->state_dir,
        .parser = conf->trail.parser,
        .give_up_ms = conf->give_up,
        .tick = tick,
        .cut_short = report_cut_short,
        .arg = &report,
    };
    char *dead = xprintf("%s/dead/%s.ndjson", conf->state_dir, o->name);
    struct ship_result result;
    int code;

    report_start(&report);
    if (!replay_run(&env, &result) && !report.json) {
        report.quiet = true; /* there is nothing to sum up */
        if (!a->quiet)
            printf("%s: no dead letters\n", o->name);
    }
    code = report_end(&report, &result, dead);
    if (result.end == SHIP_DONE && result.view.lane.count.delivered > 0)
        visible_now(o);
    *stopped = result.end == SHIP_STOPPED;
    free(dead);
    return code;
}

/* ---- --dry-run ---- */

static void print_reason(const struct replay_reason *r, bool json, bool first,
                         struct buf *out)
{
    if (json) {
        buf_printf(out, "%s{\"kind\":\"", first ? "" : ",");
        buf_add_json(out, span(r->kind, strlen(r->kind)));
        buf_printf(out, "\",\"status\":%u,\"reason\":\"", r->status);
        buf_add_json(out, span(r->text, strlen(r->text)));
        buf_printf(out, "\",\"count\":%" PRIu64 "}", r->count);
        return;
    }
    buf_printf(out, "%10" PRIu64 "  ", r->count);
    show_add(out, span(r->kind, strlen(r->kind)));
    if (r->status != 0)
        buf_printf(out, " %u", r->status);
    buf_printf(out, ": ");
    show_add(out, span(r->text, strlen(r->text)));
    buf_add(out, "\n", 1);
}

static void print_count(const char *output, const struct replay_count *c,
                        bool json, struct buf *out)
{
    if (json)
        buf_printf(out,
                   "{\"output\":\"%s\",\"letters\":%" PRIu64
                   ",\"broken\":%" PRIu64 ",\"reasons\":[",
                   output, c->letters, c->broken);
    else
        buf_printf(out, "%s: %" PRIu64 " dead letters\n", output, c->letters);
    for (size_t i = 0; i < c->n; i++)
        print_reason(&c->reasons[i], json, i == 0, out);
    if (json)
        buf_printf(out, "],\"others\":%" PRIu64 "}\n", c->others);
    if (!json && c->others > 0)
        buf_printf(out, "%10" PRIu64 "  for other reasons\n", c->others);
    if (!json && c->broken > 0)
        buf_printf(out, "%10" PRIu64 "  that cannot be read\n", c->broken);
}

static int count_output(const struct replay_args *a,
                        const struct replay_conf *conf,
                        const struct conf_output *o)
{
    struct replay_count count;
    struct err e = { 0 };
    struct buf out = { 0 };

    if (replay_count(conf->state_dir, o->name, &count, &e) != 0) {
        log_error(NAME, "%s", e.text);
        return EXIT_FAILED;
    }
    print_count(o->name, &count, a->json, &out);
    printf("%.*s", (int)out.len, out.at);
    buf_free(&out);
    return cli_flush(NAME);
}

/* ---- all ---- */

/* The worse of two ends: dead letters that stay are the least. */
static int worse(int one, int two)
{
    if (one == EXIT_OK || (one == EXIT_DEAD && two != EXIT_OK))
        return two;
    return one;
}

static int replay_outputs(const struct replay_args *a,
                          const struct replay_conf *conf,
                          const struct target *t)
{
    int code = EXIT_OK;
    bool stopped = false;

    for (size_t i = 0; i < t->conf->noutputs && !stopped; i++) {
        const struct conf_output *o = &t->conf->outputs[i];
        int one;

        if (t->output != NULL && t->output != o)
            continue;
        if (a->dry_run)
            one = count_output(a, conf, o);
        else if (o->ops->mark != NULL)
            one = leave(conf, o);
        else
            one = replay_output(a, conf, t->conf, o, &stopped);
        code = worse(code, one);
    }
    return code;
}

static int read_values(const struct replay_args *a, struct replay_conf *conf,
                       unsigned *level)
{
    int rc = cli_set(NAME, "--parser", trail_opts, "parser", &conf->trail,
                     a->parser);

    if (rc == EXIT_OK)
        rc = cli_duration(NAME, "--give-up", &conf->give_up, a->give_up);
    if (rc == EXIT_OK)
        rc = cli_find_level(NAME, a->level, level);
    return rc;
}

static int replay(int argc, char **argv)
{
    struct replay_args a = { 0 };
    struct replay_conf conf = { 0 };
    struct target target = { 0 };
    unsigned level = LOG_WARN;
    int rc = parse_args(argc, argv, &a);

    opt_defaults(trail_opts, &conf.trail);
    if (rc == EXIT_OK)
        rc = read_values(&a, &conf, &level);
    if (rc == EXIT_OK)
        rc = target_open_all(&target, NAME, &a.target);
    if (rc == EXIT_OK) {
        conf.state_dir =
            a.state != NULL ? a.state : target.conf->agent.state_dir;
        log_set_level(level);
        cli_be_agent();
        rc = replay_outputs(&a, &conf, &target);
        target_close(&target);
    }
    opt_free(trail_opts, &conf.trail);
    return rc;
}

extern const struct command command_replay;

const struct command command_replay = {
    .name = NAME,
    .help = "send dead letters again",
    .usage =
        " [-c FILE] [--output NAME]\n"
        "       tallyman replay --state DIR --hosts URL[,URL...]\n"
        "\n"
        "Takes the dead letters of an output, or of all, and sends them to it "
        "again,\n"
        "through the rules of today. What is delivered, or was there, is no "
        "dead letter\n"
        "any more; what is not taken stays one, with the new reason. The agent "
        "may run\n"
        "meanwhile.\n"
        "\n"
        "  -c FILE            the configuration; default\n"
        "                     " CLI_DEFAULT_CONF "\n"
        "  --output NAME      of that output only\n"
        "  --hosts URLS       an Elasticsearch or OpenSearch, as an output "
        "with nothing\n"
        "                     but hosts\n"
        "  --state DIR        where dead/ is, instead of state_dir: for what "
        "'tallyman\n"
        "                     ship' left, the directory that it told\n"
        "  --dry-run          only say how many there are, and why\n"
        "  --parser NAME      of lines from trails that the configuration has "
        "not: audit\n"
        "                     (default) or json\n"
        "  --give-up TIME     end once nothing was taken for so long (5m); "
        "default: wait\n"
        "  --quiet            no progress and no summary\n"
        "  --json             the summary, or the counts, as JSON\n"
        "  --log-level LEVEL  error, warn (default), info or debug\n"
        "\n"
        "Exit codes: 0 none is left; 1 not all were sent; 2 wrong command "
        "line; 3 wrong\n"
        "configuration; 4 the state directory cannot be used; 5 another replay "
        "is at it;\n"
        "6 stopped at once by a second signal; 7 some are left.\n",
    .run = replay,
};
