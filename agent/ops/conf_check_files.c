/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_check_files - which file is read by whom and written by whom: no file by
 * two, and none in a circle.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/ops/conf_parts.h"
#include "agent/ops/output_path.h"
#include "agent/trail/match.h"

/* ---- what a trail cannot have ---- */

static void check_misfit(const struct fill *f, const char *key, bool misfit,
                         const char *why)
{
    char where[WHERE_SIZE];

    if (!misfit || node_find(f->node, key) == NULL)
        return;
    fill_where(where, f->where, key);
    mistake(f->mistakes, node_key_at(f->node, key, f->at), where, "%s", why);
}

void conf_check_trail(const struct conf_trail *t, const struct fill *f)
{
    static const char no_start[] =
        "standard input has no checkpoint, and is read from where it is";
    static const char no_rotation[] = "standard input is never rotated";
    static const char no_look[] =
        "standard input is not looked at: it tells by itself";
    bool is_stdin = trail_is_stdin(&t->conf);

    check_misfit(f, "start", is_stdin, no_start);
    check_misfit(f, "poll", is_stdin, no_look);
    check_misfit(f, "quiet", is_stdin, no_rotation);
    check_misfit(f, "retention", is_stdin, no_rotation);
    check_misfit(f, "pin_max_bytes", is_stdin, no_rotation);
    check_misfit(f, "max_matches", !trail_is_pattern(&t->conf),
                 "is for a path with wildcards");
}

static void check_stdin(const struct conf *c, const struct node *root,
                        struct mistakes *m)
{
    const struct conf_trail *first = NULL;
    char where[WHERE_SIZE];

    for (size_t i = 0; i < c->ntrails; i++) {
        const struct conf_trail *t = &c->trails[i];

        if (t->conf.path == NULL || !trail_is_stdin(&t->conf))
            continue;
        conf_where(where, "trails", t->name, "path");
        if (first != NULL)
            mistake(m, conf_spot(root, "trails", t->name, "path"), where,
                    "there is one standard input, and trail '%.64s' reads it",
                    first->name);
        else
            first = t;
    }
}

/* ---- what an output writes ---- */

struct files {
    char **paths;
    size_t n;
};

static void add_file(struct files *f, char *path)
{
    f->paths = xrealloc(f->paths, (f->n + 1) * sizeof(*f->paths));
    f->paths[f->n++] = path;
}

/* The files an output writes. Of those for the trails of a pattern, one like
 * them. */
static struct files files_of(const struct conf *c, const struct conf_output *o)
{
    const char *path = output_path(o);
    struct files f = { 0 };

    if (path != NULL && !output_path_names_trail(path))
        add_file(&f, xstrdup(path));
    if (f.n > 0 || path == NULL)
        return f;
    for (size_t i = 0; i < c->ntrails; i++) {
        const struct conf_trail *t = &c->trails[i];
        char *name;

        if (t->conf.path == NULL || !conf_output_wants(o, t->name))
            continue;
        name = trail_is_pattern(&t->conf) ? match_trail_name(t->name, "/x")
                                          : xstrdup(t->name);
        add_file(&f, output_path_for(path, name));
        free(name);
    }
    return f;
}

static void files_free(struct files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->paths[i]);
    free(f->paths);
}

static bool reads(const struct conf_trail *t, const char *path)
{
    if (t->conf.path == NULL || trail_is_stdin(&t->conf))
        return false;
    return trail_is_pattern(&t->conf) ? match_would(t->conf.path, path)
                                      : strcmp(t->conf.path, path) == 0;
}

/* A file that an output writes and a trail reads grows for ever. */
static void check_circle(const struct conf *c, const struct conf_output *o,
                         const char *path, const struct node *root,
                         struct mistakes *m)
{
    char where[WHERE_SIZE];

    conf_where(where, "outputs", o->name, "path");
    for (size_t t = 0; t < c->ntrails; t++) {
        if (reads(&c->trails[t], path))
            mistake(m, conf_spot(root, "outputs", o->name, "path"), where,
                    "this is %s that trail '%.64s' reads",
                    trail_is_pattern(&c->trails[t].conf) ? "a log" : "the log",
                    c->trails[t].name);
    }
}

/*
 * A checkpoint holds how long the file was, and what lies beyond is cut off
 * after a crash: two lanes in one file would cut off each other's events.
 */
static void check_several(const struct conf *c, const struct conf_output *o,
                          const struct node *root, struct mistakes *m)
{
    struct spot at = conf_spot(root, "outputs", o->name, "path");
    const struct conf_trail *pattern = NULL;
    char where[WHERE_SIZE];
    size_t wanted = 0;

    conf_where(where, "outputs", o->name, "path");
    for (size_t i = 0; i < c->ntrails; i++) {
        const struct conf_trail *t = &c->trails[i];

        if (t->conf.path == NULL || !conf_output_wants(o, t->name))
            continue;
        wanted++;
        if (trail_is_pattern(&t->conf))
            pattern = t;
    }
    if (pattern != NULL)
        mistake(m, at, where,
                "one file takes one trail, and trail '%.64s' may be several; "
                "put {trail} into the path",
                pattern->name);
    else if (wanted > 1)
        mistake(m, at, where,
                "one file takes one trail, not %zu; put {trail} into the "
                "path, or give each trail an output",
                wanted);
}

static void check_file(const struct conf *c, const struct conf_output *o,
                       const struct node *root, struct mistakes *m)
{
    const char *path = output_path(o);
    struct files files = files_of(c, o);

    if (path != NULL && !output_path_names_trail(path))
        check_several(c, o, root, m);
    for (size_t i = 0; i < files.n; i++)
        check_circle(c, o, files.paths[i], root, m);
    files_free(&files);
}

static bool share_a_file(const struct conf *c, const struct conf_output *a,
                         const struct conf_output *b)
{
    struct files mine = files_of(c, a), theirs = files_of(c, b);
    bool yes = false;

    for (size_t i = 0; i < mine.n; i++) {
        for (size_t j = 0; j < theirs.n; j++)
            yes |= strcmp(mine.paths[i], theirs.paths[j]) == 0;
    }
    files_free(&mine);
    files_free(&theirs);
    return yes;
}

static bool check_pair(const struct conf *c, const struct conf_output *before,
                       const struct conf_output *o, const struct node *root,
                       struct mistakes *m)
{
    char where[WHERE_SIZE];

    if (!share_a_file(c, before, o))
        return false;
    conf_where(where, "outputs", o->name, "path");
    mistake(m, conf_spot(root, "outputs", o->name, "path"), where,
            "output '%.64s' writes this file already", before->name);
    return true;
}

void conf_check_files(const struct conf *c, const struct node *root,
                      struct mistakes *m)
{
    check_stdin(c, root, m);
    for (size_t i = 0; i < c->noutputs; i++) {
        const struct conf_output *o = &c->outputs[i];

        check_file(c, o, root, m);
        for (size_t j = 0; j < i && !check_pair(c, &c->outputs[j], o, root, m);)
            j++;
    }
}
