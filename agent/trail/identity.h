/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - is this still the same file?
 *
 * An inode number alone is none: it is given away again as soon as a file is
 * gone. So the first line counts as well, by the hash of the file's head, which
 * is at most 1 KiB, never past the first newline, and shorter while the file
 * is. The guard is a hash of the bytes just before an offset: a file that was
 * cut and written anew does not pass it.
 */
#ifndef TALLYMAN_IDENTITY_H
#define TALLYMAN_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/sha256.h"

#define IDENTITY_HEAD_MAX  1024
#define IDENTITY_GUARD_MAX 256

struct identity {
    uint64_t dev;
    uint64_t ino;
    uint32_t head_len; /* 0: the file was empty */
    unsigned char head[SHA256_SIZE];
};

struct guard {
    uint32_t len; /* bytes before the offset; 0 at the start */
    unsigned char hash[SHA256_SIZE];
};

int identity_of(int fd, struct identity *id, struct err *e) MUST_CHECK;

enum identity_match {
    IDENTITY_OTHER,
    IDENTITY_SAME_HEAD, /* a copy, or moved to another file system */
    IDENTITY_SAME       /* device, inode and head */
};

/* How the open file `fd` compares with a remembered identity. A file that has
 * become shorter than the head that was remembered is another one. An empty
 * head matches by inode only. */
enum identity_match identity_match(int fd, const struct identity *id);

int guard_of(int fd, uint64_t offset, struct guard *g,
             struct err *e) MUST_CHECK;
/* Whether the bytes before `offset` are still those. */
bool guard_holds(int fd, uint64_t offset, const struct guard *g);

#endif
