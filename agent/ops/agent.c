/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/agent.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "agent/base/log.h"
#include "agent/lane/lane.h"
#include "agent/ops/state.h"
#include "agent/trail/trail.h"
#include "agent/trail/watch.h"

#define WHO "agent"

static const int signals[] = { SIGTERM, SIGINT, SIGUSR1 };
#define NSIGNALS ARRAY_LEN(signals)

struct agent {
    const struct conf *conf;
    void (*cut_short)(void);
    uv_loop_t loop;
    struct state state;
    struct watcher *watcher;
    struct trail **trails;
    struct lane **lanes;
    size_t nlanes;
    size_t undrained;
    size_t unclosed;
    size_t gone;
    uv_signal_t signals[NSIGNALS];
    uv_timer_t drain;
    bool stopping;
    bool closing;
    enum agent_end end;
};

/* ---- stopping ---- */

static void close_trails(struct agent *a)
{
    for (size_t i = 0; i < a->conf->ntrails; i++)
        trail_close(a->trails[i]);
    watcher_close(a->watcher);
    for (size_t i = 0; i < NSIGNALS; i++)
        uv_close((uv_handle_t *)&a->signals[i], NULL);
    uv_close((uv_handle_t *)&a->drain, NULL);
}

static void on_lane_closed(void *arg)
{
    struct agent *a = arg;

    if (--a->unclosed == 0)
        close_trails(a);
}

static void log_counters(const struct agent *a)
{
    for (size_t i = 0; i < a->nlanes; i++)
        lane_log_counters(a->lanes[i]);
}

/* Drained or not: now everything is written down and closed. */
static void close_lanes(struct agent *a)
{
    if (a->closing)
        return;
    a->closing = true;
    uv_timer_stop(&a->drain);
    log_counters(a);
    a->unclosed = a->nlanes;
    for (size_t i = 0; i < a->nlanes; i++) {
        uint64_t left = lane_left_behind(a->lanes[i]);

        if (left > 0)
            log_warn(lane_who(a->lanes[i]),
                     "left behind: %" PRIu64 " bytes of the log were read but "
                     "not settled; they come again at the next start",
                     left);
        lane_close(a->lanes[i], on_lane_closed, a);
    }
    if (a->nlanes == 0)
        close_trails(a);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct agent *a = timer->data;

    log_warn(WHO, "drain_timeout of %" PRIu64 " ms has passed",
             a->conf->agent.drain_timeout);
    close_lanes(a);
}

static void on_drained(void *arg)
{
    struct agent *a = arg;

    if (--a->undrained == 0)
        close_lanes(a);
}

static void stop(struct agent *a, enum agent_end end)
{
    if (a->stopping)
        return;
    a->stopping = true;
    a->end = end;
    a->undrained = a->nlanes;
    uv_timer_start(&a->drain, on_drain_timeout, a->conf->agent.drain_timeout,
                   0);
    for (size_t i = 0; i < a->nlanes; i++)
        lane_drain(a->lanes[i], on_drained, a);
    if (a->nlanes == 0)
        close_lanes(a);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct agent *a = handle->data;

    if (signum == SIGUSR1) {
        log_counters(a);
    } else if (a->stopping) {
        log_warn(WHO, "stopped at once by a second signal; what was not "
                      "settled comes again at the next start");
        log_counters(a);
        a->cut_short();
    } else {
        log_info(WHO, "stopping: settling what is in flight");
        stop(a, AGENT_STOPPED);
    }
}

static void on_gone(void *arg)
{
    struct agent *a = arg;

    if (++a->gone < a->nlanes)
        return;
    log_error(WHO, "no output is left");
    stop(a, AGENT_FAILED);
}

/* ---- starting ---- */

static void init_handles(struct agent *a)
{
    for (size_t i = 0; i < NSIGNALS; i++) {
        uv_signal_init(&a->loop, &a->signals[i]);
        a->signals[i].data = a;
        if (uv_signal_start(&a->signals[i], on_signal, signals[i]) != 0)
            abort();
    }
    uv_timer_init(&a->loop, &a->drain);
    a->drain.data = a;
}

/* Every rotated file is held open. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_debug(WHO, "cannot raise the limit of open files: %m");
}

static bool open_lane(struct agent *a, size_t trail,
                      const struct conf_output *o, struct err *e)
{
    struct lane_env env = {
        .loop = &a->loop,
        .state = a->state.dir,
        .trail = a->trails[trail],
        .output = o->name,
        .ops = o->ops,
        .output_conf = o->conf,
        .conf = &o->lane,
        .gone = on_gone,
        .arg = a,
    };
    struct lane *l = lane_open(&env, e);

    if (l == NULL) {
        err_prefix(e, "output %s", o->name);
        return false;
    }
    a->lanes[a->nlanes++] = l;
    if (lane_start(l, e) == 0)
        return true;
    err_prefix(e, "%s", lane_who(l));
    return false;
}

static bool open_lanes(struct agent *a, struct err *e)
{
    const struct conf *c = a->conf;

    a->lanes = xcalloc(c->ntrails * c->noutputs, sizeof(*a->lanes));
    for (size_t t = 0; t < c->ntrails; t++) {
        for (size_t o = 0; o < c->noutputs; o++) {
            if (conf_output_wants(&c->outputs[o], c->trails[t].name) &&
                !open_lane(a, t, &c->outputs[o], e))
                return false;
        }
    }
    return true;
}

static void open_trails(struct agent *a)
{
    const struct conf *c = a->conf;

    a->watcher = watcher_open(&a->loop);
    a->trails = xcalloc(c->ntrails, sizeof(*a->trails));
    for (size_t i = 0; i < c->ntrails; i++)
        a->trails[i] = trail_open(a->watcher, &a->loop, a->state.dir,
                                  c->trails[i].name, &c->trails[i].conf);
}

static enum agent_end start(struct agent *a)
{
    struct err e = { 0 };

    raise_file_limit();
    open_trails(a);
    if (open_lanes(a, &e)) {
        log_info(WHO, "tallyman %s ready: %zu trail%s, %zu lane%s",
                 TALLYMAN_VERSION, a->conf->ntrails,
                 a->conf->ntrails == 1 ? "" : "s", a->nlanes,
                 a->nlanes == 1 ? "" : "s");
        return AGENT_STOPPED;
    }
    log_error(WHO, "%s", e.text);
    return e.code == ERR_DAMAGED ? AGENT_STATE : AGENT_FAILED;
}

enum agent_end agent_run(const struct conf *conf, void (*cut_short)(void))
{
    struct agent a = { .conf = conf, .cut_short = cut_short };
    struct err e = { 0 };
    int rc = state_open(&a.state, conf->agent.state_dir, &e);

    if (rc != 0) {
        log_error(WHO, "%s", e.text);
        return rc == ERR_BUSY ? AGENT_LOCKED : AGENT_STATE;
    }
    if (uv_loop_init(&a.loop) != 0)
        abort();
    init_handles(&a);
    a.end = start(&a);
    if (a.end != AGENT_STOPPED)
        close_lanes(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&a.loop) != 0)
        log_error(WHO, "something is still open");
    state_close(&a.state);
    free(a.trails);
    free(a.lanes);
    if (a.end == AGENT_STOPPED)
        log_info(WHO, "stopped");
    return a.end;
}
