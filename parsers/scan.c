/* SPDX-License-Identifier: Apache-2.0 */
#include "parsers/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

struct scan {
    const struct scan_key *keys;
    yajl_handle yajl;  /* NULL after an error */
    yajl_callbacks on; /* yajl looks here each time */
    const char *line;
    struct event *ev;
    size_t depth;
    size_t closed_at;              /* end of the object, 0 while open */
    const struct scan_key *object; /* at depth two: whose members these are */
    const struct scan_key *key;    /* whose value comes next, or NULL */
    const struct scan_key *next;   /* likely next key: they come in order */
    const char *value;             /* where that value begins */
    const struct scan_key *outer;  /* key and value at depth one, while at */
    const char *outer_value;       /* depth two or more */
    const char *why;
    char why_text[160];
};

static size_t here(const struct scan *s)
{
    return yajl_get_bytes_consumed(s->yajl);
}

static int refuse(struct scan *s, const char *why)
{
    s->why = why;
    return 0;
}

static void note(struct scan *s, const struct scan_key *key, const char *value)
{
    struct span *f;

    if (key == NULL)
        return;
    f = &s->ev->field[key->field];
    if (f->at == NULL)
        *f = span(value, (size_t)(s->line + here(s) - value));
}

static int on_scalar(struct scan *s)
{
    if (s->depth == 0)
        return refuse(s, "not a JSON object");
    note(s, s->key, s->value);
    s->key = NULL;
    return 1;
}

static int on_null(void *arg)
{
    return on_scalar(arg);
}

static int on_bool(void *arg, int value)
{
    (void)value;
    return on_scalar(arg);
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return on_scalar(arg);
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    (void)text;
    (void)len;
    return on_scalar(arg);
}

/* What yajl takes for space. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Behind the colon and any space around it. yajl has not yet seen that there is
 * a colon. */
static const char *value_start(const struct scan *s)
{
    const char *p = s->line + here(s), *end = s->ev->line.at + s->ev->line.len;

    if (p + 1 < end && p[0] == ':' && (p[1] == '"' || p[1] == '{'))
        return p + 1; /* as Go writes it */
    while (p < end && (*p == ':' || is_space(*p)))
        p++;
    return p;
}

static bool is_key(const struct scan_key *k, const char *text, size_t len)
{
    return k->key.len == len && memcmp(k->key.at, text, len) == 0;
}

/* Go writes members in one order, so the next one is tried first. */
static const struct scan_key *find_key(struct scan *s, const char *text,
                                       size_t len)
{
    const struct scan_key *keys = s->object ? s->object->members : s->keys;

    for (const struct scan_key *k = s->next; k->key.at != NULL; k++) {
        if (is_key(k, text, len))
            return k;
    }
    for (const struct scan_key *k = keys; k != s->next; k++) {
        if (is_key(k, text, len))
            return k;
    }
    return NULL;
}

/* The identity begins at the quote of "level"; a key written with escapes is
 * not what the API server writes, and not taken for it. */
static void note_identity(struct scan *s)
{
    static const char level[] = "\"level\"";
    size_t n = sizeof(level) - 1;
    const char *end = s->line + here(s);

    if (s->ev->identity.at == NULL && here(s) >= n &&
        memcmp(end - n, level, n) == 0)
        s->ev->identity.at = end - n;
}

static int on_key(void *arg, const unsigned char *text, size_t len)
{
    struct scan *s = arg;

    s->key = find_key(s, (const char *)text, len);
    if (s->key == NULL)
        return 1;
    s->next = s->key + 1;
    s->value = value_start(s);
    if (s->key->field == EVENT_LEVEL)
        note_identity(s);
    return 1;
}

static void listen_to_values(struct scan *s, bool yes)
{
    s->on.yajl_null = yes ? on_null : NULL;
    s->on.yajl_boolean = yes ? on_bool : NULL;
    s->on.yajl_number = yes ? on_number : NULL;
    s->on.yajl_string = yes ? on_string : NULL;
    s->on.yajl_map_key = yes ? on_key : NULL;
}

static int open_value(struct scan *s, bool is_map)
{
    if (s->depth == 0 && (!is_map || s->closed_at != 0))
        return refuse(s, is_map ? "two JSON values in one line"
                                : "not a JSON object");
    if (s->depth == SCAN_MAX_DEPTH)
        return refuse(s, "nested too deep");
    if (s->depth == 0)
        s->ev->body.at = s->line + here(s) - 1;
    if (s->depth == 1) {
        s->outer = s->key;
        s->outer_value = s->value;
        s->key = NULL;
        if (is_map && s->outer != NULL && s->outer->members != NULL &&
            s->ev->field[s->outer->field].at == NULL) {
            s->object = s->outer;
            s->next = s->object->members;
        } else {
            listen_to_values(s, false);
        }
    } else if (s->depth == 2) {
        listen_to_values(s, false);
    }
    s->depth++;
    return 1;
}

static void close_value(struct scan *s)
{
    s->depth--;
    if (s->depth == 2 && s->object != NULL) {
        note(s, s->key, s->value);
        s->key = NULL;
        listen_to_values(s, true);
    } else if (s->depth == 1) {
        note(s, s->outer, s->outer_value);
        s->next = s->outer != NULL ? s->outer + 1 : s->next;
        s->object = NULL;
        listen_to_values(s, true);
    } else if (s->depth == 0) {
        s->closed_at = here(s);
    }
}

static int on_map(void *arg)
{
    return open_value(arg, true);
}

static int on_map_end(void *arg)
{
    close_value(arg);
    return 1;
}

static int on_array(void *arg)
{
    return open_value(arg, false);
}

static int on_array_end(void *arg)
{
    close_value(arg);
    return 1;
}

static void *yajl_get(void *ctx, size_t n)
{
    (void)ctx;
    return xmalloc(n);
}

static void *yajl_grow(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return xrealloc(p, n);
}

static void yajl_give(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

static void new_handle(struct scan *s)
{
    static yajl_alloc_funcs memory = { yajl_get, yajl_grow, yajl_give, NULL };

    s->yajl = yajl_alloc(&s->on, &memory, s);
    if (yajl_config(s->yajl, yajl_allow_multiple_values, 1) == 0 ||
        yajl_config(s->yajl, yajl_dont_validate_strings, 1) == 0)
        abort();
}

static void drop_handle(struct scan *s)
{
    if (s->yajl != NULL)
        yajl_free(s->yajl);
    s->yajl = NULL;
}

struct scan *scan_new(const struct scan_key *keys)
{
    struct scan *s = xcalloc(1, sizeof(*s));

    s->keys = keys;
    s->on.yajl_start_map = on_map;
    s->on.yajl_end_map = on_map_end;
    s->on.yajl_start_array = on_array;
    s->on.yajl_end_array = on_array_end;
    return s;
}

void scan_free(struct scan *s)
{
    if (s == NULL)
        return;
    drop_handle(s);
    free(s);
}

static void start_line(struct scan *s, struct span line, struct event *ev)
{
    memset(ev, 0, sizeof(*ev));
    ev->line = line;
    s->line = line.at;
    s->ev = ev;
    s->depth = 0;
    s->closed_at = 0;
    s->object = NULL;
    s->key = NULL;
    s->outer = NULL;
    s->next = s->keys;
    s->why = NULL;
    listen_to_values(s, true);
    if (s->yajl == NULL)
        new_handle(s);
}

/* What yajl says, without what it quotes of the line. */
static void keep_reason(struct scan *s)
{
    unsigned char *text = yajl_get_error(s->yajl, 0, NULL, 0);
    size_t n = strcspn((char *)text, "\n");

    snprintf(s->why_text, sizeof(s->why_text), "not JSON at byte %zu: %.*s",
             here(s), (int)n, (char *)text);
    s->why = s->why_text;
    yajl_free_error(s->yajl, text);
}

/* Whether something follows the object. yajl does not tell of a number that is
 * not ended, and it would be added to the next line. */
static bool has_rest(const struct scan *s, struct span line)
{
    for (size_t i = s->closed_at; i < line.len; i++) {
        if (!is_space(line.at[i]))
            return true;
    }
    return false;
}

int scan_line(struct scan *s, struct span line, struct event *ev)
{
    yajl_status status;

    start_line(s, line, ev);
    status = yajl_parse(s->yajl, (const unsigned char *)line.at, line.len);
    if (status == yajl_status_error)
        keep_reason(s);
    else if (status == yajl_status_ok && s->closed_at == 0)
        s->why = s->depth > 0 ? "the line ends inside a JSON value"
                              : "not a JSON object";
    else if (status == yajl_status_ok && has_rest(s, line))
        s->why = "two JSON values in one line";
    if (s->why != NULL) {
        drop_handle(s);
        return s->depth == SCAN_MAX_DEPTH ? ERR_LIMIT : ERR_FORMAT;
    }
    ev->body.len = (size_t)(line.at + s->closed_at - ev->body.at);
    if (ev->identity.at == NULL)
        ev->identity.at = ev->body.at;
    ev->identity.len = (size_t)(line.at + s->closed_at - ev->identity.at);
    return 0;
}

const char *scan_why(const struct scan *s)
{
    return s->why != NULL ? s->why : "no reason";
}

struct span scan_plain_string(struct span value)
{
    if (value.len < 2 || value.at[0] != '"' ||
        memchr(value.at, '\\', value.len) != NULL)
        return span(NULL, 0);
    return span(value.at + 1, value.len - 2);
}
