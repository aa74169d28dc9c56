/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what the commands share: their entry points and the exit codes.
 *
 * Each command gets the arguments behind its name (argv[0] is the name) and
 * returns an exit code. --help is answered by main() before.
 */
#ifndef TALLYMAN_CLI_H
#define TALLYMAN_CLI_H

#define CLI_DEFAULT_CONF "/etc/tallyman/tallyman.yaml"

enum exit_code {
    EXIT_OK = 0,       /* stopped as asked, or the check found nothing */
    EXIT_FAILED = 1,   /* failed while running */
    EXIT_USAGE = 2,    /* wrong command line */
    EXIT_CONFIG = 3,   /* the configuration is wrong */
    EXIT_STATE = 4,    /* the state directory cannot be used */
    EXIT_LOCKED = 5,   /* another agent holds the state directory */
    EXIT_CUT_SHORT = 6 /* stopped at once by a second signal */
};

int cmd_check(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* Says on stderr that `command` has no such flag, and the nearest one of
 * `flags` (NULL-ended). Returns EXIT_USAGE. */
int cli_unknown_flag(const char *command, const char *flag,
                     const char *const *flags);

#endif
