/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/loss.h"

#include "agent/base/log.h"

/* The copy of one that was cut after the directory was listed is in the next
 * listing. */
void loss_note(struct chain *c, struct file *f)
{
    if (f->fd >= 0 || f->passed || f->is_named || f->loss != LOSS_NONE ||
        (f->cut != NULL && !f->cut->is_listed))
        return;
    f->loss = f->cut != NULL ? LOSS_TRUNCATED : LOSS_DELETED;
    chain_changed(c, f->loss == LOSS_TRUNCATED);
}

static void give_up(struct chain *c, struct file *f, uint64_t n)
{
    pins_remove(&c->pins, f);
    file_close(f);
    file_open(f); /* there may be a .gz of it */
    if (f->fd >= 0)
        return;
    log_error(c->who,
              "%s was deleted and not read to its end yet; it took %llu bytes "
              "of the disk and is given up, for pin_max_bytes is %llu",
              f->path, (unsigned long long)n,
              (unsigned long long)c->pin_max_bytes);
    f->loss = LOSS_GIVEN_UP;
    c->given_up_bytes += n;
    chain_changed(c, true); /* that it is told of once, as that */
}

void loss_bound_held(struct chain *c)
{
    uint64_t held = 0;

    for (struct file *f = c->oldest; f != NULL; f = f->next)
        held += file_held_bytes(f);
    for (struct file *f = c->oldest; f != NULL && held > c->pin_max_bytes;
         f = f->next) {
        uint64_t n = file_held_bytes(f);

        if (n > 0)
            give_up(c, f, n);
        held -= n;
    }
}

/* ---- what nobody saw ---- */

/* A pin of which the roll knew nothing. One without text is no sign of anything:
 * its .gz may be there, unrecognized. */
static bool tells_of_itself(const struct file *f)
{
    return f->is_bare_pin && f->id.head_len > 0;
}

/* The newest file when the last look was over; after a start, a pin of before that
 * no roll has is newer. */
static struct file *last_seen(const struct chain *c)
{
    struct file *last = NULL;

    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (!f->is_void && (f->number <= c->seen_number || tells_of_itself(f)))
            last = f;
    }
    return last;
}

static void note_lack(struct file *f)
{
    if (!f->leaves_gap)
        chain_changed(f->chain, true);
    f->leaves_gap = true;
}

/* Where nobody can tell, others may have gone if this one has. */
static void doubt(struct file *f)
{
    if (!f->is_copy && (file_is_deleted(f) || f->loss == LOSS_DELETED))
        note_lack(f);
}

/*
 * Files that came and went since the last look stood between the newest one of
 * then and what is there now; or between what is in the roll and the pins which
 * are not: they were linked one after the other.
 */
void loss_note_passers(struct chain *c)
{
    struct file *last = last_seen(c);
    enum passed_by passed = c->passed;

    if (last != NULL && last->next == NULL && c->live == NULL)
        return; /* until there is something behind them */
    c->passed = PASSED_NONE;
    if (passed == PASSED_NONE || last == NULL || last->next == NULL)
        return;
    if (passed == PASSED_SOME)
        note_lack(last);
    else
        doubt(last);
    for (struct file *f = c->oldest; f->next != NULL; f = f->next) {
        if (passed == PASSED_UNKNOWN && !f->is_bare_pin &&
            tells_of_itself(f->next))
            doubt(f);
    }
}
