/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/gap.h"

#include <inttypes.h>

#include "agent/base/clock.h"

static const struct {
    const char *reason;
    const char *message;
} kinds[] = {
    [LOSS_NONE] = { "Hole", "A hole of NUL bytes stands where events may have "
                            "been: they were never written, or cut off." },
    [LOSS_DELETED] = { "Deleted", "A log file was deleted before it was read "
                                  "to its end; others may have come and gone "
                                  "between it and the next one." },
    [LOSS_TRUNCATED] = { "Truncated", "A log file was cut in its place; what "
                                      "was written since it was last read is "
                                      "lost." },
    [LOSS_DAMAGED] = { "Damaged", "A compressed log file is damaged; the rest "
                                  "of it cannot be read." },
    [LOSS_GIVEN_UP] = { "GivenUp", "A deleted log file that was not read to "
                                   "its end took more of the disk than "
                                   "pin_max_bytes allows." },
};

static const char behind[] = "A log file was read to its end; what was written "
                             "after it and before the next one was deleted "
                             "before anybody saw it, or may have been.";

const char *gap_reason(const struct gap *gap)
{
    return kinds[gap->loss].reason;
}

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":\"", key);
    buf_add_json(out, span(text, strlen(text)));
    buf_add(out, "\"", 1);
}

static void add_time(struct buf *out, const char *key, int64_t us)
{
    char text[CLOCK_TEXT_SIZE];

    if (us == CLOCK_NO_TIME)
        return;
    clock_format(text, us, 6);
    add_text(out, key, text);
}

static int64_t time_of(const struct gap_record *g)
{
    if (g->after_us != CLOCK_NO_TIME)
        return g->after_us;
    return file_entered_us(g->file); /* the next event may not be there yet */
}

void gap_print(const struct gap_record *g, struct buf *out, struct event *ev)
{
    static const char start[] = "{\"kind\":\"Gap\",\"apiVersion\":"
                                "\"tallyman/v1\",";
    char head[SHA256_HEX_SIZE];
    size_t identity;

    sha256_hex(file_identity(g->file)->head, head);
    out->len = 0;
    buf_printf(out, "%s\"level\":\"Gap\"", start);
    add_text(out, "trail", g->trail);
    add_text(out, "reason", gap_reason(g->gap));
    buf_printf(out, ",\"head\":\"%.32s\",\"offset\":%" PRIu64, head, g->offset);
    add_time(out, "after", g->after_us);
    add_time(out, "before", g->before_us);
    identity = out->len;
    add_text(out, "file", file_path(g->file));
    if (g->gap->has_bytes)
        buf_printf(out, ",\"bytes\":%" PRIu64, g->gap->bytes);
    add_text(out, "message",
             g->gap->is_behind ? behind : kinds[g->gap->loss].message);
    buf_add(out, "}", 1);
    *ev = (struct event){
        .line = span(out->at, out->len),
        .body = span(out->at, out->len),
        .identity =
            span(out->at + sizeof(start) - 1, identity - (sizeof(start) - 1)),
        .time_us = time_of(g),
    };
}
