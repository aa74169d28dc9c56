/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file - what the kernel offers, with its short writes and EINTR dealt with.
 */
#ifndef TALLYMAN_FILE_H
#define TALLYMAN_FILE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/base/err.h"

/* All of it or -1 with errno. */
int file_write_all(int fd, const void *bytes, size_t n) MUST_CHECK;
/* As many bytes as there are up to `n`; -1 with errno. */
ssize_t file_pread(int fd, void *bytes, size_t n, uint64_t offset) MUST_CHECK;

/* Whether it is our standard output or error: what we write comes back when it
 * is read. */
bool file_is_our_own(const struct stat *st);
/* Makes a directory and those it is in, mode 0700 where they are not there.
 * ERR_IO with `e`, which names the one that cannot be made. */
int file_make_dirs(const char *path, struct err *e) MUST_CHECK;
/* As many open files as we may have. Where that cannot be raised, we find out
 * when there are too many. */
void file_raise_limit(void);

/* Where the line begins that is under way at `size`: behind the last newline
 * before it, or 0. -1 with errno. */
int64_t file_last_line(int fd, uint64_t size) MUST_CHECK;

/*
 * Replaces `name` in the directory `dir` by `text`, whole or not at all, and
 * keeps what was there as NAME.prev: NAME.new, fsync, two renames, fsync of the
 * directory. Where the file system can, the files change places, and NAME.new
 * stays for the next time. After a crash in between, NAME may be missing while
 * NAME.prev is whole, or be the older one. Mode 0600. May run on any thread.
 */
int file_replace(int dir, const char *name, struct span text,
                 struct err *e) MUST_CHECK;

/* Reads the whole of a small file; ERR_MISSING, ERR_LIMIT, ERR_IO. */
int file_read(int dir, const char *name, size_t limit, struct buf *out,
              struct err *e) MUST_CHECK;

#endif
