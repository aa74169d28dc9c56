/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_accept - any JSON object as a document: what comes of it is JSON and
 * UTF-8, has no repeated key, is no deeper and has no longer path than it may,
 * no longer number, and no longer value where values are cut; bodies are
 * objects or arrays of such. It needs no further edit. Another yajl handle, one
 * for each document, has the last word.
 *
 * Four control characters, which no JSON holds, stand for much of the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "agent/audit/accept.h"
#include "parsers/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST  MIB
#define KEYS_MAX 4096

static const struct {
    char unit;
    unsigned times;
} much[] = { [1] = { 'x', 9000 },
             [2] = { '[', 60 },
             [3] = { ']', 60 },
             [4] = { '9', 999 } };

/* ---- what has to hold of a document ---- */

struct key {
    char *text;
    size_t len;
};

struct level {
    bool is_map, is_flat, is_user, is_body;
    size_t path;
    size_t keys; /* where its keys begin */
};

static struct level level[ACCEPT_DEPTH + 1];
static size_t depth;
static struct key keys[KEYS_MAX];
static size_t nkeys;
static enum accept_leaves leaves;
static size_t path; /* of the value that comes */
static bool flat, user;

static bool is(const unsigned char *text, size_t len, const char *name)
{
    return span_is(span((const char *)text, len), name);
}

static void place(void)
{
    if (depth == 0 || level[depth].is_map)
        return;
    path = level[depth].path;
    flat = level[depth].is_flat;
    user = false;
}

static void value(size_t len)
{
    place();
    assert(depth > 0);
    assert(!(depth == 1 && flat)); /* no body is a scalar */
    assert(!level[depth].is_body);
    assert(path <= ACCEPT_PATH);
    if (leaves == ACCEPT_LEAVES_ALL || (leaves == ACCEPT_LEAVES_FLAT && flat))
        assert(path + 1 + len <= ACCEPT_TERM);
}

static int on_null(void *arg)
{
    (void)arg;
    return 1;
}

static int on_bool(void *arg, int is_true)
{
    (void)arg;
    value(is_true ? 4 : 5);
    return 1;
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)arg;
    (void)text;
    value(len);
    assert(len < 1000);
    return 1;
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    (void)arg;
    (void)text;
    value(len);
    return 1;
}

static void open_level(bool is_map)
{
    bool is_body = !is_map && ((depth == 1 && flat) || level[depth].is_body);

    place();
    assert(depth < ACCEPT_DEPTH);
    level[++depth] = (struct level){ .is_map = is_map,
                                     .is_flat = flat,
                                     .is_user = user,
                                     .is_body = is_body,
                                     .path = path,
                                     .keys = nkeys };
}

static int on_map(void *arg)
{
    (void)arg;
    open_level(true);
    return 1;
}

static int on_array(void *arg)
{
    (void)arg;
    open_level(false);
    return 1;
}

static int on_close(void *arg)
{
    (void)arg;
    while (nkeys > level[depth].keys)
        free(keys[--nkeys].text);
    depth--;
    return 1;
}

static int on_key(void *arg, const unsigned char *text, size_t len)
{
    struct level *l = &level[depth];

    (void)arg;
    assert(len == 0 || memchr(text, '\0', len) == NULL);
    for (size_t i = l->keys; i < nkeys; i++)
        assert(keys[i].len != len || memcmp(keys[i].text, text, len) != 0);
    if (nkeys < KEYS_MAX)
        keys[nkeys++] = (struct key){ xstrndup((const char *)text, len), len };
    user = depth == 1 &&
           (is(text, len, "user") || is(text, len, "impersonatedUser"));
    flat = l->is_flat || (l->is_user && is(text, len, "extra")) ||
           (depth == 1 &&
            (is(text, len, "requestObject") ||
             is(text, len, "responseObject") || is(text, len, "annotations")));
    path = l->path + (l->path > 0) + len;
    assert(path <= ACCEPT_PATH);
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_array,
    .yajl_end_array = on_close,
};

static void check(struct span doc)
{
    yajl_handle y = yajl_alloc(&callbacks, NULL, NULL);

    depth = nkeys = path = 0;
    flat = user = false;
    level[0] = (struct level){ 0 };
    assert(span_is_utf8(doc));
    assert(yajl_parse(y, (const unsigned char *)doc.at, doc.len) ==
           yajl_status_ok);
    assert(yajl_complete_parse(y) == yajl_status_ok);
    assert(depth == 0 && nkeys == 0);
    yajl_free(y);
}

/* ---- one input ---- */

static void expand(struct buf *out, const uint8_t *data, size_t size)
{
    out->len = 0;
    for (size_t i = 0; i < size && out->len < LONGEST; i++) {
        uint8_t c = data[i];

        if (c == 0 || c >= ARRAY_LEN(much)) {
            buf_add(out, &c, 1);
            continue;
        }
        memset(buf_room(out, much[c].times), much[c].unit, much[c].times);
        out->len += much[c].times;
    }
}

static void run(struct accept *a, struct span doc)
{
    struct edits e = { 0 };
    struct buf out = { 0 };

    if (accept_edit(a, doc, leaves, &e)) {
        size_t n = edits_size(&e);

        out.len = edits_apply(&e, buf_room(&out, n));
        assert(out.len == n);
        check(span(out.at, out.len));
        assert(!accept_edit(a, span(out.at, out.len), leaves, &e));
    } else {
        check(doc);
    }
    buf_free(&out);
    edits_free(&e);
}

static void signs(struct accept *a, struct event *ev)
{
    bool is_patch = span_is(ev->field[EVENT_VERB], "\"patch\"");
    struct edits e = { 0 };

    /* What the signs are there for, they show. */
    if (!accept_is_suspect(a, ev, ev->body, ACCEPT_LEAVES_KEEP)) {
        struct span body = ev->field[EVENT_REQUEST_OBJECT];
        struct buf doc = { 0 };

        assert(ev->depth <= ACCEPT_DEPTH);
        if (body.at == NULL || !is_patch)
            return;
        buf_printf(&doc, "{\"requestObject\":");
        buf_add_span(&doc, body);
        buf_add(&doc, "}", 1);
        assert(!accept_edit(a, span(doc.at, doc.len), ACCEPT_LEAVES_KEEP, &e));
        buf_free(&doc);
        edits_free(&e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parser *json, *audit;
    static struct accept *a;
    static struct buf text;
    struct event ev;
    char *line;

    if (a == NULL) {
        a = accept_new();
        audit = parsers[0]->open();
        json = parsers[1]->open();
    }
    expand(&text, data, size);
    line = malloc(text.len); /* reading on behind it would be seen */
    memcpy(line, text.at, text.len);
    if (parsers[1]->run(json, span(line, text.len), &ev) == 0) {
        for (leaves = ACCEPT_LEAVES_KEEP; leaves <= ACCEPT_LEAVES_ALL; leaves++)
            run(a, ev.body);
        if (parsers[0]->run(audit, span(line, text.len), &ev) == 0)
            signs(a, &ev);
    }
    free(line);
    return 0;
}
