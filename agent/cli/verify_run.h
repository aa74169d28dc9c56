/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_run - walks trails and asks a cluster, by ids and in bulk, whether it
 * has their events; ships what it has not, where that is wanted.
 *
 *   walk -> slot: ids [and documents] -> which are there? -> counted
 *                        ^                     |
 *                        +- ask again <- send what is not (repair)
 *
 * Several slots are under way at once. Memory is bounded by them, by the list
 * of what is missing and by the ids that repeated lines are told by.
 */
#ifndef TALLYMAN_VERIFY_RUN_H
#define TALLYMAN_VERIFY_RUN_H

#include "agent/base/clock.h"
#include "agent/cli/ask.h"
#include "agent/ops/conf.h"
#include "agent/ops/idset.h"
#include "agent/trail/trail.h"

/* What is missing is counted, and the first of it, so many, kept by their
 * places. */
#define VERIFY_KEPT 10000

struct verify_counts {
    uint64_t bytes;       /* of the log, read */
    uint64_t lines;       /* = events + quarantined */
    uint64_t events;      /* = present + missing + dead + untimed */
    uint64_t present;     /* in the index */
    uint64_t missing;     /* not in it */
    uint64_t dead;        /* not in it, but in the dead letters */
    uint64_t untimed;     /* without a time, so nobody knows their ids */
    uint64_t quarantined; /* lines that are no events */
    uint64_t repeated;    /* lines that came before: one document for both */
    uint64_t twice;       /* events that are stored more than once */
    uint64_t gaps;        /* what is damaged or a hole, of the log itself */
    uint64_t gap_bytes;
    uint64_t unread;   /* files that could not be read, or not to the end */
    uint64_t repaired; /* of those present: shipped by us */
    uint64_t refused;  /* of those missing: by the server, as we shipped them */
};

/* A missing event. */
struct verify_place {
    uint64_t number;  /* of the event, in the order of the log */
    const char *file; /* one of verify.files */
    uint64_t offset;
    int64_t time_us;
    char *line; /* its action line, with index and id */
};

struct verify_options {
    bool repair;
    uint64_t wait_ms; /* for a server that does not answer */
    /* Ids in the dead letters, or NULL. */
    const struct idset *dead;
    /* Called now and then, with the bytes of the log read so far. */
    void (*progress)(void *arg, const struct verify_counts *count);
    void *arg;
};

struct verify_slot;

struct verify {
    struct ask *ask;
    const struct conf_output *output;
    const struct elasticsearch_settings *settings;
    const struct verify_options *options;
    bool by_search;
    bool may_count; /* all was refreshed: what is deleted is not counted */
    char *path; /* of a lookup */
    struct action *action;
    struct output *repairer; /* NULL: nothing is shipped */
    struct batch_buffers buffers;
    struct verify_slot *slots;
    struct idset *seen;

    struct verify_counts count;
    int64_t first_us, last_us;    /* of all events; CLOCK_NO_TIME: none */
    bool lacks_index;             /* some index is not there */
    bool repeated_is_partial;     /* there may be more repeated lines */
    struct verify_place *missing; /* in the order of the log, after a walk */
    size_t nmissing;
    char **files;
    size_t nfiles;
    char refusal[512]; /* the first reason that came with `refused` */
    struct err failed; /* why it cannot go on; code 0: it can */
    bool stopped;
};

/* All is borrowed until verify_free(). ERR_IO with `e` set. */
int verify_open(struct verify *v, struct ask *a, const struct conf_output *o,
                const struct verify_options *options, struct err *e) MUST_CHECK;
/* Before ask_close(), which gives up what is still asked; the report may be
 * printed in between. */
void verify_stop(struct verify *v);
/* After it. */
void verify_free(struct verify *v);

/*
 * Walks one trail, which has an end, and asks for all its events. May be called
 * for several, one after the other. ERR_*: the cluster could not be asked, see
 * v->failed; what was counted is not to be relied on.
 */
int verify_walk(struct verify *v, struct trail *t, bool is_live) MUST_CHECK;
/* Asks again for what is missing, if all of it is kept, until it is there or
 * so long has passed: it may be on its way. */
int verify_ask_again(struct verify *v, uint64_t wait_ms) MUST_CHECK;

/* Every event is in the index, once. */
bool verify_is_complete(const struct verify *v);

#endif
