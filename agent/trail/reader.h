/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader - the text of one file of a trail from an offset on, whatever form it
 * is kept in; and whether what was read before is still what it was.
 *
 * Every reader of a file has its own. Offsets are of the text: in a .gz, of
 * what it inflates to.
 */
#ifndef TALLYMAN_READER_H
#define TALLYMAN_READER_H

#include "agent/trail/trail.h"

struct gunzip;

enum reader_what {
    READER_BYTES,  /* so many */
    READER_MORE,   /* none yet: call again, it is on its way */
    READER_END,    /* none now */
    READER_FAILED, /* not now; errno. It is tried again at the next call */
    READER_CHANGED /* what is there is not what it was: it is lost, see
                      file_loss(); or it goes on in a copy; or `at` is 0 again */
};

struct reader {
    struct file *file;  /* borrowed */
    unsigned version;   /* of the file's descriptor that is read */
    uint64_t at;        /* of the next byte */
    struct gunzip *gz;  /* NULL while it is not compressed */
    struct guard guard; /* what must stand before `at` at the first read */
    bool unchecked;
    bool is_damaged; /* we came to where this version is */
    bool was_short;  /* the last read gave less than it was asked for: that was
                      * all there was then */
    size_t tail_len; /* bytes before `at`, to compare with at the next read */
    char tail[IDENTITY_GUARD_MAX];
};

void reader_open(struct reader *r);
void reader_close(struct reader *r);
/* `guard` of the bytes before, or NULL. */
void reader_seek(struct reader *r, struct file *f, uint64_t offset,
                 const struct guard *guard);
/* At a file's start `n` is no less than IDENTITY_HEAD_MAX: the head is held
 * against what is known of it. */
enum reader_what reader_read(struct reader *r, void *out, size_t n,
                             size_t *got);
/* Jumps over what the file system knows to be a hole; how far. */
uint64_t reader_skip_hole(struct reader *r);
/* The offset behind the last newline there is; -1 with errno. */
int64_t reader_last_line(struct file *f);
/* Nothing has come: was it cut to less than what we have read? */
bool reader_check_end(struct reader *r);

#endif
