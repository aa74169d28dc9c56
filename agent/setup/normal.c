/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/normal.h"

#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "agent/base/sha256.h"

#define JSON_MAX  (4 * MIB)
#define DEPTH_MAX 64 /* of a mapping: some 10 */

/* ---- what is left out ---- */

static const struct rules {
    const char *outer;        /* where a GET has it */
    const char *inner;        /* the object within that */
    const char *const *added; /* members of the object that are not content */
    bool empty; /* a part that is empty is as if it was not there */
    bool off;   /* and so is one that is false */
} rules_of[] = {
    [OBJECT_COMPONENT] = { "component_templates", "component_template",
                           (const char *const[]){
                               "_meta", "created_date", "created_date_millis",
                               "modified_date", "modified_date_millis", NULL },
                           .empty = true },
    [OBJECT_INDEX] = { "index_templates", "index_template",
                       (const char *const[]){
                           "_meta", "created_date", "created_date_millis",
                           "modified_date", "modified_date_millis", NULL },
                       .empty = true },
    [OBJECT_ILM] = { NULL, "policy", (const char *const[]){ "_meta", NULL },
                     .off = true },
    [OBJECT_ISM] = { NULL, "policy",
                     (const char *const[]){ "policy_id", "description",
                                            "last_updated_time", "user",
                                            "schema_version", NULL },
                     .off = true },
};

static yajl_val member(yajl_val v, const char *name)
{
    if (!YAJL_IS_OBJECT(v))
        return NULL;
    for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
        if (strcmp(YAJL_GET_OBJECT(v)->keys[i], name) == 0)
            return YAJL_GET_OBJECT(v)->values[i];
    }
    return NULL;
}

static const char *text_of(yajl_val v)
{
    return YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "";
}

/* What ISM does with an action that fails, where a policy does not say. */
static bool is_usual_retry(yajl_val v)
{
    yajl_val count = member(v, "count");

    return YAJL_IS_NUMBER(count) && strcmp(YAJL_GET_NUMBER(count), "3") == 0 &&
           strcmp(text_of(member(v, "backoff")), "exponential") == 0 &&
           strcmp(text_of(member(v, "delay")), "1m") == 0;
}

static bool is_added(const struct rules *r, const char *name, yajl_val v)
{
    if (r != &rules_of[OBJECT_ISM])
        return false;
    return strcmp(name, "last_updated_time") == 0 ||
           (strcmp(name, "retry") == 0 && is_usual_retry(v));
}

/* Whether it says no more than its absence would. */
static bool is_nothing(const struct rules *r, yajl_val v)
{
    if (YAJL_IS_NULL(v) || (YAJL_IS_FALSE(v) && r->off))
        return true;
    if (YAJL_IS_ARRAY(v))
        return YAJL_GET_ARRAY(v)->len == 0;
    if (!YAJL_IS_OBJECT(v) || !r->empty)
        return false;
    for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
        if (!is_nothing(r, YAJL_GET_OBJECT(v)->values[i]))
            return false;
    }
    return true;
}

/* ---- the form: members by name, scalars as strings ---- */

struct pair {
    char *name;
    yajl_val value;
};

struct pairs {
    struct pair *at;
    size_t n, cap;
};

static void pairs_add(struct pairs *p, char *name, yajl_val value)
{
    if (p->n == p->cap) {
        p->cap = p->cap > 0 ? 2 * p->cap : 16;
        p->at = xrealloc(p->at, p->cap * sizeof(*p->at));
    }
    p->at[p->n++] = (struct pair){ name, value };
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->name,
                  ((const struct pair *)b)->name);
}

static void add_member(const struct rules *r, const struct pair *p,
                       struct buf *out);

/* Writes them, and gives them back. */
static void add_pairs(const struct rules *r, struct pairs *p, struct buf *out)
{
    buf_add(out, "{", 1);
    if (p->n > 0)
        qsort(p->at, p->n, sizeof(*p->at), by_name);
    for (size_t i = 0; i < p->n; i++) {
        buf_printf(out, "%s\"", i > 0 ? "," : "");
        buf_add_json(out, span(p->at[i].name, strlen(p->at[i].name)));
        buf_printf(out, "\":");
        add_member(r, &p->at[i], out);
        free(p->at[i].name);
    }
    free(p->at);
    buf_add(out, "}", 1);
}

/* "index": {"codec": ...}, "index.codec" and "codec" are one setting. */
static void flatten(const struct rules *r, yajl_val v, const char *before,
                    struct pairs *out)
{
    for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
        yajl_val value = YAJL_GET_OBJECT(v)->values[i];
        char *name = xprintf("%s%s%s", before, before[0] != '\0' ? "." : "",
                             YAJL_GET_OBJECT(v)->keys[i]);
        const char *own = strncmp(name, "index.", 6) == 0 ? name + 6 : name;

        if (YAJL_IS_OBJECT(value))
            flatten(r, value, name, out);
        else if (!is_nothing(r, value))
            pairs_add(out, xstrdup(own), value);
        free(name);
    }
}

static void add_settings(const struct rules *r, yajl_val v, struct buf *out)
{
    struct pairs p = { 0 };

    flatten(r, v, "", &p);
    add_pairs(r, &p, out);
}

/* That it is there says that it is one; a server adds what is so anyway. */
static void add_data_stream(const struct rules *r, yajl_val v, struct buf *out)
{
    struct pairs p = { 0 };

    for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
        const char *name = YAJL_GET_OBJECT(v)->keys[i];
        yajl_val value = YAJL_GET_OBJECT(v)->values[i];

        if (!YAJL_IS_FALSE(value) && strcmp(name, "timestamp_field") != 0)
            pairs_add(&p, xstrdup(name), value);
    }
    add_pairs(r, &p, out);
}

static bool is_in(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

/* `without`: members that are no part of it; may be NULL. */
static void add_object(const struct rules *r, yajl_val v,
                       const char *const *without, struct buf *out)
{
    struct pairs p = { 0 };

    for (size_t i = 0; i < YAJL_GET_OBJECT(v)->len; i++) {
        const char *name = YAJL_GET_OBJECT(v)->keys[i];
        yajl_val value = YAJL_GET_OBJECT(v)->values[i];
        bool stays = strcmp(name, "data_stream") == 0;

        if (!is_in(without, name) && !is_added(r, name, value) &&
            (stays || !is_nothing(r, value)))
            pairs_add(&p, xstrdup(name), value);
    }
    add_pairs(r, &p, out);
}

static void add_value(const struct rules *r, yajl_val v, struct buf *out)
{
    const char *text = YAJL_IS_STRING(v)   ? YAJL_GET_STRING(v)
                       : YAJL_IS_NUMBER(v) ? YAJL_GET_NUMBER(v)
                       : YAJL_IS_TRUE(v)   ? "true"
                       : YAJL_IS_FALSE(v)  ? "false"
                                           : "null";

    if (YAJL_IS_OBJECT(v)) {
        add_object(r, v, NULL, out);
    } else if (YAJL_IS_ARRAY(v)) {
        buf_add(out, "[", 1);
        for (size_t i = 0; i < YAJL_GET_ARRAY(v)->len; i++) {
            buf_printf(out, "%s", i > 0 ? "," : "");
            add_value(r, YAJL_GET_ARRAY(v)->values[i], out);
        }
        buf_add(out, "]", 1);
    } else {
        buf_add(out, "\"", 1);
        buf_add_json(out, span(text, strlen(text)));
        buf_add(out, "\"", 1);
    }
}

static void add_member(const struct rules *r, const struct pair *p,
                       struct buf *out)
{
    bool is_part = r->empty && YAJL_IS_OBJECT(p->value);

    if (is_part && strcmp(p->name, "settings") == 0)
        add_settings(r, p->value, out);
    else if (is_part && strcmp(p->name, "data_stream") == 0)
        add_data_stream(r, p->value, out);
    else
        add_value(r, p->value, out);
}

/* ---- the mark ---- */

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static void read_meta(yajl_val object, struct object_mark *m)
{
    yajl_val meta = member(object, "_meta"), v = member(meta, "version");

    if (strcmp(text_of(member(meta, "managed_by")), "tallyman") != 0)
        return;
    m->version = YAJL_IS_INTEGER(v) ? (unsigned)YAJL_GET_INTEGER(v) : 0;
    copy(m->hash, sizeof(m->hash), text_of(member(meta, "hash")));
    copy(m->stored, sizeof(m->stored), text_of(member(meta, "stored")));
    copy(m->retention, sizeof(m->retention),
         text_of(member(meta, "retention")));
}

/* As OBJECT_DESCRIPTION has it. */
static void read_description(yajl_val object, struct object_mark *m)
{
    const char *text = text_of(member(object, "description"));
    const char *kept = strstr(text, OBJECT_KEPT), *mark = NULL;

    if (kept != NULL)
        mark = strstr(kept, OBJECT_MANAGED);
    if (mark == NULL)
        return;
    (void)sscanf(kept + strlen(OBJECT_KEPT), "%23[0-9a-z]", m->retention);
    (void)sscanf(mark + strlen(OBJECT_MANAGED),
                 "version %u, hash %16[0-9a-f], stored %16[0-9a-f]",
                 &m->version, m->hash, m->stored);
}

/* ---- finding it ---- */

static int depth_of(struct span json)
{
    int depth = 0, most = 0;
    bool in_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.at[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            most = ++depth > most ? depth : most;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
    }
    return most;
}

static int parse(struct span json, yajl_val *root)
{
    char *text;

    *root = NULL;
    /* yajl frees a tree by recursion. */
    if (json.len > JSON_MAX || depth_of(json) > DEPTH_MAX)
        return ERR_LIMIT;
    text = xstrndup(json.at != NULL ? json.at : "", json.len);
    *root = yajl_tree_parse(text, NULL, 0);
    free(text);
    return *root != NULL ? 0 : ERR_FORMAT;
}

/* {"component_templates":[{"name":N,"component_template":{...}}]},
 * {"N":{"policy":{...}}} or {"policy":{...}}; else it is the object itself. */
static yajl_val find(const struct rules *r, yajl_val root)
{
    yajl_val list = r->outer != NULL ? member(root, r->outer) : NULL, inner;

    if (YAJL_IS_ARRAY(list) && YAJL_GET_ARRAY(list)->len == 1)
        return member(YAJL_GET_ARRAY(list)->values[0], r->inner);
    if (list != NULL)
        return NULL;
    if (r->outer == NULL && YAJL_IS_OBJECT(root) &&
        member(root, r->inner) == NULL && YAJL_GET_OBJECT(root)->len == 1)
        root = YAJL_GET_OBJECT(root)->values[0];
    while ((inner = member(root, r->inner)) != NULL)
        root = inner;
    return root;
}

static uint64_t number_of(yajl_val v)
{
    return YAJL_IS_INTEGER(v) ? (uint64_t)YAJL_GET_INTEGER(v) : 0;
}

static void hash(struct span text, char out[static OBJECT_HASH_SIZE])
{
    unsigned char bytes[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(text, bytes);
    sha256_hex(bytes, hex);
    memcpy(out, hex, OBJECT_HASH_SIZE - 1);
    out[OBJECT_HASH_SIZE - 1] = '\0';
}

static int read_normal(enum object_kind kind, struct span json,
                       struct object *out, struct buf *normal)
{
    const struct rules *r = &rules_of[kind];
    yajl_val root, object;
    int rc = parse(json, &root);

    *out = (struct object){ 0 };
    if (rc != 0)
        return rc;
    object = find(r, root);
    if (YAJL_IS_OBJECT(object)) {
        add_object(r, object, r->added, normal);
        hash(span(normal->at, normal->len), out->hash);
        if (kind == OBJECT_ISM)
            read_description(object, &out->mark);
        else
            read_meta(object, &out->mark);
        out->mark.ours =
            out->mark.hash[0] != '\0' && out->mark.stored[0] != '\0';
        out->seq_no = number_of(member(root, "_seq_no"));
        out->primary_term = number_of(member(root, "_primary_term"));
    } else {
        rc = ERR_FORMAT;
    }
    yajl_tree_free(root);
    return rc;
}

int object_read(enum object_kind kind, struct span json, struct object *out)
{
    struct buf normal = { 0 };
    int rc = read_normal(kind, json, out, &normal);

    buf_free(&normal);
    return rc;
}

int object_normal(enum object_kind kind, struct span json, struct buf *out)
{
    struct object unused;

    return read_normal(kind, json, &unused, out);
}
