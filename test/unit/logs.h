/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs - a directory with a log that is rotated, and one reader of it who may
 * stop and start again: what a lane is to a trail, without an output.
 *
 *   LOGS_DIR/log/audit.log, and its siblings
 *   LOGS_DIR/state          the roll and the pins
 *
 * Paths are relative to LOGS_DIR/log.
 */
#ifndef TALLYMAN_LOGS_H
#define TALLYMAN_LOGS_H

#include "agent/lane/checkpoint.h"
#include "agent/lane/cursor.h"
#include "test/unit/unit.h"

#define T1 "audit-2026-11-23T01-00-00.000.log"
#define T2 "audit-2026-11-23T02-00-00.000.log"
#define T3 "audit-2026-11-23T03-00-00.000.log"
#define T4 "audit-2026-11-23T04-00-00.000.log"

extern struct trail_conf logs_conf;
extern struct trail *logs_trail;
extern struct cursor logs_cursor;
extern struct checkpoint logs_place; /* of the reader at its last stop */
extern bool logs_has_place;
extern const char *logs_state; /* NULL: nothing is remembered */

/* An empty directory; again: emptied, with an empty state directory. */
void logs_prepare(void);
void logs_prepare_again(void);
const char *logs_path(const char *name);
void logs_add(const char *name, const char *text);
void logs_add_span(const char *name, struct span text);
/* All of it, behind what is in `text`. */
void logs_load(const char *name, struct buf *text);
void logs_move(const char *from, const char *to);
void logs_delete(const char *name);
void logs_cut(const char *name, uint64_t size);
/* X by gzip, as X.gz; both are there then. */
void logs_zip(const char *name, const char *to);
/* cp */
void logs_copy(const char *name, const char *to);
/* Its time of change is long ago: its writer has finished. */
void logs_age(const char *name);
uint64_t logs_inode(const char *name);
/* Nobody can tell by it any more that something changed just now. */
void logs_age_dir(void);

/* The trail alone, for a test that has readers of its own. */
void logs_open(void);
void logs_close(void);
/* The reader starts where it stopped, or at the beginning. */
void logs_start(void);
void logs_stop(void);
void logs_restart(void);
/* The state directory anew, where there was none. */
void logs_prepare_state(void);
/* How many pins there are, and away with them. */
unsigned logs_pins(void);
void logs_delete_pins(void);
/* Runs the loop until the newest file is in the roll on disk. */
void logs_run_until_remembered(void);
/* What the roll would be now; from now on it is taken to be on disk. */
void logs_print_roll(struct buf *text);
/* What was heard of so far is known, and the disk looked at. */
void logs_look(void);

/* All there is to read, each line with "|": as they are, "torn:..." and
 * "gap:WHY BYTES". */
const char *logs_rest(void);
/* The next `n` of them. */
const char *logs_read(unsigned n);
/* The next one of any cursor, behind what is in `text`; false at the end. */
bool logs_next(struct cursor *c, struct buf *text);
/* The names in the chain, oldest first; (name) is passed, [name] not open. */
const char *logs_chain(void);
unsigned logs_open_files(void);
struct file *logs_file(const char *name);

#endif
