/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/show.h"

/* Where standard error is no terminal. */
#define LINE_EVERY_MS 10000
#define COLUMNS       80

/* Whether a bar stands on the terminal. There is one terminal. */
static bool has_bar;

static void put(struct span text)
{
    /* Where standard error is gone there is nobody left to tell. */
    if (file_write_all(STDERR_FILENO, text.at, text.len) != 0)
        has_bar = false;
}

static void clear_bar(void)
{
    if (has_bar)
        put(SPAN("\r\033[K"));
    has_bar = false;
}

void report_cut_short(void)
{
    clear_bar();
    _exit(EXIT_CUT_SHORT);
}

/* ---- progress ---- */

static size_t columns(void)
{
    struct winsize w;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return COLUMNS;
    return w.ws_col;
}

void report_start(struct report *r)
{
    const char *term = getenv("TERM");

    r->is_terminal =
        isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
    log_set_clear(clear_bar);
}

/* The last column stays free: some terminals go on to the next line there. */
static void show_bar(struct report *r)
{
    struct buf out = { 0 };

    buf_add(&out, "\r", 1);
    progress_bar(&r->progress, columns() - 1, &out);
    buf_printf(&out, "\033[K");
    put(span(out.at, out.len));
    has_bar = true;
    buf_free(&out);
}

static void show_line(struct report *r)
{
    struct buf out = { 0 };

    buf_printf(&out, "tallyman %s: ", r->command);
    progress_line(&r->progress, &out);
    buf_add(&out, "\n", 1);
    put(span(out.at, out.len));
    buf_free(&out);
}

static uint64_t settled(const struct counters *c)
{
    return c->delivered + c->duplicate + c->filtered + c->refused +
           c->quarantined;
}

void report_show(struct report *r, const struct progress_point *now)
{
    progress_note(&r->progress, now);
    if (r->quiet)
        return;
    if (r->is_terminal) {
        show_bar(r);
    } else if (now->ms - r->shown_ms >= LINE_EVERY_MS) {
        r->shown_ms = now->ms;
        show_line(r);
    }
}

void report_tick(struct report *r, const struct ship_view *v)
{
    struct progress *p = &r->progress;

    p->done = v->done;
    p->total = v->total;
    p->is_stopping = v->is_stopping;
    p->trouble = v->lane.trouble;
    p->trouble_ms = v->lane.trouble_ms;
    report_show(r, &(struct progress_point){ v->ms, v->lane.count.read_bytes,
                                             settled(&v->lane.count) });
}

void report_stop(struct report *r)
{
    (void)r;
    clear_bar();
    log_set_clear(NULL);
}

/* ---- the end ---- */

static uint64_t per_second(uint64_t n, uint64_t ms)
{
    return n * 1000 / (ms > 0 ? ms : 1);
}

static void add_field(struct buf *out, const char *name, uint64_t n)
{
    buf_printf(out, "%s\"%s\":%" PRIu64, out->len > 1 ? "," : "", name, n);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":\"", name);
    buf_add_json(out, span(text, strlen(text)));
    buf_add(out, "\"", 1);
}

static void add_bool(struct buf *out, const char *name, bool yes)
{
    buf_printf(out, ",\"%s\":%s", name, yes ? "true" : "false");
}

static void print_json(const struct report *r, const struct ship_result *result,
                       const char *dead, struct buf *out)
{
    const struct ship_view *v = &result->view;
    const struct counters *c = &v->lane.count;

    buf_printf(out, "{\"output\":\"%s\"", r->output);
    add_field(out, "events", settled(c));
    add_field(out, "delivered", c->delivered);
    add_field(out, "duplicate", c->duplicate);
    add_field(out, "filtered", c->filtered);
    add_field(out, "refused", c->refused);
    add_field(out, "quarantined", c->quarantined);
    add_field(out, "gaps", c->gaps);
    add_field(out, "read", c->read);
    add_field(out, "in_flight", v->lane.in_flight);
    add_field(out, "bytes", c->read_bytes);
    buf_printf(out, ",\"seconds\":%" PRIu64 ".%03" PRIu64, v->ms / 1000,
               v->ms % 1000);
    add_field(out, "events_per_second", per_second(settled(c), v->ms));
    add_bool(out, "went_on", result->went_on);
    add_bool(out, "finished", result->end == SHIP_DONE);
    add_bool(out, "all_delivered",
             result->end == SHIP_DONE && !result->has_dead &&
                 !result->has_lost);
    if (result->end != SHIP_DONE && result->err.text[0] != '\0')
        add_text(out, "error", result->err.text);
    if (result->has_dead && dead != NULL)
        add_text(out, "dead_letters", dead);
    buf_add(out, "}\n", 2);
}

static void add_count(struct buf *out, uint64_t n, const char *what)
{
    progress_count(out, n);
    buf_printf(out, " %s", what);
}

static void print_summary(const struct report *r,
                          const struct ship_result *result, struct buf *out)
{
    const struct ship_view *v = &result->view;
    const struct counters *c = &v->lane.count;

    buf_printf(out, "%s: ", r->output);
    add_count(out, settled(c), "events: ");
    add_count(out, c->delivered, "delivered, ");
    add_count(out, c->duplicate, "duplicate, ");
    if (c->filtered > 0)
        add_count(out, c->filtered, "filtered, ");
    add_count(out, c->refused + c->quarantined, "dead; ");
    progress_bytes(out, c->read_bytes);
    buf_printf(out, " in %" PRIu64 ".%" PRIu64 " s, ", v->ms / 1000,
               v->ms / 100 % 10);
    add_count(out, per_second(settled(c), v->ms), "events/s\n");
}

static int summarize(const struct report *r, const struct ship_result *result,
                     const char *dead)
{
    struct buf out = { 0 };
    int code = EXIT_OK;

    if (r->json)
        print_json(r, result, dead, &out);
    else
        print_summary(r, result, &out);
    fprintf(r->stdout_is_his ? stderr : stdout, "%.*s", (int)out.len, out.at);
    if (!r->stdout_is_his)
        code = cli_flush(r->command);
    buf_free(&out);
    return code;
}

/* ---- what went wrong ---- */

static const struct {
    const char *what;
    const char *then; /* what to do, or NULL */
    int code;
} ends[] = {
    [SHIP_DONE] = { "", NULL, EXIT_OK },
    [SHIP_STOPPED] = { "stopped", "the same command goes on from there",
                       EXIT_FAILED },
    [SHIP_GAVE_UP] = { "given up", "the same command goes on from there",
                       EXIT_FAILED },
    [SHIP_GONE] = { "the output is gone", "the same command goes on from there",
                    EXIT_FAILED },
    [SHIP_FAILED] = { "nothing was sent", NULL, EXIT_FAILED },
    [SHIP_STATE] = { "nothing was sent", NULL, EXIT_STATE },
    [SHIP_LOCKED] = { "it is under way already", NULL, EXIT_LOCKED },
};

static bool has_begun(enum ship_end end)
{
    return end != SHIP_FAILED && end != SHIP_STATE && end != SHIP_LOCKED;
}

static void say_why(const struct report *r, const struct ship_result *result)
{
    const struct ship_view *v = &result->view;
    enum ship_end end = result->end;
    struct buf out = { 0 };

    buf_printf(&out, "tallyman %s: %s", r->command, ends[end].what);
    if (has_begun(end))
        buf_printf(&out, " at %u%%",
                   v->total > 0
                       ? (unsigned)((double)v->done * 100 / (double)v->total)
                       : 0);
    if (result->err.text[0] != '\0') {
        buf_printf(&out, ": ");
        show_add(&out, span(result->err.text, strlen(result->err.text)));
    }
    if (ends[end].then != NULL)
        buf_printf(&out, "; %s", ends[end].then);
    buf_add(&out, "\n", 1);
    put(span(out.at, out.len));
    buf_free(&out);
}

static void say_missing(const struct report *r,
                        const struct ship_result *result, const char *dead)
{
    struct buf out = { 0 };

    if (result->has_dead) {
        buf_printf(&out, "tallyman %s: what was not taken is in ", r->command);
        show_add(&out, span(dead, strlen(dead)));
        buf_printf(&out, ", with the reasons\n");
    }
    if (result->has_lost)
        buf_printf(&out,
                   "tallyman %s: something of the files could not be read; "
                   "events of kind Gap tell what\n",
                   r->command);
    put(span(out.at, out.len));
    buf_free(&out);
}

int report_end(struct report *r, const struct ship_result *result,
               const char *dead)
{
    int code = ends[result->end].code;

    clear_bar();
    log_set_clear(NULL);
    if (result->end != SHIP_DONE)
        say_why(r, result);
    if (has_begun(result->end) && (result->has_dead || result->has_lost))
        say_missing(r, result, dead);
    if (code == EXIT_OK && (result->has_dead || result->has_lost))
        code = EXIT_DEAD;
    if ((r->json || (has_begun(result->end) && !r->quiet)) &&
        summarize(r, result, dead) != EXIT_OK && code == EXIT_OK)
        code = EXIT_FAILED;
    return code;
}
