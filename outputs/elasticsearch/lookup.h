/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - which documents a cluster has: asked by their ids, many at once.
 *
 * LOOKUP_BY_PLACE: POST /_mget, by index and id. Sees at once what was written.
 * LOOKUP_BY_SEARCH: POST /NAME/_search, by id alone, for a name that may stand
 * for several indices (a data stream, an alias), and in any of them. Sees what
 * was written before the last refresh, and tells what is stored more than once.
 *
 * LOOKUP_BY_COUNT: POST /INDEX/_count, of ids in one index: whether all of them
 * are there, at a fourth of the server's work. Sees what was written, and
 * not what was deleted, before the last refresh; does not tell which is missing.
 *
 * Makes the question and reads the answer; knows nothing of HTTP.
 */
#ifndef TALLYMAN_LOOKUP_H
#define TALLYMAN_LOOKUP_H

#include <stdint.h>

#include "agent/base/err.h"

enum lookup_how {
    LOOKUP_BY_PLACE,
    LOOKUP_BY_SEARCH,
    LOOKUP_BY_COUNT
};

/* Most ids in one question: a search gives no more than 10,000 hits, and what
 * is stored twice has two. */
#define LOOKUP_MOST 5000

struct lookup;

struct lookup *lookup_new(enum lookup_how how);
void lookup_free(struct lookup *l);

/* The path to post to, to be freed. `target`: the name to search, or the index;
 * `routing`: of the documents, or NULL. */
char *lookup_path(enum lookup_how how, const char *target, const char *routing);

/* Begins a new question. */
void lookup_start(struct lookup *l);
/* One more document, told by its action line (action.h). */
void lookup_add(struct lookup *l, struct span action_line);
uint32_t lookup_count(const struct lookup *l);
/* The body, JSON; nothing may be added after that. Valid until the next
 * lookup_start(). */
struct span lookup_body(struct lookup *l);

/*
 * Reads what came with a status of 200, or with 404, which is what a search of
 * a name that is not there gets. ERR_FORMAT: it is no answer to the
 * question; ERR_AGAIN: a part of the cluster did not answer; ERR_IO: the
 * server has an error for some document; ERR_MISSING: by count, not all are
 * there. `e` says so, and how often anything is stored is not known.
 */
int lookup_read(struct lookup *l, struct span answer, struct err *e) MUST_CHECK;
/* How often the document that was added as number `i` is stored. */
unsigned lookup_copies(const struct lookup *l, uint32_t i);
/* Whether some document's index is not there at all. */
bool lookup_lacks_index(const struct lookup *l);

#endif
