/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs test/golden/audit.cases: lines, what the parser finds in them, and the
 * document that is made of them; and accept.cases: bodies of patches, and what
 * a search server gets of them. The files say how they are to be read.
 */
#include "agent/audit/accept.h"
#include "agent/audit/shape.h"
#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "test/unit/unit.h"

#define CASES        "test/golden/audit.cases"
#define ACCEPT_CASES "test/golden/accept.cases"

static const char *const field_names[EVENT_NFIELDS] = {
#define X(name, key) [EVENT_##name] = key,
    EVENT_FIELDS(X)
#undef X
#define X(of, name, key) [EVENT_##of##_##name] = key,
        EVENT_MEMBERS(X)
#undef X
};

/* Of a member: the field that it is in; else itself. */
static const enum event_field field_of[EVENT_NFIELDS] = {
#define X(name, key) [EVENT_##name] = EVENT_##name,
    EVENT_FIELDS(X)
#undef X
#define X(of, name, key) [EVENT_##of##_##name] = EVENT_##of,
        EVENT_MEMBERS(X)
#undef X
};

/* A case under way. */
static char name[256];
static const struct parser_ops *ops;
static struct parser *parser;
static struct buf line, value;
static struct event ev;
static bool listed[EVENT_NFIELDS];
static bool has_run, was_refused;
static unsigned ran;

#define BAD(...)                           \
    do {                                   \
        fprintf(stderr, "\"%s\": ", name); \
        FAIL(__VA_ARGS__);                 \
    } while (0)

/* <<ff fe>> and <<3*ab>> */
static void add_marked(struct span s, struct buf *out)
{
    const char *star = memchr(s.at, '*', s.len);
    char text[3] = "";

    if (star != NULL && star > s.at &&
        strspn(s.at, "0123456789") == (size_t)(star - s.at)) {
        for (long n = atol(s.at); n > 0; n--)
            buf_add(out, star + 1, s.len - (size_t)(star + 1 - s.at));
        return;
    }
    for (size_t i = 0; i + 1 < s.len; i += 3) {
        memcpy(text, s.at + i, 2);
        buf_add(out, &(char){ (char)strtol(text, NULL, 16) }, 1);
    }
}

static void expand(struct span s, struct buf *out)
{
    out->len = 0;
    while (s.len > 0) {
        const char *open = memmem(s.at, s.len, "<<", 2);
        const char *end =
            open != NULL ? memmem(open, s.len - (size_t)(open - s.at), ">>", 2)
                         : NULL;

        if (end == NULL) {
            buf_add_span(out, s);
            return;
        }
        buf_add(out, s.at, (size_t)(open - s.at));
        add_marked(span(open + 2, (size_t)(end - open) - 2), out);
        s.len -= (size_t)(end + 2 - s.at);
        s.at = end + 2;
    }
}

static void run_line(void)
{
    struct span s = { line.at, line.len };

    if (has_run)
        return;
    has_run = true;
    parser = ops->open();
    was_refused = ops->run(parser, s, &ev) != 0;
}

/* ---- what a case may say ---- */

static void refused(void)
{
    run_line();
    buf_add(&value, "", 1);
    if (!was_refused)
        BAD("not refused");
    if (strstr(ops->why(parser), value.at) == NULL)
        BAD("refused as \"%s\", not \"%s\"", ops->why(parser), value.at);
}

static void time_is(void)
{
    char text[CLOCK_TEXT_SIZE] = "none";

    if (ev.time_us != CLOCK_NO_TIME)
        clock_format(text, ev.time_us, 6);
    buf_add(&value, "", 1);
    if (strcmp(text, value.at) != 0)
        BAD("its time is %s, not %s", text, value.at);
}

static void identity_begins(void)
{
    if (ev.identity.len < value.len ||
        memcmp(ev.identity.at, value.at, value.len) != 0)
        BAD("its identity is %.*s", (int)ev.identity.len, ev.identity.at);
    if (ev.identity.at + ev.identity.len != ev.body.at + ev.body.len)
        BAD("its identity does not end where the object does");
    if (memmem(line.at, (size_t)(ev.identity.at - line.at), value.at,
               value.len) != NULL)
        BAD("its identity begins too late");
}

/* It stands behind its own key and a colon: the same text elsewhere does not
 * count. */
static bool stands_behind_key(struct span s, const char *key)
{
    const char *end = s.at - 1, *open;

    while (end > line.at && strchr(" \t:", *end) != NULL)
        end--;
    open = memrchr(line.at, '"', (size_t)(end - line.at));
    if (open == NULL || *end != '"')
        return false;
    return span_is(span(open + 1, (size_t)(end - open) - 1), key) ||
           memchr(open, '\\', (size_t)(end - open)) != NULL;
}

static void field_is(enum event_field f)
{
    struct span s = ev.field[f];

    listed[f] = true;
    if (s.at == NULL)
        BAD("it has no %s", field_names[f]);
    if (s.len != value.len || memcmp(s.at, value.at, s.len) != 0)
        BAD("its %s is %.*s, not %.*s", field_names[f], (int)s.len, s.at,
            (int)value.len, value.at);
    if (ops == parsers[0] && !stands_behind_key(s, field_names[f]))
        BAD("its %s was found in another place", field_names[f]);
}

static void document_is(void)
{
    struct edits edits = { 0 };
    struct buf out = { 0 };

    if (ev.time_us == CLOCK_NO_TIME)
        ev.time_us = 0;
    edits_start(&edits, ev.body);
    shape_event(SHAPE_RAW, &ev, &edits);
    out.len = edits_apply(&edits, buf_room(&out, edits_size(&edits)));
    if (out.len != value.len || memcmp(out.at, value.at, out.len) != 0)
        BAD("its document is\n%.*s, not\n%.*s", (int)out.len, out.at,
            (int)value.len, value.at);
    edits_free(&edits);
    buf_free(&out);
}

static enum event_field find_field(struct span key)
{
    for (int f = 0; f < EVENT_NFIELDS; f++) {
        char full[64];

        if ((int)field_of[f] == f)
            snprintf(full, sizeof(full), "%s", field_names[f]);
        else
            snprintf(full, sizeof(full), "%s.%s", field_names[field_of[f]],
                     field_names[f]);
        if (span_is(key, full))
            return (enum event_field)f;
    }
    return EVENT_NFIELDS;
}

/* ---- cases ---- */

static void end_case(void)
{
    if (name[0] == '\0')
        return;
    if (!has_run)
        BAD("a case that expects nothing");
    for (int f = 0; f < EVENT_NFIELDS && !was_refused; f++) {
        if (ev.field[f].at != NULL && !listed[f])
            BAD("it has %s, which is not listed", field_names[f]);
    }
    ops->close(parser);
    ran++;
}

static void start_case(struct span s)
{
    end_case();
    snprintf(name, sizeof(name), "%.*s", (int)s.len, s.at);
    memset(listed, 0, sizeof(listed));
    has_run = false;
    ops = parsers[0];
    line.len = 0;
}

static void use_parser(void)
{
    ops = NULL;
    for (size_t i = 0; parsers[i] != NULL; i++) {
        if (span_is(span(value.at, value.len), parser_names[i]))
            ops = parsers[i];
    }
    OK(ops != NULL);
}

static void expect(struct span key)
{
    run_line();
    if (was_refused)
        BAD("refused: %s", ops->why(parser));
    if (span_is(key, "time"))
        time_is();
    else if (span_is(key, "identity"))
        identity_begins();
    else if (span_is(key, "out"))
        document_is();
    else if (find_field(key) != EVENT_NFIELDS)
        field_is(find_field(key));
    else
        BAD("what is %.*s?", (int)key.len, key.at);
}

/* "KEY REST" */
static struct span split(struct span row, struct span *rest)
{
    const char *space = memchr(row.at, ' ', row.len);
    size_t n = space != NULL ? (size_t)(space - row.at) : row.len;

    *rest = span(row.at + n + (space != NULL), row.len - n - (space != NULL));
    return span(row.at, n);
}

static void take_row(struct span row)
{
    struct span rest, key = split(row, &rest);

    if (row.len == 0 || *row.at == '#')
        return;
    expand(rest, &value);
    if (span_is(key, "=="))
        start_case(rest);
    else if (span_is(key, "in"))
        expand(rest, &line);
    else if (span_is(key, "parser"))
        use_parser();
    else if (span_is(key, "refused"))
        refused();
    else
        expect(key);
}

static void take_rows(const char *path, void (*take)(struct span row))
{
    FILE *f = fopen(path, "rb");
    char *row = NULL;
    size_t room = 0;
    ssize_t n;

    if (f == NULL)
        FAIL("%s: %m", path);
    while ((n = getline(&row, &room, f)) >= 0) {
        if (n > 0 && row[n - 1] == '\n')
            n--;
        take(span(row, (size_t)n));
    }
    fclose(f);
    free(row);
}

TEST(the_cases_come_out_as_they_are_written)
{
    take_rows(CASES, take_row);
    end_case();
    OK(ran > 80);
    buf_free(&line);
    buf_free(&value);
}

/* ---- repairs ---- */

static void document_of(struct span body, struct buf *out)
{
    out->len = 0;
    buf_printf(out, "{\"verb\":\"patch\",\"requestObject\":");
    buf_add_span(out, body);
    buf_printf(out, ",\"stage\":\"Panic\"}");
}

/* `line` has the body that came, `value` the one that is wanted. */
static void becomes(enum accept_leaves leaves)
{
    bool same = span_is(span(value.at, value.len), "same");
    struct buf doc = { 0 }, want = { 0 }, got = { 0 };
    struct accept *a = accept_new();
    struct edits e = { 0 };

    document_of(span(line.at, line.len), &doc);
    document_of(same ? span(line.at, line.len) : span(value.at, value.len),
                &want);
    if (accept_edit(a, span(doc.at, doc.len), leaves, &e) == same)
        BAD(same ? "it was changed" : "it was not changed");
    got.len = edits_apply(&e, buf_room(&got, edits_size(&e)));
    if (got.len != want.len || memcmp(got.at, want.at, got.len) != 0)
        BAD("it is\n%.*s, not\n%.*s", (int)got.len, got.at, (int)want.len,
            want.at);
    edits_free(&e);
    accept_free(a);
    buf_free(&doc);
    buf_free(&want);
    buf_free(&got);
}

static void take_repair(struct span row)
{
    struct span rest, key = split(row, &rest);

    if (row.len == 0 || *row.at == '#')
        return;
    expand(rest, &value);
    if (span_is(key, "==")) {
        snprintf(name, sizeof(name), "%.*s", (int)rest.len, rest.at);
        ran++;
    } else if (span_is(key, "in")) {
        expand(rest, &line);
    } else if (span_is(key, "out")) {
        becomes(ACCEPT_LEAVES_KEEP);
    } else if (span_is(key, "cut")) {
        becomes(ACCEPT_LEAVES_FLAT);
    } else {
        BAD("what is %.*s?", (int)key.len, key.at);
    }
}

TEST(the_repairs_come_out_as_they_are_written)
{
    take_rows(ACCEPT_CASES, take_repair);
    OK(ran > 30);
    buf_free(&line);
    buf_free(&value);
}
