/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/lane/checkpoint.h"
#include "agent/trail/watch.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir;

static void open_dir(void)
{
    dir = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    OK(dir >= 0);
}

static struct checkpoint example(const char *mark)
{
    struct checkpoint c = { .offset = 73441, .last_us = CLOCK_NO_TIME };

    c.id.dev = UINT64_MAX;
    c.id.ino = 1234567;
    c.id.head_len = 512;
    c.guard.len = 256;
    for (int i = 0; i < SHA256_SIZE; i++) {
        c.id.head[i] = (unsigned char)(i * 9);
        c.guard.hash[i] = (unsigned char)(255 - i);
    }
    buf_add(&c.path, "/var/log/audit.log", 18);
    buf_add(&c.mark, mark, strlen(mark));
    return c;
}

static void same(const struct checkpoint *a, const struct checkpoint *b)
{
    EQ_SPAN(span(a->path.at, a->path.len), span(b->path.at, b->path.len));
    EQ_SPAN(span(a->mark.at, a->mark.len), span(b->mark.at, b->mark.len));
    OK(a->id.dev == b->id.dev && a->id.ino == b->id.ino);
    EQ(a->id.head_len, b->id.head_len);
    EQ(0, memcmp(a->id.head, b->id.head, SHA256_SIZE));
    OK(a->offset == b->offset);
    EQ(a->guard.len, b->guard.len);
    EQ(0, memcmp(a->guard.hash, b->guard.hash, SHA256_SIZE));
    OK(a->last_us == b->last_us);
    OK(a->has_horizon == b->has_horizon && a->horizon == b->horizon);
}

static void round_trip(const struct checkpoint *c)
{
    struct checkpoint again = { 0 };
    struct buf text = { 0 }, second = { 0 };
    struct err e;

    checkpoint_print(c, &text);
    if (checkpoint_parse(&again, span(text.at, text.len), &e) != 0)
        FAIL("%s:\n%.*s", e.text, (int)text.len, text.at);
    same(c, &again);
    checkpoint_print(&again, &second);
    EQ_SPAN(span(text.at, text.len), span(second.at, second.len));
    buf_free(&text);
    buf_free(&second);
    checkpoint_free(&again);
}

static void damaged(struct span text)
{
    struct checkpoint c = { 0 };
    struct err e = { 0 };

    if (checkpoint_parse(&c, text, &e) != ERR_DAMAGED)
        FAIL("taken:\n%.*s", (int)text.len, text.at);
    OK(e.text[0] != '\0');
    checkpoint_free(&c);
}

TEST(what_is_printed_is_read_back)
{
    struct checkpoint c = example("4711 0 abc");

    round_trip(&c);
    c.mark.len = 0;
    round_trip(&c);
    c.path.len = 0;
    round_trip(&c);
    buf_add(&c.path, "/a path/with spaces\tand \xff bytes", 31);
    buf_add(&c.mark, "sum mark sum", 12);
    round_trip(&c);
    c.offset = UINT64_MAX;
    c.id.head_len = 0;
    round_trip(&c);
    c.offset = 0;
    c.guard.len = 0;
    round_trip(&c);
    checkpoint_free(&c);
}

TEST(a_horizon_is_read_back_where_there_is_one)
{
    struct checkpoint c = example("4711");

    c.has_horizon = true;
    round_trip(&c);
    c.horizon = 67108864;
    c.last_us = INT64_C(1795453203406123);
    round_trip(&c);
    c.mark.len = 0;
    c.horizon = UINT64_MAX;
    round_trip(&c);
    checkpoint_free(&c);
}

TEST(the_text_is_for_people_too)
{
    struct checkpoint c = example("12 34");
    struct buf text = { 0 };

    checkpoint_print(&c, &text);
    buf_add(&text, "", 1);
    HAS(text.at, "tallyman checkpoint 1\npath /var/log/audit.log\n"
                 "file 18446744073709551615 1234567 512 0009121b");
    HAS(text.at, "\noffset 73441\nguard 256 fffefdfc");
    HAS(text.at, "\nmark 12 34\nsum ");
    OK(strstr(text.at, "\nlast ") == NULL);
    c.last_us = INT64_C(1795453203406123);
    checkpoint_print(&c, &text);
    buf_add(&text, "", 1);
    HAS(text.at, "\nlast 2026-11-23T17:00:03.406123Z\nmark 12 34\nsum ");
    c.has_horizon = true;
    c.horizon = 67108864;
    checkpoint_print(&c, &text);
    buf_add(&text, "", 1);
    HAS(text.at, "406123Z\nhorizon 67108864\nmark 12 34\nsum ");
    buf_free(&text);
    checkpoint_free(&c);
}

TEST(every_flipped_bit_is_noticed)
{
    struct checkpoint c = example("12 34");
    struct buf text = { 0 };

    checkpoint_print(&c, &text);
    for (size_t i = 0; i < text.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text.at[i] = (char)(text.at[i] ^ 1 << bit);
            damaged(span(text.at, text.len));
            text.at[i] = (char)(text.at[i] ^ 1 << bit);
        }
    }
    buf_free(&text);
    checkpoint_free(&c);
}

TEST(every_cut_and_everything_added_is_noticed)
{
    struct checkpoint c = example("12 34");
    struct buf text = { 0 };
    size_t len;

    checkpoint_print(&c, &text);
    len = text.len;
    for (size_t n = 0; n < len; n++) {
        char *exact = xmalloc(n);

        memcpy(exact, text.at, n);
        damaged(span(exact, n));
        damaged(span(text.at + len - n, n));
        free(exact);
    }
    buf_add(&text, "\n", 1);
    damaged(span(text.at, text.len));
    text.len = len;
    buf_add(&text, "x", 1);
    damaged(span(text.at, text.len));
    text.len = len;
    buf_room(&text, len);
    buf_add(&text, text.at, len);
    damaged(span(text.at, text.len));
    memset(text.at, 0, len); /* what a crash may leave of a file */
    damaged(span(text.at, len));
    buf_free(&text);
    checkpoint_free(&c);
}

TEST(a_checkpoint_of_another_version_is_refused)
{
    damaged(SPAN(""));
    damaged(SPAN("tallyman checkpoint 2\n"));
    damaged(SPAN("tallyman checkpoint 1"));
    damaged(SPAN("tallyman checkpoint 1\n"));
}

/* With a sum that is right, but of values that no print() ever wrote. */
TEST(values_out_of_range_are_refused)
{
    struct checkpoint c = example("");
    struct buf text = { 0 };

    c.id.head_len = IDENTITY_HEAD_MAX + 1;
    checkpoint_print(&c, &text);
    damaged(span(text.at, text.len));
    c.id.head_len = 1;
    c.guard.len = IDENTITY_GUARD_MAX + 1;
    checkpoint_print(&c, &text);
    damaged(span(text.at, text.len));
    c.guard.len = 100;
    c.offset = 99;
    checkpoint_print(&c, &text);
    damaged(span(text.at, text.len));
    buf_free(&text);
    checkpoint_free(&c);
}

/* ---- of a file ---- */

static uv_loop_t loop;
static struct watcher *watcher;
static struct trail *trail;
static struct trail_conf conf;
static char path[128];

/* A trail of the one file. */
static struct file *open_log(const char *text)
{
    int fd;

    open_dir();
    snprintf(path, sizeof(path), "%s/the log\nwith newline", unit_dir());
    fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    EQ(strlen(text), write(fd, text, strlen(text)));
    close(fd);
    conf = (struct trail_conf){ .path = path, .poll = 1000 };
    EQ(0, uv_loop_init(&loop));
    watcher = watcher_open(&loop);
    trail = trail_open(watcher, &loop, -1, "audit", &conf);
    OK(trail_newest(trail) != NULL);
    return trail_newest(trail);
}

static void close_log(void)
{
    trail_close(trail);
    watcher_close(watcher);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
}

TEST(it_is_taken_of_a_file_and_a_place)
{
    struct file *f = open_log("first\nsecond");
    struct checkpoint c = { .last_us = 4711 };
    char shown[128];

    buf_add(&c.mark, "m", 1);
    checkpoint_take(&c, f, 6);
    EQ(6, c.offset);
    EQ(6, c.guard.len);
    OK(guard_matches(&c.guard, SPAN("first\n")));
    EQ(5, c.id.head_len);
    OK(trail_find(trail, &c.id) == f);
    snprintf(shown, sizeof(shown), "%s/the log", unit_dir());
    EQ_SPAN(span(shown, strlen(shown)), span(c.path.at, c.path.len));
    EQ(4711, c.last_us); /* left alone */
    EQ_SPAN(SPAN("m"), span(c.mark.at, c.mark.len));
    round_trip(&c);
    checkpoint_take(&c, f, 12); /* and again, of another place */
    EQ(12, c.offset);
    OK(guard_matches(&c.guard, SPAN("first\nsecond")));
    EQ_SPAN(span(shown, strlen(shown)), span(c.path.at, c.path.len));
    checkpoint_free(&c);
    close_log();
}

/* The file was truncated: its reader will notice, and until then what is settled
 * has to be kept all the same. */
TEST(a_place_behind_the_end_is_kept_without_a_guard)
{
    struct file *f = open_log("");
    struct checkpoint c = { 0 };

    checkpoint_take(&c, f, 1);
    EQ(1, c.offset);
    EQ(0, c.guard.len);
    checkpoint_free(&c);
    close_log();
}

/* All that is known of it is what it was. */
TEST(a_place_in_a_file_that_is_gone_is_kept_without_a_guard)
{
    struct file *f = open_log("first\nsecond"), *lost;
    struct checkpoint c = { 0 }, again = { 0 };

    checkpoint_take(&c, f, 6);
    c.id.head[0] ^= 1;
    lost = trail_add_lost(trail, &c.id, span(c.path.at, c.path.len));
    checkpoint_take(&again, lost, 6);
    EQ(6, again.offset);
    EQ(0, again.guard.len);
    EQ(0, memcmp(&c.id, &again.id, sizeof(c.id)));
    EQ_SPAN(span(c.path.at, c.path.len), span(again.path.at, again.path.len));
    checkpoint_free(&c);
    checkpoint_free(&again);
    close_log();
}

/* ---- loading ---- */

static void save(uint64_t offset)
{
    struct checkpoint c = example("m");
    struct buf text = { 0 };

    c.offset = offset;
    checkpoint_print(&c, &text);
    EQ(0, file_replace(dir, "cp", span(text.at, text.len), NULL));
    buf_free(&text);
    checkpoint_free(&c);
}

static void overwrite(const char *name, const char *with)
{
    int fd = openat(dir, name, O_WRONLY | O_TRUNC);

    OK(fd >= 0);
    EQ(strlen(with), write(fd, with, strlen(with)));
    close(fd);
}

static void loads(uint64_t offset, bool fallen_back)
{
    struct checkpoint c = { 0 };
    struct err e;
    bool fell_back = !fallen_back;

    if (checkpoint_load(&c, dir, "cp", &fell_back, &e) != 0)
        FAIL("%s", e.text);
    EQ(offset, c.offset);
    EQ(fallen_back, fell_back);
    EQ_SPAN(SPAN("m"), span(c.mark.at, c.mark.len));
    checkpoint_free(&c);
}

static void loads_not(int code)
{
    struct checkpoint c = { 0 };
    struct err e = { 0 };
    bool fell_back;

    EQ(code, checkpoint_load(&c, dir, "cp", &fell_back, &e));
    OK(!fell_back);
    HAS(e.text, "cp");
    checkpoint_free(&c);
}

TEST(the_newest_one_is_loaded)
{
    open_dir();
    loads_not(ERR_MISSING);
    save(1000);
    loads(1000, false);
    save(2000);
    loads(2000, false);
}

TEST(a_damaged_one_falls_back_to_the_previous)
{
    open_dir();
    save(1000);
    save(2000);
    overwrite("cp", "");
    loads(1000, true);
    overwrite("cp", "tallyman checkpoint 1\nrubbish\n");
    loads(1000, true);
    EQ(0, unlinkat(dir, "cp", 0));
    loads(1000, true);
}

TEST(where_none_is_whole_it_is_said)
{
    open_dir();
    save(1000);
    overwrite("cp", "");
    loads_not(ERR_DAMAGED);
    save(1000);
    overwrite("cp", "");
    loads_not(ERR_DAMAGED);
    EQ(0, unlinkat(dir, "cp", 0));
    loads_not(ERR_DAMAGED);
    EQ(0, unlinkat(dir, "cp.prev", 0));
    loads_not(ERR_MISSING);
}

TEST(one_that_is_far_too_large_is_damaged)
{
    open_dir();
    save(1000);
    save(2000);
    int fd = openat(dir, "cp", O_WRONLY);
    EQ(0, ftruncate(fd, 1 << 20));
    close(fd);
    loads(1000, true);
}

TEST(a_damaged_one_does_not_replace_the_previous_for_long)
{
    open_dir();
    save(1000);
    save(2000);
    overwrite("cp", "");
    loads(1000, true);
    save(3000);
    loads(3000, false);
    save(4000);
    overwrite("cp", "");
    loads(3000, true);
}

TEST(one_that_cannot_be_read_is_not_passed_over)
{
    open_dir();
    save(1000);
    save(2000);
    EQ(0, unlinkat(dir, "cp", 0));
    EQ(0, mkdirat(dir, "cp", 0700));
    loads_not(ERR_IO);
}
