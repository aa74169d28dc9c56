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
#include "agent/base/show.h"
#include "agent/cli/cli.h"

#define MAX_COMMANDS 32

static void print_help(FILE *out)
{
    fputs("Usage: tallyman COMMAND [OPTION...]\n\n"
          "Ships the Kubernetes audit log to Elasticsearch, OpenSearch, a "
          "file or standard\noutput; every event, once.\n\nCommands:\n",
          out);
    for (const struct command *const *c = commands; *c != NULL; c++)
        fprintf(out, "  %-6s  %s\n", (*c)->name, (*c)->help);
    fputs("\n  tallyman COMMAND --help   about one command\n", out);
    fputs("  tallyman --version\n", out);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int unknown(const char *name)
{
    const char *names[MAX_COMMANDS + 3], *nearest;
    struct buf shown = { 0 };
    size_t n = 0;

    for (; commands[n] != NULL && n < MAX_COMMANDS; n++)
        names[n] = commands[n]->name;
    names[n++] = "--help";
    names[n++] = "--version";
    names[n] = NULL;
    nearest = opt_nearest(names, name);
    show_add(&shown, span(name, strlen(name)));
    fprintf(stderr, "tallyman: unknown %s '%.*s'",
            name[0] == '-' ? "option" : "command", (int)shown.len, shown.at);
    if (nearest != NULL)
        fprintf(stderr, ", did you mean '%s'?", nearest);
    fputs("\nTry 'tallyman --help'.\n", stderr);
    buf_free(&shown);
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
    for (const struct command *const *c = commands; *c != NULL; c++) {
        if (strcmp((*c)->name, argv[1]) == 0)
            return dispatch(*c, argc - 1, argv + 1);
    }
    return unknown(argv[1]);
}
