/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - a password, key or token, and the file it came from.
 *
 * Wiped when it is given back, never printed. One that is the whole text of a
 * file (`password: ${file:/path}`) is read again when the file has changed: a
 * mounted Secret is replaced while the agent runs.
 */
#ifndef TALLYMAN_SECRET_H
#define TALLYMAN_SECRET_H

#include <sys/stat.h>

#include "agent/base/err.h"

#define SECRET_FILE_MAX (64 * KIB)

struct secret {
    char *value;      /* NULL: there is none */
    char *file;       /* NULL: it came from no file, or not alone */
    struct stat seen; /* the file, as it was when it was last read */
};

static inline bool secret_is_set(const struct secret *s)
{
    return s->value != NULL;
}

/* Takes a copy; the old value is wiped. */
void secret_set(struct secret *s, const char *value);
/* Whose whole text is the file's at `path`, which was just read. */
void secret_set_file(struct secret *s, const char *value, const char *path);
void secret_copy(struct secret *to, const struct secret *from);
void secret_free(struct secret *s);

/* The text of a secret's file in `out` (NUL-ended, a last newline is not part
 * of it). ERR_CONFIG with `e` set; it names the file, never what is in it. */
int secret_read_file(const char *path, struct buf *out,
                     struct err *e) MUST_CHECK;

/*
 * Looks whether the file is another one than was read, and reads it then.
 * `changed` tells whether the value is another. An error (no file, empty, a
 * control character in it) leaves the value as it was. Cheap: one stat(2).
 */
int secret_refresh(struct secret *s, bool *changed, struct err *e) MUST_CHECK;

#endif
