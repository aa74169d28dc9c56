/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - lines that hold one JSON object each, of whatever kind. Their time is
 * taken from the first of the usual members that holds one.
 */
#include <stdlib.h>

#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "parsers/scan.h"

struct parser {
    struct scan *scan;
    const char *why;
};

#define KEY(name, key)                               \
    {                                                \
        { key, sizeof(key) - 1 }, EVENT_##name, NULL \
    }

static const struct scan_key keys[] = {
    KEY(TIMESTAMP, "@timestamp"),
    KEY(LEGACY_TIMESTAMP, "timestamp"),
    KEY(STAGE_TIMESTAMP, "time"),
    KEY(RECEIVED_TIMESTAMP, "ts"),
    SCAN_END,
};

static struct parser *json_open(void)
{
    struct parser *p = xcalloc(1, sizeof(*p));

    p->scan = scan_new(keys);
    return p;
}

static void json_close(struct parser *p)
{
    scan_free(p->scan);
    free(p);
}

static int json_run(struct parser *p, struct span line, struct event *ev)
{
    int rc = scan_line(p->scan, line, ev);

    p->why = rc != 0 ? scan_why(p->scan) : NULL;
    if (rc != 0)
        return rc;
    ev->time_us = CLOCK_NO_TIME;
    for (const struct scan_key *k = keys; k->key.at != NULL; k++) {
        struct span text = scan_plain_string(ev->field[k->field]);

        if (text.at != NULL && ev->time_us == CLOCK_NO_TIME)
            ev->time_us = clock_parse(text);
    }
    return 0;
}

static const char *json_why(const struct parser *p)
{
    return p->why;
}

extern const struct parser_ops parser_json;

const struct parser_ops parser_json = {
    .name = "json",
    .help = "JSON objects of any kind, one a line.",
    .open = json_open,
    .run = json_run,
    .why = json_why,
    .close = json_close,
};
