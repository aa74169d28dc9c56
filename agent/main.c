/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main - finds the command, and helps to find it.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/opt.h"
#include "agent/cli/cli.h"

struct command {
    const char *name;
    const char *help;  /* one line */
    const char *usage; /* behind "Usage: tallyman NAME" */
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {
        .name = "run",
        .help = "ship the trails to the outputs",
        .usage =
            " [-c FILE] [--log-level LEVEL]\n\n"
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
        .run = cmd_run,
    },
    {
        .name = "check",
        .help = "check a configuration, or list all options",
        .usage =
            " [FILE]\n       tallyman check --options\n\n"
            "Reads FILE (default " CLI_DEFAULT_CONF ") as\n"
            "'run' would and reports every mistake in it as "
            "FILE:LINE:COLUMN: text.\n\n"
            "  --options  print every option, with default and explanation, "
            "as YAML\n\n"
            "Exit codes: 0 the configuration is right, 2 wrong command line, "
            "3 it is wrong.\n",
        .run = cmd_check,
    },
};

static void print_help(FILE *out)
{
    fputs("Usage: tallyman COMMAND [OPTION...]\n\n"
          "Ships the Kubernetes audit log to Elasticsearch, OpenSearch, a "
          "file or standard\noutput; every event, once.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-6s  %s\n", commands[i].name, commands[i].help);
    fputs("\n  tallyman COMMAND --help   about one command\n", out);
    fputs("  tallyman --version\n", out);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int unknown(const char *name)
{
    const char *names[ARRAY_LEN(commands) + 3];
    const char *nearest;
    size_t n = 0;

    while (n < ARRAY_LEN(commands)) {
        names[n] = commands[n].name;
        n++;
    }
    names[n++] = "--help";
    names[n++] = "--version";
    names[n] = NULL;
    nearest = opt_nearest(names, name);
    fprintf(stderr, "tallyman: unknown %s '%s'",
            name[0] == '-' ? "option" : "command", name);
    if (nearest != NULL)
        fprintf(stderr, ", did you mean '%s'?", nearest);
    fputs("\nTry 'tallyman --help'.\n", stderr);
    return EXIT_USAGE;
}

static int dispatch(const struct command *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_help(argv[i])) {
            printf("Usage: tallyman %s%s", command->name, command->usage);
            return EXIT_OK;
        }
    }
    return command->run(argc, argv);
}

/* What we open must not become a standard stream: the log would be written into
 * the lock. What stands in their places fails as the missing ones would. */
static void fill_missing_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) != fd)
            _exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    fill_missing_streams();
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tallyman " TALLYMAN_VERSION);
        return EXIT_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0)
            return dispatch(&commands[i], argc - 1, argv + 1);
    }
    return unknown(argv[1]);
}
