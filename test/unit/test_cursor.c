/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/cursor.h"
#include "agent/trail/watch.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define T1    "audit-2026-11-23T01-00-00.000.log"
#define T2    "audit-2026-11-23T02-00-00.000.log"
#define T3    "audit-2026-11-23T03-00-00.000.log"
#define PIECE piece()

static uv_loop_t loop;
static struct watcher *watcher;
static struct trail_conf conf;
static struct trail *t;
static struct cursor c;
static char dir[128];

/* How much a cursor reads at once: its buffer when nothing needs more. */
static size_t piece(void)
{
    static size_t cap;
    struct trail_conf none = { .path = "/no/such/log", .poll = 1000 };
    struct watcher *wr;
    struct cursor probe;
    struct trail *nothing;
    uv_loop_t own;

    if (cap > 0)
        return cap;
    EQ(0, uv_loop_init(&own));
    wr = watcher_open(&own);
    nothing = trail_open(wr, &own, -1, "probe", &none);
    cursor_open(&probe, nothing, "probe");
    cap = probe.cap;
    cursor_close(&probe);
    trail_close(nothing);
    watcher_close(wr);
    EQ(0, uv_run(&own, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&own));
    return cap;
}

/* ---- files ---- */

static const char *path(const char *name)
{
    static char text[4][256];
    static unsigned n;
    char *at = text[n++ % 4];

    snprintf(at, 256, "%s/%s", dir, name);
    return at;
}

static int open_file(const char *name)
{
    int fd = open(path(name), O_CREAT | O_RDWR | O_APPEND, 0600);

    OK(fd >= 0);
    return fd;
}

static void add_span(const char *name, struct span s)
{
    int fd = open_file(name);

    EQ(s.len, write(fd, s.at, s.len));
    close(fd);
}

static void add(const char *name, const char *text)
{
    add_span(name, span(text, strlen(text)));
}

static void move(const char *from, const char *to)
{
    EQ(0, rename(path(from), path(to)));
}

static void cut(const char *name, uint64_t size)
{
    EQ(0, truncate(path(name), (off_t)size));
}

static void make_quiet(const char *name)
{
    struct timespec old[2] = { { .tv_sec = 1000000000 },
                               { .tv_sec = 1000000000 } };

    EQ(0, utimensat(AT_FDCWD, path(name), old, 0));
}

/* ---- the cursor ---- */

static void prepare(void)
{
    snprintf(dir, sizeof(dir), "%s", unit_dir());
    EQ(0, uv_loop_init(&loop));
    conf = (struct trail_conf){ .path = strdup(path("audit.log")),
                                .max_line = MIB,
                                .poll = 1000,
                                .quiet = 3600000,
                                .pin_max_bytes = 1024 * MIB };
}

static void start(void)
{
    watcher = watcher_open(&loop);
    t = trail_open(watcher, &loop, -1, "audit", &conf);
    cursor_open(&c, t, "lane test");
}

static void stop(void)
{
    cursor_close(&c);
    trail_close(t);
    watcher_close(watcher);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    free(conf.path);
}

static uint64_t place(void)
{
    struct file *f;

    return cursor_place(&c, &f);
}

/* The next thing that is neither MORE nor more than a while away. */
static enum cursor_what next(struct line *line)
{
    enum cursor_what what;
    unsigned tries = 0;

    trail_forget_hints(t); /* the loop would bring them */
    cursor_wake(&c);
    do
        what = cursor_next(&c, line);
    while (what == CURSOR_MORE && tries++ < 100000);
    OK(what != CURSOR_MORE);
    return what;
}

static const char *const losses[] = { "hole", "deleted", "truncated", "damaged",
                                      "given up" };

/* All there is: lines as they are, "torn:...", "long:..." and "gap:...", each
 * with "|". */
static const char *rest(void)
{
    static struct buf text;
    struct line line;

    text.len = 0;
    for (;;) {
        enum cursor_what what = next(&line);

        if (what == CURSOR_END)
            break;
        if (what == CURSOR_TORN)
            buf_add(&text, "torn:", 5);
        if (what == CURSOR_LONG)
            buf_add(&text, "long:", 5);
        if (what == CURSOR_GAP) {
            buf_printf(&text, "gap:%s", losses[c.gap.loss]);
            if (c.gap.has_bytes)
                buf_printf(&text, " %" PRIu64, c.gap.bytes);
            buf_add(&text, "|", 1);
            continue;
        }
        EQ(line.len, what == CURSOR_LONG ? line.len : line.bytes.len);
        buf_add_span(&text, line.bytes);
        buf_add(&text, "|", 1);
    }
    buf_add(&text, "", 1);
    return text.at;
}

static void is_line(const char *want, uint64_t offset)
{
    struct line line;

    EQ(CURSOR_LINE, next(&line));
    EQ_SPAN(span(want, strlen(want)), line.bytes);
    EQ(offset, line.offset);
    EQ(strlen(want), line.len);
}

static void is_gap(enum loss loss, int64_t bytes, uint64_t offset)
{
    struct line line;

    EQ(CURSOR_GAP, next(&line));
    EQ(loss, c.gap.loss);
    EQ(bytes, c.gap.has_bytes ? (int64_t)c.gap.bytes : -1);
    EQ(offset, line.offset);
    EQ(c.gap.bytes, line.len);
}

static void is_end(void)
{
    struct line line;

    EQ(CURSOR_END, next(&line));
    EQ(CURSOR_END, next(&line));
}

TEST(lines_come_with_their_places)
{
    prepare();
    add("audit.log", "one\n\nthree\n");
    start();
    is_line("one", 0);
    EQ(4, place());
    is_line("", 4);
    is_line("three", 5);
    is_end();
    EQ(11, place());
    EQ(11, c.read_bytes);
    stop();
}

TEST(a_partial_line_waits_for_its_newline)
{
    prepare();
    add("audit.log", "one\ntw");
    start();
    is_line("one", 0);
    is_end();
    EQ(4, place());
    add("audit.log", "o");
    is_end();
    add("audit.log", "\nthr");
    is_line("two", 4);
    is_end();
    add("audit.log", "ee\n");
    is_line("three", 8);
    is_end();
    stop();
}

TEST(a_read_that_came_short_is_the_end_until_it_is_woken)
{
    struct line line;

    prepare();
    add("audit.log", "one\n");
    start();
    is_line("one", 0);
    add("audit.log", "two\n");
    EQ(CURSOR_END, cursor_next(&c, &line));
    is_line("two", 4);
    is_end();
    stop();
}

TEST(a_log_that_comes_later_is_read_from_its_start)
{
    prepare();
    start();
    is_end();
    OK(c.file == NULL);
    EQ(0, place());
    add("audit.log", "one\n");
    is_line("one", 0);
    stop();
}

TEST(all_siblings_are_read_in_order)
{
    prepare();
    add(T2, "3\n4\n");
    add(T1, "1\n2\n");
    add("audit.log", "5\n6");
    start();
    EQ_STR("1|2|3|4|5|", rest());
    EQ(2, place());
    stop();
}

TEST(numbered_siblings_are_read_in_order)
{
    prepare();
    add("audit.log.2", "1\n");
    add("audit.log.1", "2\n");
    add("audit.log", "3\n");
    make_quiet("audit.log.2");
    make_quiet("audit.log.1");
    start();
    EQ_STR("1|2|3|", rest());
    stop();
}

TEST(several_rotations_between_two_looks_lose_nothing)
{
    prepare();
    add("audit.log", "1\n2\n");
    start();
    is_line("1", 0);
    add("audit.log", "3\n");
    move("audit.log", T1);
    add("audit.log", "4\n");
    move("audit.log", T2);
    move(T2, T3); /* and one that was renamed meanwhile */
    add("audit.log", "5\n");
    EQ_STR("2|3|4|5|", rest());
    stop();
}

TEST(what_is_written_just_before_a_rotation_is_read)
{
    struct line line;

    prepare();
    add("audit.log", "1\n");
    start();
    is_line("1", 0);
    EQ(CURSOR_END, next(&line));
    add("audit.log", "2\n");
    move("audit.log", T1);
    add("audit.log", "3\n");
    EQ_STR("2|3|", rest());
    stop();
}

TEST(a_file_that_is_not_final_is_not_left)
{
    prepare();
    add("audit.log.1", "1\n");
    add("audit.log", "3\n");
    start();
    EQ_STR("1|", rest());
    add("audit.log.1", "2\n");
    EQ_STR("2|", rest());
    make_quiet("audit.log.1");
    EQ_STR("3|", rest());
    stop();
}

TEST(the_torn_end_of_a_rotated_file_is_told)
{
    struct line line;

    prepare();
    add(T1, "1\nhalf");
    add("audit.log", "2\n");
    start();
    is_line("1", 0);
    EQ(CURSOR_TORN, next(&line));
    EQ_SPAN(SPAN("half"), line.bytes);
    EQ(2, line.offset);
    EQ(4, line.len);
    is_line("2", 0);
    is_end();
    stop();
}

TEST(empty_files_are_passed)
{
    prepare();
    add(T1, "");
    add(T2, "1\n");
    add(T3, "");
    add("audit.log", "");
    start();
    EQ_STR("1|", rest());
    EQ_STR("audit.log", strrchr(file_path(c.file), '/') + 1);
    stop();
}

TEST(a_missing_live_file_is_waited_for)
{
    prepare();
    add(T1, "1\n");
    start();
    EQ_STR("1|", rest());
    add("audit.log", "2\n");
    EQ_STR("2|", rest());
    move("audit.log", T2);
    EQ_STR("", rest());
    add("audit.log", "3\n");
    EQ_STR("3|", rest());
    stop();
}

TEST(a_deleted_live_file_is_read_on)
{
    int fd;

    prepare();
    fd = open_file("audit.log");
    EQ(2, write(fd, "1\n", 2));
    start();
    EQ_STR("1|", rest());
    EQ(0, unlink(path("audit.log")));
    EQ_STR("", rest());
    EQ(2, write(fd, "2\n", 2));
    EQ_STR("2|", rest());
    stop();
}

TEST(what_a_writer_adds_to_a_deleted_file_comes_before_the_next_one)
{
    int fd;

    prepare();
    fd = open_file("audit.log");
    EQ(2, write(fd, "1\n", 2));
    start();
    EQ_STR("1|", rest());
    EQ(0, unlink(path("audit.log")));
    EQ(2, write(fd, "2\n", 2));
    add("audit.log", "3\n");
    EQ(0, futimens(fd, (struct timespec[2]){ { .tv_sec = 1000000000 },
                                             { .tv_sec = 1000000000 } }));
    EQ_STR("2|3|", rest());
    stop();
}

TEST(a_file_that_vanishes_while_held_is_read_to_its_end)
{
    prepare();
    add(T1, "1\n2\n");
    add(T2, "3\n");
    add("audit.log", "4\n");
    start();
    is_line("1", 0);
    EQ(0, unlink(path(T1)));
    EQ(0, unlink(path(T2)));
    EQ_STR("2|3|4|", rest());
    stop();
}

TEST(a_clock_that_is_set_back_does_not_change_the_order)
{
    prepare();
    add(T2, "1\n");
    add("audit.log", "2\n");
    start();
    is_line("1", 0);
    move("audit.log", T1); /* an earlier name than the one we are at */
    add("audit.log", "3\n");
    EQ_STR("2|3|", rest());
    stop();
}

TEST(a_new_file_with_the_inode_of_a_passed_one_is_read)
{
    ino_t passed[200];
    char name[64] = T1;
    unsigned again = 0;

    prepare();
    add(T1, "1\n");
    add("audit.log", "2\n");
    start();
    EQ_STR("1|2|", rest());
    for (unsigned i = 0; i < ARRAY_LEN(passed); i++) {
        char want[16];
        struct stat st;

        EQ(0, stat(path(name), &st));
        passed[i] = st.st_ino;
        EQ(0, unlink(path(name)));
        snprintf(name, sizeof(name), "audit-2026-11-24T%02u-00-00.%03u.log",
                 i % 24, i);
        move("audit.log", name);
        snprintf(want, sizeof(want), "n%u\n", i);
        add("audit.log", want);
        EQ(0, stat(path("audit.log"), &st));
        for (unsigned k = 0; k <= i; k++)
            again += st.st_ino == passed[k];
        snprintf(want, sizeof(want), "n%u|", i);
        EQ_STR(want, rest());
    }
    if (again == 0)
        fprintf(stderr, "skipped: no inode was used again here\n");
    stop();
}

TEST(a_thousand_siblings_are_read_in_order)
{
    struct timespec old[2] = { { .tv_sec = 1000000000 },
                               { .tv_sec = 1000000000 } };

    prepare();
    for (unsigned i = 0; i < 1000; i++) {
        unsigned k = i * 389 % 1000;
        char name[64], text[16];

        snprintf(name, sizeof(name), "audit-2026-11-%02uT%02u-00-00.%03u.log",
                 1 + k / 40, k % 40 / 2, k);
        snprintf(text, sizeof(text), "%u\n", k);
        add(name, text);
    }
    add("audit.log", "1000\n");
    EQ(0, utimensat(AT_FDCWD, dir, old, 0));
    start();
    for (unsigned i = 0; i <= 1000; i++) {
        char want[16];

        snprintf(want, sizeof(want), "%u", i);
        is_line(want, 0);
    }
    is_end();
    stop();
}

/* ---- holes and truncation ---- */

TEST(nul_bytes_before_a_line_are_passed_and_counted)
{
    prepare();
    add_span("audit.log", SPAN("1\n\0\0\0"));
    start();
    is_line("1", 0);
    is_end();
    EQ(3, c.hole_bytes);
    EQ(2, place()); /* it is not told of yet, and may go on */
    add_span("audit.log", SPAN("\0\0"
                               "2\n"));
    is_gap(LOSS_NONE, 5, 2);
    EQ(7, place());
    is_line("2", 7);
    EQ(5, c.hole_bytes);
    is_end();
    stop();
}

TEST(a_large_hole_is_jumped_over)
{
    uint64_t hole = UINT64_C(1) << 36; /* reading it would take long */

    prepare();
    add("audit.log", "1\n");
    cut("audit.log", hole);
    add("audit.log", "2\n");
    start();
    is_line("1", 0);
    is_gap(LOSS_NONE, (int64_t)hole - 2, 2);
    is_line("2", hole);
    is_end();
    EQ(hole - 2, c.hole_bytes);
    OK(c.read_bytes < 4 * MIB);
    EQ(hole + 2, place());
    stop();
}

TEST(a_hole_at_the_end_is_passed_when_something_follows)
{
    prepare();
    add("audit.log", "1\n");
    cut("audit.log", MIB);
    start();
    is_line("1", 0);
    is_end();
    add("audit.log", "2\n");
    is_gap(LOSS_NONE, MIB - 2, 2);
    is_line("2", MIB);
    is_end();
    EQ(MIB - 2, c.hole_bytes);
    stop();
}

TEST(a_hole_at_the_end_of_a_rotated_file_is_no_torn_line)
{
    prepare();
    add(T1, "1\n");
    cut(T1, 100000);
    add("audit.log", "2\n");
    start();
    EQ_STR("1|gap:hole 99998|2|", rest());
    EQ(100000 - 2, c.hole_bytes);
    stop();
}

TEST(nul_bytes_within_a_line_belong_to_it)
{
    struct line line;

    prepare();
    add_span("audit.log", SPAN("a\0\0b\n\0"));
    start();
    EQ(CURSOR_LINE, next(&line));
    EQ_SPAN(SPAN("a\0\0b"), line.bytes);
    is_end();
    EQ(1, c.hole_bytes);
    stop();
}

TEST(a_truncated_file_is_read_from_its_start)
{
    prepare();
    add("audit.log", "one\ntwo\nthr");
    start();
    EQ_STR("one|two|", rest());
    cut("audit.log", 0);
    EQ_STR("torn:thr|gap:truncated|", rest());
    is_end();
    EQ(0, place());
    add("audit.log", "four\n");
    is_line("four", 0);
    is_end();
    stop();
}

TEST(a_copy_that_truncates_costs_nothing_that_was_read)
{
    prepare();
    add("audit.log", "one\ntwo\n");
    start();
    EQ_STR("one|two|", rest());
    add("audit.log.1", "one\ntwo\n");
    make_quiet("audit.log.1");
    cut("audit.log", 0);
    is_end();
    add("audit.log", "three\n");
    EQ_STR("three|", rest());
    stop();
}

/* A writer without O_APPEND goes on where it was: the NULs that are left in
 * front are passed. */
TEST(a_writer_that_goes_on_behind_the_cut_leaves_a_hole)
{
    int fd;

    prepare();
    fd = open(path("audit.log"), O_CREAT | O_WRONLY, 0600);
    EQ(8, write(fd, "one\ntwo\n", 8));
    start();
    EQ_STR("one|two|", rest());
    cut("audit.log", 0);
    EQ_STR("gap:truncated|", rest());
    EQ(6, write(fd, "three\n", 6));
    is_gap(LOSS_NONE, 8, 0);
    is_line("three", 8);
    EQ(8, c.hole_bytes);
    is_end();
    stop();
}

/* ---- long lines ---- */

static struct buf big;

/* A line of `n` bytes, without newline, that tells its places apart. */
static struct span big_line(size_t n)
{
    big.len = 0;
    buf_room(&big, n);
    for (size_t i = 0; i < n; i++)
        big.at[i] = (char)('a' + (i ^ i >> 8 ^ i >> 16) % 26);
    big.len = n;
    return span(big.at, n);
}

static void add_big(const char *name, size_t n)
{
    add_span(name, big_line(n));
    add(name, "\n");
}

static void is_long(size_t n, uint64_t offset)
{
    unsigned char hash[SHA256_SIZE];
    struct line line;

    EQ(CURSOR_LONG, next(&line));
    EQ(n, line.len);
    EQ(offset, line.offset);
    sha256_of(big_line(n), hash);
    EQ(0, memcmp(hash, line.hash, SHA256_SIZE));
    OK(line.bytes.len > 0 && line.bytes.len <= n);
    EQ(0, memcmp(line.bytes.at, big.at, line.bytes.len));
}

TEST(lines_at_the_sizes_of_the_buffer_are_whole)
{
    const size_t sizes[] = {
        0,
        1,
        PIECE - 2,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        2 * PIECE - 2,
        2 * PIECE - 1,
        2 * PIECE,
        2 * PIECE + 1,
        MIB - 1,
        MIB,
    };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t before = 0; before < 3; before++) {
            size_t place = before > 0 ? before + 1 : 0;

            prepare();
            if (before > 0)
                add_big("audit.log", before);
            add_big("audit.log", sizes[i]);
            add("audit.log", "after\n");
            start();
            if (before > 0)
                is_line(before == 1 ? "a" : "ab", 0);
            big_line(sizes[i]);
            struct line line;
            EQ(CURSOR_LINE, next(&line));
            EQ(place, line.offset);
            EQ(sizes[i], line.len);
            EQ_SPAN(span(big.at, big.len), line.bytes);
            is_line("after", place + sizes[i] + 1);
            is_end();
            stop();
            EQ(0, unlink(path("audit.log")));
        }
    }
    buf_free(&big);
}

TEST(many_lines_across_the_buffers_end_are_whole)
{
    uint64_t offset = 0;
    size_t n = 0;

    prepare();
    for (unsigned i = 0; i < 3000; i++)
        add_big("audit.log", i * 7919 % 1000);
    start();
    for (unsigned i = 0; i < 3000; i++) {
        struct line line;

        n = i * 7919 % 1000;
        EQ(CURSOR_LINE, next(&line));
        EQ(offset, line.offset);
        EQ_SPAN(big_line(n), line.bytes);
        offset += n + 1;
    }
    is_end();
    EQ(PIECE, c.cap);
    stop();
    buf_free(&big);
}

TEST(a_line_at_the_limit_is_whole_and_one_above_is_long)
{
    struct line line;

    prepare();
    conf.max_line = 100000;
    add_big("audit.log", 100000);
    add_big("audit.log", 100001);
    add("audit.log", "after\n");
    start();
    EQ(CURSOR_LINE, next(&line));
    EQ_SPAN(big_line(100000), line.bytes);
    is_long(100001, 100001);
    is_line("after", 200003);
    is_end();
    stop();
    buf_free(&big);
}

TEST(a_long_line_has_its_length_and_hash)
{
    const size_t sizes[] = { 65537,         PIECE - 1,     PIECE,
                             PIECE + 1,     65536 + PIECE, 2 * PIECE,
                             3 * PIECE - 1, 5 * MIB + 17 };
    uint64_t offset = 7;

    prepare();
    conf.max_line = 65536;
    add("audit.log", "before\n");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        add_big("audit.log", sizes[i]);
        add("audit.log", "x\n");
    }
    start();
    is_line("before", 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        is_long(sizes[i], offset);
        offset += sizes[i] + 1;
        is_line("x", offset);
        offset += 2;
    }
    is_end();
    OK(c.cap <= 65536 + PIECE);
    stop();
    buf_free(&big);
}

TEST(the_place_stays_before_a_long_line_until_it_has_ended)
{
    prepare();
    conf.max_line = 1000;
    add("audit.log", "before\n");
    add_span("audit.log", big_line(PIECE));
    start();
    is_line("before", 0);
    is_end();
    EQ(7, place());
    add_span("audit.log", SPAN("\n"));
    is_long(PIECE, 7);
    EQ(7 + PIECE + 1, place());
    is_end();
    stop();
    buf_free(&big);
}

TEST(nul_bytes_within_a_long_line_belong_to_it)
{
    unsigned char hash[SHA256_SIZE];
    struct line line;
    int fd;

    prepare();
    conf.max_line = 1000;
    fd = open_file("audit.log");
    add("audit.log", "x");
    cut("audit.log", 2 * PIECE);
    EQ(2, write(fd, "\nz", 2));
    start();
    EQ(CURSOR_LONG, next(&line));
    EQ(2 * PIECE, line.len);
    big_line(2 * PIECE);
    memset(big.at, 0, big.len);
    big.at[0] = 'x';
    sha256_of(span(big.at, big.len), hash);
    EQ(0, memcmp(hash, line.hash, SHA256_SIZE));
    EQ(0, c.hole_bytes);
    stop();
    buf_free(&big);
}

TEST(a_long_line_that_is_torn_is_told_as_long)
{
    prepare();
    conf.max_line = 1000;
    add_span(T1, big_line(PIECE + 5));
    add("audit.log", "2\n");
    start();
    is_long(PIECE + 5, 0);
    is_line("2", 0);
    is_end();
    stop();
    buf_free(&big);
}

TEST(a_long_line_that_is_truncated_is_torn)
{
    prepare();
    conf.max_line = 1000;
    add_span("audit.log", big_line(PIECE + 5));
    start();
    is_end();
    cut("audit.log", 0);
    is_long(PIECE + 5, 0);
    is_gap(LOSS_TRUNCATED, -1, PIECE + 5);
    is_end();
    add_big("audit.log", 2000);
    add("audit.log", "x\n");
    is_long(2000, 0);
    is_line("x", 2001);
    stop();
    buf_free(&big);
}

TEST(the_buffer_shrinks_again_after_a_large_line)
{
    prepare();
    conf.max_line = 8 * MIB;
    add_big("audit.log", 5 * MIB);
    start();
    struct line line;
    EQ(CURSOR_LINE, next(&line));
    EQ_SPAN(big_line(5 * MIB), line.bytes);
    OK(c.cap > 5 * MIB);
    add("audit.log", "after\n");
    is_line("after", 5 * MIB + 1);
    is_end();
    EQ(PIECE, c.cap);
    stop();
    buf_free(&big);
}

/* ---- seeking ---- */

TEST(a_place_is_sought_and_read_from)
{
    prepare();
    add(T1, "1\n2\n");
    add("audit.log", "3\n4\n");
    start();
    cursor_seek(&c, trail_oldest(t), 2, NULL);
    is_line("2", 2);
    cursor_seek(&c, trail_newest(t), 2, NULL);
    is_line("4", 2);
    is_end();
    cursor_seek(&c, trail_oldest(t), 0, NULL);
    EQ_STR("1|2|3|4|", rest());
    cursor_seek(&c, NULL, 0, NULL);
    EQ_STR("1|2|3|4|", rest());
    stop();
}

TEST(a_place_behind_the_end_counts_as_truncated_and_is_read_at_once)
{
    prepare();
    add("audit.log", "1\n");
    start();
    cursor_seek(&c, trail_newest(t), 100, NULL);
    EQ_STR("gap:truncated|1|", rest());
    stop();
}

TEST(the_end_is_behind_the_last_newline)
{
    prepare();
    add(T1, "0\n");
    add("audit.log", "1\n2\n3");
    start();
    EQ(0, cursor_seek_end(&c, NULL));
    EQ(4, place());
    is_end();
    add("audit.log", "4\n");
    is_line("34", 4);
    stop();
}

TEST(the_end_of_a_file_without_newline_is_its_start)
{
    prepare();
    add_span("audit.log", big_line(10000));
    start();
    EQ(0, cursor_seek_end(&c, NULL));
    EQ(0, place());
    stop();
    EQ(0, unlink(path("audit.log")));
    prepare();
    add("audit.log", "1\n");
    add_span("audit.log", big_line(10000));
    start();
    EQ(0, cursor_seek_end(&c, NULL));
    EQ(2, place());
    stop();
    buf_free(&big);
}

TEST(the_end_of_a_log_that_is_not_there_is_the_first_file)
{
    prepare();
    start();
    EQ(0, cursor_seek_end(&c, NULL));
    is_end();
    add("audit.log", "1\n");
    is_line("1", 0);
    stop();
}
