/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipment - a batch with the range of the trail it came from, and how far it
 * has got.
 *
 *   trail:  ....|<---- shipment 7 ---->|<---- shipment 8 ---->|....
 *               ^ low mark while 7 is open; 8's start once 7 is settled
 *
 *   FILLING -> READY -> SENDING -> READY (something left) -> ...
 *                          |
 *                          +-> BURYING (dead letters to disk) -> SETTLED
 *
 * All of a shipment lies in one file.
 */
#ifndef TALLYMAN_SHIPMENT_H
#define TALLYMAN_SHIPMENT_H

#include <uv.h>

#include "agent/lane/pressure.h"
#include "agent/trail/trail.h"
#include "outputs/output.h"

enum shipment_state {
    SHIPMENT_FILLING, /* events are being added */
    SHIPMENT_READY,   /* to be sent, not before retry_at_ms */
    SHIPMENT_SENDING, /* it is the output's until it answers */
    SHIPMENT_BURYING, /* its dead letters are being written */
    SHIPMENT_SETTLED,
    SHIPMENT_NSTATES
};

struct lane;

struct shipment {
    struct lane *lane;
    struct shipment *next; /* the one after it in the trail */
    enum shipment_state state;
    struct batch batch;
    struct send send;
    struct ticket ticket; /* of the send */
    struct file *file;
    uint64_t start; /* offsets in `file` */
    uint64_t end;
    uint64_t from; /* the same two, as horizon.h counts */
    uint64_t to;
    bool in_doubt;     /* to be looked up before it is sent again */
    uint64_t doubt_ms; /* since when; 0: before this run */
    int64_t last_us;   /* time of the last event before it */
    uint32_t limit;    /* most items to send at once, 0: all */
    unsigned attempts; /* sendings that left items to be retried */
    uint64_t retry_at_ms;
    bool checkpoint_first; /* before anything after it is sent */
    struct buf dead;       /* records to be written before it settles */
    uint32_t refused;      /* of these, by the output */
    uint32_t quarantined;  /* of these, lines that were no events */
    uv_work_t work;        /* that writes them */
    struct err work_err;
    int work_rc;
};

struct shipment *shipment_new(struct lane *lane);
void shipment_free(struct shipment *s);
/* As new, at another place; takes a reference to the file. */
void shipment_start(struct shipment *s, struct file *f, uint64_t offset);

/* The only place that changes s->state. */
void shipment_enter(struct shipment *s, enum shipment_state next);

/* Nothing in it but, perhaps, a range of the trail. */
bool shipment_is_empty(const struct shipment *s);
size_t shipment_memory(const struct shipment *s);
/* Events and lines in it that are not settled: those whose verdict has come are
 * taken out of the batch as soon as it is booked. */
uint64_t shipment_open_events(const struct shipment *s);

#endif
