/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/agent.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/ops/roster.h"
#include "agent/ops/state.h"

#define WHO "agent"

static const int signals[] = { SIGTERM, SIGINT, SIGUSR1 };
#define NSIGNALS ARRAY_LEN(signals)

struct agent {
    const struct conf *conf;
    void (*cut_short)(void);
    uv_loop_t loop;
    struct state state;
    struct roster *roster;
    uv_signal_t signals[NSIGNALS];
    uv_timer_t drain;
    bool stopping;
    bool closing;
    enum agent_end end;
};

/* ---- stopping ---- */

static void on_closed(void *arg)
{
    struct agent *a = arg;

    for (size_t i = 0; i < NSIGNALS; i++)
        uv_close((uv_handle_t *)&a->signals[i], NULL);
    uv_close((uv_handle_t *)&a->drain, NULL);
}

/* Drained or not: now everything is written down and closed. */
static void close_all(void *arg)
{
    struct agent *a = arg;

    if (a->closing)
        return;
    a->closing = true;
    uv_timer_stop(&a->drain);
    roster_log_counters(a->roster);
    roster_close(a->roster, on_closed, a);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct agent *a = timer->data;

    log_warn(WHO, "drain_timeout of %" PRIu64 " ms has passed",
             a->conf->agent.drain_timeout);
    close_all(a);
}

static void stop(struct agent *a, enum agent_end end)
{
    if (a->stopping)
        return;
    a->stopping = true;
    a->end = end;
    uv_timer_start(&a->drain, on_drain_timeout, a->conf->agent.drain_timeout,
                   0);
    roster_drain(a->roster, close_all, a);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct agent *a = handle->data;

    if (signum == SIGUSR1) {
        roster_log_counters(a->roster);
    } else if (a->stopping) {
        log_warn(WHO, "stopped at once by a second signal; what was not "
                      "settled comes again at the next start, unless it came "
                      "by standard input");
        roster_log_counters(a->roster);
        a->cut_short();
    } else {
        log_info(WHO, "stopping: settling what is in flight");
        stop(a, AGENT_STOPPED);
    }
}

static void on_gone(void *arg)
{
    struct agent *a = arg;

    if (a->stopping)
        return;
    log_error(WHO, "no output is left");
    stop(a, AGENT_FAILED);
}

static void on_ended(void *arg, bool whole)
{
    struct agent *a = arg;

    if (a->stopping)
        return;
    if (whole)
        log_info(WHO, "standard input has ended, and all of it is settled");
    else
        log_error(WHO, "standard input has ended, but not every output took "
                       "all of it");
    stop(a, whole ? AGENT_STOPPED : AGENT_FAILED);
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

static enum agent_end start(struct agent *a)
{
    struct roster_env env = { .loop = &a->loop,
                              .conf = a->conf,
                              .state = a->state.dir,
                              .gone = on_gone,
                              .ended = on_ended,
                              .arg = a };
    struct err e = { 0 };
    size_t trails, lanes;
    int rc;

    file_raise_limit(); /* every rotated file is held open */
    a->roster = roster_new(&env);
    rc = roster_start(a->roster, &e);
    if (rc != 0) {
        log_error(WHO, "%s", e.text);
        return rc == ERR_DAMAGED ? AGENT_STATE : AGENT_FAILED;
    }
    trails = roster_trails(a->roster);
    lanes = roster_lanes(a->roster);
    log_info(WHO, "tallyman %s ready: %zu trail%s, %zu lane%s",
             TALLYMAN_VERSION, trails, trails == 1 ? "" : "s", lanes,
             lanes == 1 ? "" : "s");
    return AGENT_STOPPED;
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
        close_all(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&a.loop) != 0)
        log_error(WHO, "something is still open");
    state_close(&a.state);
    roster_free(a.roster);
    if (a.end == AGENT_STOPPED)
        log_info(WHO, "stopped");
    return a.end;
}
