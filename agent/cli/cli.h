/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what the commands share: how they are told apart, their flags and the
 * exit codes.
 *
 * A command is a file that ends in a `const struct command`, and two lines in
 * commands.c. --help is answered by main() before the command runs.
 */
#ifndef TALLYMAN_CLI_H
#define TALLYMAN_CLI_H

#include <stdint.h>

#include "agent/base/bytes.h"

struct opt;

#define CLI_DEFAULT_CONF "/etc/tallyman/tallyman.yaml"

enum exit_code {
    EXIT_OK = 0,        /* done as asked; nothing is missing */
    EXIT_FAILED = 1,    /* failed while running, or not all was done */
    EXIT_USAGE = 2,     /* wrong command line */
    EXIT_CONFIG = 3,    /* the configuration is wrong */
    EXIT_STATE = 4,     /* the state directory cannot be used */
    EXIT_LOCKED = 5,    /* another agent holds the state directory */
    EXIT_CUT_SHORT = 6, /* stopped at once by a second signal */
    EXIT_DEAD = 7,      /* all is settled, but some as dead letters or lost */
    EXIT_UNKNOWN = 8    /* the server could not be asked: nobody knows */
};

struct command {
    const char *name;
    const char *help;  /* one line */
    const char *usage; /* behind "Usage: tallyman NAME" */
    /* argv[0] is the command's name; returns an exit code. */
    int (*run)(int argc, char **argv);
};

/* In the order of the help, NULL-ended. */
extern const struct command *const commands[];

/* One flag of a command: with a value, or set when it is there. */
struct cli_flag {
    const char *name;   /* "--hosts", "-c" */
    const char **value; /* NULL: it takes none */
    bool *set;          /* may be NULL */
};

/* What is no flag, in its order; borrowed from argv. */
struct cli_rest {
    char **at;
    int n;
};

/*
 * Reads the flags (a table that ends with a NULL name) wherever they stand, as
 * `--flag VALUE` or `--flag=VALUE`; "--" ends them. What is no flag is moved
 * to the end of argv and told of in `rest`; where that is NULL, there may be
 * none. EXIT_OK, or EXIT_USAGE with a line on standard error.
 */
int cli_parse(int argc, char **argv, const struct cli_flag *flags,
              struct cli_rest *rest);

/* Says on standard error what is wrong with the command line, whatever is in
 * it, and where help is. EXIT_USAGE. */
int cli_misuse(const char *command, const char *format, ...) PRINTF(2, 3);

/* `text` into the row of that name, as a configuration would have it; NULL: it
 * stays as it is. EXIT_OK or EXIT_USAGE. */
int cli_set(const char *command, const char *flag, const struct opt *table,
            const char *row, void *conf, const char *text);
/* The same for milliseconds. */
int cli_duration(const char *command, const char *flag, uint64_t *ms,
                 const char *text);
/* The level of that name; NULL: `*level` stays. EXIT_OK or EXIT_USAGE. */
int cli_find_level(const char *command, const char *name, unsigned *level);
/* For commands that run lanes: memory and signals as in the agent. */
void cli_be_agent(void);

/* Whether all that was printed got there; else says so: EXIT_FAILED. */
int cli_flush(const char *command);

#endif
