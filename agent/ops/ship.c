/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/ship.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/lane/dead.h"
#include "agent/ops/output_path.h"
#include "agent/ops/resume.h"
#include "parsers/parser.h"

#define WHO     "ship"
#define TICK_MS 200
/* A read that failed is tried again, for nobody tells that it would work. */
#define NUDGE_MS 1000

static const int signals[] = { SIGTERM, SIGINT, SIGUSR1 };
#define NSIGNALS ARRAY_LEN(signals)

struct ship {
    const struct ship_env *env;
    struct ship_result *result;
    uv_loop_t loop;
    uv_signal_t signals[NSIGNALS];
    uv_timer_t tick;
    uv_timer_t drain;
    struct trail *trail;
    struct lane *lane;
    void *output_conf;
    struct resume resume;
    uint64_t began_ms;
    uint64_t nudged_ms;
    uint64_t settled; /* events, when that last changed */
    uint64_t settled_ms;
    bool has_parser; /* the lane's, by now */
    bool stopping;
    bool closing;
};

/* ---- how it stands ---- */

static void look(struct ship *s)
{
    struct ship_view *v = &s->result->view;
    uint64_t left;

    lane_look(s->lane, &v->lane);
    left = v->lane.lag.bytes;
    if (left > v->total) /* it has grown */
        v->total = left;
    if (v->total - left > v->done)
        v->done = v->total - left;
    v->ms = clock_mono_ms() - s->began_ms;
    if (v->lane.count.gaps > 0)
        resume_note_lost(&s->resume);
}

static uint64_t text_of(struct trail *t)
{
    struct trail_lag lag;

    trail_lag(t, trail_oldest(t), 0, &lag);
    return lag.bytes;
}

/* ---- stopping ---- */

static void on_closed(void *arg)
{
    struct ship *s = arg;

    trail_close(s->trail);
    for (size_t i = 0; i < NSIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_close((uv_handle_t *)&s->tick, NULL);
    uv_close((uv_handle_t *)&s->drain, NULL);
}

static void close_all(void *arg)
{
    struct ship *s = arg;

    if (s->closing)
        return;
    s->closing = true;
    uv_timer_stop(&s->drain);
    uv_timer_stop(&s->tick);
    if (s->lane == NULL) {
        on_closed(s);
        return;
    }
    if (s->result->end != SHIP_FAILED && s->result->end != SHIP_STATE)
        look(s);
    lane_close(s->lane, on_closed, s);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    close_all(timer->data);
}

static void stop(struct ship *s, enum ship_end end)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->result->end = end;
    uv_timer_start(&s->drain, on_drain_timeout, s->env->drain_ms, 0);
    lane_drain(s->lane, close_all, s);
}

static void why(struct ship *s, const char *otherwise)
{
    const struct lane_view *v = &s->result->view.lane;

    err_set(&s->result->err, ERR_IO, "%s",
            v->trouble != NULL ? v->trouble : otherwise);
}

/* What is under way is waited for, but not an output that takes nothing. */
static void on_stop_signal(struct ship *s)
{
    if (s->stopping || s->closing) {
        log_warn(WHO, "stopped at once by a second signal");
        s->env->cut_short();
    }
    look(s);
    s->result->view.is_stopping = true;
    stop(s, SHIP_STOPPED);
    if (s->result->view.lane.trouble == NULL)
        return;
    why(s, "");
    close_all(s);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct ship *s = handle->data;

    if (signum != SIGUSR1)
        on_stop_signal(s);
    else if (s->lane != NULL && !s->closing)
        lane_log_counters(s->lane);
}

static void on_gone(void *arg)
{
    struct ship *s = arg;

    look(s);
    why(s, "the output takes nothing any more");
    stop(s, SHIP_GONE);
}

static void on_ended(void *arg)
{
    stop(arg, SHIP_DONE);
}

/* ---- while it runs ---- */

static void check_patience(struct ship *s)
{
    const struct counters *c = &s->result->view.lane.count;
    uint64_t settled =
        c->delivered + c->duplicate + c->filtered + c->refused + c->quarantined;
    uint64_t now = clock_mono_ms();

    if (settled != s->settled) {
        s->settled = settled;
        s->settled_ms = now;
    }
    if (s->stopping || s->env->give_up_ms == 0 ||
        now - s->settled_ms < s->env->give_up_ms)
        return;
    why(s, "no answer");
    stop(s, SHIP_GAVE_UP);
    close_all(s);
}

static void on_tick(uv_timer_t *timer)
{
    struct ship *s = timer->data;
    uint64_t now = clock_mono_ms();

    look(s);
    if (s->env->tick != NULL)
        s->env->tick(s->env->arg, &s->result->view);
    if (now - s->nudged_ms >= NUDGE_MS) {
        s->nudged_ms = now;
        trail_nudge(s->trail);
    }
    check_patience(s);
}

/* ---- starting ---- */

static void init_handles(struct ship *s)
{
    for (size_t i = 0; i < NSIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        if (uv_signal_start(&s->signals[i], on_signal, signals[i]) != 0)
            abort();
    }
    uv_timer_init(&s->loop, &s->tick);
    uv_timer_init(&s->loop, &s->drain);
    s->tick.data = s->drain.data = s;
}

/* An output that cuts off what is behind its mark must have its file alone: it
 * would be what somebody else has added. */
static int check_file(const struct ship *s, struct err *e)
{
    const char *path = output_path(s->env->output);
    char *full;
    struct stat st;
    int rc = 0;

    if (s->env->output->ops->mark == NULL || path == NULL || s->result->went_on)
        return 0;
    full = output_path_for(path, s->env->trail);
    if (stat(full, &st) == 0 && st.st_size > 0)
        rc = err_set(e, ERR_BUSY,
                     "%s holds something already; this takes a file of its "
                     "own: choose another path, or move that one away",
                     full);
    free(full);
    return rc;
}

static enum ship_end open_resume(struct ship *s, struct err *e)
{
    const struct ship_env *env = s->env;
    int rc =
        resume_open(&s->resume, env->place, env->trail, env->output->name, e);

    if (rc != 0)
        return rc == ERR_BUSY ? SHIP_LOCKED : SHIP_STATE;
    rc = resume_check(&s->resume, s->trail, &s->result->went_on, e);
    /* Of an earlier run that came to its end: all is sent again. */
    if (rc == 0 && env->dead < 0 && !s->result->went_on)
        rc = dead_set_aside(s->resume.state.dir, env->output->name, e);
    if (rc != 0)
        return SHIP_STATE;
    return check_file(s, e) != 0 ? SHIP_FAILED : SHIP_DONE;
}

static void print_dead(void *arg, const struct dead_letter *d, struct buf *out)
{
    struct ship *s = arg;

    s->env->print_dead(s->env->arg, d, out);
}

static enum ship_end open_lane(struct ship *s, struct err *e)
{
    const struct ship_env *env = s->env;
    int state = s->resume.state.dir;
    struct lane_env lane = {
        .loop = &s->loop,
        .state = state,
        .dead = env->dead >= 0 ? env->dead : state,
        .trail = s->trail,
        .output = env->output->name,
        .ops = env->output->ops,
        .output_conf = s->output_conf,
        .conf = &env->output->lane,
        .parser_ops = env->parser_ops,
        .parser = env->parser,
        .print_dead = env->print_dead != NULL ? print_dead : NULL,
        .gone = on_gone,
        .ended = on_ended,
        .arg = s,
    };
    int rc;

    s->has_parser = true; /* whatever comes of it */
    s->lane = lane_open(&lane, e);
    if (s->lane == NULL)
        return SHIP_FAILED;
    rc = lane_start(s->lane, e);
    if (rc != 0)
        return rc == ERR_DAMAGED ? SHIP_STATE : SHIP_FAILED;
    return SHIP_DONE;
}

static enum ship_end start(struct ship *s, struct err *e)
{
    const struct ship_env *env = s->env;
    enum ship_end end;

    file_raise_limit(); /* all are held open until they are read */
    s->trail = trail_open_files(&s->loop, env->trail, env->trail_conf,
                                env->paths, env->n, e);
    if (s->trail == NULL)
        return SHIP_FAILED;
    s->result->view.total = text_of(s->trail);
    end = open_resume(s, e);
    if (end != SHIP_DONE)
        return end;
    s->output_conf = output_conf_for(env->output, env->trail);
    end = open_lane(s, e);
    if (end != SHIP_DONE)
        return end;
    s->began_ms = s->settled_ms = s->nudged_ms = clock_mono_ms();
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    return SHIP_DONE;
}

/* ---- the end ---- */

static bool has_dead(const struct ship *s)
{
    const struct counters *c = &s->result->view.lane.count;
    int dir = s->env->dead >= 0 ? s->env->dead : s->resume.state.dir;
    char *name = xprintf("dead/%s.ndjson", s->env->output->name);
    bool yes = s->result->went_on && faccessat(dir, name, F_OK, 0) == 0;

    free(name);
    return yes || c->refused + c->quarantined > 0;
}

static void finish(struct ship *s)
{
    struct ship_result *r = s->result;

    r->has_dead = has_dead(s);
    r->has_lost = s->resume.has_lost;
    r->view.lane.trouble = NULL;
    if (r->end == SHIP_DONE && s->env->done != NULL)
        s->env->done(s->env->arg);
    if (r->end == SHIP_DONE)
        resume_forget(&s->resume);
    resume_close(&s->resume);
    if (s->output_conf != NULL)
        output_conf_free(s->env->output, s->output_conf);
    if (!s->has_parser && s->env->parser != NULL)
        s->env->parser_ops->close(s->env->parser);
}

void ship_run(const struct ship_env *env, struct ship_result *result)
{
    struct ship s = { .env = env,
                      .result = result,
                      .resume = { .state = { -1, -1 } } };

    struct err e = { 0 };

    *result = (struct ship_result){ 0 };
    if (uv_loop_init(&s.loop) != 0)
        abort();
    init_handles(&s);
    result->end = start(&s, &e);
    if (result->end != SHIP_DONE) { /* else it was nothing, as no checkpoint */
        result->err = e;
        close_all(&s);
    }
    uv_run(&s.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&s.loop) != 0)
        log_error(WHO, "something is still open");
    finish(&s);
}
