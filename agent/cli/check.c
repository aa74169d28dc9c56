/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - reads a configuration as `run` would, and opens nothing it names
 * but the files of ${file:...}.
 */
#include <stdio.h>
#include <string.h>

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

int cmd_check(int argc, char **argv)
{
    static const char *const flags[] = { "--options", "--help", NULL };
    const char *path = NULL;
    bool options = false;
    int code;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--options") == 0) {
            options = true;
        } else if (argv[i][0] == '-') {
            return cli_unknown_flag("check", argv[i], flags);
        } else if (path != NULL) {
            fprintf(stderr, "tallyman check: one FILE, not '%s' as well\n",
                    argv[i]);
            return EXIT_USAGE;
        } else {
            path = argv[i];
        }
    }
    if (options && path != NULL) {
        fputs("tallyman check: --options takes no FILE\n", stderr);
        return EXIT_USAGE;
    }
    code = options ? print_options()
                   : check_file(path != NULL ? path : CLI_DEFAULT_CONF);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("tallyman check: standard output");
        return EXIT_FAILED;
    }
    return code;
}
