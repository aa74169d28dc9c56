/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/tree.h"

#include <stdlib.h>
#include <yaml.h>

#define DEPTH_MAX  16
#define WEIGHT_MAX 10000

struct anchor {
    char *name;
    struct node *node;
};

struct tree {
    struct node **nodes; /* all of them, the root first */
    size_t nnodes;
    struct anchor *anchors; /* a name may come again: the last counts */
    size_t nanchors;
};

struct reader {
    yaml_parser_t yaml;
    struct span text;
    struct tree *tree;
    struct mistakes *mistakes;
    bool failed; /* at what cannot be read past */
};

static struct node *read_node(struct reader *r, const yaml_event_t *event,
                              unsigned depth);

static struct spot spot_of(yaml_mark_t mark)
{
    return (struct spot){ (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

static void fail(struct reader *r, yaml_mark_t mark, const char *what)
{
    if (!r->failed)
        mistake(r->mistakes, spot_of(mark), NULL, "%s", what);
    r->failed = true;
}

/* The line a mark is in, for a look at what may have confused the parser. */
static struct span line_at(struct span text, size_t line)
{
    const char *at = text.at, *end = text.at + text.len, *stop;

    while (line-- > 0 && at != NULL) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL)
        return span(text.at, 0);
    stop = memchr(at, '\n', (size_t)(end - at));
    return span(at, (size_t)((stop != NULL ? stop : end) - at));
}

static bool has_tab_before_text(struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.at[i] == '\t')
            return true;
        if (line.at[i] != ' ' && line.at[i] != '-')
            return false;
    }
    return false;
}

/* "path: -", as a shell's user would write it. */
static bool ends_in_a_dash(struct span line)
{
    return line.len >= 3 && memcmp(line.at + line.len - 3, ": -", 3) == 0;
}

/* libyaml says what it missed; the usual reasons are said plainly. */
static void fail_syntax(struct reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    struct span line = line_at(r->text, y->problem_mark.line);
    struct spot context = spot_of(y->context_mark);
    struct spot problem = spot_of(y->problem_mark);

    r->failed = true;
    if (y->error == YAML_MEMORY_ERROR)
        abort();
    if (y->error == YAML_READER_ERROR)
        mistake(r->mistakes, spot_at(r->text, y->problem_offset), NULL,
                "not YAML: %s", y->problem);
    else if (has_tab_before_text(line))
        mistake(r->mistakes, problem, NULL,
                "a tab stands here: indent YAML with spaces");
    else if (y->context != NULL && strstr(y->context, "flow") != NULL &&
             memmem(line.at, line.len, "${", 2) != NULL)
        mistake(r->mistakes, problem, NULL,
                "not YAML: inside [ ] and { } a value with ${...} has to be "
                "in quotes");
    else if (ends_in_a_dash(line))
        mistake(r->mistakes, problem, NULL,
                "not YAML: a lone - has to be in quotes, as \"-\"");
    else if (y->context != NULL && context.line != problem.line)
        mistake(r->mistakes, problem, NULL,
                "not YAML: %s (%s at line %u, column %u)", y->problem,
                y->context, context.line, context.column);
    else
        mistake(r->mistakes, problem, NULL, "not YAML: %s%s%s", y->problem,
                y->context != NULL ? " " : "",
                y->context != NULL ? y->context : "");
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    memset(event, 0, sizeof(*event));
    if (r->failed)
        return false;
    if (!yaml_parser_parse(&r->yaml, event))
        fail_syntax(r);
    return !r->failed;
}

static struct node *new_node(struct reader *r, enum node_kind kind,
                             const yaml_event_t *event, const char *anchor)
{
    struct tree *t = r->tree;
    struct node *node = xcalloc(1, sizeof(*node));

    node->kind = kind;
    node->at = spot_of(event->start_mark);
    node->weight = 1;
    t->nodes = xrealloc(t->nodes, (t->nnodes + 1) * sizeof(*t->nodes));
    t->nodes[t->nnodes++] = node;
    if (anchor != NULL) {
        t->anchors =
            xrealloc(t->anchors, (t->nanchors + 1) * sizeof(*t->anchors));
        t->anchors[t->nanchors++] = (struct anchor){ xstrdup(anchor), node };
    }
    return node;
}

/* No name of tag or alias is shown: a password that begins with '!' or '*'
 * and lacks its quotes looks like one. */
static void refuse_tag(struct reader *r, const yaml_event_t *event,
                       const yaml_char_t *tag)
{
    if (tag != NULL)
        mistake(r->mistakes, spot_of(event->start_mark), NULL,
                "a YAML tag; put a value that begins with '!' in quotes");
}

static struct node *find_anchor(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct tree *t = r->tree;

    for (size_t i = t->nanchors; i-- > 0;) {
        if (strcmp(t->anchors[i].name, name) != 0)
            continue;
        if (t->anchors[i].node->complete)
            return t->anchors[i].node;
        fail(r, event->start_mark, "an alias inside of what it stands for");
        return NULL;
    }
    fail(r, event->start_mark,
         "an alias without an anchor before it; put a value that begins with "
         "'*' in quotes");
    return NULL;
}

static bool is_null(const char *text)
{
    static const char *const forms[] = { "", "~", "null", "Null", "NULL" };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (strcmp(text, forms[i]) == 0)
            return true;
    }
    return false;
}

static struct node *read_text(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct node *node =
        new_node(r, NODE_TEXT, event, (const char *)event->data.scalar.anchor);

    refuse_tag(r, event, event->data.scalar.tag);
    if (memchr(text, '\0', len) != NULL)
        mistake(r->mistakes, node->at, NULL, "a NUL character in a value");
    node->text = xstrndup(text, len);
    node->nothing = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                    is_null(node->text);
    node->complete = true;
    return node;
}

/* Key NULL in a list. */
static void add_child(struct reader *r, struct node *parent, struct node *key,
                      struct node *value)
{
    size_t size = (parent->n + 1) * sizeof(struct node *);

    if (key != NULL) {
        parent->keys = xrealloc(parent->keys, size);
        parent->keys[parent->n] = key;
        parent->weight += key->weight;
    }
    parent->values = xrealloc(parent->values, size);
    parent->values[parent->n++] = value;
    parent->weight += value->weight;
    if (parent->weight > WEIGHT_MAX && !r->failed) {
        mistake(r->mistakes, value->at, NULL,
                "more than %d values, aliases counted", WEIGHT_MAX);
        r->failed = true;
    }
}

/* The children of `parent` up to the event that ends it. */
static void read_children(struct reader *r, struct node *parent, unsigned depth)
{
    struct node *key = NULL, *child;
    yaml_event_t event;
    bool ended = false;

    while (!ended && next_event(r, &event)) {
        ended = event.type == YAML_SEQUENCE_END_EVENT ||
                event.type == YAML_MAPPING_END_EVENT;
        child = ended ? NULL : read_node(r, &event, depth);
        if (child != NULL && parent->kind == NODE_MAPPING && key == NULL) {
            key = child;
        } else if (child != NULL) {
            add_child(r, parent, key, child);
            key = NULL;
        }
        yaml_event_delete(&event);
    }
    parent->complete = true;
}

/* NULL where the reader has failed. */
static struct node *read_node(struct reader *r, const yaml_event_t *event,
                              unsigned depth)
{
    struct node *node = NULL;

    if (depth > DEPTH_MAX) {
        fail(r, event->start_mark, "too deep: no option is inside so many");
        return NULL;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return find_anchor(r, event);
    case YAML_SCALAR_EVENT:
        return read_text(r, event);
    case YAML_SEQUENCE_START_EVENT:
        node = new_node(r, NODE_LIST, event,
                        (const char *)event->data.sequence_start.anchor);
        refuse_tag(r, event, event->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        node = new_node(r, NODE_MAPPING, event,
                        (const char *)event->data.mapping_start.anchor);
        refuse_tag(r, event, event->data.mapping_start.tag);
        break;
    default:
        abort(); /* libyaml's grammar has nothing else here */
    }
    read_children(r, node, depth + 1);
    return node;
}

static void read_stream(struct reader *r)
{
    yaml_event_t event;
    bool ended = false;

    while (!ended && next_event(r, &event)) {
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (r->tree->nnodes > 0)
                fail(r, event.start_mark,
                     "a second document begins here; the configuration is one");
            break;
        case YAML_STREAM_END_EVENT:
            ended = true;
            break;
        default:
            read_node(r, &event, 0);
            break;
        }
        yaml_event_delete(&event);
    }
}

struct tree *tree_read(struct span text, struct mistakes *m)
{
    struct reader r = { .text = text, .mistakes = m };

    if (!yaml_parser_initialize(&r.yaml))
        abort();
    r.tree = xcalloc(1, sizeof(*r.tree));
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &r.yaml, (const unsigned char *)(text.len > 0 ? text.at : ""),
        text.len);
    read_stream(&r);
    yaml_parser_delete(&r.yaml);
    if (!r.failed && r.tree->nnodes > 0)
        return r.tree;
    if (!r.failed)
        mistake(m, (struct spot){ 1, 1 }, NULL, "the file is empty");
    tree_free(r.tree);
    return NULL;
}

void tree_free(struct tree *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->nnodes; i++) {
        struct node *node = t->nodes[i];

        if (node->text != NULL)
            explicit_bzero(node->text, strlen(node->text));
        free(node->text);
        free(node->keys);
        free(node->values);
        free(node);
    }
    for (size_t i = 0; i < t->nanchors; i++)
        free(t->anchors[i].name);
    free(t->nodes);
    free(t->anchors);
    free(t);
}

const struct node *tree_root(const struct tree *t)
{
    return t->nodes[0];
}

static size_t find_key(const struct node *mapping, const char *key)
{
    size_t i = 0;

    if (mapping->kind != NODE_MAPPING)
        return mapping->n;
    while (i < mapping->n && (mapping->keys[i]->kind != NODE_TEXT ||
                              strcmp(mapping->keys[i]->text, key) != 0))
        i++;
    return i;
}

const struct node *node_find(const struct node *mapping, const char *key)
{
    size_t i = find_key(mapping, key);

    return i < mapping->n ? mapping->values[i] : NULL;
}

struct spot node_key_at(const struct node *mapping, const char *key,
                        struct spot otherwise)
{
    size_t i = find_key(mapping, key);

    return i < mapping->n ? mapping->keys[i]->at : otherwise;
}

const char *node_kind_name(const struct node *node)
{
    return node->kind == NODE_TEXT   ? "text"
           : node->kind == NODE_LIST ? "a list"
                                     : "a mapping";
}
