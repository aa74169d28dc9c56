/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wanted - the objects that a cluster is to have, and what is to be done about
 * those that it has.
 *
 * Their text is in conf/templates (embedded.h), with a few strings such as
 * "$patterns" to be filled in. Pure: asking is done by agent/cli/setup_objects.
 */
#ifndef TALLYMAN_WANTED_H
#define TALLYMAN_WANTED_H

#include "agent/setup/normal.h"
#include "agent/setup/place.h"
#include "outputs/elasticsearch/product.h"

/* In the order in which they are made: each needs those before it. */
enum wanted_what {
    WANTED_EVENT,    /* component template: the fields */
    WANTED_SETTINGS, /* component template */
    WANTED_POLICY,   /* of ILM or ISM */
    WANTED_TEMPLATE, /* index template */
    WANTED_N
};

#define WANTED_RETENTION_DEFAULT (UINT64_C(365) * 86400000) /* ms */

struct wanted_how {
    const struct place *place;
    const struct product *product;
    const char *flat;      /* "elasticsearch", "opensearch" or "none" */
    bool lifecycle;        /* the template is to name the policy */
    uint64_t retention_ms; /* how long an event is to stay, at least */
};

struct wanted {
    enum object_kind kind;
    const char *title; /* "component template" */
    char *name;
    char *path; /* "/_component_template/tallyman-event" */
    unsigned version;
    char hash[OBJECT_HASH_SIZE];
    char retention[OPT_NUMBER_SIZE];
    struct buf text; /* all filled in but the mark */
};

void wanted_make(struct wanted *w, enum wanted_what what,
                 const struct wanted_how *how);
void wanted_free(struct wanted *w);
/* Adds what to send; `stored` as in object_mark. */
void wanted_body(const struct wanted *w, const char *stored, struct buf *out);

/* The retention that an object of ours has, in ms; 0: none. */
uint64_t wanted_retention(const struct object *there);

/* The flat type for that product (conf/templates/README.md). */
const char *wanted_flat(const struct product *p);

enum wanted_verdict {
    WANTED_CREATE,
    WANTED_UPDATE,
    WANTED_KEEP,    /* it is as it should be */
    WANTED_CHANGED, /* ours once, changed by somebody since */
    WANTED_FOREIGN, /* not ours */
    WANTED_NEWER    /* of a newer tallyman */
};

/* `there`: NULL where the cluster has none. */
enum wanted_verdict wanted_judge(const struct wanted *w,
                                 const struct object *there);

#endif
