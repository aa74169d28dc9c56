/* SPDX-License-Identifier: Apache-2.0 */
/*
 * normal - one form of what is sent to a cluster and of what it gives back.
 *
 * A server does not give back what it got: settings come nested or dotted and
 * their values as strings, dates and defaults are added, empty parts left out.
 * The normal form is the same before and after, so that its hash tells whether
 * somebody changed an object. What it cannot know is in the object's own mark:
 * see `stored`.
 *
 * Pure. What OpenSearch 1 to 3 and Elasticsearch 7 to 9 add was seen on real
 * ones; of ILM and ISM it is what their documentation shows.
 */
#ifndef TALLYMAN_NORMAL_H
#define TALLYMAN_NORMAL_H

#include <stdint.h>

#include "agent/base/err.h"

enum object_kind {
    OBJECT_COMPONENT, /* component template */
    OBJECT_INDEX,     /* index template */
    OBJECT_ILM,       /* lifecycle policy of Elasticsearch */
    OBJECT_ISM        /* of OpenSearch */
};

/* The mark of a policy of ISM: retention, version, hash, stored. */
#define OBJECT_KEPT    "kept for "
#define OBJECT_MANAGED "Managed by tallyman: "
#define OBJECT_DESCRIPTION                                        \
    "Kubernetes audit events, " OBJECT_KEPT "%s. " OBJECT_MANAGED \
    "version %u, hash %s, stored %s."

#define OBJECT_HASH_SIZE      17 /* 16 hex digits and a NUL */
#define OBJECT_RETENTION_SIZE 24

/* What an object says of itself, in its `_meta`, or in the description of a
 * policy of ISM, which has no other place. */
struct object_mark {
    bool ours; /* all of it is there */
    unsigned version;
    /* Of the object as it was meant, and as the server gave it back at once:
     * they differ where a server adds what we do not know. */
    char hash[OBJECT_HASH_SIZE];
    char stored[OBJECT_HASH_SIZE];
    char retention[OBJECT_RETENTION_SIZE]; /* of a policy: "365d"; or "" */
};

struct object {
    struct object_mark mark;
    char hash[OBJECT_HASH_SIZE]; /* of its normal form, without the mark */
    uint64_t seq_no;             /* of ISM, which wants them for a change */
    uint64_t primary_term;
};

/* From what is sent, or from the answer to a GET, which has it further in.
 * ERR_FORMAT where `json` is no such thing; ERR_LIMIT where it is too large or
 * too deep. */
int object_read(enum object_kind kind, struct span json,
                struct object *out) MUST_CHECK;

/* The normal form itself, for tests. */
int object_normal(enum object_kind kind, struct span json,
                  struct buf *out) MUST_CHECK;

#endif
