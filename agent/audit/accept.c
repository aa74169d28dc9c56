/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/accept.h"

#include <inttypes.h>
#include <stdlib.h>

#include "agent/audit/names.h"
#include "agent/audit/text.h"
#include "agent/base/json_handle.h"

/* What is kept of a value that is cut: even of bytes that all become U+FFFD
 * there is room for it behind the longest path. */
#define VALUE_KEPT 8000
/* Room a key needs at least: its beginning, and what is said of its rest. */
#define KEY_ROOM 256
#define KEY_KEPT 64
/* Jackson, which both servers read JSON with, takes numbers of this many. */
#define DIGITS_MAX 999
/* What wraps a body that is no object. */
#define WRAP      "{\"body\":"
#define WRAP_PATH 5
/* Memory that is kept from event to event. */
#define KEPT (64 * KIB)

/* Other bytes for some of the document's. */
struct change {
    uint32_t at;
    uint32_t len;
    uint32_t with; /* in a->store */
    uint32_t with_len;
};

/* An object or array that is open. */
struct level {
    bool is_map;
    bool is_user; /* of `user` or `impersonatedUser` */
    bool is_flat;
    bool is_body; /* an array that is a body, or lies in one so */
    uint32_t at;
    uint32_t path; /* length of the keys that lead into it */
    struct names_mark names;
};

struct accept {
    yajl_handle yajl; /* NULL after an error */
    struct span text;
    bool is_utf8;
    enum accept_leaves leaves;
    /* [0] is outside; one more for where what is skipped begins */
    struct level level[ACCEPT_DEPTH + 2];
    size_t depth;
    size_t skipped; /* levels below the one that becomes a string */
    size_t done;    /* how much of the text is behind us */
    bool has_bare;  /* the body at hand is an array that holds a scalar */
    size_t wrapped; /* 1 within a body that may have to be wrapped for that */
    /* of the value that comes next, where a key said so */
    uint32_t path;
    bool flat;
    bool user;
    struct names names;
    struct buf name; /* of the key at hand, where it is not as written */
    struct change *changes;
    size_t nchanges;
    size_t cap;
    struct buf store;
};

/* Members that the mapping holds as one field each, whatever is in them. */
static const char *const flat_members[] = { "requestObject", "responseObject",
                                            "annotations" };
static const char *const user_members[] = { "user", "impersonatedUser" };

static bool is_one_of(struct span name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (span_is(name, list[i]))
            return true;
    }
    return false;
}

/* ---- changes ---- */

static uint32_t place_of(const struct accept *a, const char *at)
{
    return (uint32_t)(at - a->text.at);
}

/* What was added to the store since `with` is to stand for `what`. */
static void change(struct accept *a, struct span what, size_t with)
{
    if (a->nchanges == a->cap) {
        a->cap = a->cap > 0 ? 2 * a->cap : 16;
        a->changes = xrealloc(a->changes, a->cap * sizeof(*a->changes));
    }
    a->changes[a->nchanges++] = (struct change){
        .at = place_of(a, what.at),
        .len = (uint32_t)what.len,
        .with = (uint32_t)with,
        .with_len = (uint32_t)(a->store.len - with),
    };
}

static void insert(struct accept *a, const char *at, struct span with)
{
    size_t start = a->store.len;

    buf_add_span(&a->store, with);
    change(a, span(at, 0), start);
}

static void wrap(struct accept *a, struct span value)
{
    insert(a, value.at, SPAN(WRAP));
    insert(a, value.at + value.len, SPAN("}"));
}

/* At one place, what is inserted goes before what is replaced. */
static int by_place(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->len > 0) - (y->len > 0);
}

/* ---- where we are ---- */

static struct level *top(struct accept *a)
{
    return &a->level[a->depth];
}

/* The token that ends here, without what stands before it. */
static struct span token(struct accept *a)
{
    static const char between[] = " \t\n\v\f\r,:"; /* as yajl has it */
    const char *at = a->text.at + a->done;

    a->done = yajl_get_bytes_consumed(a->yajl);
    while (memchr(between, *at, sizeof(between) - 1) != NULL)
        at++;
    return span(at, (size_t)(a->text.at + a->done - at));
}

/* What is a body itself, and not in one. */
static bool is_member(const struct accept *a)
{
    return a->depth == 1 && a->flat;
}

/* Before any value: what the key said, or what holds for the whole array. */
static void place(struct accept *a)
{
    const struct level *l = top(a);

    if (l->is_map)
        return;
    a->path = l->path;
    a->flat = l->is_flat;
    a->user = false;
}

static bool is_cut(const struct accept *a)
{
    return a->leaves == ACCEPT_LEAVES_ALL ||
           (a->leaves == ACCEPT_LEAVES_FLAT && a->flat);
}

/* ---- values ---- */

/* A scalar that is not null; an index takes none for a whole body. */
static void on_value(struct accept *a, struct span value)
{
    if (is_member(a)) {
        a->path += WRAP_PATH;
        wrap(a, value);
    }
    if (top(a)->is_body)
        a->has_bare = true;
}

static int on_null(void *arg)
{
    struct accept *a = arg;

    token(a);
    return 1;
}

static int on_bool(void *arg, int is_true)
{
    struct accept *a = arg;
    struct span value = token(a);

    (void)is_true;
    if (a->skipped > 0)
        return 1;
    place(a);
    on_value(a, value);
    return 1;
}

/* Whether a value of `len` bytes is a term that is too long here. */
static bool is_too_long(const struct accept *a, size_t len)
{
    return is_cut(a) && len + a->path >= ACCEPT_TERM;
}

static int on_number(void *arg, const char *text, size_t len)
{
    struct accept *a = arg;
    struct span value = token(a);
    size_t with;

    if (a->skipped > 0)
        return 1;
    place(a);
    on_value(a, value);
    if (len <= DIGITS_MAX)
        return 1;
    with = a->store.len;
    buf_add(&a->store, "\"", 1);
    text_add_cut(&a->store, span(text, len),
                 is_too_long(a, len) ? VALUE_KEPT : len);
    buf_add(&a->store, "\"", 1);
    change(a, value, with);
    return 1;
}

static int on_string(void *arg, const unsigned char *bytes, size_t len)
{
    struct accept *a = arg;
    struct span value = token(a), says = span((const char *)bytes, len);
    struct span inside = span(value.at + 1, value.len - 2);
    bool is_utf8;
    size_t with;

    if (a->skipped > 0)
        return 1;
    place(a);
    on_value(a, value);
    is_utf8 = a->is_utf8 || span_is_utf8(inside);
    with = a->store.len;
    if (is_too_long(a, is_utf8 ? len : text_utf8_len(says)))
        text_add_cut(&a->store, says, VALUE_KEPT);
    else if (!is_utf8)
        text_add_utf8(&a->store, inside);
    else
        return 1;
    change(a, inside, with);
    return 1;
}

/* ---- objects and arrays ---- */

/* What is too deep, or too far down, becomes a string that holds it. */
static void replace_with_text(struct accept *a, const char *from)
{
    struct span all = span(from, (size_t)(a->text.at + a->done - from));
    size_t with = a->store.len;

    buf_add(&a->store, "\"", 1);
    text_add_cut(&a->store, all, VALUE_KEPT);
    buf_add(&a->store, "\"", 1);
    change(a, all, with);
    if (top(a)->is_body)
        a->has_bare = true;
}

static int on_open(struct accept *a, bool is_map)
{
    struct span bracket = token(a);
    bool is_body = !is_map && (is_member(a) || top(a)->is_body);

    if (a->skipped > 0) {
        a->skipped++;
        return 1;
    }
    place(a);
    if (is_member(a) && !is_map) {
        a->path += WRAP_PATH;
        a->has_bare = false;
        a->wrapped = 1;
    }
    if (a->depth + a->wrapped == ACCEPT_DEPTH ||
        a->path > ACCEPT_PATH - KEY_ROOM) {
        a->skipped = 1;
        a->level[a->depth + 1].at = place_of(a, bracket.at);
        return 1;
    }
    a->level[++a->depth] = (struct level){
        .is_map = is_map,
        .is_user = a->user,
        .is_flat = a->flat,
        .is_body = is_body,
        .at = place_of(a, bracket.at),
        .path = a->path,
        .names = names_open(&a->names),
    };
    return 1;
}

static int on_map(void *arg)
{
    return on_open(arg, true);
}

static int on_array(void *arg)
{
    return on_open(arg, false);
}

/* Returns whether what is closed was not skipped. */
static bool close_skipped(struct accept *a)
{
    token(a);
    if (a->skipped == 0)
        return true;
    if (--a->skipped == 0)
        replace_with_text(a, a->text.at + a->level[a->depth + 1].at);
    return false;
}

static int on_array_end(void *arg)
{
    struct accept *a = arg;
    const char *from;

    if (!close_skipped(a))
        return 1;
    from = a->text.at + top(a)->at;
    if (top(a)->is_body && a->depth == 2) {
        if (a->has_bare)
            wrap(a, span(from, (size_t)(a->text.at + a->done - from)));
        a->wrapped = 0;
    }
    a->depth--;
    return 1;
}

/* ---- keys ---- */

/* Bytes that a key may have where it stands. */
static size_t key_room(const struct accept *a)
{
    return ACCEPT_PATH - 1 - a->level[a->depth].path;
}

static void add_key(struct buf *out, struct span name, size_t room)
{
    if (name.len > room)
        text_add_cut(out, name, KEY_KEPT);
    else
        buf_add_json(out, name);
}

static void rename_key(void *arg, struct span key, struct span name,
                       uint32_t number)
{
    struct accept *a = arg;
    size_t with = a->store.len;

    if (number == 0) {
        add_key(&a->store, name, key_room(a));
    } else {
        add_key(&a->store, name, key_room(a) - NAMES_SUFFIX_MAX);
        buf_printf(&a->store, "#%" PRIu32, number);
    }
    change(a, key, with);
}

static int on_map_end(void *arg)
{
    struct accept *a = arg;

    if (!close_skipped(a))
        return 1;
    names_close(&a->names, top(a)->names, rename_key, a);
    a->depth--;
    return 1;
}

/* The name as an index takes it; whether it is another one. */
static bool fit_name(struct accept *a, struct span key, struct span *name)
{
    bool has_nul = name->len > 0 && memchr(name->at, '\0', name->len) != NULL;
    bool is_utf8 = a->is_utf8 || span_is_utf8(key);
    struct span rest = *name;

    if (!has_nul && is_utf8 && (name->at == key.at || !text_has_half_pair(key)))
        return name->len > key_room(a);
    a->name.len = 0;
    while (rest.len > 0) {
        size_t n = strnlen(rest.at, rest.len);

        text_add_utf8(&a->name, span(rest.at, n));
        rest = span(rest.at + n, rest.len - n);
        if (rest.len > 0) {
            buf_add(&a->name, "\xe2\x90\x80", 3);
            rest = span(rest.at + 1, rest.len - 1);
        }
    }
    *name = span(a->name.at, a->name.len);
    return true;
}

static int on_key(void *arg, const unsigned char *bytes, size_t len)
{
    struct accept *a = arg;
    struct span key = token(a), name = span((const char *)bytes, len);
    const struct level *l = top(a);
    bool changed;

    if (a->skipped > 0)
        return 1;
    key = span(key.at + 1, key.len - 2);
    if (key.len == 0)
        name = key; /* yajl may have no place for it */
    a->user =
        a->depth == 1 && is_one_of(name, user_members, ARRAY_LEN(user_members));
    a->flat = l->is_flat ||
              (a->depth == 1 &&
               is_one_of(name, flat_members, ARRAY_LEN(flat_members))) ||
              (l->is_user && span_is(name, "extra"));
    changed = fit_name(a, key, &name);
    names_add(&a->names, key, name, changed);
    if (name.len > key_room(a))
        name.len = key_room(a);
    a->path = l->path + (l->path > 0) + (uint32_t)name.len;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

/* ---- one document ---- */

struct accept *accept_new(void)
{
    return xcalloc(1, sizeof(struct accept));
}

static void drop_changes(struct accept *a)
{
    free(a->changes);
    a->changes = NULL;
    a->cap = 0;
}

void accept_free(struct accept *a)
{
    if (a == NULL)
        return;
    json_handle_drop(&a->yajl);
    drop_changes(a);
    names_free(&a->names);
    buf_free(&a->name);
    buf_free(&a->store);
    free(a);
}

static void start(struct accept *a, struct span text, enum accept_leaves leaves)
{
    if (a->yajl == NULL)
        a->yajl = json_handle(&callbacks, a, JSON_MANY);
    if (a->cap * sizeof(*a->changes) > KEPT)
        drop_changes(a);
    if (a->store.cap > KEPT)
        buf_free(&a->store);
    if (a->name.cap > KEPT)
        buf_free(&a->name);
    names_start(&a->names, text.at);
    a->text = text;
    a->is_utf8 = span_is_utf8(text);
    a->leaves = leaves;
    a->level[0] = (struct level){ 0 };
    a->depth = a->skipped = a->done = a->wrapped = 0;
    a->path = 0;
    a->flat = a->user = a->has_bare = false;
    a->nchanges = 0;
    a->store.len = 0;
}

/* Walks from where start() or its caller has put us. What is no JSON gets no
 * changes. */
static void walk(struct accept *a)
{
    if (yajl_parse(a->yajl, (const unsigned char *)a->text.at, a->text.len) ==
        yajl_status_ok)
        return;
    a->nchanges = 0;
    json_handle_drop(&a->yajl);
}

bool accept_edit(struct accept *a, struct span doc, enum accept_leaves leaves,
                 struct edits *e)
{
    edits_start(e, doc);
    start(a, doc, leaves);
    walk(a);
    if (a->nchanges > 1)
        qsort(a->changes, a->nchanges, sizeof(*a->changes), by_place);
    for (size_t i = 0; i < a->nchanges; i++) {
        const struct change *c = &a->changes[i];

        edits_replace(e, span(doc.at + c->at, c->len),
                      span(a->store.at + c->with, c->with_len));
    }
    return a->nchanges > 0;
}

/* ---- signs ---- */

/* The body of a patch, as the client wrote it, alone: nearly always it is as it
 * should be, and then nothing else needs to be looked at. */
static bool is_body_suspect(struct accept *a, struct span body)
{
    if (body.at[0] != '{' && body.at[0] != '[')
        return body.at[0] != 'n';
    start(a, body, ACCEPT_LEAVES_KEEP);
    a->depth = 1;
    a->level[1] = (struct level){ .is_map = true };
    a->path = sizeof("requestObject") - 1;
    a->flat = true;
    walk(a);
    return a->nchanges > 0;
}

bool accept_is_suspect(struct accept *a, const struct event *ev,
                       struct span doc, enum accept_leaves leaves)
{
    struct span body = ev->field[EVENT_REQUEST_OBJECT];

    if (ev->depth > ACCEPT_DEPTH)
        return true;
    if (leaves != ACCEPT_LEAVES_KEEP &&
        text_may_hold_string(doc, ACCEPT_TERM - ACCEPT_PATH))
        return true;
    return body.at != NULL && span_is(ev->field[EVENT_VERB], "\"patch\"") &&
           is_body_suspect(a, body);
}
