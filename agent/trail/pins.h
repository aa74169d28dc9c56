/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins - hard links that keep rotated files which were not read yet, across
 * restarts, when retention deletes their names.
 *
 *   STATE_DIR/TRAIL.pins/DEV-INODE[.gz]
 *
 * Only where the state directory is on the log's own file system and mount, and
 * the kernel lets us link; else the open descriptors keep them while we run.
 */
#ifndef TALLYMAN_PINS_H
#define TALLYMAN_PINS_H

#include <stdint.h>
#include <sys/stat.h>

#include "agent/base/bytes.h"

struct file;

struct pins {
    const char *who;
    int state;  /* directory; -1: there are no pins */
    char *name; /* of the directory in it */
    int dir;    /* -1: not made yet */
    bool off;   /* it cannot be done here */
};

void pins_open(struct pins *p, const char *who, int state, const char *trail);
void pins_close(struct pins *p);

/* A link to what is open; nothing where it has one, or cannot have one. */
void pins_add(struct pins *p, struct file *f);
void pins_remove(struct pins *p, struct file *f);
/* One that is no file's. */
void pins_remove_inode(struct pins *p, const struct stat *st, bool is_gz);

/* Calls `each` for every pin with its file, open, which it takes over. */
void pins_each(struct pins *p, void (*each)(void *arg, bool is_gz, int fd),
               void *arg);

#endif
