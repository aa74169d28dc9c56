/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/trail/chain.h"
#include "agent/trail/gunzip.h"

/* What is inflated and thrown away in one call on the way to an offset. */
#define SKIP_STEP (16 * MIB)

void reader_open(struct reader *r)
{
    *r = (struct reader){ 0 };
}

void reader_close(struct reader *r)
{
    gunzip_free(r->gz);
    r->gz = NULL;
}

void reader_seek(struct reader *r, struct file *f, uint64_t offset,
                 const struct guard *guard)
{
    r->file = f;
    r->version = f != NULL ? f->version - 1 : 0;
    r->at = offset;
    r->tail_len = 0;
    r->unchecked = guard != NULL && guard->len > 0;
    if (r->unchecked)
        r->guard = *guard;
    if (f == NULL || f->form != FORM_GZ)
        reader_close(r);
}

/* Another descriptor: the same text, one hopes, in another form. */
static void start_version(struct reader *r)
{
    r->version = r->file->version;
    r->is_damaged = false;
    if (r->file->fd < 0 || r->file->form != FORM_GZ) {
        reader_close(r);
        return;
    }
    if (r->gz == NULL)
        r->gz = gunzip_new();
    gunzip_start(r->gz);
    if (r->tail_len > 0 && !r->unchecked) {
        r->guard.len = (uint32_t)r->tail_len;
        sha256_of(span(r->tail, r->tail_len), r->guard.hash);
        r->unchecked = true;
    }
}

/* Remembers the last bytes before `at`. */
static void keep_tail(struct reader *r, const char *bytes, size_t n)
{
    size_t max = sizeof(r->tail), keep;

    if (n >= max) {
        memcpy(r->tail, bytes + n - max, max);
        r->tail_len = max;
        return;
    }
    keep = r->tail_len < max - n ? r->tail_len : max - n;
    memmove(r->tail, r->tail + r->tail_len - keep, keep);
    memcpy(r->tail + keep, bytes, n);
    r->tail_len = keep + n;
}

/* It is not the file that the place was noted in, nor another form of it. */
static enum reader_what start_again(struct reader *r)
{
    log_error(r->file->chain->who,
              "%s is not what it was before offset %llu; reading it from its "
              "start",
              r->file->path, (unsigned long long)r->at);
    r->at = 0;
    r->tail_len = 0;
    r->version--;
    return READER_CHANGED;
}

/* A guard that does not hold: the log may have been cut since we know it, and
 * the place be in its copy. */
static enum reader_what guard_failed(struct reader *r)
{
    struct file *f = r->file;

    if (f != f->chain->live || !chain_check_live(f->chain))
        return start_again(r);
    r->unchecked = true;
    return READER_CHANGED;
}

static enum reader_what changed(struct reader *r)
{
    struct file *f = r->file;

    /* The tail stays: it has to stand in the copy as well. */
    chain_cut(f->chain, f, r->at, span(r->tail, r->tail_len));
    return READER_CHANGED;
}

/* ---- plain ---- */

/* The first read after a seek has no tail yet, but perhaps a guard; what that was
 * made of is the tail then. */
static bool guard_is_right(struct reader *r)
{
    const struct guard *g = &r->guard;
    bool holds;
    size_t n;

    if (!r->unchecked)
        return true;
    r->unchecked = false;
    if (r->file->form == FORM_GZ) {
        n = gunzip_tail(r->gz, r->tail, g->len);
        holds = guard_matches(g, span(r->tail, n));
    } else {
        holds = guard_holds(r->file->fd, r->at, g, r->tail);
    }
    r->tail_len = holds ? g->len : 0;
    return holds;
}

/* At its start nothing stands before what is read, but we know how it began. */
static bool starts_right(const struct reader *r, const char *bytes, size_t n)
{
    const struct identity *id = &r->file->id;
    struct head h = { .len = n < sizeof(h.bytes) ? n : sizeof(h.bytes) };

    if (r->at > 0 || id->head_len == 0)
        return true;
    memcpy(h.bytes, bytes, h.len);
    return identity_has_head(id, &h);
}

/* One call reads what comes and, once more, what is known to stand before it:
 * so a file that was cut and has grown again is noticed before its new text is
 * taken for the continuation of the old. */
static enum reader_what read_plain(struct reader *r, char *out, size_t n,
                                   size_t *got)
{
    char again[IDENTITY_GUARD_MAX];
    struct iovec iov[] = { { again, 0 }, { out, n } };
    ssize_t have;

    if (!guard_is_right(r))
        return guard_failed(r);
    iov[0].iov_len = r->tail_len;
    do {
        have = preadv(r->file->fd, iov, 2, (off_t)(r->at - r->tail_len));
    } while (have < 0 && errno == EINTR);
    if (have < 0)
        return READER_FAILED;
    if ((size_t)have < r->tail_len || memcmp(again, r->tail, r->tail_len) != 0)
        return changed(r);
    if (!r->file->is_spool && !starts_right(r, out, (size_t)have - r->tail_len))
        return changed(r);
    *got = (size_t)have - r->tail_len;
    if (*got == 0)
        return READER_END;
    r->at += *got;
    r->was_short = *got < n;
    if (!r->file->is_spool) /* there it may be NULs by the next read */
        keep_tail(r, out, *got);
    chain_note_end(r->file->chain, r->file, r->at, span(r->tail, r->tail_len));
    return READER_BYTES;
}

/* ---- compressed ---- */

/* Nothing of it can be had beyond what was handed out. A cut one may still be
 * in the making, as long as it grows. It stays open: another reader has yet to
 * come here. */
static enum reader_what damaged(struct reader *r)
{
    struct file *f = r->file;

    if (f->loss == LOSS_DAMAGED) {
        r->is_damaged = true;
        return READER_CHANGED;
    }
    if (gunzip_state(r->gz) == GUNZIP_CUT && !chain_is_stale(f)) {
        errno = 0;
        return READER_FAILED;
    }
    log_error(f->chain->who, "%s is damaged: it %s after %llu bytes of text",
              f->path,
              gunzip_state(r->gz) == GUNZIP_CUT ? "ends" : "cannot be inflated",
              (unsigned long long)r->at);
    r->is_damaged = true;
    chain_lose(f->chain, f, LOSS_DAMAGED);
    return READER_CHANGED;
}

static enum reader_what read_gz(struct reader *r, char *out, size_t n,
                                size_t *got)
{
    uint64_t before = r->at - gunzip_offset(r->gz);

    if (before > 0)
        before -= gunzip_skip(r->gz, r->file->fd,
                              before < SKIP_STEP ? before : SKIP_STEP);
    if (before == 0) {
        if (!guard_is_right(r))
            return start_again(r);
        *got = gunzip_read(r->gz, r->file->fd, out, n);
        r->at += *got;
        if (*got > 0) {
            keep_tail(r, out, *got);
            return READER_BYTES;
        }
    }
    switch (gunzip_state(r->gz)) {
    case GUNZIP_MORE:
        return READER_MORE;
    case GUNZIP_END:
        if (gunzip_offset(r->gz) < r->at)
            return start_again(r); /* shorter than what was read of it */
        r->file->text_size = r->at;
        r->file->has_text_size = true;
        return READER_END;
    case GUNZIP_FAILED:
        errno = gunzip_errno(r->gz);
        return READER_FAILED;
    case GUNZIP_CUT:
    case GUNZIP_DAMAGED:
        break;
    }
    return damaged(r);
}

enum reader_what reader_read(struct reader *r, void *out, size_t n, size_t *got)
{
    struct file *f = r->file;

    *got = 0;
    r->was_short = false;
    if (f->loss != LOSS_NONE && f->loss != LOSS_DAMAGED)
        return READER_CHANGED;
    if (f->fd < 0) {
        errno = 0;
        return READER_FAILED; /* the chain has said why */
    }
    if (r->version != f->version)
        start_version(r);
    if (r->is_damaged)
        return READER_CHANGED;
    return f->form == FORM_GZ ? read_gz(r, out, n, got)
                              : read_plain(r, out, n, got);
}

uint64_t reader_skip_hole(struct reader *r)
{
    uint64_t from = r->at;
    off_t data;

    if (r->file->fd < 0 || r->file->form != FORM_PLAIN)
        return 0;
    data = lseek(r->file->fd, (off_t)from, SEEK_DATA);
    if (data <= (off_t)from)
        return 0;
    r->at = (uint64_t)data;
    r->tail_len = 0; /* all NULs; the next bytes are compared */
    return r->at - from;
}

bool reader_check_end(struct reader *r)
{
    struct stat st;

    if (r->file->fd < 0 || r->file->form != FORM_PLAIN ||
        fstat(r->file->fd, &st) != 0 || (uint64_t)st.st_size >= r->at)
        return false;
    (void)changed(r);
    return true;
}

/* What a .gz holds is taken to end with a newline: it is a rotated file. */
static int64_t gz_size(int fd)
{
    struct gunzip *gz = gunzip_new();
    int64_t size;

    while (gunzip_state(gz) == GUNZIP_MORE &&
           gunzip_skip(gz, fd, SKIP_STEP) == SKIP_STEP)
        ;
    size = (int64_t)gunzip_offset(gz);
    gunzip_free(gz);
    return size;
}

int64_t reader_last_line(struct file *f)
{
    struct stat st;

    if (f->fd >= 0 && f->form == FORM_GZ)
        return gz_size(f->fd);
    if (fstat(f->fd, &st) != 0)
        return -1;
    return file_last_line(f->fd, (uint64_t)st.st_size);
}
