/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json_handle.h"

#define BEGIN_KEPT 160
/* Of what an error was caused by, within its reason. */
#define CAUSE_KEPT 200
#define DEPTH_MAX  64
/* No honest answer is longer; yajl would hold one endless string whole. */
#define BYTES_MAX (32 * MIB)

/* Where in the answer a value stands. */
enum level {
    AT_TOP = 1,    /* in the outermost object */
    IN_ITEMS = 2,  /* in the array "items" */
    IN_ITEM = 3,   /* {"create":...} */
    IN_RESULT = 4, /* {"status":...,"error":...} */
    IN_ERROR = 5,  /* {"type":...,"reason":...} of an item */
    IN_CAUSE = 6   /* the same, "caused_by" of an error */
};

enum key {
    KEY_OTHER,
    KEY_ITEMS,
    KEY_STATUS,
    KEY_ERROR,
    KEY_TYPE,
    KEY_REASON,
    KEY_CAUSED_BY,
    KEY_FAILURE_STORE
};

struct answer_reader {
    void (*on_item)(void *arg, uint32_t i, const struct answer_error *e);
    void *arg;
    yajl_handle yajl;
    bool broken;
    bool closed; /* the outermost object has ended */
    unsigned depth;
    enum key key[DEPTH_MAX]; /* the last one at each depth */
    bool in_items;
    bool has_items;
    uint32_t items;
    struct answer_error whole;
    struct answer_error item;
    char cause[CAUSE_KEPT]; /* of the item's error */
    bool item_is_aside;     /* in the failure store */
    char begin[BEGIN_KEPT];
    size_t begin_len;
    size_t bytes;
};

static void keep(char *to, size_t room, const unsigned char *text, size_t n)
{
    n = n < room - 1 ? n : room - 1;
    memcpy(to, text, n);
    to[n] = '\0';
}

static enum key key_of(const unsigned char *text, size_t n)
{
    static const char *const names[] = {
        [KEY_ITEMS] = "items",
        [KEY_STATUS] = "status",
        [KEY_ERROR] = "error",
        [KEY_TYPE] = "type",
        [KEY_REASON] = "reason",
        [KEY_CAUSED_BY] = "caused_by",
        [KEY_FAILURE_STORE] = "failure_store",
    };

    for (size_t i = KEY_ITEMS; i < ARRAY_LEN(names); i++) {
        if (span_is(span((const char *)text, n), names[i]))
            return (enum key)i;
    }
    return KEY_OTHER;
}

static int on_key(void *ctx, const unsigned char *text, size_t n)
{
    struct answer_reader *a = ctx;

    a->key[a->depth] = key_of(text, n);
    return 1;
}

/* Inside {"error":{...}} of the whole request. */
static bool in_whole_error(const struct answer_reader *a)
{
    return a->depth == 2 && !a->in_items && a->key[AT_TOP] == KEY_ERROR;
}

static bool in_item_error(const struct answer_reader *a)
{
    return a->in_items && a->depth == IN_ERROR &&
           a->key[IN_RESULT] == KEY_ERROR;
}

static bool in_item_cause(const struct answer_reader *a)
{
    return a->in_items && a->depth == IN_CAUSE &&
           a->key[IN_RESULT] == KEY_ERROR && a->key[IN_ERROR] == KEY_CAUSED_BY;
}

/* Each element of "items" is an object: anything else would let the verdicts
 * slip to the wrong items. */
static bool is_stray(const struct answer_reader *a)
{
    return a->depth == 0 || (a->in_items && a->depth == IN_ITEMS);
}

static int on_string(void *ctx, const unsigned char *text, size_t n)
{
    struct answer_reader *a = ctx;
    enum key key = a->key[a->depth];
    struct answer_error *e = NULL;

    if (in_whole_error(a))
        e = &a->whole;
    else if (in_item_error(a))
        e = &a->item;
    if (e != NULL && key == KEY_TYPE)
        keep(e->type, sizeof(e->type), text, n);
    else if (e != NULL && key == KEY_REASON)
        keep(e->reason, sizeof(e->reason), text, n);
    else if (in_item_cause(a) && key == KEY_REASON)
        keep(a->cause, sizeof(a->cause), text, n);
    else if (a->depth == AT_TOP && key == KEY_ERROR)
        keep(a->whole.reason, sizeof(a->whole.reason), text, n);
    else if (a->in_items && a->depth == IN_RESULT && key == KEY_ERROR)
        keep(a->item.reason, sizeof(a->item.reason), text, n);
    else if (a->in_items && a->depth == IN_RESULT && key == KEY_FAILURE_STORE)
        a->item_is_aside = span_is(span((const char *)text, n), "used");
    return !is_stray(a);
}

static int on_null(void *ctx)
{
    return !is_stray(ctx);
}

static int on_bool(void *ctx, int value)
{
    (void)value;
    return !is_stray(ctx);
}

static int on_number(void *ctx, const char *text, size_t n)
{
    struct answer_reader *a = ctx;
    unsigned v = 0;

    for (size_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && v < 1000;
         i++)
        v = v * 10 + (unsigned)(text[i] - '0');
    if (a->key[a->depth] != KEY_STATUS)
        return !is_stray(a);
    if (a->depth == AT_TOP)
        a->whole.status = v;
    else if (a->in_items && a->depth == IN_RESULT)
        a->item.status = v;
    return 1;
}

static int open_value(struct answer_reader *a, bool is_map)
{
    if (a->depth + 1 >= DEPTH_MAX || (a->depth == 0 && a->closed) ||
        (!is_map && is_stray(a)))
        return 0;
    if (a->depth == AT_TOP && a->key[AT_TOP] == KEY_ITEMS && !is_map)
        a->in_items = a->has_items = true;
    a->depth++;
    a->key[a->depth] = KEY_OTHER;
    if (a->in_items && a->depth == IN_ITEM) {
        memset(&a->item, 0, sizeof(a->item));
        a->cause[0] = '\0';
        a->item_is_aside = false;
    }
    return 1;
}

/* The server keeps the reason to itself. */
static void say_it_is_aside(struct answer_reader *a)
{
    a->item = (struct answer_error){
        .status = 400,
        .type = ANSWER_FAILURE_STORE,
        .reason = "the data stream put it into its failure store, which has "
                  "the reason",
    };
}

/* Elasticsearch from 8 on says of a field only that it failed to parse, and
 * quotes it at length: why is in the cause. */
static void add_cause(struct answer_reader *a)
{
    static const char by[] = "; caused by: ";
    char *reason = a->item.reason;
    size_t cause = strlen(a->cause), n = strlen(reason);
    size_t room = ANSWER_REASON_MAX - sizeof(by) - cause;

    if (cause == 0 || strstr(reason, a->cause) != NULL)
        return;
    n = n < room ? n : room;
    memcpy(reason + n, by, sizeof(by) - 1);
    memcpy(reason + n + sizeof(by) - 1, a->cause, cause + 1);
}

static int close_value(struct answer_reader *a)
{
    if (a->in_items && a->depth == IN_ITEM && a->item_is_aside)
        say_it_is_aside(a);
    else if (a->in_items && a->depth == IN_ITEM)
        add_cause(a);
    if (a->in_items && a->depth == IN_ITEM)
        a->on_item(a->arg, a->items++, &a->item);
    if (a->depth == IN_ITEMS)
        a->in_items = false;
    a->depth--;
    a->closed = a->depth == 0;
    return 1;
}

static int on_map(void *ctx)
{
    return open_value(ctx, true);
}

static int on_array(void *ctx)
{
    return open_value(ctx, false);
}

static int on_end(void *ctx)
{
    return close_value(ctx);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_map,
    .yajl_end_map = on_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_end,
};

struct answer_reader *answer_new(void (*item)(void *arg, uint32_t i,
                                              const struct answer_error *e),
                                 void *arg)
{
    struct answer_reader *a = xcalloc(1, sizeof(*a));

    a->on_item = item;
    a->arg = arg;
    return a;
}

void answer_free(struct answer_reader *a)
{
    if (a == NULL)
        return;
    json_handle_drop(&a->yajl);
    free(a);
}

void answer_start(struct answer_reader *a)
{
    json_handle_drop(&a->yajl);
    *a = (struct answer_reader){ .on_item = a->on_item, .arg = a->arg };
    a->yajl = json_handle(&callbacks, a, JSON_ONE);
}

void answer_feed(struct answer_reader *a, const char *bytes, size_t n)
{
    size_t more = sizeof(a->begin) - a->begin_len;

    more = more < n ? more : n;
    memcpy(a->begin + a->begin_len, bytes, more);
    a->begin_len += more;
    a->bytes += n;
    a->broken |= a->bytes > BYTES_MAX;
    if (!a->broken)
        a->broken = yajl_parse(a->yajl, (const unsigned char *)bytes, n) !=
                    yajl_status_ok;
}

bool answer_end(struct answer_reader *a)
{
    if (!a->broken)
        a->broken =
            yajl_complete_parse(a->yajl) != yajl_status_ok || !a->closed;
    return !a->broken;
}

uint32_t answer_items(const struct answer_reader *a)
{
    return a->items;
}

bool answer_has_items(const struct answer_reader *a)
{
    return a->has_items;
}

const struct answer_error *answer_whole(const struct answer_reader *a)
{
    return &a->whole;
}

struct span answer_begin(const struct answer_reader *a)
{
    return span(a->begin, a->begin_len);
}
