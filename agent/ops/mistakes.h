/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mistakes - what is wrong with a configuration file, and where.
 *
 * Collects, so that a user sees every mistake of a file at once, and prints
 * them in the order of the file. What the file says is printed with control
 * characters escaped. Never give it a secret.
 */
#ifndef TALLYMAN_MISTAKES_H
#define TALLYMAN_MISTAKES_H

#include <stdio.h>

#include "agent/base/bytes.h"

/* A place in the file, both from 1; line 0 is the file as a whole. */
struct spot {
    unsigned line;
    unsigned column;
};

/* The spot of a byte of `text`; columns count characters. */
struct spot spot_at(struct span text, size_t offset);

struct mistakes;

struct mistakes *mistakes_new(const char *file);
void mistakes_free(struct mistakes *m);

/* `where` is the option, as in "outputs.search.index", or NULL. */
void mistake(struct mistakes *m, struct spot at, const char *where,
             const char *format, ...) PRINTF(4, 5);
size_t mistakes_count(const struct mistakes *m);
void mistakes_print(struct mistakes *m, FILE *out);

/* `text` as it may stand in a message: cut where long, and without the
 * password a URL may hold. */
#define QUOTE_SIZE 80
const char *mistake_quote(const char *text, char quote[QUOTE_SIZE]);

#endif
