/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead - dead letters: events that no output will take, and lines that are no
 * events, kept for people with a reason and the place they came from.
 *
 * One NDJSON record a line, in STATE_DIR/dead/OUTPUT.ndjson, mode 0600. Nothing
 * is ever deleted here: a file that has grown large is renamed and left, as
 * OUTPUT-<time>.ndjson. Several processes may append to one file.
 */
#ifndef TALLYMAN_DEAD_H
#define TALLYMAN_DEAD_H

#include <stdint.h>

#include "agent/base/err.h"

struct dead_letter {
    const char *kind; /* "refused" by the output, or "quarantined" */
    const char *reason;
    const char *trail;
    const char *output;
    const char *file;
    uint64_t offset;
    uint64_t length;           /* of the line */
    unsigned status;           /* 0: none */
    struct span id;            /* of the document; may be empty */
    struct span document;      /* JSON, or empty: then */
    struct span line;          /* its bytes, whatever they are */
    const unsigned char *hash; /* SHA-256 of the whole line, where `line` is
                                 * only its head; NULL: it is taken here, of
                                 * the document or the line */
};

/* Whether what yajl takes can stand in a record as the JSON it is. */
bool dead_is_strict(struct span document);
/* Adds the record to `out`. */
void dead_print(const struct dead_letter *d, struct buf *out);

/*
 * Appends whole records to dead/OUTPUT.ndjson below the directory `state`, on
 * disk when it returns 0; else nothing was added. Any thread; blocks.
 */
int dead_append(int state, const char *output, struct span records,
                struct err *e) MUST_CHECK;

/* Renames what there is, as if it had grown large: nothing is added to it any
 * more. 0, too, where there is none. */
int dead_set_aside(int state, const char *output, struct err *e) MUST_CHECK;

/* The files of one output, in the order they were written. */
struct dead_files {
    char **paths;
    size_t n;
};
int dead_list(const char *state_dir, const char *output,
              struct dead_files *files, struct err *e) MUST_CHECK;
void dead_files_free(struct dead_files *files);

#endif
