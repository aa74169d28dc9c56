/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/unit.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

static struct unit *first;
static char dir[64];

void unit_add(struct unit *u)
{
    struct unit **at = &first;

    while (*at != NULL)
        at = &(*at)->next;
    *at = u;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    if (dir[0] != '\0')
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    dir[0] = '\0';
}

const char *unit_dir(void)
{
    if (dir[0] == '\0') {
        strcpy(dir, "/tmp/tallyman-unit-XXXXXX");
        if (mkdtemp(dir) == NULL)
            FAIL("mkdtemp: %m");
    }
    return dir;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    remove_dir();
    exit(1);
}

int main(int argc, char **argv)
{
    unsigned run = 0;

    for (struct unit *u = first; u != NULL; u = u->next) {
        if (argc > 1 && strcmp(argv[1], "--list") == 0) {
            printf("%s\n", u->name);
            run++;
        } else if (argc < 2 || strcmp(argv[1], u->name) == 0) {
            u->run();
            remove_dir();
            run++;
        }
    }
    if (run == 0)
        fprintf(stderr, "no test '%s'\n", argc > 1 ? argv[1] : "");
    return run == 0;
}
