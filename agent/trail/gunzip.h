/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gunzip - the text of a gzip file, from its start on; by ISA-L.
 *
 * Knows bytes, not lines, and not which file it is: the descriptor is given
 * with each call, borrowed, and only read by pread(), so its own position stays
 * with its owner. Several members are one text, as gzip(1) has it. Memory is
 * what gunzip_new() takes, whatever the file holds; one call looks at as much
 * of the file as it needs for the bytes asked for, and once per file, where it
 * is damaged, at that whole member again. A struct belongs to one thread at a
 * time.
 *
 *   n bytes asked for -> n given: state MORE
 *                        fewer:   END, CUT, DAMAGED or FAILED
 *
 * Text is handed out up to where the data makes no sense, and is the same
 * however it is read. But that may be behind what was damaged, at the latest at
 * the checksum of the member: only END says that all the text was right.
 */
#ifndef TALLYMAN_GUNZIP_H
#define TALLYMAN_GUNZIP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/bytes.h"

enum {
    GUNZIP_TAIL = 256,  /* bytes of text that gunzip_tail() knows at most */
    GUNZIP_HEAD = 1024, /* and gunzip_head() */
};

enum gunzip_state {
    GUNZIP_MORE,    /* there may be more text */
    GUNZIP_END,     /* whole, up to the end of the file: every member's CRC and
                       length hold; behind them there were but zeros. Reading
                       again looks whether a member was added */
    GUNZIP_CUT,     /* the file ends inside a member, or is empty: it may still
                       grow, reading again goes on where it was */
    GUNZIP_DAMAGED, /* no gzip, or its data or checksum is wrong; for good */
    GUNZIP_FAILED,  /* pread() failed, see gunzip_errno(); reading again tries
                       again */
};

struct gunzip;

/* Some 280 KiB, of which only what is used becomes memory; no calls allocate
 * later. */
struct gunzip *gunzip_new(void);
/* NULL is fine. */
void gunzip_free(struct gunzip *g);

/* Back to the start of a file, which may be another one. A file that was
 * written anew in its place is only noticed by its owner, who starts again. */
void gunzip_start(struct gunzip *g);

/* The next `n` bytes of text; fewer only where the state is not MORE. */
size_t gunzip_read(struct gunzip *g, int fd, void *out, size_t n) MUST_CHECK;
/* The same, thrown away; fewer than `n` likewise. */
size_t gunzip_skip(struct gunzip *g, int fd, size_t n) MUST_CHECK;

/* The last `n` (at most GUNZIP_TAIL) bytes of text before gunzip_offset(),
 * read or skipped; returns how many, fewer only at the text's start. */
size_t gunzip_tail(const struct gunzip *g, void *out, size_t n) MUST_CHECK;

/* As the last call left it; MORE at the start. */
enum gunzip_state gunzip_state(const struct gunzip *g);
/* Of GUNZIP_FAILED; else 0. */
int gunzip_errno(const struct gunzip *g);
/* In the text, of the next byte. */
uint64_t gunzip_offset(const struct gunzip *g);

/* The first `n` (at most GUNZIP_HEAD) bytes of a file's text, without a struct;
 * fewer where the text is short, cut or damaged behind them. -1 with errno:
 * EBADMSG where not a byte of text stands before the damage (as where it is no
 * gzip at all), else as pread() has it. */
ssize_t gunzip_head(int fd, void *out, size_t n) MUST_CHECK;

/* What the file's last 4 bytes say: its last member's length in text, modulo
 * 2^32. A hint: nothing is checked. False where it cannot be read or is shorter
 * than any gzip file. */
bool gunzip_size(int fd, uint32_t *isize) MUST_CHECK;

#endif
