/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool - standard input as a file that every lane can read by pread().
 *
 * What comes is appended to a file without a name, in the state directory; what
 * all lanes are past is punched out of it again. Nothing is lost: while the
 * disk is full, or more is unread than the limit allows, the writer of the pipe
 * waits. Knows nothing of lines. Once this process ends, its bytes are gone.
 *
 * Never blocks the loop on input, and never changes the flags of a descriptor
 * that it shares with a shell. Thread: loop only.
 */
#ifndef TALLYMAN_SPOOL_H
#define TALLYMAN_SPOOL_H

#include <uv.h>

#include "agent/base/err.h"

struct spool;

/*
 * `hint` is called from the loop whenever there is more in the file, or the end
 * was reached. Reading stops while `limit` bytes or more are unread, so the
 * longest line has to be shorter. NULL with `e` set.
 */
struct spool *spool_open(uv_loop_t *loop, int state_dir, uint64_t limit,
                         void (*hint)(void *arg), void *arg, struct err *e);
/* To be read only, with pread(). Its size is what has come so far. */
int spool_fd(const struct spool *s);
/* The end of the input was seen, and all of it is in the file. */
bool spool_has_ended(const struct spool *s);
/* Reads no more: what is in the file is all there will be. */
void spool_end(struct spool *s);
/* All lanes are past that offset: the room before it is given back. */
void spool_passed(struct spool *s, uint64_t offset);
/* Stop now, free later, on the loop: the last call. NULL is fine. */
void spool_close(struct spool *s);

#endif
