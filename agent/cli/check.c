/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - reads a configuration as `run` would, and opens nothing it names
 * but the files of ${file:...}.
 */
#include <stdio.h>

#include "agent/cli/cli.h"
#include "agent/ops/conf.h"

static int check_file(const char *path)
{
    struct conf *c = conf_read(path, stderr);

    if (c == NULL)
        return EXIT_CONFIG;
    printf("%s: ok, %zu trails, %zu outputs\n", path, c->ntrails, c->noutputs);
    conf_free(c);
    return EXIT_OK;
}

static int print_options(void)
{
    conf_print_options(stdout);
    return EXIT_OK;
}

static int check(int argc, char **argv)
{
    bool options = false;
    const struct cli_flag flags[] = {
        { "--options", NULL, &options },
        { NULL, NULL, NULL },
    };
    struct cli_rest rest;
    int rc = cli_parse(argc, argv, flags, &rest);

    if (rc != EXIT_OK)
        return rc;
    if (rest.n > 1)
        return cli_misuse("check", "one FILE, not '%s' as well", rest.at[1]);
    if (options && rest.n > 0)
        return cli_misuse("check", "--options takes no FILE");
    rc = options ? print_options()
                 : check_file(rest.n > 0 ? rest.at[0] : CLI_DEFAULT_CONF);
    return cli_flush("check") != EXIT_OK ? EXIT_FAILED : rc;
}

extern const struct command command_check;

const struct command command_check = {
    .name = "check",
    .help = "check a configuration, or list all options",
    .usage = " [FILE]\n       tallyman check --options\n\n"
             "Reads FILE (default " CLI_DEFAULT_CONF ") as\n"
             "'run' would and reports every mistake in it as "
             "FILE:LINE:COLUMN: text.\n\n"
             "  --options  print every option, with default and explanation, "
             "as YAML\n\n"
             "Exit codes: 0 the configuration is right, 2 wrong command line, "
             "3 it is wrong.\n",
    .run = check,
};
