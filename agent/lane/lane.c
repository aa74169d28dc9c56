/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/lane.h"

#include <inttypes.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/lane/checkpoint.h"
#include "agent/lane/lane_impl.h"

/* No first line of an audit log is so short. */
#define HEAD_WEAK 64

/* ---- the loop's side ---- */

static void tell_drained(struct lane *l)
{
    void (*drained)(void *) = l->drained;

    if (drained == NULL || (l->first != NULL && !l->gone))
        return;
    l->drained = NULL;
    drained(l->drained_arg);
}

static void on_idle(uv_idle_t *idle)
{
    struct lane *l = idle->data;
    bool more = false;

    if (l->closing) { /* what comes now comes again */
        uv_idle_stop(&l->idle);
        return;
    }
    lane_settle_front(l);
    lane_dispatch(l);
    if (l->reading && !l->gone)
        more = lane_load(l);
    if (!more)
        uv_idle_stop(&l->idle);
    tell_drained(l);
}

void lane_wake(struct lane *l)
{
    if (!l->closing)
        uv_idle_start(&l->idle, on_idle);
}

static void on_more(void *arg)
{
    lane_wake(arg);
}

/* ---- the checkpoint ---- */

static int print_checkpoint(void *arg, struct buf *text, struct err *e)
{
    struct lane *l = arg;
    struct checkpoint c = { 0 };
    uint64_t offset;
    struct file *f = lane_low_mark(l, &offset);
    int rc;

    if (f == NULL || file_fd(f) < 0)
        return ERR_AGAIN;
    rc = checkpoint_take(&c, file_fd(f), file_path(f), offset, e);
    /* A file without a first line is known by its inode alone, which may soon
     * be another's: the place before it is the better one. */
    if (rc == 0 && offset == 0 && c.id.head_len < HEAD_WEAK &&
        l->has_checkpoint)
        rc = ERR_AGAIN;
    if (rc == 0) {
        c.mark = l->mark;
        checkpoint_print(&c, text);
        c.mark = (struct buf){ 0 };
    }
    checkpoint_free(&c);
    return rc;
}

static void on_saved(void *arg, bool hurried)
{
    struct lane *l = arg;

    l->count.checkpoints++;
    l->has_checkpoint = true;
    if (!hurried || !l->barrier)
        return;
    l->barrier = false;
    lane_wake(l);
}

static const struct saver_ops saver_ops = { print_checkpoint, on_saved };

/* Finds the place of the checkpoint; false where it is no more. */
static bool find_place(struct lane *l, const struct checkpoint *c)
{
    struct file *f = trail_find(l->env.trail, &c->id);

    if (f == NULL) {
        log_warn(l->who,
                 "%.*s, read up to offset %" PRIu64 ", is not there any more; "
                 "starting at the oldest file there is",
                 (int)c->path.len, c->path.at, c->offset);
        return false;
    }
    if (file_fd(f) < 0) {
        cursor_seek(&l->cursor, f, c->offset);
        return true; /* it cannot be opened yet, and is waited for */
    }
    if (!guard_holds(file_fd(f), c->offset, &c->guard)) {
        log_warn(l->who,
                 "%s is not what it was before offset %" PRIu64
                 "; reading it from its start",
                 file_path(f), c->offset);
        cursor_seek(&l->cursor, f, 0);
        return false;
    }
    log_info(l->who, "resuming %s at offset %" PRIu64, file_path(f), c->offset);
    cursor_seek(&l->cursor, f, c->offset);
    return true;
}

/* Where there is no checkpoint. */
static int start_anew(struct lane *l, struct err *e)
{
    const struct trail_conf *conf = trail_settings(l->env.trail);
    int rc = 0;

    if (conf->start == START_END)
        rc = cursor_seek_end(&l->cursor, e);
    else
        cursor_seek(&l->cursor, trail_oldest(l->env.trail), 0);
    if (rc == 0 && l->cursor.file != NULL)
        log_info(l->who, "no checkpoint: starting at offset %" PRIu64 " of %s",
                 cursor_place(&l->cursor), file_path(l->cursor.file));
    return rc;
}

/* Puts cursor and output where the last checkpoint left them. */
static int resume(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;
    struct checkpoint c = { 0 };
    bool fell_back = false, found = false;
    int rc =
        checkpoint_load(&c, l->env.state, l->checkpoint_name, &fell_back, e);

    if (fell_back)
        log_warn(l->who,
                 "checkpoint %s is missing or damaged; the previous "
                 "one is used",
                 l->checkpoint_name);
    if (rc == 0) {
        l->has_checkpoint = true;
        found = find_place(l, &c);
        if (found)
            buf_add(&l->mark, c.mark.at, c.mark.len);
    } else if (rc == ERR_MISSING) {
        rc = start_anew(l, e);
    }
    if (rc == 0 && ops->resume != NULL)
        rc = ops->resume(l->output, span(l->mark.at, l->mark.len), e);
    if (rc == 0 && ops->mark != NULL) {
        l->mark.len = 0;
        ops->mark(l->output, &l->mark);
        l->barrier = true; /* nothing is written before it can be cut */
    }
    checkpoint_free(&c);
    return rc;
}

/* ---- life ---- */

static void init_handles(struct lane *l)
{
    uv_idle_init(l->env.loop, &l->idle);
    uv_timer_init(l->env.loop, &l->linger);
    uv_timer_init(l->env.loop, &l->retry);
    l->idle.data = l->linger.data = l->retry.data = l;
    l->handles = 3;
}

static void free_shipments(struct shipment *s)
{
    while (s != NULL) {
        struct shipment *next = s->next;

        shipment_free(s);
        s = next;
    }
}

static void lane_free(struct lane *l)
{
    free_shipments(l->first);
    free_shipments(l->filling);
    free_shipments(l->spare);
    batch_buffers_free(&l->buffers);
    if (l->cursor.bytes != NULL)
        cursor_close(&l->cursor);
    if (l->parser != NULL)
        l->parser_ops->close(l->parser);
    edits_free(&l->edits);
    buf_free(&l->mark);
    free(l->checkpoint_name);
    free(l->who);
    free(l);
}

static bool open_output(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;
    struct output_env env = {
        .loop = l->env.loop,
        .who = l->who,
        .in_flight = l->in_flight,
        .buffers = &l->buffers,
    };

    l->output = ops->open(&env, l->env.output_conf, e);
    return l->output != NULL;
}

struct lane *lane_open(const struct lane_env *env, struct err *e)
{
    struct lane *l = xcalloc(1, sizeof(*l));
    const char *trail = trail_name(env->trail);
    uint64_t most = env->ops->max_in_flight;

    l->env = *env;
    l->who = xprintf("lane %s/%s", trail, env->output);
    l->checkpoint_name = xprintf("%s.%s.checkpoint", trail, env->output);
    l->in_flight = env->conf->in_flight;
    if (most > 0 && l->in_flight > most)
        l->in_flight = most;
    l->buffers.most = 2 * env->conf->batch_bytes;
    l->parser_ops = parsers[trail_settings(env->trail)->parser];
    l->parser = l->parser_ops->open();
    l->waiter = (struct waiter){ .more = on_more, .arg = l };
    cursor_open(&l->cursor, env->trail, l->who);
    if (!open_output(l, e)) {
        lane_free(l);
        return NULL;
    }
    l->saver = saver_open(env->loop, l->who, env->state, l->checkpoint_name,
                          &saver_ops, l);
    init_handles(l);
    return l;
}

int lane_start(struct lane *l, struct err *e)
{
    int rc = resume(l, e);

    if (rc != 0)
        return rc;
    l->reading = true;
    l->noted = l->cursor.file;
    saver_hurry(l->saver);
    lane_wake(l);
    return 0;
}

void lane_drain(struct lane *l, void (*drained)(void *arg), void *arg)
{
    l->reading = false;
    l->drained = drained;
    l->drained_arg = arg;
    trail_wait_cancel(l->env.trail, &l->waiter);
    uv_timer_stop(&l->linger);
    if (l->filling != NULL && !shipment_is_empty(l->filling))
        lane_seal(l);
    lane_wake(l);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct lane *l = handle->data;
    void (*closed)(void *) = l->closed;
    void *arg = l->closed_arg;

    if (--l->handles > 0)
        return;
    lane_free(l);
    closed(arg);
}

static void close_handles(struct lane *l)
{
    uv_close((uv_handle_t *)&l->idle, on_handle_closed);
    uv_close((uv_handle_t *)&l->linger, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
}

/* Dead letters on their way to disk are waited for: they hold a shipment. */
static void wait_for_burials(uv_idle_t *idle)
{
    struct lane *l = idle->data;

    if (l->burying == 0)
        close_handles(l);
}

static void on_output_closed(void *arg)
{
    struct lane *l = arg;

    uv_idle_stop(&l->idle);
    uv_idle_start(&l->idle, wait_for_burials);
}

static void on_saver_closed(void *arg)
{
    struct lane *l = arg;

    l->env.ops->close(l->output, on_output_closed, l);
}

void lane_close(struct lane *l, void (*closed)(void *arg), void *arg)
{
    l->reading = false;
    l->closing = true;
    l->drained = NULL;
    l->closed = closed;
    l->closed_arg = arg;
    trail_wait_cancel(l->env.trail, &l->waiter);
    uv_timer_stop(&l->linger);
    uv_timer_stop(&l->retry);
    saver_close(l->saver, on_saver_closed);
}

/* ---- asking ---- */

const char *lane_who(const struct lane *l)
{
    return l->who;
}

uint64_t lane_left_behind(const struct lane *l)
{
    uint64_t n = 0;

    for (const struct shipment *s = l->first; s != NULL; s = s->next)
        n += s->end - s->start;
    return n;
}

static uint64_t open_events(const struct lane *l)
{
    uint64_t n = l->filling != NULL ? shipment_open_events(l->filling) : 0;

    for (const struct shipment *s = l->first; s != NULL; s = s->next)
        n += shipment_open_events(s);
    return n;
}

void lane_log_counters(const struct lane *l)
{
    struct counters c = l->count;
    uint64_t in_flight = open_events(l);

    c.read_bytes = l->cursor.read_bytes;
    c.hole_bytes = l->cursor.hole_bytes;
    log_always(l->who,
               "counters read=%" PRIu64 " delivered=%" PRIu64
               " duplicate=%" PRIu64 " filtered=%" PRIu64 " dead=%" PRIu64
               " in_flight=%" PRIu64 " balanced=%s read_bytes=%" PRIu64
               " sent_bytes=%" PRIu64 " requests=%" PRIu64 " retried=%" PRIu64
               " blocked=%" PRIu64 " refused=%" PRIu64 " quarantined=%" PRIu64
               " hole_bytes=%" PRIu64 " checkpoints=%" PRIu64,
               c.read, c.delivered, c.duplicate, c.filtered,
               c.refused + c.quarantined, in_flight,
               counters_balance(&c, in_flight) ? "yes" : "NO", c.read_bytes,
               c.sent_bytes, c.requests, c.retried, c.blocked, c.refused,
               c.quarantined, c.hole_bytes, c.checkpoints);
}
