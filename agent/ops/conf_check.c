/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_check - what options cannot say alone: names that must exist, and
 * values that exclude each other.
 */
#include "agent/ops/conf_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* A pair of options of which `big` may not be less than `small`. */
static void check_order(const struct fill *f, const char *big, uint64_t most,
                        const char *small, uint64_t least, enum opt_type type)
{
    char where[WHERE_SIZE], more[OPT_NUMBER_SIZE], less[OPT_NUMBER_SIZE];
    struct spot at = node_key_at(f->node, small, f->at);

    if (most >= least)
        return;
    at = node_key_at(f->node, big, at);
    fill_where(where, f->where, big);
    opt_number(type, most, less);
    opt_number(type, least, more);
    mistake(f->mistakes, at, where, "%s is less than %s, which is %s", less,
            small, more);
}

void conf_check_output(const struct conf_output *o, const struct fill *f)
{
    const struct lane_conf *l = &o->lane;
    const char *wrong;

    check_order(f, "memory", l->memory, "batch_bytes", l->batch_bytes,
                OPT_T_BYTES);
    check_order(f, "backoff_max", l->backoff_max, "backoff_min", l->backoff_min,
                OPT_T_DURATION);
    wrong = o->ops->check != NULL ? o->ops->check(o->conf) : NULL;
    if (wrong != NULL)
        mistake(f->mistakes, f->at, f->where, "%s", wrong);
}

void conf_where(char where[WHERE_SIZE], const char *section, const char *name,
                const char *key)
{
    char quote[QUOTE_SIZE];

    snprintf(where, WHERE_SIZE, "%s.%s%s%s", section,
             mistake_quote(name, quote), key != NULL ? "." : "",
             key != NULL ? key : "");
}

struct spot conf_spot(const struct node *root, const char *section,
                      const char *name, const char *key)
{
    const struct node *all = node_find(root, section);
    const struct node *one = node_find(all, name);
    struct spot at = node_key_at(all, name, all->at);

    return key != NULL && one != NULL ? node_key_at(one, key, at) : at;
}

/* Where the i-th of the names in `trails:` stands. */
static struct spot wish_at(const struct node *root, const struct conf_output *o,
                           size_t i)
{
    const struct node *one = node_find(node_find(root, "outputs"), o->name);
    const struct node *list = node_find(one, "trails");

    if (list != NULL && list->kind == NODE_LIST && list->n == o->lane.trails.n)
        return list->values[i]->at;
    return conf_spot(root, "outputs", o->name, "trails");
}

static void check_wishes(const struct conf *c, const struct conf_output *o,
                         const struct node *root, struct mistakes *m)
{
    const char **names = xcalloc(c->ntrails + 1, sizeof(*names));
    char where[WHERE_SIZE], quote[QUOTE_SIZE];

    conf_where(where, "outputs", o->name, "trails");
    for (size_t t = 0; t < c->ntrails; t++)
        names[t] = c->trails[t].name;
    for (size_t i = 0; i < o->lane.trails.n && c->ntrails > 0; i++) {
        const char *wish = o->lane.trails.at[i], *nearest;
        size_t t = 0;

        while (t < c->ntrails && strcmp(names[t], wish) != 0)
            t++;
        if (t < c->ntrails)
            continue;
        nearest = opt_nearest(names, wish);
        mistake(m, wish_at(root, o, i), where, "no trail is called '%s'%s%s%s",
                mistake_quote(wish, quote), nearest ? ", did you mean '" : "",
                nearest ? nearest : "", nearest ? "'?" : "");
    }
    free(names);
}

static void check_is_wanted(const struct conf *c, const struct conf_trail *t,
                            const struct node *root, struct mistakes *m)
{
    char where[WHERE_SIZE];

    for (size_t i = 0; i < c->noutputs; i++) {
        if (conf_output_wants(&c->outputs[i], t->name))
            return;
    }
    conf_where(where, "trails", t->name, NULL);
    mistake(m, conf_spot(root, "trails", t->name, NULL), where,
            "no output takes this trail; name it in the trails: of one");
}

static void check_stdout(const struct conf *c, const struct node *root,
                         struct mistakes *m)
{
    const struct conf_output *first = NULL;
    char where[WHERE_SIZE];

    for (size_t i = 0; i < c->noutputs; i++) {
        const struct conf_output *o = &c->outputs[i];

        if (o->ops == NULL || strcmp(o->ops->name, "stdout") != 0)
            continue;
        conf_where(where, "outputs", o->name, NULL);
        if (first != NULL)
            mistake(m, conf_spot(root, "outputs", o->name, NULL), where,
                    "there is one standard output, and output '%.64s' has it",
                    first->name);
        else
            first = o;
    }
}

void conf_check(const struct conf *c, const struct node *root,
                struct mistakes *m)
{
    for (size_t i = 0; i < c->noutputs; i++)
        check_wishes(c, &c->outputs[i], root, m);
    check_stdout(c, root, m);
    conf_check_files(c, root, m);
    for (size_t t = 0; t < c->ntrails && c->noutputs > 0; t++)
        check_is_wanted(c, &c->trails[t], root, m);
}
