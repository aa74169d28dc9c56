/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place - a lane's place in its trail: how a checkpoint keeps it, and how the lane
 * gets back there.
 */
#include <inttypes.h>

#include "agent/base/log.h"
#include "agent/lane/lane_impl.h"

/* ---- the checkpoint ---- */

void lane_save(struct lane *l)
{
    if (l->saver == NULL)
        return;
    if (l->barrier)
        saver_hurry(l->saver);
    else
        saver_touch(l->saver);
}

void lane_raise_barrier(struct lane *l)
{
    l->barrier = l->saver != NULL;
    lane_save(l);
}

static void note_saving(struct lane *l, struct file *f)
{
    struct file *old = l->saving;

    l->saving = file_ref(f);
    file_unref(old);
}

static void lift_barrier(struct lane *l)
{
    l->barrier = false;
    lane_wake(l);
}

static int print_checkpoint(void *arg, struct buf *text, struct err *e)
{
    struct lane *l = arg;
    struct low_mark m = lane_low_mark(l);
    struct checkpoint c = { .last_us = m.last_us };

    (void)e;
    if (m.file == NULL)
        return ERR_AGAIN;
    checkpoint_take(&c, m.file, m.offset);
    if (l->has_checkpoint && c.id.head_len == 0) {
        /* Known by its inode alone, which may soon be another's: the place
         * before it is the better one. It may stay like that, as a .gz without
         * any text does. */
        checkpoint_free(&c);
        if (l->barrier && l->mark_is_saved)
            lift_barrier(l);
        lane_skip_horizon(l);
        return ERR_AGAIN;
    }
    if (c.id.head_len > 0 && !file_is_remembered(m.file) && !l->closing) {
        checkpoint_free(&c);
        return ERR_BUSY; /* the roll first: it has the file's place */
    }
    l->is_headless = c.id.head_len == 0;
    c.mark = l->mark;
    lane_print_horizon(l, &m, &c);
    checkpoint_print(&c, text);
    c.mark = (struct buf){ 0 };
    checkpoint_free(&c);
    note_saving(l, m.file);
    l->mark_is_saving = true;
    return 0;
}

/* Where a place is known by its inode alone, a start goes to the first file that
 * was not read: none is read then, as long as such a place is the last one. */
static void hold_all(struct lane *l, bool on)
{
    if (on && !l->holds_all)
        trail_hold(l->env.trail);
    if (!on && l->holds_all)
        trail_release(l->env.trail);
    l->holds_all = on;
}

static void on_saved(void *arg, bool hurried)
{
    struct lane *l = arg;

    l->count.checkpoints++;
    file_unref(l->saved);
    l->saved = l->saving;
    l->saving = NULL;
    l->has_checkpoint = true;
    hold_all(l, l->is_headless);
    l->mark_is_saved = l->mark_is_saving;
    if (l->horizon.is_on) {
        horizon_saved(&l->horizon);
        lane_wake(l);
    }
    if (hurried && l->barrier)
        lift_barrier(l);
}

static const struct saver_ops saver_ops = { print_checkpoint, on_saved };

struct saver *lane_open_saver(struct lane *l)
{
    if (lane_is_piped(l))
        return NULL;
    return saver_open(l->env.loop, l->who, l->env.state, l->checkpoint_name,
                      "checkpoint", &saver_ops, l);
}

/* ---- back to it ---- */

/*
 * Goes to the place of the checkpoint, which may be in a file that is there no
 * more: then it begins with that loss, once there is anything after it.
 */
static void find_place(struct lane *l, const struct checkpoint *c)
{
    struct file *f;

    l->last_us = c->last_us;
    l->is_headless = c->id.head_len == 0;
    hold_all(l, l->is_headless);
    if (c->id.head_len == 0 && c->offset == 0) {
        f = trail_find_unread(l->env.trail, &c->id);
        log_info(l->who, "nothing was read yet: starting at the start of %s",
                 f != NULL ? file_path(f) : "the log");
        cursor_seek(&l->cursor, f, 0, NULL);
        return;
    }
    f = trail_find(l->env.trail, &c->id);
    if (f == NULL)
        f = trail_add_lost(l->env.trail, &c->id, span(c->path.at, c->path.len));
    if (file_loss(f) != LOSS_NONE)
        log_error(l->who,
                  "%s, read up to offset %" PRIu64 ", is not there any more; "
                  "going on with what was written after it",
                  file_path(f), c->offset);
    else
        log_info(l->who, "resuming %s at offset %" PRIu64, file_path(f),
                 c->offset);
    cursor_seek(&l->cursor, f, c->offset, &c->guard);
}

/* Where there is no checkpoint. */
static int start_anew(struct lane *l, struct err *e)
{
    const struct trail_conf *conf = trail_settings(l->env.trail);
    int rc = 0;

    if (conf->start == START_END)
        rc = cursor_seek_end(&l->cursor, e);
    else
        cursor_seek(&l->cursor, trail_oldest(l->env.trail), 0, NULL);
    if (rc == 0 && l->cursor.file != NULL)
        log_info(l->who, "no checkpoint: starting at offset %" PRIu64 " of %s",
                 l->cursor.offset, file_path(l->cursor.file));
    return rc;
}

/* Standard input is where it is, and so is the output. */
static int begin_piped(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;

    cursor_seek(&l->cursor, trail_oldest(l->env.trail), 0, NULL);
    lane_doubts_start(l, &(struct checkpoint){ 0 }, false);
    return ops->resume != NULL ? ops->resume(l->output, SPAN(""), e) : 0;
}

/* Puts cursor and output where the last checkpoint left them. */
static int resume(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;
    struct checkpoint c = { 0 };
    bool fell_back = false;
    int rc =
        checkpoint_load(&c, l->env.state, l->checkpoint_name, &fell_back, e);

    if (fell_back)
        log_warn(l->who,
                 "checkpoint %s is missing or damaged; the previous "
                 "one is used",
                 l->checkpoint_name);
    if (rc == 0) {
        l->has_checkpoint = true;
        find_place(l, &c);
        buf_add(&l->mark, c.mark.at, c.mark.len);
    } else if (rc == ERR_MISSING) {
        rc = start_anew(l, e);
    }
    if (rc == 0 && ops->resume != NULL)
        rc = ops->resume(l->output, span(l->mark.at, l->mark.len), e);
    if (rc == 0)
        lane_doubts_start(l, &c, fell_back);
    if (rc == 0 && ops->mark != NULL) {
        l->mark_is_saved = l->has_checkpoint;
        lane_take_mark(l);
        l->barrier = true; /* nothing is written before it can be cut */
    }
    checkpoint_free(&c);
    return rc;
}

int lane_find_place(struct lane *l, struct err *e)
{
    return lane_is_piped(l) ? begin_piped(l, e) : resume(l, e);
}
