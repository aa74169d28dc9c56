/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept - what a search server would refuse in a document, changed so that it
 * takes it: edits on the document's own bytes.
 *
 * kube-apiserver encodes all of an event anew but the body of a patch, which it
 * passes on as the client wrote it; and what it encodes anew may be deeper and
 * longer than an index takes. Refused were, by Elasticsearch 7.17 to 9.5 and
 * OpenSearch 1.3 to 3.8 with the mapping of conf/templates:
 *
 *   in the document               becomes
 *   bytes that are not UTF-8      U+FFFD
 *   a repeated key                `key#1`, `key#2`; the last one, which the API
 *                                 server obeys, keeps its name (names.h)
 *   NUL in a key                  U+2400; half a surrogate pair: `?` or U+FFFD
 *   a key whose path is longer    its beginning, its length and its SHA-256
 *   than ACCEPT_PATH
 *   nesting below ACCEPT_DEPTH    a string that holds the JSON (OpenSearch's
 *                                 node dies of 500 levels in a flat_object)
 *   a number of 1,000 digits      a string
 *   a body that is no object,     {"body":...}
 *   and no array of objects
 *   a value of more than 32,766   its beginning, its length and the SHA-256 of
 *   bytes, path and all           all of it, where the index has no limit of
 *                                 its own: see enum accept_leaves
 *
 * Everything else stays, byte for byte: ".", "" and dots in keys, arrays, lone
 * surrogates in values, 1e400. Where nothing is refused there is no edit, and
 * so there is none in what came of edits.
 *
 * Events that need it are found in two ways. Up front, by signs that cost
 * nothing to see (accept_is_suspect); for a server may die of what it is sent,
 * or keep to itself what was wrong with it (Elasticsearch's failure store). And
 * when a server refuses: all that the signs do not show.
 */
#ifndef TALLYMAN_ACCEPT_H
#define TALLYMAN_ACCEPT_H

#include "agent/base/edits.h"
#include "parsers/event.h"

/* Levels of objects and arrays in a document; event.json's depth_limit. */
#define ACCEPT_DEPTH 100
/* Keys from the root down, with dots. With it and the 8,191 characters of
 * `ignore_above` a term still has room. */
#define ACCEPT_PATH 8192
/* Bytes of a term, of Lucene itself. */
#define ACCEPT_TERM 32766

enum accept_leaves {
    ACCEPT_LEAVES_KEEP, /* however long: the index has ignore_above */
    ACCEPT_LEAVES_FLAT, /* cut in bodies, annotations and users' extra */
    ACCEPT_LEAVES_ALL   /* cut everywhere */
};

struct accept;

struct accept *accept_new(void);
void accept_free(struct accept *a);

/* Whether `doc`, which was made of `ev`, may need edits: cheap. */
bool accept_is_suspect(struct accept *a, const struct event *ev,
                       struct span doc, enum accept_leaves leaves);
/* Starts `e` with all edits that `doc`, a JSON object, needs; whether there are
 * any. */
bool accept_edit(struct accept *a, struct span doc, enum accept_leaves leaves,
                 struct edits *e);

#endif
