/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/match.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/base/sha256.h"
#include "agent/trail/sibling.h"

#define NAME_BYTES 64 /* of the base name, in the name of a trail */
#define HASH_CHARS 8

bool match_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

const char *match_mistake(const char *pattern)
{
    const char *open = strchr(pattern, '[');

    if (strstr(pattern, "**") != NULL)
        return "has '**': a '*' goes through one directory only";
    if (open != NULL && strchr(open, ']') == NULL)
        return "has a '[' without its ']'";
    return NULL;
}

static const char *base_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* ---- finding ---- */

/* glob() gives its callback no argument. */
static _Thread_local struct err *trouble;
static _Thread_local int trouble_code;

static int on_unreadable(const char *path, int error)
{
    if (error != ENOENT && trouble_code == 0)
        trouble_code = err_set(trouble, ERR_IO, "cannot list %s: %s", path,
                               strerror(error));
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(char *const *paths, size_t n, const char *path)
{
    return n > 0 && bsearch(&path, paths, n, sizeof(*paths), by_name) != NULL;
}

/* app-9.6.log may be the sixth rotated file of app-9.log, if that is there. */
static bool is_numbered_one_of(char *const *paths, size_t n, const char *path)
{
    char *live = sibling_live_of_numbered(base_of(path)), *whole;
    bool yes;

    if (live == NULL)
        return false;
    whole = xprintf("%.*s%s", (int)(base_of(path) - path), path, live);
    yes = has(paths, n, whole);
    free(whole);
    free(live);
    return yes;
}

/* A file, or a link to one that is not found by its own name as well. */
static bool is_file(char *const *paths, size_t n, const char *path)
{
    char to[PATH_MAX];
    struct stat st;

    if (lstat(path, &st) != 0)
        return false;
    if (!S_ISLNK(st.st_mode))
        return S_ISREG(st.st_mode);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           realpath(path, to) != NULL && !has(paths, n, to);
}

static bool is_live(char *const *paths, size_t n, const char *path)
{
    return !sibling_is_rotated_name(base_of(path)) &&
           !is_numbered_one_of(paths, n, path) && is_file(paths, n, path);
}

int match_find(struct match *m, const char *pattern, struct err *e)
{
    glob_t found = { 0 };
    int rc;

    *m = (struct match){ 0 };
    trouble = e;
    trouble_code = 0;
    rc = glob(pattern, 0, on_unreadable, &found);
    if (rc == GLOB_NOSPACE)
        abort();
    if (rc == 0) {
        qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), by_name);
        m->paths = xcalloc(found.gl_pathc, sizeof(*m->paths));
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (is_live(found.gl_pathv, found.gl_pathc, found.gl_pathv[i]))
            m->paths[m->n++] = xstrdup(found.gl_pathv[i]);
    }
    globfree(&found);
    return trouble_code;
}

void match_free(struct match *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->paths[i]);
    free(m->paths);
    *m = (struct match){ 0 };
}

void match_add(struct match *m, const char *path)
{
    size_t i = m->n++;

    m->paths = xrealloc(m->paths, m->n * sizeof(*m->paths));
    for (; i > 0 && strcmp(m->paths[i - 1], path) > 0; i--)
        m->paths[i] = m->paths[i - 1];
    m->paths[i] = xstrdup(path);
}

bool match_has(const struct match *m, const char *path)
{
    return has(m->paths, m->n, path);
}

bool match_would(const char *pattern, const char *path)
{
    return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0 &&
           !sibling_is_rotated_name(base_of(path));
}

/* ---- names ---- */

char *match_trail_name(const char *name, const char *path)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE], *base, *text;

    sha256_of(span(path, strlen(path)), hash);
    sha256_hex(hash, hex);
    base = xstrndup(base_of(path), NAME_BYTES);
    for (char *c = base; *c != '\0'; c++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789._-",
                   *c) == NULL)
            *c = '_';
    }
    text = xprintf("%s@%s-%.*s", name, base, HASH_CHARS, hex);
    free(base);
    return text;
}
