/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/shape.h"

#include "agent/base/clock.h"

static bool is_empty_object(struct span body)
{
    for (size_t i = 1; i + 1 < body.len; i++) {
        if (strchr(" \t\n\v\f\r", body.at[i]) == NULL)
            return false;
    }
    return true;
}

/* "@timestamp" goes first; an event that has one of its own keeps it. */
static void add_timestamp(const struct event *ev, struct edits *edits)
{
    char text[64] = "\"@timestamp\":\"";
    size_t n = strlen(text);

    if (ev->field[EVENT_TIMESTAMP].at != NULL)
        return;
    n += clock_format(text + n, ev->time_us, 6);
    text[n++] = '"';
    if (!is_empty_object(ev->body))
        text[n++] = ',';
    edits_insert(edits, ev->body.at + 1, span(text, n));
}

void shape_event(enum shape shape, const struct event *ev, struct edits *edits)
{
    if (shape == SHAPE_RAW)
        add_timestamp(ev, edits);
}
