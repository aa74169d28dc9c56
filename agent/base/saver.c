/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/saver.h"

#include <stdlib.h>

#include "agent/base/file.h"
#include "agent/base/log.h"

/* The price is two fsyncs; what is saved more often is only what a crash would
 * repeat. */
#define EVERY_MS 1000
/* Before print() is asked again that asked for patience. */
#define WAIT_MS 5

struct saver {
    uv_timer_t timer;
    uv_work_t work;
    uv_loop_t *loop;
    const char *who;
    int dir;
    const char *name;
    const char *what; /* for people */
    const struct saver_ops *ops;
    void *arg;
    struct buf text; /* of the write under way */
    struct err err;
    int rc;
    bool dirty; /* moved since the last print */
    bool hurry;
    bool hurried; /* the write under way is what hurry wants */
    bool busy;    /* a write is under way */
    bool failing;
    bool waiting;              /* print() asked for patience */
    uint64_t last_ms;          /* end of the last write; 0: none */
    void (*closed)(void *arg); /* set: no more but the last write */
};

static void on_timer(uv_timer_t *timer);

static void on_timer_closed(uv_handle_t *handle)
{
    struct saver *s = handle->data;
    void (*closed)(void *) = s->closed;
    void *arg = s->arg;

    buf_free(&s->text);
    free(s);
    closed(arg);
}

/* Runs on a thread of the pool. */
static void write_text(uv_work_t *work)
{
    struct saver *s = work->data;

    s->rc =
        file_replace(s->dir, s->name, span(s->text.at, s->text.len), &s->err);
}

static void consider(struct saver *s);

static void complain(struct saver *s)
{
    if (!s->failing)
        log_error(s->who,
                  "cannot save the %s: %s; trying again, nothing is lost",
                  s->what, s->err.text);
    s->failing = true;
}

static void on_written(uv_work_t *work, int status)
{
    struct saver *s = work->data;

    s->busy = false;
    s->last_ms = uv_now(s->loop);
    if (status != 0 || s->rc != 0) {
        complain(s);
        s->dirty = true;
        s->hurry |= s->hurried;
    } else {
        if (s->failing)
            log_info(s->who, "the %s can be saved again", s->what);
        s->failing = false;
        s->ops->saved(s->arg, s->hurried && !s->hurry);
    }
    consider(s);
}

static void start_write(struct saver *s)
{
    s->rc = s->ops->print(s->arg, &s->text, &s->err);
    s->dirty = s->rc != 0 && s->rc != ERR_AGAIN;
    s->hurried = s->hurry;
    s->hurry = s->hurry && s->rc != 0;
    if (s->rc != 0) {
        s->waiting = s->rc == ERR_BUSY;
        if (s->rc != ERR_AGAIN && s->rc != ERR_BUSY)
            complain(s);
        s->last_ms = uv_now(s->loop);
        return;
    }
    s->waiting = false;
    s->busy = true;
    if (uv_queue_work(s->loop, &s->work, write_text, on_written) != 0)
        abort(); /* only for wrong arguments */
}

/* When the next write may begin, ms from now. */
static uint64_t due_in(const struct saver *s)
{
    uint64_t now = uv_now(s->loop);
    uint64_t pause = EVERY_MS;

    if (s->hurry && !s->failing && !s->waiting)
        return 0;
    if (s->waiting)
        pause = WAIT_MS;
    if (s->last_ms == 0 || now >= s->last_ms + pause)
        return 0;
    return s->last_ms + pause - now;
}

static void consider(struct saver *s)
{
    if (s->busy)
        return;
    if (s->closed != NULL && (!s->dirty || s->failing || s->waiting)) {
        if (!uv_is_closing((uv_handle_t *)&s->timer))
            uv_close((uv_handle_t *)&s->timer, on_timer_closed);
        return;
    }
    if (!s->dirty)
        return;
    if (s->closed != NULL || due_in(s) == 0) {
        start_write(s);
        if (!s->busy)
            consider(s);
    } else {
        uv_timer_start(&s->timer, on_timer, due_in(s), 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    consider(timer->data);
}

struct saver *saver_open(uv_loop_t *loop, const char *who, int dir,
                         const char *name, const char *what,
                         const struct saver_ops *ops, void *arg)
{
    struct saver *s = xcalloc(1, sizeof(*s));

    s->loop = loop;
    s->who = who;
    s->dir = dir;
    s->name = name;
    s->what = what;
    s->ops = ops;
    s->arg = arg;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s->work.data = s;
    return s;
}

void saver_touch(struct saver *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    consider(s);
}

void saver_hurry(struct saver *s)
{
    s->dirty = s->hurry = true;
    consider(s);
}

bool saver_is_hurrying(const struct saver *s)
{
    return (s->hurry && s->dirty) || (s->busy && s->hurried);
}

void saver_close(struct saver *s, void (*closed)(void *arg))
{
    s->closed = closed;
    s->failing = s->waiting = false; /* one more try */
    uv_timer_stop(&s->timer);
    consider(s);
}
