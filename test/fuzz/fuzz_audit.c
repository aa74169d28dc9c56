/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_audit - any bytes as lines of a log, to both parsers: what is taken is
 * JSON and its places are right; what is refused leaves no trace; the document
 * that is made of it is JSON again. Another yajl handle, one for each line, has
 * the last word on what is JSON.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "agent/audit/shape.h"
#include "agent/base/clock.h"
#include "outputs/elasticsearch/action.h"
#include "parsers/parser.h"
#include "parsers/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char known[] =
    "{\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":"
    "\"a\",\"stage\":\"Panic\",\"user\":{\"username\":\"jai\",\"n\":[1,{}]},"
    "\"n\":12}";

static struct parser *parser[2];

static struct span skip_space(struct span s)
{
    while (s.len > 0 && (*s.at == ' ' || (*s.at >= '\t' && *s.at <= '\r')))
        s = span(s.at + 1, s.len - 1);
    return s;
}

/* One JSON value and nothing else. What follows it is looked at by hand: yajl
 * takes the beginning of a further string for nothing. */
static bool is_json(struct span s)
{
    yajl_handle y = yajl_alloc(NULL, NULL, NULL);
    size_t used;
    bool ok;

    yajl_config(y, yajl_dont_validate_strings, 1);
    yajl_config(y, yajl_allow_trailing_garbage, 1);
    ok = yajl_parse(y, (const unsigned char *)s.at, s.len) == yajl_status_ok;
    used = yajl_get_bytes_consumed(y);
    ok = ok && yajl_complete_parse(y) == yajl_status_ok;
    yajl_free(y);
    return ok && skip_space(span(s.at + used, s.len - used)).len == 0;
}

static bool is_object(struct span s)
{
    s = skip_space(s);
    return s.len > 0 && *s.at == '{';
}

static size_t depth_at_most(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.at[i] == '{' || s.at[i] == '[';
    return n;
}

static bool lies_in(struct span inner, struct span outer)
{
    return inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len;
}

static void check_places(const struct event *ev, struct span line)
{
    assert(ev->line.at == line.at && ev->line.len == line.len);
    assert(lies_in(ev->body, line) && ev->body.len >= 2);
    assert(ev->body.at[0] == '{' && ev->body.at[ev->body.len - 1] == '}');
    assert(is_json(ev->body));
    assert(lies_in(ev->identity, ev->body));
    assert(ev->depth >= 1 && ev->depth <= depth_at_most(ev->body));
    assert(ev->identity.at + ev->identity.len == ev->body.at + ev->body.len);
    for (int f = 0; f < EVENT_NFIELDS; f++) {
        struct span s = ev->field[f];

        if (s.at == NULL)
            continue;
        assert(s.len > 0 && lies_in(s, ev->body) && is_json(s));
        assert(strchr("{[\"tfn-0123456789", *s.at) != NULL);
    }
}

static void check_document(struct event *ev)
{
    struct action *action = action_new("x-%Y.%m.%d.%H");
    struct edits edits = { 0 };
    struct buf out = { 0 };

    if (ev->time_us == CLOCK_NO_TIME)
        ev->time_us = 0;
    edits_start(&edits, ev->body);
    shape_event(SHAPE_RAW, ev, &edits);
    out.len = edits_apply(&edits, buf_room(&out, edits_size(&edits)));
    assert(out.len == edits_size(&edits));
    assert(is_json(span(out.at, out.len)) && out.at[0] == '{');
    assert(ev->field[EVENT_TIMESTAMP].at != NULL ||
           memcmp(out.at, "{\"@timestamp\":\"", 15) == 0);
    out.len = 0;
    action_add(action, ev, &out);
    assert(is_json(span(out.at, out.len)));
    assert(action_id(span(out.at, out.len)).len == ACTION_ID_LEN);
    buf_free(&out);
    edits_free(&edits);
    action_free(action);
}

/* The known line is read as ever. */
static void check_known(int which)
{
    struct event ev;
    int rc = parsers[which]->run(parser[which], SPAN(known), &ev);

    assert(rc == 0);
    assert(ev.body.at == known && ev.body.len == sizeof(known) - 1);
    if (which != 0)
        return;
    assert(span_is(ev.field[EVENT_LEVEL], "\"Metadata\""));
    assert(
        span_is(ev.field[EVENT_USER], "{\"username\":\"jai\",\"n\":[1,{}]}"));
    assert(span_is(ev.field[EVENT_USER_USERNAME], "\"jai\""));
    assert(ev.field[EVENT_ANNOTATIONS].at == NULL);
}

static void run_line(int which, struct span line)
{
    struct event ev;
    int rc = parsers[which]->run(parser[which], line, &ev);

    if (rc == 0) {
        assert(is_json(line));
        check_places(&ev, line);
        check_document(&ev);
    } else {
        const char *why = parsers[which]->why(parser[which]);

        assert(rc == ERR_FORMAT || rc == ERR_LIMIT);
        assert(why != NULL && why[0] != '\0');
        /* The audit parser is choosy; the other one takes every object. */
        assert(which == 0 || !is_json(line) || !is_object(line) ||
               depth_at_most(line) > SCAN_MAX_DEPTH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own for each line: reading on behind it would be seen. */
    for (int which = 0; which < 2; which++) {
        struct span rest = { (const char *)data, size };

        if (parser[which] == NULL)
            parser[which] = parsers[which]->open();
        while (rest.len > 0) {
            const char *end = memchr(rest.at, '\n', rest.len);
            size_t n = end != NULL ? (size_t)(end - rest.at) : rest.len;
            char *line = malloc(n);

            memcpy(line, rest.at, n);
            run_line(which, span(line, n));
            free(line);
            n += end != NULL;
            rest = span(rest.at + n, rest.len - n);
        }
        check_known(which);
    }
    return 0;
}
