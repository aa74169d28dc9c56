/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/ops/walk.h"
#include "agent/trail/watch.h"
#include "test/unit/logs.h"

#define EVENT(n)                                                         \
    "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":"  \
    "\"Metadata\",\"auditID\":\"" n "\",\"stage\":\"ResponseComplete\"," \
    "\"stageTimestamp\":\"2026-11-23T17:00:03.406123Z\"}"

static uv_loop_t loop;
static struct watcher *watcher;
static struct trail_conf conf;
static struct trail *t;
static struct walk w;

static void start(void)
{
    EQ(0, uv_loop_init(&loop));
    watcher = watcher_open(&loop);
    opt_defaults(trail_opts, &conf);
    conf.path = xstrdup(logs_path("audit.log"));
    t = trail_open(watcher, &loop, -1, "audit", &conf);
    trail_end_here(t);
    OK(trail_ends(t));
    walk_open(&w, t, true);
}

static void stop(void)
{
    walk_close(&w);
    trail_close(t);
    watcher_close(watcher);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    opt_free(trail_opts, &conf);
}

/* What comes, a letter for each, with the offset of events. */
static const char *rest(void)
{
    static struct buf text;
    enum walk_what what;

    text.len = 0;
    while ((what = walk_next(&w)) != WALK_END && what != WALK_FAILED) {
        if (what == WALK_EVENT)
            buf_printf(&text, "e%llu ", (unsigned long long)w.offset);
        else if (what != WALK_MORE)
            buf_printf(&text, "%s ", what == WALK_GAP ? "gap" : "no");
    }
    buf_printf(&text, "%s", what == WALK_END ? "end" : "failed");
    buf_add(&text, "", 1);
    return text.at;
}

TEST(rotated_files_come_before_the_live_one)
{
    logs_prepare();
    logs_add("audit-2026-11-23T17-00-00.000.log", EVENT("1") "\n\n");
    logs_add("audit.log", EVENT("2") "\n");
    start();
    EQ_STR("e0 e0 end", rest());
    EQ_STR("end", rest());
    stop();
}

TEST(a_log_that_is_not_there_is_at_its_end)
{
    logs_prepare();
    start();
    EQ_STR("end", rest());
    stop();
}

/* It is being written; in a file that is rotated it stays as it is. */
TEST(half_a_line_at_the_end_of_the_live_file_is_no_part_of_it)
{
    logs_prepare();
    logs_add("audit-2026-11-23T17-00-00.000.log", EVENT("1") "\n{\"kind\"");
    logs_add("audit.log", EVENT("2") "\n" EVENT("3"));
    start();
    EQ_STR("e0 no e0 end", rest());
    stop();
}

TEST(what_is_written_after_the_start_is_no_part_of_it)
{
    logs_prepare();
    logs_add("audit.log", EVENT("1") "\n");
    start();
    logs_add("audit.log", EVENT("2") "\n");
    logs_add("audit-2026-11-23T17-00-00.000.log", EVENT("3") "\n");
    EQ_STR("e0 end", rest());
    stop();
}

TEST(a_rotation_meanwhile_changes_nothing)
{
    logs_prepare();
    logs_add("audit.log", EVENT("1") "\n" EVENT("2") "\n");
    start();
    logs_move("audit.log", "audit-2026-11-23T17-00-00.000.log");
    logs_add("audit.log", EVENT("3") "\n");
    HAS(rest(), "e0 e");
    EQ_STR("end", rest());
    stop();
}

TEST(half_an_event_and_the_one_that_was_appended_to_it)
{
    logs_prepare();
    logs_add("audit.log", "{\"kind\":\"Event\",\"api" EVENT("1") "\n");
    start();
    EQ_STR("no e20 end", rest());
    stop();
}
