/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/cursor.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"

static uv_loop_t loop;
static struct trail_conf conf;
static struct trail *t;
static struct cursor c;
static int state;
static int in; /* where the test writes */
static bool late;

static void on_late(uv_timer_t *timer)
{
    (void)timer;
    late = true;
}

static void start(void)
{
    struct err e = { 0 };
    int fds[2];

    EQ(0, pipe(fds));
    in = fds[1];
    OK(dup2(fds[0], 0) == 0);
    close(fds[0]);
    EQ(0, uv_loop_init(&loop));
    state = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    conf = (struct trail_conf){ .path = "-", .max_line = 64 * KIB };
    t = trail_open_stdin(&loop, state, "audit", &conf, &e);
    if (t == NULL)
        FAIL("%s", e.text);
    OK(trail_intake(t) != NULL);
}

static void begin(struct cursor *cursor)
{
    cursor_open(cursor, t, "lane test");
    cursor_seek(cursor, trail_oldest(t), 0, NULL);
}

static void stop(void)
{
    trail_close(t);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    close(state);
}

static void put(const char *text)
{
    EQ(0, file_write_all(in, text, strlen(text)));
}

static void end_input(void)
{
    close(in);
}

static struct stat stat_of_spool(void)
{
    char path[64];
    struct stat st = { 0 };

    for (int fd = 3; fd < 64; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0)
            return st;
    }
    FAIL("there is no spool");
    return st;
}

/* What the cursor has next; the loop runs until there is something, or the
 * end of all, at most ten seconds. */
static enum cursor_what next(struct cursor *cursor, struct line *line)
{
    enum cursor_what what = CURSOR_END;
    uv_timer_t timer;

    late = false;
    cursor_wake(cursor);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_late, 10000, 0);
    while (!late) {
        what = cursor_next(cursor, line);
        if (what == CURSOR_END && file_is_end(cursor->file))
            break;
        if (what == CURSOR_END)
            uv_run(&loop, UV_RUN_ONCE);
        else if (what != CURSOR_MORE)
            break;
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    OK(!late);
    return what;
}

static void is_line(struct cursor *cursor, const char *want, uint64_t offset)
{
    struct line line;

    EQ(CURSOR_LINE, next(cursor, &line));
    EQ_SPAN(span(want, strlen(want)), line.bytes);
    EQ(offset, line.offset);
}

static void is_end(struct cursor *cursor)
{
    struct line line;

    EQ(CURSOR_END, next(cursor, &line));
    OK(file_is_end(cursor->file));
}

TEST(lines_come_as_they_are_written_and_then_the_end)
{
    struct line line;

    start();
    begin(&c);
    EQ(CURSOR_END, cursor_next(&c, &line));
    OK(!file_is_end(c.file));
    EQ_STR("<stdin>", file_path(c.file));
    put("one\ntw");
    is_line(&c, "one", 0);
    put("o\n\nthree\n");
    is_line(&c, "two", 4);
    is_line(&c, "", 8);
    end_input();
    is_line(&c, "three", 9);
    is_end(&c);
    cursor_close(&c);
    stop();
}

TEST(what_it_ended_with_is_a_line)
{
    start();
    begin(&c);
    put("one\ntwo");
    end_input();
    is_line(&c, "one", 0);
    is_line(&c, "two", 4);
    is_end(&c);
    cursor_close(&c);
    stop();
}

TEST(nothing_at_all_is_an_end_too)
{
    start();
    begin(&c);
    end_input();
    is_end(&c);
    cursor_close(&c);
    stop();
}

TEST(a_stop_is_an_end_while_its_writer_goes_on)
{
    start();
    begin(&c);
    put("one\ntw");
    is_line(&c, "one", 0);
    intake_stop(trail_intake(t));
    intake_stop(trail_intake(t));
    put("o\n");
    is_line(&c, "tw", 4);
    is_end(&c);
    cursor_close(&c);
    end_input();
    stop();
}

TEST(what_is_too_long_is_passed_over_to_the_end)
{
    char *text = xmalloc(100 * KIB + 1);
    struct line line;

    memset(text, 'x', 100 * KIB);
    text[100 * KIB] = '\0';
    start();
    begin(&c);
    OK(fcntl(in, F_SETPIPE_SZ, (int)(256 * KIB)) > 0);
    put(text);
    end_input();
    EQ(CURSOR_LONG, next(&c, &line));
    EQ(100 * KIB, line.len);
    is_end(&c);
    cursor_close(&c);
    stop();
    free(text);
}

#define LINE  16 /* bytes, with its newline */
#define ROUND 1024

/* The lines from `from` on, as the cursor reads them. */
static void are_lines(struct cursor *cursor, uint64_t from, uint64_t n)
{
    char text[24];

    for (uint64_t i = from; i < from + n; i++) {
        snprintf(text, sizeof(text), "%015" PRIu64, i);
        is_line(cursor, text, LINE * i);
    }
}

/* Writes so many, which the cursors read as they come; `b` may be NULL. */
static void pass(uint64_t from, uint64_t n, struct cursor *a, struct cursor *b)
{
    char text[24];

    for (uint64_t i = from; i < from + n; i += ROUND) {
        for (uint64_t k = i; k < i + ROUND; k++) {
            snprintf(text, sizeof(text), "%015" PRIu64 "\n", k);
            put(text);
        }
        are_lines(a, i, ROUND);
        if (b != NULL)
            are_lines(b, i, ROUND);
    }
}

static uint64_t held(void)
{
    return (uint64_t)stat_of_spool().st_blocks * 512;
}

/* What was read last, and is compared with in other files, is NULs by the next
 * read: lines end where blocks do. */
TEST(what_all_have_read_is_given_back_and_reading_goes_on)
{
    uint64_t n = 3 * MIB / LINE;
    struct cursor other;

    start();
    begin(&c);
    begin(&other);
    pass(0, n, &c, NULL);
    OK(held() >= 3 * MIB); /* the other has not read it */
    are_lines(&other, 0, n);
    pass(n, n, &c, &other);
    EQ(6 * MIB, stat_of_spool().st_size);
    OK(held() <= 2 * MIB);
    end_input();
    is_end(&c);
    is_end(&other);
    EQ(0, c.hole_bytes);
    cursor_close(&c);
    cursor_close(&other);
    stop();
}

TEST(who_has_given_up_holds_nothing_back)
{
    uint64_t n = 3 * MIB / LINE;
    struct cursor other;

    start();
    begin(&c);
    begin(&other);
    pass(0, n, &c, NULL);
    OK(held() >= 3 * MIB);
    cursor_give_up(&other);
    OK(held() <= 2 * MIB);
    cursor_give_up(&other);
    end_input();
    is_end(&c);
    cursor_close(&c);
    cursor_close(&other);
    stop();
}

TEST(how_far_behind_a_reader_is_can_be_told)
{
    struct trail_lag lag;

    start();
    begin(&c);
    put("one\ntwo\n");
    is_line(&c, "one", 0);
    trail_lag(t, c.file, c.offset, &lag);
    EQ(4, lag.bytes);
    EQ(0, lag.files);
    EQ(-1, lag.seconds_left);
    end_input();
    is_line(&c, "two", 4);
    is_end(&c);
    trail_lag(t, c.file, c.offset, &lag);
    EQ(0, lag.bytes);
    trail_log_counters(t);
    cursor_close(&c);
    stop();
}

TEST(without_a_state_directory_it_cannot_be_read)
{
    struct err e = { 0 };

    start();
    OK(trail_open_stdin(&loop, -1, "audit", &conf, &e) == NULL);
    HAS(e.text, "trail audit: cannot make a file for standard input");
    end_input();
    stop();
}
