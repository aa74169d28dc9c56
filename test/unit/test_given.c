/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/lane/checkpoint.h"
#include "agent/lane/cursor.h"
#include "test/unit/logs.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 16

static uv_loop_t loop;
static struct trail_conf conf = { .path = "", .max_line = MIB };
static struct trail *t;
static struct cursor c;
static char *paths[MOST];
static size_t n;

static void give(const char *name)
{
    paths[n++] = xstrdup(logs_path(name));
}

static void forget_but(size_t left)
{
    while (n > left)
        free(paths[--n]);
}

static void open_trail(void)
{
    struct err e = { 0 };

    EQ(0, uv_loop_init(&loop));
    t = trail_open_files(&loop, "ship", &conf, paths, n, &e);
    if (t == NULL)
        FAIL("%s", e.text);
    OK(trail_ends(t) && trail_intake(t) == NULL);
}

static void start(void)
{
    open_trail();
    cursor_open(&c, t, "lane test");
    cursor_seek(&c, trail_oldest(t), 0, NULL);
}

static void stop(void)
{
    cursor_close(&c);
    trail_close(t);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
}

/* All there is to read up to the end, each with "|". */
static const char *rest(void)
{
    static struct buf text;
    enum cursor_what what;
    struct line line;

    text.len = 0;
    while ((what = cursor_next(&c, &line)) != CURSOR_END) {
        if (what == CURSOR_GAP)
            buf_printf(&text, "gap%d|", (int)c.gap.loss);
        else if (what != CURSOR_MORE)
            buf_printf(&text, "%s%.*s|", what == CURSOR_LINE ? "" : "!",
                       (int)line.bytes.len, line.bytes.at);
    }
    buf_add(&text, "", 1);
    return text.at;
}

static void is_at_end(void)
{
    OK(c.file != NULL && file_is_end(c.file));
}

/* What is said of the files, which cannot be taken. */
static struct err refused(int code)
{
    struct err e = { 0 };

    EQ(0, uv_loop_init(&loop));
    OK(trail_open_files(&loop, "ship", &conf, paths, n, &e) == NULL);
    EQ(code, e.code);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    return e;
}

TEST(files_are_read_in_the_order_given_and_then_it_ends)
{
    logs_prepare();
    logs_add("b.log", "b1\nb2\n");
    logs_add("a.log", "a1\na2\n");
    give("b.log");
    give("a.log");
    start();
    EQ_STR("b1|b2|a1|a2|", rest());
    is_at_end();
    EQ_STR("", rest());
    EQ(12, c.read_bytes);
    stop();
}

TEST(gzip_is_known_by_its_bytes_and_not_by_its_name)
{
    logs_prepare();
    logs_add("a", "a1\na2\n");
    logs_zip("a", "zipped.log");
    logs_add("plain.gz", "p1\n");
    give("plain.gz");
    give("zipped.log");
    give("a");
    start();
    EQ_STR("p1|a1|a2|a1|a2|", rest());
    is_at_end();
    stop();
}

TEST(the_end_of_a_file_without_newline_is_a_line)
{
    logs_prepare();
    logs_add("a", "a1\na2");
    logs_add("b", "b1");
    logs_zip("b", "b.gz");
    give("a");
    give("b.gz");
    start();
    EQ_STR("a1|a2|b1|", rest());
    is_at_end();
    stop();
}

TEST(what_is_behind_a_place_is_known_with_many_files)
{
    struct trail_lag lag;

    logs_prepare();
    logs_add("a", "a1\na2\n");
    logs_add("b", "b1\nb2\nb3\n");
    logs_zip("b", "b.gz");
    give("a");
    give("b.gz");
    start();
    trail_lag(t, trail_oldest(t), 3, &lag);
    EQ(3 + 9, lag.bytes);
    (void)rest();
    trail_lag(t, c.file, c.offset, &lag);
    EQ(0, lag.bytes);
    stop();
}

TEST(it_goes_on_where_a_checkpoint_says)
{
    struct checkpoint place = { .last_us = CLOCK_NO_TIME };
    struct file *f;
    uint64_t offset;
    struct line line;

    logs_prepare();
    logs_add("a", "a1\na2\n");
    logs_add("b", "b1\nb2\nb3\n");
    logs_zip("b", "b.gz");
    logs_add("c", "c1\n");
    give("a");
    give("b.gz");
    give("c");
    start();
    for (int i = 0; i < 4;)
        i += cursor_next(&c, &line) == CURSOR_LINE;
    EQ_SPAN(SPAN("b2"), line.bytes);
    offset = cursor_place(&c, &f);
    OK(file_is_remembered(f));
    checkpoint_take(&place, f, offset);
    stop();

    open_trail();
    cursor_open(&c, t, "lane test");
    f = trail_find(t, &place.id);
    OK(f != NULL);
    cursor_seek(&c, f, place.offset, &place.guard);
    EQ_STR("b3|c1|", rest());
    is_at_end();
    stop();
    checkpoint_free(&place);
}

/* Nobody is going to finish it while we wait. */
TEST(a_cut_gzip_is_damaged_at_once)
{
    struct stat st;

    logs_prepare();
    for (int i = 0; i < 2000; i++)
        logs_add("a", i % 7 == 0 ? "one line\n" : "and another one\n");
    logs_zip("a", "a.gz");
    EQ(0, stat(logs_path("a.gz"), &st));
    logs_cut("a.gz", (uint64_t)st.st_size - 9);
    logs_add("b", "b1\n");
    give("a.gz");
    give("b");
    start();
    HAS(rest(), "gap3|b1|");
    is_at_end();
    stop();
}

TEST(what_is_cut_while_it_is_read_is_lost_and_the_rest_goes_on)
{
    struct line line;

    logs_prepare();
    for (int i = 0; i < 40000; i++)
        logs_add("a", "a line\n");
    logs_add("b", "b1\n");
    give("a");
    give("b");
    start();
    while (cursor_next(&c, &line) != CURSOR_LINE)
        ;
    logs_cut("a", 0);
    HAS(rest(), "gap2|b1|");
    is_at_end();
    stop();
}

TEST(a_file_that_is_read_is_let_go)
{
    unsigned before;

    logs_prepare();
    logs_add("a", "a1\n");
    logs_add("b", "b1\n");
    logs_add("c", "c1\n");
    give("a");
    give("b");
    give("c");
    start();
    before = logs_open_files();
    (void)rest();
    EQ(before - 3, logs_open_files());
    stop();
}

static void on_more(void *arg)
{
    ++*(unsigned *)arg;
}

/* A read may fail for a while, and nobody would tell that it works again. */
TEST(who_waits_is_called_when_it_is_nudged)
{
    unsigned calls = 0;
    struct waiter w = { .more = on_more, .arg = &calls };

    logs_prepare();
    logs_add("a", "a1\n");
    give("a");
    start();
    trail_nudge(t);
    EQ(0, calls);
    trail_wait(t, &w);
    trail_nudge(t);
    trail_nudge(t);
    EQ(1, calls);
    stop();
}

TEST(an_empty_file_is_left_out)
{
    logs_prepare();
    logs_add("empty", "");
    logs_add("a", "a1\n");
    give("empty");
    give("a");
    start();
    EQ_STR("a1|", rest());
    is_at_end();
    stop();
}

TEST(nothing_in_any_of_them_is_an_error)
{
    logs_prepare();
    logs_add("empty", "");
    logs_add("nothing", "");
    give("empty");
    HAS(refused(ERR_MISSING).text, "there is nothing in /");
    give("nothing");
    EQ_STR("there is nothing in any of the files", refused(ERR_MISSING).text);
}

TEST(what_is_no_file_is_refused)
{
    struct err e;

    logs_prepare();
    give("missing");
    HAS(refused(ERR_MISSING).text, "missing: No such file");
    forget_but(0);
    give(".");
    HAS(refused(ERR_FORMAT).text, "is a directory; name the files in it");
    forget_but(0);
    EQ(0, mkfifo(logs_path("pipe"), 0600));
    give("pipe");
    HAS(refused(ERR_FORMAT).text, "is a pipe");
    forget_but(0);
    give("/dev/null");
    e = refused(ERR_FORMAT);
    EQ_STR("/dev/null is not a regular file", e.text);
}

TEST(a_file_that_is_given_twice_is_refused)
{
    struct err e;

    logs_prepare();
    logs_add("a", "a1\n");
    EQ(0, symlink(logs_path("a"), logs_path("link")));
    give("a");
    give("link");
    e = refused(ERR_BUSY);
    HAS(e.text, "link was given before, as ");
    forget_but(1);
    EQ(0, link(logs_path("a"), logs_path("hard")));
    give("hard");
    HAS(refused(ERR_BUSY).text, "hard was given before, as ");
}

TEST(too_many_files_at_once_are_told_of)
{
    struct rlimit limit = { 24, 24 };
    char name[16];

    logs_prepare();
    for (unsigned i = 0; i < MOST; i++) {
        snprintf(name, sizeof(name), "%u", i);
        logs_add(name, "x\n");
        give(name);
    }
    EQ(0, uv_loop_init(&loop));
    limit.rlim_cur = logs_open_files() + 4;
    EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
    struct err e = { 0 };
    OK(trail_open_files(&loop, "ship", &conf, paths, n, &e) == NULL);
    EQ(ERR_LIMIT, e.code);
    HAS(e.text, "ulimit -n");
}
