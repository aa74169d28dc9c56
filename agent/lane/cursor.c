/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"
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
}

void cursor_close(struct cursor *c)
{
    file_unref(c->file);
    sha256_free(c->long_hash);
    buf_free(&c->long_head);
    free(c->bytes);
    *c = (struct cursor){ 0 };
}

static void empty_buffer(struct cursor *c)
{
    c->begin = c->scanned = c->end = 0;
    c->hole_len = 0;
    c->was_final = false;
    c->long_len = 0;
}

void cursor_seek(struct cursor *c, struct file *f, uint64_t offset)
{
    struct file *old = c->file;

    c->file = file_ref(f);
    file_unref(old);
    c->offset = offset;
    empty_buffer(c);
}

int cursor_seek_end(struct cursor *c, struct err *e)
{
    struct file *f = trail_newest(c->trail);
    int64_t offset = 0;
    struct stat st;

    if (f != NULL) {
        if (fstat(file_fd(f), &st) == 0)
            offset = file_last_line(file_fd(f), (uint64_t)st.st_size);
        else
            offset = -1;
        if (offset < 0)
            return err_set(e, ERR_IO, "cannot find the end of %s: %m",
                           file_path(f));
    }
    cursor_seek(c, f, (uint64_t)offset);
    return 0;
}

uint64_t cursor_place(const struct cursor *c)
{
    return c->offset - c->long_len;
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

/*
 * Whether it is shorter than the offset: then it was truncated. There is no way
 * to tell what was lost, so it is said, and what is there now is read from its
 * start.
 */
static bool check_truncated(struct cursor *c)
{
    uint64_t at = c->offset + (c->end - c->begin);
    struct stat st;

    if (fstat(file_fd(c->file), &st) != 0 || (uint64_t)st.st_size >= at)
        return false;
    log_warn(c->who,
             "%s was truncated to %llu bytes at offset %llu; reading it from "
             "its start",
             file_path(c->file), (unsigned long long)st.st_size,
             (unsigned long long)at);
    c->offset = 0;
    empty_buffer(c);
    return true;
}

/* Reads on; the number of bytes, 0 at the end of the file or on an error. */
static size_t read_piece(struct cursor *c)
{
    int fd = file_fd(c->file);
    ssize_t n;

    if (fd < 0)
        return 0;
    make_room(c);
    n = file_pread(fd, c->bytes + c->end, c->cap - c->end,
                   c->offset + (c->end - c->begin));
    if (n < 0 && !c->complained)
        log_error(c->who, "cannot read %s: %s; trying again",
                  file_path(c->file), strerror(errno));
    c->complained = n < 0;
    if (n <= 0)
        return 0;
    c->end += (size_t)n;
    c->read_bytes += (uint64_t)n;
    return (size_t)n;
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

static void end_hole(struct cursor *c)
{
    log_warn(c->who,
             "%s: a hole of %llu NUL bytes before offset %llu is passed over; "
             "what stood there was never written or was cut off",
             file_path(c->file), (unsigned long long)c->hole_len,
             (unsigned long long)c->offset);
    c->hole_len = 0;
}

/*
 * A run of NULs where a line should begin: the hole that copytruncate leaves
 * under a writer which does not append. What the file system knows to be a hole
 * is jumped over.
 */
static void pass_hole(struct cursor *c)
{
    size_t n = 0;
    off_t data;

    while (c->begin + n < c->end && c->bytes[c->begin + n] == '\0')
        n++;
    add_hole(c, n);
    advance(c, n);
    if (c->begin < c->end)
        return;
    data = lseek(file_fd(c->file), (off_t)c->offset, SEEK_DATA);
    if (data > (off_t)c->offset) {
        add_hole(c, (uint64_t)data - c->offset);
        c->offset = (uint64_t)data;
    }
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
        end_hole(c);
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

/* The rest of a file that ends without a newline. */
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
    return CURSOR_TORN;
}

/*
 * At the end of the file. What was written before it became final may have come
 * after our last read, so it is read once more before we go on.
 */
static enum cursor_what at_end(struct cursor *c, struct line *line)
{
    struct file *next;

    trail_look(c->trail);
    next = trail_after(c->file);
    if (next == NULL) {
        if (file_fd(c->file) >= 0 && check_truncated(c))
            return CURSOR_MORE;
        return CURSOR_END;
    }
    if (!c->was_final) {
        c->was_final = true;
        return CURSOR_MORE;
    }
    if (c->begin < c->end || c->long_len > 0)
        return torn(c, line);
    log_debug(c->who, "%s is read to its end; next is %s", file_path(c->file),
              file_path(next));
    cursor_seek(c, next, 0);
    return CURSOR_MORE;
}

enum cursor_what cursor_next(struct cursor *c, struct line *line)
{
    enum cursor_what what;

    if (c->file == NULL) {
        trail_look(c->trail);
        if (trail_oldest(c->trail) == NULL)
            return CURSOR_END;
        cursor_seek(c, trail_oldest(c->trail), 0);
    }
    what = from_buffer(c, line);
    if (what != CURSOR_MORE)
        return what;
    if (read_piece(c) > 0)
        return CURSOR_MORE;
    return at_end(c, line);
}
