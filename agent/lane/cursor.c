/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/cursor.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/log.h"

/* Large enough for large reads, small enough to stay in the cache beside what
 * is made of it. */
#define PIECE (128 * KIB)
/* What is kept of a line that is too long. */
#define LONG_KEPT (4 * KIB)

void cursor_open(struct cursor *c, struct trail *t, const char *who)
{
    *c = (struct cursor){ .trail = t, .who = who, .cap = PIECE };
    c->bytes = xmalloc(c->cap);
    reader_open(&c->reader);
    intake_join(trail_intake(t), &c->place);
    trail_hold(t);
    c->holds = true;
}

static void forget_before(struct cursor *c)
{
    struct file *f = c->before;

    c->before = NULL;
    file_unref(f);
}

/* Whoever leaves has not read what he did not come to: it is kept. */
void cursor_close(struct cursor *c)
{
    if (!c->holds)
        trail_hold(c->trail);
    cursor_give_up(c);
    reader_close(&c->reader);
    forget_before(c);
    file_unref(c->file);
    sha256_free(c->long_hash);
    buf_free(&c->long_head);
    free(c->bytes);
    *c = (struct cursor){ 0 };
}

void cursor_give_up(struct cursor *c)
{
    intake_leave(trail_intake(c->trail), &c->place);
}

static void empty_buffer(struct cursor *c)
{
    c->begin = c->scanned = c->end = 0;
    c->hole_len = 0;
    c->was_final = c->gap_told = c->has_all = false;
    c->long_len = 0;
}

void cursor_seek(struct cursor *c, struct file *f, uint64_t offset,
                 const struct guard *guard)
{
    struct file *old = c->file;

    c->file = file_ref(f);
    c->known = trail_last_number(c->trail);
    c->offset = offset;
    empty_buffer(c);
    reader_seek(&c->reader, f, offset, guard);
    forget_before(c);
    file_unref(old);
    if (f != NULL && c->holds) {
        c->holds = false;
        trail_release(c->trail);
    }
}

int cursor_seek_end(struct cursor *c, struct err *e)
{
    struct file *f = trail_newest(c->trail);
    int64_t offset = f != NULL ? reader_last_line(f) : 0;

    if (offset < 0)
        return err_set(e, ERR_IO, "cannot find the end of %s: %m",
                       file_path(f));
    cursor_seek(c, f, (uint64_t)offset, NULL);
    return 0;
}

/* The first of the files that came before this one since we did, if nothing of it
 * was read yet; else NULL. */
static struct file *missed_before(const struct cursor *c)
{
    if (c->file == NULL || c->reader.at > 0)
        return NULL;
    return trail_missed(c->trail, c->file, c->known);
}

uint64_t cursor_place(const struct cursor *c, struct file **f)
{
    struct file *missed = missed_before(c);

    *f = c->file;
    if (missed != NULL) {
        *f = missed;
        return 0;
    }
    if (c->gap_told) {
        *f = trail_after(c->file);
        return 0;
    }
    if (c->before != NULL && c->reader.at == 0) {
        *f = c->before;
        return c->before_end;
    }
    return c->offset - c->long_len - c->hole_len;
}

/* ---- reading ---- */

static const struct trail_conf *conf(const struct cursor *c)
{
    return trail_settings(c->trail);
}

/* Moves what is unread to the front, and makes room behind it. */
static void make_room(struct cursor *c)
{
    size_t held = c->end - c->begin;
    size_t most = conf(c)->max_line + PIECE;

    if (c->begin > 0) {
        memmove(c->bytes, c->bytes + c->begin, held);
        c->scanned -= c->begin;
        c->begin = 0;
        c->end = held;
    }
    if (held == c->cap)
        c->cap = 2 * c->cap < most ? 2 * c->cap : most;
    else if (held <= PIECE / 2 && c->cap > PIECE)
        c->cap = PIECE;
    else
        return;
    c->bytes = xrealloc(c->bytes, c->cap);
}

/* Reads on. */
static enum reader_what read_piece(struct cursor *c)
{
    uint64_t before = c->reader.at;
    enum reader_what what;
    size_t got = 0;

    make_room(c);
    what = reader_read(&c->reader, c->bytes + c->end, c->cap - c->end, &got);
    if (what == READER_FAILED && errno != 0 && !c->complained)
        log_error(c->who, "cannot read %s: %s; trying again",
                  file_path(c->file), strerror(errno));
    c->complained = what == READER_FAILED;
    c->end += got;
    c->came |= got > 0;
    c->has_all = what == READER_BYTES && c->reader.was_short;
    c->read_bytes += got;
    c->work_bytes += what == READER_MORE ? PIECE : c->reader.at - before;
    return what;
}

static void advance(struct cursor *c, size_t n)
{
    c->begin += n;
    c->offset += n;
    if (c->scanned < c->begin)
        c->scanned = c->begin;
}

static void add_hole(struct cursor *c, uint64_t n)
{
    c->hole_bytes += n;
    c->hole_len += n;
}

/* The hole has an end: it is told of as what it is, a loss. */
static enum cursor_what end_hole(struct cursor *c, struct line *line)
{
    c->gap = (struct gap){ .bytes = c->hole_len, .has_bytes = true };
    *line =
        (struct line){ .offset = c->offset - c->hole_len, .len = c->hole_len };
    c->hole_len = 0;
    return CURSOR_GAP;
}

/*
 * A run of NULs where a line should begin: the hole that copytruncate leaves
 * under a writer which does not append. What the file system knows to be a hole
 * is jumped over.
 */
static void pass_hole(struct cursor *c)
{
    size_t n = 0;
    uint64_t hole;

    while (c->begin + n < c->end && c->bytes[c->begin + n] == '\0')
        n++;
    add_hole(c, n);
    advance(c, n);
    if (c->begin < c->end)
        return;
    hole = reader_skip_hole(&c->reader);
    c->has_all &= hole == 0;
    add_hole(c, hole);
    c->offset += hole;
}

/* ---- lines that are too long ---- */

static void long_start(struct cursor *c)
{
    if (c->long_hash == NULL)
        c->long_hash = sha256_new();
    sha256_start(c->long_hash);
    c->long_head.len = 0;
}

/* Takes `n` bytes at `begin` into the long line. */
static void long_add(struct cursor *c, size_t n)
{
    const char *at = c->bytes + c->begin;
    size_t keep = LONG_KEPT - c->long_head.len;

    sha256_add(c->long_hash, at, n);
    buf_add(&c->long_head, at, keep < n ? keep : n);
    c->long_len += n;
    advance(c, n);
}

static enum cursor_what long_end(struct cursor *c, struct line *line)
{
    *line = (struct line){
        .bytes = span(c->long_head.at, c->long_head.len),
        .offset = c->offset - c->long_len,
        .len = c->long_len,
    };
    sha256_end(c->long_hash, line->hash);
    c->long_len = 0;
    return CURSOR_LONG;
}

/* ---- handing out ---- */

/* A newline in what has not been looked at, or NULL. */
static const char *find_newline(struct cursor *c)
{
    const char *at = NULL;

    if (c->end > c->scanned)
        at = memchr(c->bytes + c->scanned, '\n', c->end - c->scanned);
    c->scanned = at != NULL ? (size_t)(at - c->bytes) : c->end;
    return at;
}

/* What lies whole in the buffer. */
static enum cursor_what from_buffer(struct cursor *c, struct line *line)
{
    const char *newline;
    size_t len;

    if (c->begin < c->end && c->bytes[c->begin] == '\0' && c->long_len == 0)
        pass_hole(c);
    if (c->begin < c->end && c->hole_len > 0)
        return end_hole(c, line);
    newline = find_newline(c);
    len = c->scanned - c->begin;
    if (c->long_len > 0 || len > conf(c)->max_line) {
        if (c->long_len == 0)
            long_start(c);
        long_add(c, len);
        if (newline == NULL)
            return CURSOR_MORE;
        (void)long_end(c, line);
        advance(c, 1);
        return CURSOR_LONG;
    }
    if (newline == NULL)
        return CURSOR_MORE;
    *line = (struct line){
        .bytes = span(c->bytes + c->begin, len),
        .offset = c->offset,
        .len = len,
    };
    advance(c, len + 1);
    return CURSOR_LINE;
}

/* The rest of a file that ends without a newline. In a trail that ends it
 * is a line: who wrote it has finished, and the parser tells whether it is whole. */
static enum cursor_what torn(struct cursor *c, struct line *line)
{
    size_t len = c->end - c->begin;

    if (c->long_len > 0) {
        long_add(c, len);
        return long_end(c, line);
    }
    *line = (struct line){
        .bytes = span(c->bytes + c->begin, len),
        .offset = c->offset,
        .len = len,
    };
    advance(c, len);
    return trail_ends(c->trail) ? CURSOR_LINE : CURSOR_TORN;
}

/* ---- from file to file ---- */

static bool has_rest(const struct cursor *c)
{
    return c->begin < c->end || c->long_len > 0;
}

/* The last file that was read to its end, empty ones aside; NULL where what is
 * lost would be told of again. */
static struct file *file_before_next(const struct cursor *c, uint64_t *end)
{
    bool was_empty = c->offset == 0;
    bool is_lost = file_loss(c->file) != LOSS_NONE && !file_is_void(c->file);

    if (is_lost || c->gap_told || trail_ends(c->trail))
        return NULL;
    *end = was_empty ? c->before_end : c->offset;
    return was_empty ? c->before : c->file;
}

static enum cursor_what go_on(struct cursor *c, struct file *next)
{
    uint64_t end = 0;
    struct file *before = file_ref(file_before_next(c, &end));

    log_debug(c->who, "%s is read to its end; next is %s", file_path(c->file),
              file_path(next));
    cursor_seek(c, next, 0, NULL);
    c->before = before;
    c->before_end = end;
    return CURSOR_MORE;
}

/* All of the file was read, but what came behind it may be gone. */
static enum cursor_what lack(struct cursor *c, struct line *line)
{
    c->gap = (struct gap){ .loss = LOSS_DELETED, .is_behind = true };
    *line = (struct line){ .offset = c->offset };
    c->gap_told = true;
    return CURSOR_GAP;
}

/*
 * At the end of the file. What was written before it became final may have come
 * after our last read, so it is read once more before we go on. Woken for
 * nothing, we look whether it has become shorter.
 */
static enum cursor_what at_end(struct cursor *c, struct line *line)
{
    struct file *next;

    c->has_all = false;
    if (!c->came && reader_check_end(&c->reader))
        return CURSOR_MORE;
    trail_look(c->trail);
    next = trail_after(c->file);
    if (next == NULL) {
        c->came = false;
        c->at_last_end = true;
        return CURSOR_END;
    }
    if (!c->was_final) {
        c->was_final = true;
        return CURSOR_MORE;
    }
    if (has_rest(c))
        return torn(c, line);
    if (c->hole_len > 0)
        return end_hole(c, line);
    if (trail_may_lack(c->file) && !c->gap_told)
        return lack(c, line);
    return go_on(c, next);
}

/*
 * What is left of this file is lost. It is told of once there is something to
 * go on with; unless it is known that all of it had been read.
 */
static enum cursor_what lost(struct cursor *c, struct line *line)
{
    struct file *next = trail_after(c->file);
    uint64_t size;

    if (next == NULL) {
        trail_look(c->trail);
        return CURSOR_END;
    }
    if (has_rest(c))
        return torn(c, line);
    if (c->gap_told || trail_is_nothing_lost(c->file, c->offset))
        return go_on(c, next);
    c->gap = (struct gap){ .loss = file_loss(c->file) };
    if (file_text_size(c->file, &size) && size > c->offset) {
        c->gap.bytes = size - c->offset;
        c->gap.has_bytes = true;
    }
    *line = (struct line){ .offset = c->offset, .len = c->gap.bytes };
    c->hole_len = 0;
    c->gap_told = true;
    return CURSOR_GAP;
}

/* The file is another one than we took it for. */
static enum cursor_what from_start(struct cursor *c, struct line *line)
{
    c->gap = (struct gap){ .loss = LOSS_TRUNCATED };
    *line = (struct line){ .offset = c->offset };
    c->offset = 0;
    empty_buffer(c);
    return CURSOR_GAP;
}

/* There is nothing to be read of the file now; a look may tell more. */
static enum cursor_what at_nothing(struct cursor *c)
{
    bool was_open = file_is_open(c->file);

    trail_look(c->trail);
    c->came = false;
    if (!was_open && (file_is_open(c->file) || file_loss(c->file) != LOSS_NONE))
        return CURSOR_MORE;
    return CURSOR_END;
}

/*
 * The first bytes of a file may stand there because it was copied and cut
 * meanwhile, maybe more than once, when nothing of it had been read: then the
 * copies come before it.
 */
static void turn_back(struct cursor *c)
{
    struct file *missed;

    trail_look_closely(c->trail);
    missed = trail_missed(c->trail, c->file, c->known);
    if (missed == NULL && file_is_void(c->file))
        missed = trail_after(c->file);
    if (missed != NULL)
        cursor_seek(c, missed, 0, NULL);
}

void cursor_wake(struct cursor *c)
{
    c->has_all = false;
}

enum cursor_what cursor_next(struct cursor *c, struct line *line)
{
    bool is_first = c->file != NULL && c->reader.at == 0;
    enum cursor_what what;

    c->at_last_end = false;
    if (c->file == NULL) {
        trail_look(c->trail);
        if (trail_oldest(c->trail) == NULL)
            return CURSOR_END;
        cursor_seek(c, trail_oldest(c->trail), 0, NULL);
    }
    what = from_buffer(c, line);
    if (what != CURSOR_MORE)
        return what;
    intake_passed(trail_intake(c->trail), &c->place, c->offset);
    if (c->has_all)
        return at_end(c, line);
    switch (read_piece(c)) {
    case READER_BYTES:
        forget_before(c);
        if (is_first)
            turn_back(c);
        return CURSOR_MORE;
    case READER_MORE:
        return CURSOR_MORE;
    case READER_END:
        return at_end(c, line);
    case READER_FAILED:
        break;
    case READER_CHANGED:
        if (file_loss(c->file) != LOSS_NONE)
            return lost(c, line);
        if (c->reader.at < c->offset)
            return from_start(c, line);
        if (file_is_open(c->file))
            return CURSOR_MORE; /* it goes on in a copy */
        break;
    }
    return at_nothing(c);
}
