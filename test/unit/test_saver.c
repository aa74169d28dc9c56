/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/file.h"
#include "agent/base/saver.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static uv_loop_t loop;
static struct saver *s;
static int dir;
static int value;  /* what the next print() gives */
static int answer; /* of print() */
static unsigned prints, saves, hurried_saves, closes;

static int print(void *arg, struct buf *text, struct err *e)
{
    OK(arg == &value);
    prints++;
    if (answer != 0)
        return err_set(e, answer, "print says so");
    text->len = 0;
    buf_printf(text, "%d", value);
    return 0;
}

static void saved(void *arg, bool hurried)
{
    OK(arg == &value);
    saves++;
    hurried_saves += hurried;
}

static void closed(void *arg)
{
    OK(arg == &value);
    closes++;
}

static const struct saver_ops ops = { print, saved };

static void start(void)
{
    EQ(0, uv_loop_init(&loop));
    dir = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    s = saver_open(&loop, "lane test", dir, "cp", "checkpoint", &ops, &value);
}

static void stop(void)
{
    saver_close(s, closed);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(1, closes);
    EQ(0, uv_loop_close(&loop));
    close(dir);
}

static void run_until(const unsigned *count, unsigned n)
{
    while (*count < n) {
        int active = uv_run(&loop, UV_RUN_ONCE);

        OK(active != 0 || *count >= n);
    }
}

static void holds(const char *name, const char *want)
{
    struct buf text = { 0 };
    int rc = file_read(dir, name, 100, &text, NULL);

    buf_add(&text, "", 1);
    EQ_STR(want, rc == ERR_MISSING ? "-" : text.at);
    buf_free(&text);
}

TEST(the_first_touch_is_written_at_once)
{
    start();
    value = 1;
    saver_touch(s);
    EQ(0, saves); /* never from within */
    run_until(&saves, 1);
    EQ(0, hurried_saves);
    holds("cp", "1");
    stop();
    EQ(1, saves);
}

TEST(nothing_that_moved_is_nothing_to_write)
{
    start();
    stop();
    EQ(0, prints);
}

TEST(the_last_state_is_written_at_the_end)
{
    start();
    value = 1;
    saver_touch(s);
    for (value = 2; value < 10; value++)
        saver_touch(s);
    stop();
    EQ(2, saves);
    dir = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    holds("cp", "10");
    holds("cp.prev", "1");
}

TEST(who_hurries_does_not_wait)
{
    start();
    value = 1;
    saver_touch(s);
    run_until(&saves, 1);
    value = 2;
    saver_touch(s); /* would wait a while */
    EQ(1, prints);
    OK(!saver_is_hurrying(s));
    saver_hurry(s);
    EQ(2, prints);
    OK(saver_is_hurrying(s));
    run_until(&saves, 2);
    EQ(1, hurried_saves);
    OK(!saver_is_hurrying(s));
    holds("cp", "2");
    stop();
}

TEST(a_hurry_during_a_write_is_served_by_the_next_one)
{
    start();
    value = 1;
    saver_touch(s);
    value = 2;
    saver_hurry(s);
    OK(saver_is_hurrying(s));
    run_until(&saves, 1);
    EQ(0, hurried_saves);
    run_until(&saves, 2);
    EQ(1, hurried_saves);
    holds("cp", "2");
    stop();
}

TEST(where_there_is_no_checkpoint_yet_none_is_written)
{
    start();
    answer = ERR_AGAIN;
    saver_touch(s);
    saver_hurry(s);
    stop();
    EQ(0, saves);
    EQ(2, prints);
    dir = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    holds("cp", "-");
}

TEST(a_write_that_fails_is_not_told_as_saved)
{
    start();
    EQ(0, mkdirat(dir, "cp.new", 0700));
    value = 1;
    saver_hurry(s);
    stop(); /* which tries once more, and gives up */
    EQ(0, saves);
}

TEST(a_write_that_failed_is_made_up_for)
{
    start();
    EQ(0, mkdirat(dir, "cp.new", 0700));
    value = 1;
    saver_hurry(s);
    while (prints < 2) { /* a second later at most */
        uv_run(&loop, UV_RUN_ONCE);
        unlinkat(dir, "cp.new", AT_REMOVEDIR);
    }
    run_until(&saves, 1);
    EQ(1, hurried_saves);
    holds("cp", "1");
    stop();
}

TEST(what_cannot_be_printed_does_not_stop_the_end)
{
    start();
    answer = ERR_IO;
    saver_touch(s);
    stop();
    EQ(0, saves);
}

TEST(closing_waits_for_the_write_under_way)
{
    start();
    value = 1;
    saver_hurry(s);
    saver_close(s, closed);
    EQ(0, closes);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(1, closes);
    EQ(1, saves);
    EQ(0, uv_loop_close(&loop));
    holds("cp", "1");
    close(dir);
}
