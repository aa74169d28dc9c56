/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor - a place in a trail, and the lines from there on.
 *
 *   file:   ....|<- taken ->|<-- ready -->|<- partial ->|   not read yet
 *   buffer:     0         begin        scanned         end
 *                             offset = the file's offset of `begin`
 *
 * Reads large pieces and hands out lines that lie whole in its buffer, which
 * grows for a long line and shrinks after it. Goes from file to file along the
 * trail. Knows nothing of what a line means.
 */
#ifndef TALLYMAN_CURSOR_H
#define TALLYMAN_CURSOR_H

#include <stdint.h>

#include "agent/base/sha256.h"
#include "agent/trail/intake.h"
#include "agent/trail/reader.h"

enum cursor_what {
    CURSOR_LINE, /* a whole line, or the last of what has an end */
    CURSOR_TORN, /* the rest of a file that will not grow, no newline */
    CURSOR_LONG, /* a line over max_line: only its head is kept */
    CURSOR_GAP,  /* what stood here can never be read: see `gap` */
    CURSOR_MORE, /* nothing to hand out yet: come back, there is more */
    CURSOR_END   /* nothing more at present */
};

struct line {
    struct span bytes; /* without newline; valid until the next call */
    uint64_t offset;   /* in cursor->file */
    uint64_t len;      /* the line's own, also of CURSOR_LONG */
    unsigned char hash[SHA256_SIZE]; /* of the whole: CURSOR_LONG only */
};

/* What is lost at line.offset of the file. */
struct gap {
    enum loss loss; /* LOSS_NONE: a hole of NULs in the file */
    uint64_t bytes;
    bool has_bytes; /* else nobody knows */
    bool is_behind; /* DELETED: not of this file, but between it and the next */
};

struct cursor {
    struct trail *trail;
    const char *who;
    struct file *file;    /* NULL while there is none */
    uint64_t known;       /* number of the trail's last file as it came there */
    struct file *before;  /* where it came from, while nothing was read since */
    uint64_t before_end;  /* up to where that was read */
    struct reader reader; /* of the file; reads at offset + end - begin */
    struct place place;   /* in standard input */
    bool holds;           /* the whole trail, for it has no place yet */
    uint64_t offset;      /* of `begin` */
    char *bytes;
    size_t cap;
    size_t begin;
    size_t scanned;
    size_t end;
    bool was_final;   /* the file could not grow at the last EOF */
    bool came;        /* something was read since the last CURSOR_END */
    bool at_last_end; /* that was the end of the last file */
    bool has_all;     /* what is in the buffer was all there was just now */
    bool complained;
    bool gap_told; /* of this file: the next call goes on to the next one */
    struct gap gap;
    uint64_t hole_bytes; /* NULs that were passed over, in all */
    uint64_t hole_len;   /* of the run that goes on; 0: none */
    uint64_t read_bytes;
    uint64_t work_bytes; /* read_bytes, and what was inflated for nothing */
    /* A line over max_line on its way through. */
    struct sha256 *long_hash;
    uint64_t long_len; /* 0: none */
    struct buf long_head;
};

/* `who` is borrowed. Starts nowhere. */
void cursor_open(struct cursor *c, struct trail *t, const char *who);
void cursor_close(struct cursor *c);
/* Goes to that place; takes a reference of its own to `f`, which may be NULL:
 * then it waits for the first file. `guard`: of what must stand before it, or
 * NULL. */
void cursor_seek(struct cursor *c, struct file *f, uint64_t offset,
                 const struct guard *guard);
/* Reads no more: nobody waits for it. */
void cursor_give_up(struct cursor *c);
/* To behind the last newline of the newest file. */
int cursor_seek_end(struct cursor *c, struct err *e) MUST_CHECK;

/* The place from which everything has still to be handed out; `*f` may be
 * NULL. Where nothing of a file was read it is the end of the one before: this
 * one may be empty, by which no place can be known, or have been copied and cut
 * since we came to it. */
uint64_t cursor_place(const struct cursor *c, struct file **f);

/* Time has passed since the last call: more may have come. Until this is said, a
 * read that came short is taken for the last one before the end. */
void cursor_wake(struct cursor *c);
/* The next line, if there is one. Reads at most one buffer full. May move to
 * the next file, and then `file` and `offset` tell so. */
enum cursor_what cursor_next(struct cursor *c, struct line *line);

#endif
