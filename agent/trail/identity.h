/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - is this still the same file?
 *
 * An inode number alone is none: it is given away again as soon as a file is
 * gone. So the first line counts as well, by the hash of the file's head, which
 * is at most 1 KiB, never past the first newline, and shorter while the file
 * is. A .gz has another inode, but its text has the same head. The guard is a
 * hash of the bytes just before an offset: a file that was cut and written anew
 * does not pass it.
 */
#ifndef TALLYMAN_IDENTITY_H
#define TALLYMAN_IDENTITY_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/sha256.h"

#define IDENTITY_HEAD_MAX  1024
#define IDENTITY_GUARD_MAX 256

/* The first bytes of a file's text. */
struct head {
    char bytes[IDENTITY_HEAD_MAX];
    size_t len;
    bool is_whole; /* it will not grow: the first line is at hand, or 1 KiB */
};

struct identity {
    uint64_t dev;
    uint64_t ino;
    uint32_t head_len; /* 0: the file was empty */
    unsigned char head[SHA256_SIZE];
};

struct guard {
    uint32_t len; /* bytes before the offset; 0: nothing to check */
    unsigned char hash[SHA256_SIZE];
};

/* Of a file, or of the text in a .gz. ERR_IO; a .gz of which nothing can be
 * inflated has an empty head. */
int head_read(int fd, bool is_gz, struct head *h, struct err *e) MUST_CHECK;

void identity_set(struct identity *id, const struct stat *st,
                  const struct head *h);
/* Whether a file with that head can be the one that is remembered: it begins
 * with the same bytes. What is shorter than the head that was remembered is
 * another one. An empty head tells nothing: false. */
bool identity_has_head(const struct identity *id, const struct head *h);
bool identity_has_inode(const struct identity *id, const struct stat *st);

/* "device inode length hash", and back; `*n` bytes of the text were taken. */
void identity_print(const struct identity *id, struct buf *out);
bool identity_parse(struct identity *id, const char *text, int *n);

int guard_of(int fd, uint64_t offset, struct guard *g,
             struct err *e) MUST_CHECK;
/* Whether `bytes` are those that the guard was made of. */
bool guard_matches(const struct guard *g, struct span bytes);
/* Whether the bytes of the file before `offset` are. `bytes`, of
 * IDENTITY_GUARD_MAX, gets them. */
bool guard_holds(int fd, uint64_t offset, const struct guard *g, char *bytes);

#endif
