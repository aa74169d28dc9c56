/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/walk.h"

#include "agent/lane/appended.h"

void walk_open(struct walk *w, struct trail *t, bool is_live)
{
    *w = (struct walk){ .is_live = is_live };
    w->parser_ops = parsers[trail_settings(t)->parser];
    w->parser = w->parser_ops->open();
    w->last = trail_last(t);
    if (w->last != NULL && !file_text_size(w->last, &w->last_size))
        w->last_size = UINT64_MAX;
    cursor_open(&w->cursor, t, trail_name(t));
    cursor_seek(&w->cursor, trail_oldest(t), 0, NULL);
}

void walk_close(struct walk *w)
{
    cursor_close(&w->cursor);
    w->parser_ops->close(w->parser);
    *w = (struct walk){ 0 };
}

static bool is_blank(struct span s)
{
    return s.len == 0 || (s.len == 1 && *s.at == '\r');
}

/* A lane that follows the log says of such a line that it is torn. */
static bool is_torn(const struct walk *w)
{
    return w->is_live && w->cursor.offset == w->line.offset + w->line.bytes.len;
}

static enum walk_what on_part(struct walk *w, size_t from, size_t len)
{
    struct span text = span(w->line.bytes.at + from, len);

    w->offset = w->line.offset + from;
    return w->parser_ops->run(w->parser, text, &w->event) == 0 ? WALK_EVENT
                                                               : WALK_NO_EVENT;
}

/* Perhaps half of an event, and another. */
static enum walk_what on_broken(struct walk *w)
{
    struct span line = w->line.bytes;

    if (w->cursor.offset > w->line.offset + line.len)
        w->rest = appended_find(w->parser_ops, w->parser, line, &w->event);
    return w->rest > 0 ? on_part(w, 0, w->rest) : WALK_NO_EVENT;
}

static enum walk_what on_line(struct walk *w)
{
    if (is_blank(w->line.bytes))
        return WALK_MORE;
    if (w->is_live && w->file == w->last) {
        if (w->line.offset >= w->last_size)
            return WALK_END; /* it was written later */
        if (is_torn(w))
            return WALK_MORE; /* it is being written */
    }
    if (is_torn(w))
        return WALK_NO_EVENT;
    if (on_part(w, 0, w->line.bytes.len) == WALK_EVENT)
        return WALK_EVENT;
    return on_broken(w);
}

static enum walk_what take_rest(struct walk *w)
{
    size_t from = w->rest;

    w->rest = 0;
    return on_part(w, from, w->line.bytes.len - from);
}

enum walk_what walk_next(struct walk *w)
{
    enum cursor_what what;

    if (w->rest > 0)
        return take_rest(w);
    what = cursor_next(&w->cursor, &w->line);
    w->file = w->cursor.file;
    w->offset = w->line.offset;
    switch (what) {
    case CURSOR_LINE:
        return on_line(w);
    case CURSOR_TORN:
    case CURSOR_LONG:
        return WALK_NO_EVENT;
    case CURSOR_GAP:
        return WALK_GAP;
    case CURSOR_MORE:
        return WALK_MORE;
    case CURSOR_END:
        break;
    }
    return w->file == NULL || file_is_end(w->file) ? WALK_END : WALK_FAILED;
}
