/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/shipment.h"

#include <stdlib.h>

#define BIT(n) (1u << (n))

static const unsigned may_enter[SHIPMENT_NSTATES] = {
    [SHIPMENT_FILLING] = BIT(SHIPMENT_READY) | BIT(SHIPMENT_BURYING),
    [SHIPMENT_READY] = BIT(SHIPMENT_SENDING) | BIT(SHIPMENT_BURYING),
    [SHIPMENT_SENDING] =
        BIT(SHIPMENT_READY) | BIT(SHIPMENT_BURYING) | BIT(SHIPMENT_SETTLED),
    [SHIPMENT_BURYING] = BIT(SHIPMENT_SETTLED),
    [SHIPMENT_SETTLED] = BIT(SHIPMENT_FILLING),
};

struct shipment *shipment_new(struct lane *lane)
{
    struct shipment *s = xcalloc(1, sizeof(*s));

    s->lane = lane;
    s->state = SHIPMENT_SETTLED;
    batch_init(&s->batch);
    return s;
}

void shipment_free(struct shipment *s)
{
    if (s == NULL)
        return;
    file_unref(s->file);
    batch_free(&s->batch);
    buf_free(&s->dead);
    free(s);
}

void shipment_start(struct shipment *s, struct file *f, uint64_t offset)
{
    struct file *old = s->file;

    s->file = file_ref(f);
    file_unref(old);
    s->start = s->end = offset;
    s->limit = 0;
    s->attempts = 0;
    s->retry_at_ms = 0;
    s->checkpoint_first = false;
    s->from = s->to = 0;
    s->in_doubt = false;
    s->next = NULL;
}

void shipment_enter(struct shipment *s, enum shipment_state next)
{
    if (!(may_enter[s->state] & BIT(next)))
        abort();
    s->state = next;
}

bool shipment_is_empty(const struct shipment *s)
{
    return s->batch.n == 0 && s->dead.len == 0;
}

size_t shipment_memory(const struct shipment *s)
{
    return batch_memory(&s->batch) + s->dead.len;
}

uint64_t shipment_open_events(const struct shipment *s)
{
    return (uint64_t)s->batch.n + s->refused + s->quarantined;
}
