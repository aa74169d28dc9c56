/* SPDX-License-Identifier: Apache-2.0 */
#include "parsers/scan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json_handle.h"

#define SLOTS 64

/* The rows of one object's keys, found by a key's length and first byte. */
struct keys {
    const struct scan_key *rows;
    unsigned char slot[SLOTS]; /* row + 1, or 0; a taken one's follows it */
};

struct scan {
    const struct keys *keys; /* of the object at hand */
    yajl_handle yajl;        /* NULL after an error */
    yajl_callbacks on;       /* yajl looks here each time */
    const char *line;
    struct event *ev;
    size_t depth;
    size_t quiet_in;               /* depth inside what is passed over */
    size_t closed_at;              /* end of the object, 0 while open */
    const struct scan_key *key;    /* whose value comes next, or NULL */
    const char *value;             /* where that value begins */
    const struct scan_key *object; /* at depth two: whose members these are */
    const char *object_value;      /* where it begins */
    const char *why;
    char why_text[160];
    struct keys outer;  /* of depth one, */
    struct keys *inner; /* and of depth two: one for each row of `outer` */
};

static size_t here(const struct scan *s)
{
    return yajl_get_bytes_consumed(s->yajl);
}

/* Behind the string that yajl tells of, whose inside is `text`. It lies in the
 * line itself, but for one that had to be decoded. */
static const char *behind_string(const struct scan *s, const char *text,
                                 size_t len)
{
    if ((uintptr_t)text - (uintptr_t)s->line < s->ev->line.len)
        return text + len + 1;
    return s->line + here(s);
}

static int refuse(struct scan *s, const char *why)
{
    s->why = why;
    return 0;
}

static void note(struct scan *s, const struct scan_key *key, const char *value,
                 const char *end)
{
    struct span *f = &s->ev->field[key->field];

    if (f->at == NULL)
        *f = span(value, (size_t)(end - value));
}

static int on_scalar(struct scan *s, const char *end)
{
    if (s->depth == 0)
        return refuse(s, "not a JSON object");
    if (s->key != NULL)
        note(s, s->key, s->value, end);
    s->key = NULL;
    return 1;
}

static int on_null(void *arg)
{
    struct scan *s = arg;

    return on_scalar(s, s->line + here(s));
}

static int on_bool(void *arg, int value)
{
    (void)value;
    return on_null(arg);
}

static int on_number(void *arg, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return on_null(arg);
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    struct scan *s = arg;

    return on_scalar(s, behind_string(s, (const char *)text, len));
}

/* What yajl takes for space. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Behind the colon that follows the key's end `p`, and any space around it.
 * yajl has not yet seen that there is a colon. */
static const char *value_start(const struct scan *s, const char *p)
{
    const char *end = s->line + s->ev->line.len;

    if (p + 1 < end && p[0] == ':' && (p[1] == '"' || p[1] == '{'))
        return p + 1; /* as Go writes it */
    while (p < end && (*p == ':' || is_space(*p)))
        p++;
    return p;
}

static bool is_key(const struct scan_key *k, const char *text, size_t len)
{
    return k->key.len == len && k->key.at[0] == text[0] &&
           memcmp(k->key.at, text, len) == 0;
}

static size_t slot_of(const char *text, size_t len)
{
    return (8 * len + (unsigned char)text[0]) % SLOTS;
}

static const struct scan_key *find_key(const struct keys *keys,
                                       const char *text, size_t len)
{
    for (size_t at = slot_of(text, len); keys->slot[at] != 0;
         at = (at + 1) % SLOTS) {
        const struct scan_key *k = &keys->rows[keys->slot[at] - 1];

        if (is_key(k, text, len))
            return k;
    }
    return NULL;
}

/* Returns how many there are. */
static size_t set_keys(struct keys *keys, const struct scan_key *rows)
{
    size_t n = 0;

    keys->rows = rows;
    for (; rows[n].key.at != NULL; n++) {
        size_t at = slot_of(rows[n].key.at, rows[n].key.len);

        if (n == SLOTS / 2)
            abort();
        while (keys->slot[at] != 0)
            at = (at + 1) % SLOTS;
        keys->slot[at] = (unsigned char)(n + 1);
    }
    return n;
}

/* The identity begins at the quote of "level"; a key written with escapes is
 * not what the API server writes, and not taken for it. */
static void note_identity(struct scan *s, const char *end)
{
    static const char level[] = "\"level\"";
    size_t n = sizeof(level) - 1;

    if (s->ev->identity.at == NULL && (size_t)(end - s->line) >= n &&
        memcmp(end - n, level, n) == 0)
        s->ev->identity.at = end - n;
}

static int on_key(void *arg, const unsigned char *bytes, size_t len)
{
    struct scan *s = arg;
    const char *text = (const char *)bytes, *end;

    s->key = find_key(s->keys, text, len);
    if (s->key == NULL)
        return 1;
    end = behind_string(s, text, len);
    s->value = value_start(s, end);
    if (s->key->field == EVENT_LEVEL)
        note_identity(s, end);
    return 1;
}

static void note_depth(struct scan *s, size_t depth)
{
    if (depth > s->ev->depth)
        s->ev->depth = (uint32_t)depth;
}

/* ---- what is passed over: only brackets are counted ---- */

static void listen(struct scan *s);

static int on_quiet_open(void *arg)
{
    struct scan *s = arg;

    if (s->depth == SCAN_MAX_DEPTH)
        return refuse(s, "nested too deep");
    note_depth(s, ++s->depth);
    return 1;
}

static int on_quiet_close(void *arg)
{
    struct scan *s = arg;

    if (s->depth-- > s->quiet_in)
        return 1;
    if (s->key != NULL)
        note(s, s->key, s->value, s->line + here(s));
    s->key = NULL;
    listen(s);
    return 1;
}

static const yajl_callbacks quiet = {
    .yajl_start_map = on_quiet_open,
    .yajl_end_map = on_quiet_close,
    .yajl_start_array = on_quiet_open,
    .yajl_end_array = on_quiet_close,
};

static int pass_over(struct scan *s)
{
    s->quiet_in = ++s->depth;
    note_depth(s, s->depth);
    s->on = quiet;
    return 1;
}

/* ---- what is looked into ---- */

static int open_whole(struct scan *s)
{
    if (s->closed_at != 0)
        return refuse(s, "two JSON values in one line");
    s->ev->body.at = s->line + here(s) - 1;
    s->depth = 1;
    note_depth(s, 1);
    return 1;
}

static int on_map(void *arg)
{
    struct scan *s = arg;
    const struct scan_key *key = s->key;

    if (s->depth == 0)
        return open_whole(s);
    if (s->depth > 1 || key == NULL || key->members == NULL ||
        s->ev->field[key->field].at != NULL)
        return pass_over(s);
    s->object = key;
    s->object_value = s->value;
    s->keys = &s->inner[key - s->outer.rows];
    s->key = NULL;
    s->depth = 2;
    note_depth(s, 2);
    return 1;
}

static int on_map_end(void *arg)
{
    struct scan *s = arg;

    if (--s->depth == 0) {
        s->closed_at = here(s);
        return 1;
    }
    note(s, s->object, s->object_value, s->line + here(s));
    s->keys = &s->outer;
    s->object = NULL;
    return 1;
}

static int on_array(void *arg)
{
    struct scan *s = arg;

    return s->depth > 0 ? pass_over(s) : refuse(s, "not a JSON object");
}

static const yajl_callbacks loud = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_map,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array,
};

static void listen(struct scan *s)
{
    s->on = loud;
}

/* ---- one line ---- */

struct scan *scan_new(const struct scan_key *keys)
{
    struct scan *s = xcalloc(1, sizeof(*s));
    size_t n;

    n = set_keys(&s->outer, keys);
    s->inner = xcalloc(n, sizeof(*s->inner));
    for (size_t i = 0; i < n; i++) {
        if (keys[i].members != NULL)
            set_keys(&s->inner[i], keys[i].members);
    }
    return s;
}

void scan_free(struct scan *s)
{
    if (s == NULL)
        return;
    json_handle_drop(&s->yajl);
    free(s->inner);
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
    s->keys = &s->outer;
    s->why = NULL;
    listen(s);
    if (s->yajl == NULL)
        s->yajl = json_handle(&s->on, s, JSON_MANY);
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
        json_handle_drop(&s->yajl);
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
