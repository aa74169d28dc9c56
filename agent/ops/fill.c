/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/fill.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/ops/expand.h"

void fill_where(char where[WHERE_SIZE], const char *parent, const char *key)
{
    char quote[QUOTE_SIZE];

    snprintf(where, WHERE_SIZE, "%s%s%s", parent != NULL ? parent : "",
             parent != NULL ? "." : "", mistake_quote(key, quote));
}

static const char *form_of(const struct opt *row)
{
    static const char *const forms[] = {
        [OPT_T_STRING] = "text",
        [OPT_T_PATH] = "a path",
        [OPT_T_SECRET] = "text",
        [OPT_T_BYTES] = "a size, such as 64KiB or 2MiB",
        [OPT_T_DURATION] = "a duration, such as 50ms or 1s",
        [OPT_T_COUNT] = "a number",
        [OPT_T_CHOICE] = "text",
        [OPT_T_LIST] = "text",
        [OPT_T_GROUP] = "a mapping",
    };

    return forms[row->type];
}

/* A key that is there before `i` as well. */
static void check_twice(struct mistakes *m, const char *where,
                        const struct node *node, size_t i)
{
    const struct node *key = node->keys[i];
    char place[WHERE_SIZE];

    for (size_t j = 0; j < i; j++) {
        if (node->keys[j]->kind != NODE_TEXT ||
            strcmp(node->keys[j]->text, key->text) != 0)
            continue;
        fill_where(place, where, key->text);
        mistake(m, key->at, place, "is here twice, first in line %u",
                node->keys[j]->at.line);
        return;
    }
}

bool fill_is_mapping(struct mistakes *m, const char *where, struct spot at,
                     const struct node *node, const char *of_what)
{
    if (node->kind == NODE_TEXT && node->nothing) {
        mistake(m, at, where, "has nothing in it; it must be a mapping of %s",
                of_what);
        return false;
    }
    if (node->kind != NODE_MAPPING) {
        mistake(m, node->at, where, "must be a mapping of %s, not %s", of_what,
                node_kind_name(node));
        return false;
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct node *key = node->keys[i];

        if (key->kind != NODE_TEXT)
            mistake(m, key->at, where, "a name must be text, not %s",
                    node_kind_name(key));
        else if (strcmp(key->text, "<<") != 0)
            check_twice(m, where, node, i);
        else
            mistake(m, key->at, where,
                    "merge keys (<<) are not supported; write the options "
                    "out, or use an alias for the whole mapping");
    }
    return true;
}

bool fill_text(struct mistakes *m, const char *where, const struct node *node,
               const char *form, struct buf *out)
{
    struct err e;

    if (node->kind != NODE_TEXT)
        mistake(m, node->at, where, "must be %s, not %s", form,
                node_kind_name(node));
    else if (node->nothing)
        mistake(m, node->at, where, "has no value");
    else if (expand(node->text, out, &e) != 0)
        mistake(m, node->at, where, "%s", e.text);
    else
        return true;
    return false;
}

/* A secret that is a whole file's text is read again when the file changes. */
static void note_file(const struct fill_into *into, const struct opt *row,
                      const struct node *node, const char *value)
{
    char *path;

    if (row->type != OPT_T_SECRET)
        return;
    path = expand_file_of(node->text);
    if (path != NULL)
        secret_set_file((struct secret *)((char *)into->conf + row->at), value,
                        path);
    free(path);
}

/* The value in messages is the one of the file: what ${...} stands for is
 * nobody's business. */
static void set_text(const struct fill *f, const struct fill_into *into,
                     const struct opt *row, const char *where,
                     const struct node *node)
{
    struct buf text = { 0 };
    char quote[QUOTE_SIZE];
    struct err e = { 0 };
    int rc = 0;

    if (fill_text(f->mistakes, where, node, form_of(row), &text))
        rc = row->type == OPT_T_LIST ? opt_add(row, into->conf, text.at, &e)
                                     : opt_set(row, into->conf, text.at, &e);
    if (rc != 0 && (row->type == OPT_T_SECRET || *node->text == '\0'))
        mistake(f->mistakes, node->at, where, "the value %s", e.text);
    else if (rc != 0)
        mistake(f->mistakes, node->at, where, "'%s' %s",
                mistake_quote(node->text, quote), e.text);
    else if (node->kind == NODE_TEXT && text.len > 0)
        note_file(into, row, node, text.at);
    if (text.at != NULL)
        explicit_bzero(text.at, text.cap);
    buf_free(&text);
}

static void set_list(const struct fill *f, const struct fill_into *into,
                     const struct opt *row, const char *where,
                     const struct node *node)
{
    char element[WHERE_SIZE + 24];

    if (node->kind != NODE_LIST) {
        set_text(f, into, row, where, node); /* one is a list as well */
        return;
    }
    if (node->n == 0)
        mistake(f->mistakes, node->at, where, "must have at least one value");
    for (size_t i = 0; i < node->n; i++) {
        snprintf(element, sizeof(element), "%s[%zu]", where, i);
        set_text(f, into, row, element, node->values[i]);
    }
}

static void set_group(const struct fill *f, const struct fill_into *into,
                      const struct opt *row, const char *where, size_t i)
{
    struct fill group = {
        .mistakes = f->mistakes,
        .where = where,
        .what = row->name,
        .at = f->node->keys[i]->at,
        .node = f->node->values[i],
        .into = { { row->group, (char *)into->conf + row->at } },
        .unknown = f->unknown,
    };

    fill_mapping(&group);
}

static bool is_other(const struct fill *f, const char *key)
{
    for (size_t i = 0; f->others != NULL && f->others[i] != NULL; i++) {
        if (strcmp(f->others[i], key) == 0)
            return true;
    }
    return false;
}

static void set_option(const struct fill *f, size_t i)
{
    const struct node *key = f->node->keys[i], *value = f->node->values[i];
    struct span name = span(key->text, strlen(key->text));
    const struct fill_into *into = f->into;
    const struct opt *row = NULL;
    char where[WHERE_SIZE];

    while (into->table != NULL && (row = opt_find(into->table, name)) == NULL)
        into++;
    fill_where(where, f->where, key->text);
    if (row == NULL)
        f->unknown(f, key);
    else if (row->type == OPT_T_GROUP)
        set_group(f, into, row, where, i);
    else if (row->type == OPT_T_LIST)
        set_list(f, into, row, where, value);
    else
        set_text(f, into, row, where, value);
}

static void check_required(const struct fill *f, const struct opt *table)
{
    struct buf choices = { 0 };
    char where[WHERE_SIZE];

    for (; table->name != NULL; table++) {
        if (!table->required || node_find(f->node, table->name) != NULL)
            continue;
        fill_where(where, f->where, table->name);
        if (table->choices != NULL)
            opt_choices(table->choices, &choices);
        mistake(f->mistakes, f->at, where, "is missing; it is required%s%s",
                choices.len > 0 ? ": " : "", choices.len > 0 ? choices.at : "");
        buf_free(&choices);
    }
}

void fill_mapping(const struct fill *f)
{
    if (!fill_is_mapping(f->mistakes, f->where, f->at, f->node, "options"))
        return;
    for (size_t i = 0; i < f->node->n; i++) {
        const struct node *key = f->node->keys[i];

        if (key->kind == NODE_TEXT && strcmp(key->text, "<<") != 0 &&
            !is_other(f, key->text))
            set_option(f, i);
    }
    for (const struct fill_into *into = f->into; into->table != NULL; into++)
        check_required(f, into->table);
}
