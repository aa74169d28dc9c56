/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_unknown - what a key may have been meant to be that is no option where
 * it stands: an option of another place, or one with a similar name.
 */
#include "agent/ops/conf_parts.h"

#define NAMES_MAX 64

static bool has(const struct opt *table, const char *name)
{
    return opt_find(table, span(name, strlen(name))) != NULL;
}

static bool is_among(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static void add_owner(struct buf *owners, bool yes, const char *owner)
{
    if (yes)
        buf_printf(owners, "%s%s", owners->len > 0 ? " and of " : "", owner);
}

static void add_groups(struct buf *owners, const struct opt *table,
                       const char *name)
{
    for (; table->name != NULL; table++) {
        if (table->type == OPT_T_GROUP)
            add_owner(owners, has(table->group, name), table->name);
    }
}

/* Everything that does have an option of that name. */
static void add_owners(struct buf *owners, const char *name)
{
    add_owner(owners, has(agent_opts, name) || strcmp(name, "outputs") == 0,
              "the top level");
    add_owner(owners, has(trail_opts, name), "a trail");
    add_groups(owners, trail_opts, name);
    add_owner(owners, has(lane_opts, name) || has(type_opts, name),
              "an output");
    for (size_t i = 0; outputs[i] != NULL; i++) {
        add_owner(owners, has(outputs[i]->opts, name), outputs[i]->name);
        add_groups(owners, outputs[i]->opts, name);
    }
}

/* The names that would have been right, NULL-ended. */
static void list_names(const struct fill *f, const char *names[NAMES_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; f->others != NULL && f->others[i] != NULL; i++)
        names[n++] = f->others[i];
    for (const struct fill_into *into = f->into; into->table != NULL; into++) {
        for (const struct opt *row = into->table;
             row->name != NULL && n < NAMES_MAX; row++)
            names[n++] = row->name;
    }
    names[n] = NULL;
}

void conf_unknown(const struct fill *f, const struct node *key)
{
    const char *names[NAMES_MAX + 1], *nearest;
    struct buf text = { 0 };
    char where[WHERE_SIZE], quote[QUOTE_SIZE];

    fill_where(where, f->where, key->text);
    list_names(f, names);
    nearest = opt_nearest(names, key->text);
    add_owners(&text, key->text);
    if (text.len > 0) {
        mistake(f->mistakes, key->at, where,
                "'%s' is an option of %s, not of %s",
                mistake_quote(key->text, quote), text.at, f->what);
    } else if (nearest != NULL) {
        mistake(f->mistakes, key->at, where,
                "unknown option, did you mean '%s'?", nearest);
    } else {
        for (size_t i = 0; names[i] != NULL; i++)
            buf_printf(&text, "%s%s", i > 0 ? ", " : "", names[i]);
        mistake(f->mistakes, key->at, where, "unknown option; %s has %s",
                f->what, text.at);
    }
    buf_free(&text);
}

void conf_unknown_untyped(const struct fill *f, const struct node *key)
{
    for (size_t i = 0; outputs[i] != NULL; i++) {
        if (has(outputs[i]->opts, key->text))
            return;
    }
    if (!is_among(top_others, key->text))
        conf_unknown(f, key);
}
