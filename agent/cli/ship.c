/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship - given files to one output, once; goes on after a stop.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/cli/report.h"
#include "agent/cli/target.h"
#include "agent/cli/visible.h"
#include "agent/ops/resume.h"

#define NAME "ship"

struct ship_args {
    struct target_args target;
    struct cli_rest files;
    const char *parser;
    const char *state;
    const char *give_up;
    const char *level;
    bool quiet;
    bool json;
};

static int parse_args(int argc, char **argv, struct ship_args *a)
{
    const struct cli_flag flags[] = {
        TARGET_FLAGS(&a->target),           { "--parser", &a->parser, NULL },
        { "--state", &a->state, NULL },     { "--give-up", &a->give_up, NULL },
        { "--log-level", &a->level, NULL }, { "--quiet", NULL, &a->quiet },
        { "--json", NULL, &a->json },       { NULL, NULL, NULL },
    };
    int rc = cli_parse(argc, argv, flags, &a->files);

    if (rc == EXIT_OK && a->files.n == 0)
        return cli_misuse(NAME, "which FILE?");
    for (int i = 0; rc == EXIT_OK && i < a->files.n; i++) {
        if (strcmp(a->files.at[i], "-") == 0)
            return cli_misuse(NAME, "standard input is no FILE, for it cannot "
                                    "be gone on with; 'tallyman run' takes it, "
                                    "as a trail with path \"-\"");
        if (a->files.at[i][0] == '\0')
            return cli_misuse(NAME, "a FILE without a name");
    }
    return rc;
}

/* Where the places of all ships are; NULL: said on standard error. */
static char *root_of(const char *state)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state != NULL)
        return xstrdup(state);
    if (xdg != NULL && xdg[0] == '/')
        return xprintf("%s/tallyman/ship", xdg);
    if (home != NULL && home[0] == '/')
        return xprintf("%s/.local/state/tallyman/ship", home);
    cli_misuse(NAME, "there is no home directory to remember in how far it "
                     "is: give --state DIR");
    return NULL;
}

/*
 * The agent goes on in its file where its checkpoint says, and cuts off what
 * is behind that.
 */
static int check_agent(const struct target *t)
{
    const char *state = t->conf->agent.state_dir;
    glob_t found = { 0 };
    char *pattern;
    int rc;

    if (t->output->ops->mark == NULL || state == NULL)
        return EXIT_OK;
    pattern = xprintf("%s/*.%s.checkpoint", state, t->output->name);
    rc = glob(pattern, GLOB_NOSORT, NULL, &found);
    free(pattern);
    globfree(&found);
    if (rc != 0)
        return EXIT_OK;
    return cli_misuse(NAME,
                      "the agent with state_dir %s writes the file of "
                      "output '%s': ship to one of its own",
                      state, t->output->name);
}

static void tick(void *arg, const struct ship_view *v)
{
    report_tick(arg, v);
}

static int ship_files(const struct ship_args *a, const struct target *t,
                      const struct trail_conf *trail, uint64_t give_up,
                      const char *root)
{
    struct report report = {
        .command = NAME,
        .output = t->output->name,
        .quiet = a->quiet,
        .json = a->json,
        .stdout_is_his = strcmp(t->output->ops->name, "stdout") == 0,
    };
    char *name = resume_name(t->output, a->files.at, (size_t)a->files.n);
    char *place = xprintf("%s/%s", root, name);
    char *dead = xprintf("%s/dead/%s.ndjson", place, t->output->name);
    struct ship_env env = {
        .trail = NAME,
        .trail_conf = trail,
        .output = t->output,
        .paths = a->files.at,
        .n = (size_t)a->files.n,
        .place = place,
        .dead = -1,
        .give_up_ms = give_up,
        .drain_ms = t->conf->agent.drain_timeout,
        .tick = tick,
        .cut_short = report_cut_short,
        .arg = &report,
    };
    struct ship_result result;
    int code;

    report_start(&report);
    ship_run(&env, &result);
    code = report_end(&report, &result, dead);
    if (result.end == SHIP_DONE && result.view.lane.count.delivered > 0)
        visible_now(t->output);
    free(dead);
    free(place);
    free(name);
    return code;
}

static int ship_to(const struct ship_args *a, const struct target *t)
{
    struct trail_conf trail = { 0 };
    unsigned level = LOG_WARN;
    uint64_t give_up = 0;
    char *root = NULL;
    int rc;

    opt_defaults(trail_opts, &trail);
    rc = cli_set(NAME, "--parser", trail_opts, "parser", &trail, a->parser);
    if (rc == EXIT_OK)
        rc = cli_duration(NAME, "--give-up", &give_up, a->give_up);
    if (rc == EXIT_OK)
        rc = cli_find_level(NAME, a->level, &level);
    if (rc == EXIT_OK)
        rc = check_agent(t);
    if (rc == EXIT_OK && (root = root_of(a->state)) == NULL)
        rc = EXIT_USAGE;
    if (rc == EXIT_OK) {
        log_set_level(level);
        cli_be_agent();
        rc = ship_files(a, t, &trail, give_up, root);
    }
    free(root);
    opt_free(trail_opts, &trail);
    return rc;
}

static int ship(int argc, char **argv)
{
    struct ship_args args = { 0 };
    struct target target;
    int rc = parse_args(argc, argv, &args);

    if (rc == EXIT_OK)
        rc = target_open(&target, NAME, &args.target, NULL);
    if (rc != EXIT_OK)
        return rc;
    rc = ship_to(&args, &target);
    target_close(&target);
    return rc;
}

extern const struct command command_ship;

const struct command command_ship = {
    .name = NAME,
    .help = "send log files to one output, once",
    .usage =
        " FILE... --hosts URL[,URL...]\n"
        "       tallyman ship FILE... [-c FILE] [--output NAME]\n"
        "\n"
        "Delivers every event of these log files, plain or gzip, in the order "
        "given, to\n"
        "one output, and ends. After a stop or a crash the same command goes "
        "on where it\n"
        "was.\n"
        "\n"
        "  --hosts URLS       an Elasticsearch or OpenSearch, as an output "
        "with nothing\n"
        "                     but hosts\n"
        "  -c FILE            the configuration that has the output; default\n"
        "                     " CLI_DEFAULT_CONF "\n"
        "  --output NAME      which of its outputs, where there are several\n"
        "  --parser NAME      what a line is: audit (default) or json\n"
        "  --state DIR        where to remember how far it is; default\n"
        "                     $XDG_STATE_HOME/tallyman/ship, else\n"
        "                     ~/.local/state/tallyman/ship\n"
        "  --give-up TIME     end once nothing was taken for so long (5m); "
        "default: wait\n"
        "  --quiet            no progress and no summary\n"
        "  --json             the summary as JSON\n"
        "  --log-level LEVEL  error, warn (default), info or debug\n"
        "\n"
        "SIGTERM or SIGINT stops after what is in flight is settled, a second "
        "one at\n"
        "once. SIGUSR1 prints the counters.\n"
        "\n"
        "Exit codes: 0 all was delivered, or was there already; 1 not all was "
        "sent; 2\n"
        "wrong command line; 3 wrong configuration; 4 the state directory "
        "cannot be used;\n"
        "5 these files are being shipped already; 6 stopped at once by a "
        "second signal;\n"
        "7 all was sent, but some was refused, or no event, or could not be "
        "read.\n",
    .run = ship,
};
