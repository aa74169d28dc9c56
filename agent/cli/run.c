/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - the agent itself.
 */
#include <stdio.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/cli/cli.h"
#include "agent/ops/agent.h"

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

static int run(int argc, char **argv)
{
    const char *path = CLI_DEFAULT_CONF, *level_name = NULL;
    const struct cli_flag flags[] = {
        { "-c", &path, NULL },
        { "--log-level", &level_name, NULL },
        { NULL, NULL, NULL },
    };
    int rc = cli_parse(argc, argv, flags, NULL);
    unsigned level = 0;
    struct conf *conf;

    if (rc == EXIT_OK)
        rc = cli_find_level("run", level_name, &level);
    if (rc != EXIT_OK)
        return rc;
    conf = conf_read(path, stderr);
    if (conf == NULL)
        return EXIT_CONFIG;
    log_set_level(level_name != NULL ? level : conf->agent.log_level);
    cli_be_agent();
    rc = exit_code(agent_run(conf, cut_short));
    conf_free(conf);
    return rc;
}

extern const struct command command_run;

const struct command command_run = {
    .name = "run",
    .help = "ship the trails to the outputs",
    .usage = " [-c FILE] [--log-level LEVEL]\n\n"
             "Reads every trail and delivers each event to its outputs, until "
             "stopped.\n\n"
             "  -c FILE            the configuration; default\n"
             "                     " CLI_DEFAULT_CONF "\n"
             "  --log-level LEVEL  error, warn, info or debug; overrides the\n"
             "                     configuration's log_level\n\n"
             "A trail with path \"-\" is standard input; where it is the only "
             "one, its end is\nthe end.\n\n"
             "SIGTERM or SIGINT stops after what is in flight is settled, a "
             "second one at\nonce. SIGUSR1 prints the counters.\n\n"
             "Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong "
             "command line,\n3 wrong configuration, 4 the state directory "
             "cannot be used, 5 another agent\nholds it, 6 stopped at once by "
             "a second signal.\n",
    .run = run,
};
