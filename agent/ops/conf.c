/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/conf.h"

#include <fcntl.h>
#include <stdlib.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/ops/conf_parts.h"
#include "agent/ops/expand.h"

#define FILE_MAX_BYTES MIB
#define NAME_MAX_CHARS 64 /* names of trail and output make file names */

const struct opt agent_opts[] = {
    OPT_PATH(struct conf_agent, state_dir, .required = true,
             .help = "Directory of checkpoints and dead letters. One agent "
                     "at a time."),
    OPT_DURATION(struct conf_agent, drain_timeout, .def = "10s", .max = 3600000,
                 .help = "How long a stop may wait for answers to what has "
                         "been sent."),
    OPT_CHOICE(struct conf_agent, log_level, .def = "info",
               .choices = log_level_names,
               .help = "What is worth a line on standard error."),
    OPT_END
};

const struct opt type_opts[] = {
    OPT_CHOICE(struct output_type, type, .choices = output_names,
               .required = true, .help = "Where the events go."),
    OPT_END
};

const char *const top_others[] = { "trails", "outputs", NULL };

static bool is_name(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(name);

    return strspn(name, first) > 0 && strspn(name, all) == len &&
           len <= NAME_MAX_CHARS;
}

/* One more, zeroed, at the end of an array. */
static void *grow(void *array, size_t n, size_t each)
{
    char *more = xrealloc(array, (n + 1) * each);

    memset(more + n * each, 0, each);
    return more;
}

static void read_trail(struct conf *c, struct fill *f, const char *name)
{
    size_t before = mistakes_count(f->mistakes);
    struct conf_trail *t;

    c->trails = grow(c->trails, c->ntrails, sizeof(*c->trails));
    t = &c->trails[c->ntrails++];
    t->name = xstrdup(name);
    opt_defaults(trail_opts, &t->conf);
    f->what = "a trail";
    f->into[0] = (struct fill_into){ trail_opts, &t->conf };
    fill_mapping(f);
    if (mistakes_count(f->mistakes) == before)
        conf_check_trail(t, f);
}

/* NULL where there is no such type; what is wrong is noted later, when the
 * option is read as any other. */
static const struct output_ops *find_ops(const struct node *node)
{
    const struct node *type = node_find(node, "type");
    const struct output_ops *ops = NULL;
    struct buf text = { 0 };

    if (type != NULL && type->kind == NODE_TEXT &&
        expand(type->text, &text, NULL) == 0)
        ops = outputs_find(text.at);
    buf_free(&text);
    return ops;
}

/* One more, with the defaults of a lane and of its type (NULL: not known). */
static struct conf_output *add_output(struct conf *c, const char *name,
                                      const struct output_ops *ops)
{
    struct conf_output *o;

    c->outputs = grow(c->outputs, c->noutputs, sizeof(*c->outputs));
    o = &c->outputs[c->noutputs++];
    o->name = xstrdup(name);
    o->ops = ops;
    opt_defaults(lane_opts, &o->lane);
    if (ops != NULL) {
        o->conf = xcalloc(1, ops->conf_size);
        opt_defaults(ops->opts, o->conf);
    }
    return o;
}

struct conf *conf_new_output(const char *name, const struct output_ops *ops)
{
    struct conf *c = xcalloc(1, sizeof(*c));

    opt_defaults(agent_opts, &c->agent);
    add_output(c, name, ops);
    return c;
}

static void read_output(struct conf *c, struct fill *f, const char *name)
{
    size_t before = mistakes_count(f->mistakes);
    struct output_type type = { 0 };
    struct conf_output *o = add_output(c, name, find_ops(f->node));

    f->what = "an output";
    f->into[0] = (struct fill_into){ type_opts, &type };
    f->into[1] = (struct fill_into){ lane_opts, &o->lane };
    if (o->ops != NULL) {
        f->what = o->ops->name;
        f->into[2] = (struct fill_into){ o->ops->opts, o->conf };
    } else {
        f->unknown = conf_unknown_untyped;
    }
    fill_mapping(f);
    if (mistakes_count(f->mistakes) == before)
        conf_check_output(o, f);
}

/* Every entry of `trails:` or `outputs:`. */
static void read_section(struct conf *c, const struct node *root,
                         const char *section, struct mistakes *m,
                         void (*read)(struct conf *c, struct fill *f,
                                      const char *name))
{
    const struct node *all = node_find(root, section);
    struct spot at = node_key_at(root, section, root->at);
    char where[WHERE_SIZE];

    if (all == NULL)
        mistake(m, at, section, "is missing; there must be at least one");
    if (all == NULL || !fill_is_mapping(m, section, at, all, "names"))
        return;
    if (all->n == 0)
        mistake(m, at, section, "is empty; there must be at least one");
    for (size_t i = 0; i < all->n; i++) {
        const struct node *key = all->keys[i];
        struct fill f = { .mistakes = m,
                          .where = where,
                          .at = key->at,
                          .node = all->values[i],
                          .unknown = conf_unknown };

        if (key->kind != NODE_TEXT || strcmp(key->text, "<<") == 0)
            continue;
        fill_where(where, section, key->text);
        if (!is_name(key->text))
            mistake(m, key->at, where,
                    "a name is a-z, 0-9, _ and -, "
                    "begins with a letter or digit and has at most %d "
                    "characters",
                    NAME_MAX_CHARS);
        read(c, &f, key->text);
    }
}

static void read_root(struct conf *c, const struct node *root,
                      struct mistakes *m)
{
    struct fill f = {
        .mistakes = m,
        .what = "the top level",
        .at = root->at,
        .node = root,
        .into = { { agent_opts, &c->agent } },
        .others = top_others,
        .unknown = conf_unknown,
    };

    opt_defaults(agent_opts, &c->agent);
    fill_mapping(&f);
    if (root->kind != NODE_MAPPING)
        return;
    read_section(c, root, "trails", m, read_trail);
    read_section(c, root, "outputs", m, read_output);
    conf_check(c, root, m);
}

/* libyaml would say less about these, or nothing. */
static bool is_fit(struct span text, struct mistakes *m)
{
    size_t i = 0, n;

    if (text.len > FILE_MAX_BYTES) {
        mistake(m, (struct spot){ 0 }, NULL,
                "larger than 1MiB; this is no configuration");
        return false;
    }
    while ((n = utf8_len(span(text.at + i, text.len - i))) > 0) {
        if (text.at[i] == '\0')
            break;
        i += n;
    }
    if (i == text.len)
        return true;
    mistake(m, spot_at(text, i), NULL, "%s",
            n == 0 ? "not UTF-8 text" : "a NUL byte");
    return false;
}

struct conf *conf_parse(const char *name, struct span text, FILE *errors)
{
    struct mistakes *m = mistakes_new(name);
    struct conf *c = xcalloc(1, sizeof(*c));
    struct tree *tree = NULL;

    if (is_fit(text, m))
        tree = tree_read(text, m);
    if (tree != NULL)
        read_root(c, tree_root(tree), m);
    tree_free(tree);
    if (mistakes_count(m) > 0) {
        mistakes_print(m, errors);
        conf_free(c);
        c = NULL;
    }
    mistakes_free(m);
    return c;
}

/* What file_read() said, without the path: the line begins with it. */
static void print_unreadable(const char *path, const struct err *e,
                             FILE *errors)
{
    struct mistakes *m = mistakes_new(path);
    const char *why = strrchr(e->text, ':');

    mistake(m, (struct spot){ 0 }, NULL, "cannot be read%s",
            why != NULL ? why : "");
    mistakes_print(m, errors);
    mistakes_free(m);
}

struct conf *conf_read(const char *path, FILE *errors)
{
    struct buf text = { 0 };
    struct conf *c = NULL;
    struct err e;
    int rc = file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &e);

    if (rc == 0 || rc == ERR_LIMIT)
        c = conf_parse(path, span(text.at, text.len), errors);
    else
        print_unreadable(path, &e, errors);
    if (text.at != NULL)
        explicit_bzero(text.at, text.cap);
    buf_free(&text);
    return c;
}

void conf_free(struct conf *c)
{
    if (c == NULL)
        return;
    opt_free(agent_opts, &c->agent);
    for (size_t i = 0; i < c->ntrails; i++) {
        opt_free(trail_opts, &c->trails[i].conf);
        free(c->trails[i].name);
    }
    for (size_t i = 0; i < c->noutputs; i++) {
        struct conf_output *o = &c->outputs[i];

        opt_free(lane_opts, &o->lane);
        if (o->ops != NULL)
            opt_free(o->ops->opts, o->conf);
        free(o->conf);
        free(o->name);
    }
    free(c->trails);
    free(c->outputs);
    free(c);
}

bool conf_output_wants(const struct conf_output *o, const char *trail)
{
    for (size_t i = 0; i < o->lane.trails.n; i++) {
        if (strcmp(o->lane.trails.at[i], trail) == 0)
            return true;
    }
    return o->lane.trails.n == 0;
}
