/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json_handle.h"
#include "agent/base/show.h"
#include "outputs/elasticsearch/action.h"

#define MOST_HITS (2 * LOOKUP_MOST)
#define DEPTH_MAX 32
#define SLOTS     16384 /* a power of two, more than twice LOOKUP_MOST */
#define TEXT_MAX  256

enum key {
    KEY_OTHER,
    KEY_DOCS,
    KEY_FOUND,
    KEY_ERROR,
    KEY_TYPE,
    KEY_REASON,
    KEY_TIMED_OUT,
    KEY_SHARDS,
    KEY_FAILED,
    KEY_HITS,
    KEY_ID,
    KEY_COUNT
};

static const char *const key_names[] = {
    [KEY_DOCS] = "docs",      [KEY_FOUND] = "found",
    [KEY_ERROR] = "error",    [KEY_TYPE] = "type",
    [KEY_REASON] = "reason",  [KEY_TIMED_OUT] = "timed_out",
    [KEY_SHARDS] = "_shards", [KEY_FAILED] = "failed",
    [KEY_HITS] = "hits",      [KEY_ID] = "_id",
    [KEY_COUNT] = "count",
};

struct asked {
    char id[ACTION_ID_LEN];
    uint32_t same; /* the first one with that id, in a search */
    unsigned copies;
};

struct lookup {
    enum lookup_how how;
    struct buf body;
    bool ended; /* so has the body */
    struct asked asked[LOOKUP_MOST];
    uint32_t n;
    uint32_t distinct;    /* ids */
    uint32_t slot[SLOTS]; /* number + 1 of the one with such an id; 0: none */

    /* reading */
    enum key key[DEPTH_MAX]; /* the last one at each depth */
    unsigned depth;
    uint32_t docs; /* that were answered for */
    uint32_t hits;
    uint64_t count;
    bool is_partial;
    bool lacks_index;
    bool has_answer;
    char whole_type[TEXT_MAX]; /* of the error of the whole question */
    char type[TEXT_MAX];       /* of the document at hand */
    char reason[TEXT_MAX];
    char bad_type[TEXT_MAX]; /* of the first that has an error */
    char bad_reason[TEXT_MAX];
};

struct lookup *lookup_new(enum lookup_how how)
{
    struct lookup *l = xcalloc(1, sizeof(*l));

    l->how = how;
    return l;
}

void lookup_free(struct lookup *l)
{
    if (l == NULL)
        return;
    buf_free(&l->body);
    free(l);
}

char *lookup_path(enum lookup_how how, const char *target, const char *routing)
{
    const char *is = routing != NULL ? "&routing=" : "";
    const char *value = routing != NULL ? routing : "";

    if (how == LOOKUP_BY_PLACE)
        return xprintf("/_mget?_source=false&filter_path=docs.found,"
                       "docs.error.type,docs.error.reason,error,status%s%s",
                       is, value);
    if (how == LOOKUP_BY_COUNT)
        return xprintf("/%s/_count?filter_path=count,_shards.failed,error,"
                       "status%s%s",
                       target, is, value);
    return xprintf("/%s/_search?allow_partial_search_results=false&filter_path="
                   "timed_out,_shards.failed,hits.hits._id,error,status%s%s",
                   target, is, value);
}

/* ---- the question ---- */

void lookup_start(struct lookup *l)
{
    memset(l->slot, 0, sizeof(l->slot));
    l->n = l->distinct = 0;
    l->ended = false;
    l->body.len = 0;
    buf_printf(&l->body, "{");
    if (l->how == LOOKUP_BY_PLACE)
        buf_printf(&l->body, "\"docs\":[");
    if (l->how == LOOKUP_BY_SEARCH)
        buf_printf(&l->body,
                   "\"size\":%d,\"_source\":false,\"track_total_hits\":false,"
                   "\"sort\":[\"_doc\"],",
                   MOST_HITS);
    if (l->how != LOOKUP_BY_PLACE)
        buf_printf(&l->body, "\"query\":{\"ids\":{\"values\":[");
}

/* Where that id is, or would be. Ids end in a hash. */
static uint32_t *find(struct lookup *l, const char *id)
{
    uint32_t h = 2166136261u;

    for (int i = ACTION_ID_LEN - 8; i < ACTION_ID_LEN; i++)
        h = (h ^ (unsigned char)id[i]) * 16777619u;
    for (;; h++) {
        uint32_t *slot = &l->slot[h % SLOTS];

        if (*slot == 0 ||
            memcmp(l->asked[*slot - 1].id, id, ACTION_ID_LEN) == 0)
            return slot;
    }
}

void lookup_add(struct lookup *l, struct span action_line)
{
    struct span id = action_id(action_line);
    struct asked *a = &l->asked[l->n];
    uint32_t *slot;

    if (l->n == LOOKUP_MOST || id.len != ACTION_ID_LEN)
        abort(); /* the caller counts, and has such a line */
    memcpy(a->id, id.at, ACTION_ID_LEN);
    a->copies = 0;
    if (l->n > 0)
        buf_add(&l->body, ",", 1);
    if (l->how == LOOKUP_BY_PLACE) {
        buf_add_span(&l->body, action_place(action_line));
    } else {
        buf_add(&l->body, "\"", 1);
        buf_add_span(&l->body, id);
        buf_add(&l->body, "\"", 1);
    }
    slot = find(l, a->id);
    l->n++;
    if (*slot == 0) {
        *slot = l->n;
        l->distinct++;
    }
    a->same = *slot - 1;
}

uint32_t lookup_count(const struct lookup *l)
{
    return l->n;
}

struct span lookup_body(struct lookup *l)
{
    if (!l->ended)
        buf_printf(&l->body, l->how == LOOKUP_BY_PLACE ? "]}" : "]}}}");
    l->ended = true;
    return span(l->body.at, l->body.len);
}

/* ---- the answer ---- */

static enum key key_at(const struct lookup *l, unsigned depth)
{
    return depth <= l->depth ? l->key[depth] : KEY_OTHER;
}

/* {"docs":[{...}]}: in the object of a document. */
static bool in_doc(const struct lookup *l)
{
    return l->how == LOOKUP_BY_PLACE && l->depth >= 3 &&
           key_at(l, 1) == KEY_DOCS;
}

static int on_key(void *ctx, const unsigned char *text, size_t n)
{
    struct lookup *l = ctx;
    enum key key = KEY_OTHER;

    for (size_t i = KEY_DOCS; i < ARRAY_LEN(key_names); i++) {
        if (span_is(span((const char *)text, n), key_names[i]))
            key = (enum key)i;
    }
    l->key[l->depth] = key;
    return 1;
}

static int on_bool(void *ctx, int value)
{
    struct lookup *l = ctx;

    if (in_doc(l) && l->depth == 3 && l->key[3] == KEY_FOUND &&
        l->docs < l->n) {
        l->asked[l->docs].copies = value != 0;
        l->has_answer = true;
    } else if (l->depth == 1 && l->key[1] == KEY_TIMED_OUT) {
        l->is_partial |= value != 0;
        l->has_answer = true;
    }
    return 1;
}

static int on_number(void *ctx, const char *text, size_t n)
{
    struct lookup *l = ctx;

    if (l->depth == 1 && l->key[1] == KEY_COUNT) {
        l->has_answer = n < 10 && text[0] != '-';
        l->count = l->has_answer ? strtoull(text, NULL, 10) : 0;
    }
    if (l->depth == 2 && l->key[1] == KEY_SHARDS && l->key[2] == KEY_FAILED)
        l->is_partial |= !span_is(span(text, n), "0");
    return 1;
}

static void keep(char to[static TEXT_MAX], const unsigned char *text, size_t n)
{
    n = n < TEXT_MAX - 1 ? n : TEXT_MAX - 1;
    memcpy(to, text, n);
    to[n] = '\0';
}

static void on_hit(struct lookup *l, const char *id, size_t n)
{
    uint32_t *slot;

    l->hits++;
    if (n != ACTION_ID_LEN)
        return;
    slot = find(l, id);
    if (*slot != 0)
        l->asked[*slot - 1].copies++;
}

static int on_string(void *ctx, const unsigned char *text, size_t n)
{
    struct lookup *l = ctx;
    enum key key = l->depth < DEPTH_MAX ? l->key[l->depth] : KEY_OTHER;

    if (in_doc(l) && l->depth == 4 && l->key[3] == KEY_ERROR) {
        if (key == KEY_TYPE)
            keep(l->type, text, n);
        else if (key == KEY_REASON)
            keep(l->reason, text, n);
    } else if (l->how == LOOKUP_BY_SEARCH && l->depth == 4 &&
               l->key[1] == KEY_HITS && l->key[2] == KEY_HITS &&
               key == KEY_ID) {
        on_hit(l, (const char *)text, n);
    } else if (l->depth == 2 && l->key[1] == KEY_ERROR && key == KEY_TYPE) {
        keep(l->whole_type, text, n);
    }
    return 1;
}

static void start_doc(struct lookup *l)
{
    l->type[0] = l->reason[0] = '\0';
    l->has_answer = false;
}

static int on_open(void *ctx)
{
    struct lookup *l = ctx;

    if (l->depth + 1 >= DEPTH_MAX)
        return 0;
    l->key[++l->depth] = KEY_OTHER;
    if (in_doc(l) && l->depth == 3)
        start_doc(l);
    return 1;
}

/* The object of a document has ended: it says whether it is there, or why
 * nobody knows. */
static int end_doc(struct lookup *l)
{
    if (l->docs == l->n)
        return 0;
    if (strcmp(l->type, "index_not_found_exception") == 0) {
        l->asked[l->docs].copies = 0;
        l->lacks_index = true;
    } else if (!l->has_answer && l->bad_type[0] == '\0') {
        snprintf(l->bad_type, TEXT_MAX, "%s",
                 l->type[0] != '\0' ? l->type : "no answer");
        memcpy(l->bad_reason, l->reason, TEXT_MAX);
    }
    l->docs++;
    return 1;
}

static int on_close(void *ctx)
{
    struct lookup *l = ctx;

    if (in_doc(l) && l->depth == 3 && !end_doc(l))
        return 0;
    l->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_open,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open,
    .yajl_end_array = on_close,
};

static bool parse(struct lookup *l, struct span answer)
{
    yajl_handle yajl = json_handle(&callbacks, l, JSON_ONE);
    bool ok;

    ok = yajl_parse(yajl, (const unsigned char *)answer.at, answer.len) ==
             yajl_status_ok &&
         yajl_complete_parse(yajl) == yajl_status_ok;
    json_handle_drop(&yajl);
    return ok;
}

static int no_answer(struct span answer, struct err *e)
{
    struct buf shown = { 0 };
    int rc;

    show_add(&shown, span(answer.at, answer.len < 160 ? answer.len : 160));
    rc = err_set(e, ERR_FORMAT, "it is no answer to the question: %.*s",
                 (int)shown.len, shown.at);
    buf_free(&shown);
    return rc;
}

/* Of a document, whatever the server wrote into it. */
static int doc_error(const struct lookup *l, struct err *e)
{
    struct buf shown = { 0 };
    int rc;

    show_add(&shown, span(l->bad_type, strlen(l->bad_type)));
    buf_printf(&shown, ": ");
    show_add(&shown, span(l->bad_reason, strlen(l->bad_reason)));
    rc = err_set(e, ERR_IO, "%.*s", (int)shown.len, shown.at);
    buf_free(&shown);
    return rc;
}

static void set_copies(struct lookup *l, unsigned copies)
{
    for (uint32_t i = 0; i < l->n; i++)
        l->asked[i].copies = copies;
}

static int read_count(struct lookup *l, struct span answer, struct err *e)
{
    if (!l->has_answer)
        return no_answer(answer, e);
    if (l->is_partial)
        return err_set(e, ERR_AGAIN, "a part of the index did not answer");
    if (l->count != l->distinct)
        return err_set(e, ERR_MISSING, "not all of them are there");
    set_copies(l, 1);
    return 0;
}

int lookup_read(struct lookup *l, struct span answer, struct err *e)
{
    l->depth = 0;
    l->docs = l->hits = 0;
    l->count = 0;
    l->is_partial = l->lacks_index = l->has_answer = false;
    l->bad_type[0] = l->whole_type[0] = '\0';
    set_copies(l, 0);
    if (!parse(l, answer))
        return no_answer(answer, e);
    if (l->how == LOOKUP_BY_COUNT)
        return read_count(l, answer, e);
    if (strcmp(l->whole_type, "index_not_found_exception") == 0) {
        l->lacks_index = true;
        set_copies(l, 0);
        return 0;
    }
    if (l->how == LOOKUP_BY_PLACE && l->bad_type[0] != '\0')
        return doc_error(l, e);
    if (l->how == LOOKUP_BY_PLACE ? l->docs != l->n : !l->has_answer)
        return no_answer(answer, e);
    if (l->is_partial || l->hits >= MOST_HITS)
        return err_set(e, ERR_AGAIN, "a part of the index did not answer");
    return 0;
}

unsigned lookup_copies(const struct lookup *l, uint32_t i)
{
    const struct asked *a = &l->asked[i];

    return l->how == LOOKUP_BY_SEARCH ? l->asked[a->same].copies : a->copies;
}

bool lookup_lacks_index(const struct lookup *l)
{
    return l->lacks_index;
}
