/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file and one reader of it, without lines. What becomes of a file that was
 * cut is the chain's business: test_chain.c.
 */
#include "agent/trail/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/trail/chain.h"
#include "agent/trail/gunzip.h"
#include "test/unit/logs.h"

static struct reader r;
static char got[64 * 1024 + 1];
static size_t got_len;

/* What the last call said is in `what`. */
static enum reader_what what;

static void prepare(void)
{
    logs_prepare();
    logs_state = NULL;
}

static void open_at(const char *name, uint64_t offset,
                    const struct guard *guard)
{
    logs_start();
    reader_open(&r);
    reader_seek(&r, logs_file(name), offset, guard);
}

static void done(void)
{
    reader_close(&r);
    logs_stop();
}

/* Up to `n` bytes, by one call. */
static const char *take(size_t n)
{
    OK(n < sizeof(got));
    what = reader_read(&r, got, n, &got_len);
    OK(got_len <= n);
    OK((what == READER_BYTES) == (got_len > 0));
    got[got_len] = '\0';
    return got;
}

/* All there is, in calls of `n` bytes; at its start, of the whole head. */
static struct buf take_all(size_t n)
{
    struct buf all = { 0 };

    do {
        take(r.at == 0 && n < IDENTITY_HEAD_MAX ? IDENTITY_HEAD_MAX : n);
        buf_add(&all, got, got_len);
    } while (what == READER_BYTES || what == READER_MORE);
    return all;
}

static struct guard guard_before(const char *name, uint64_t offset)
{
    int fd = open(logs_path(name), O_RDONLY);
    struct guard g;

    OK(fd >= 0);
    EQ(0, guard_of(fd, offset, &g, NULL));
    close(fd);
    return g;
}

static void overwrite(const char *name, uint64_t offset, const char *with)
{
    int fd = open(logs_path(name), O_WRONLY);

    OK(fd >= 0);
    EQ(strlen(with), pwrite(fd, with, strlen(with), (off_t)offset));
    close(fd);
}

/* Text in which no 8 bytes stand twice; seldom as short as it was. */
static struct buf long_text(size_t n)
{
    struct buf text = { 0 };

    for (unsigned i = 0; text.len < n; i++)
        buf_printf(&text, "%07u\n", i * 7919);
    text.len = n;
    return text;
}

static void add_long(const char *name, size_t n)
{
    struct buf text = long_text(n);

    logs_add_span(name, span(text.at, text.len));
    buf_free(&text);
}

/* ---- plain ---- */

TEST(a_file_is_read_in_pieces_of_any_size)
{
    static const size_t sizes[] = { 1, 7, 255, 256, 257, 4096, 60000 };
    struct buf want = long_text(20011);

    prepare();
    logs_add_span("audit.log", span(want.at, want.len));
    open_at("audit.log", 0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf have;

        reader_seek(&r, logs_file("audit.log"), 0, NULL);
        have = take_all(sizes[i]);
        EQ(READER_END, what);
        EQ(want.len, r.at);
        EQ_SPAN(span(want.at, want.len), span(have.at, have.len));
        buf_free(&have);
    }
    buf_free(&want);
    done();
}

TEST(a_file_that_grows_is_read_on)
{
    prepare();
    logs_add("audit.log", "");
    open_at("audit.log", 0, NULL);
    EQ_STR("", take(10));
    EQ(READER_END, what);
    logs_add("audit.log", "on");
    EQ_STR("on", take(10));
    EQ_STR("", take(10));
    EQ(READER_END, what);
    logs_add("audit.log", "e\ntwo\n");
    EQ_STR("e\nt", take(3));
    EQ_STR("wo\n", take(10));
    EQ(8, r.at);
    EQ_STR("", take(10));
    EQ(READER_END, what);
    OK(!reader_check_end(&r));
    done();
}

TEST(a_reader_begins_at_any_offset)
{
    struct buf want = long_text(3000);

    prepare();
    logs_add_span("audit.log", span(want.at, want.len));
    open_at("audit.log", 2983, NULL);
    take(100);
    EQ_SPAN(span(want.at + 2983, 17), span(got, got_len));
    reader_seek(&r, r.file, 3000, NULL);
    EQ_STR("", take(100));
    EQ(READER_END, what);
    reader_seek(&r, r.file, 1, NULL);
    take(10);
    EQ_SPAN(span(want.at + 1, 10), span(got, got_len));
    buf_free(&want);
    done();
}

/* ---- what stands before the place ---- */

TEST(a_guard_that_holds_lets_it_read_on)
{
    struct guard g;

    prepare();
    add_long("audit.log", 1000);
    g = guard_before("audit.log", 1000);
    EQ(IDENTITY_GUARD_MAX, g.len);
    open_at("audit.log", 1000, &g);
    EQ_STR("", take(10));
    EQ(READER_END, what);
    logs_add("audit.log", "more\n");
    EQ_STR("more\n", take(10));
    done();
}

TEST(a_guard_that_does_not_hold_starts_again)
{
    struct guard g;

    prepare();
    logs_add("audit.log", "one\ntwo\n");
    g = guard_before("audit.log", 8);
    overwrite("audit.log", 4, "new");
    open_at("audit.log", 8, &g);
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(0, r.at);
    EQ(LOSS_NONE, file_loss(r.file));
    EQ_STR("one\nnew\n", take(100)); /* and by the guard of another place */
    done();
}

TEST(a_guard_of_more_than_there_is_starts_again)
{
    struct guard g;

    prepare();
    add_long("audit.log", 1000);
    g = guard_before("audit.log", 1000);
    logs_cut("audit.log", 500);
    open_at("audit.log", 1000, &g);
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(0, r.at);
    take(100);
    EQ(100, got_len);
    done();
}

TEST(a_guard_counts_at_the_first_read_only)
{
    struct guard g;

    prepare();
    logs_add("audit.log", "one\ntwo\n");
    g = guard_before("audit.log", 4);
    open_at("audit.log", 4, &g);
    EQ_STR("two\n", take(100));
    logs_add("audit.log", "three\n");
    EQ_STR("three\n", take(100));
    reader_seek(&r, r.file, 8, NULL); /* nor is one left from before */
    EQ_STR("three\n", take(100));
    done();
}

/* ---- cut ---- */

/* The bytes before the place are read again with every piece. */
TEST(a_file_that_was_cut_and_has_grown_again_is_noticed)
{
    prepare();
    add_long("audit.log", 1000);
    open_at("audit.log", 0, NULL);
    take(1000);
    logs_cut("audit.log", 0);
    for (unsigned i = 0; i < 200; i++)
        logs_add("audit.log", "another line\n");
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(LOSS_TRUNCATED, file_loss(r.file));
    EQ_STR("", take(100)); /* for good */
    EQ(READER_CHANGED, what);
    done();
}

TEST(one_byte_that_is_another_is_noticed_where_it_is_looked_at)
{
    for (unsigned back = 1; back <= IDENTITY_GUARD_MAX; back += 51) {
        struct stat st;

        if (back == 1)
            prepare();
        else
            logs_delete("audit.log");
        add_long("audit.log", 1000);
        EQ(0, stat(logs_path("audit.log"), &st));
        open_at("audit.log", 0, NULL);
        take(900);
        overwrite("audit.log", 900 - back, "#");
        EQ_STR("", take(50));
        EQ(READER_CHANGED, what);
        done();
        logs_has_place = false;
    }
}

TEST(a_file_that_became_shorter_is_noticed)
{
    prepare();
    add_long("audit.log", 1000);
    open_at("audit.log", 0, NULL);
    take(1000);
    OK(!reader_check_end(&r));
    logs_cut("audit.log", 999);
    OK(reader_check_end(&r));
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(LOSS_TRUNCATED, file_loss(r.file));
    done();
}

/* Nothing stands before its start: what it began with has to tell. */
TEST(a_file_that_begins_otherwise_is_not_read)
{
    prepare();
    logs_add("audit.log", "one\ntwo\n");
    open_at("audit.log", 0, NULL);
    overwrite("audit.log", 0, "new");
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(LOSS_TRUNCATED, file_loss(r.file));
    done();
}

TEST(a_head_that_has_grown_is_the_same)
{
    prepare();
    logs_add("audit.log", "on");
    open_at("audit.log", 0, NULL);
    logs_add("audit.log", "e and much more\n");
    EQ_STR("one and much more\n", take(100));
    done();
}

#define BLOCK (64 * KIB) /* as long as any file system's, or longer */

TEST(a_hole_is_jumped_over_and_what_follows_is_read)
{
    struct stat st;

    prepare();
    add_long("audit.log", BLOCK);
    logs_cut("audit.log", MIB);
    logs_add("audit.log", "two\n");
    open_at("audit.log", 0, NULL);
    EQ(0, stat(logs_path("audit.log"), &st));
    EQ(0, reader_skip_hole(&r)); /* it is not in one */
    take(BLOCK);
    EQ(BLOCK, got_len);
    if ((uint64_t)st.st_blocks * 512 >= MIB) {
        printf("skipped: this file system has no holes\n");
        done();
        return;
    }
    EQ(MIB - BLOCK, reader_skip_hole(&r));
    EQ(MIB, r.at);
    EQ_STR("two\n", take(100)); /* NULs stand before it, and no text */
    EQ(0, reader_skip_hole(&r));
    done();
}

/* ---- what cannot be read ---- */

TEST(what_is_not_open_cannot_be_read_now)
{
    prepare();
    logs_add(T1, "one\n");
    logs_add("audit.log", "two\n");
    open_at(T1, 0, NULL);
    file_close(logs_file(T1));
    EQ_STR("", take(100));
    EQ(READER_FAILED, what);
    OK(!reader_check_end(&r));
    EQ(0, reader_skip_hole(&r));
    file_open(logs_file(T1));
    EQ_STR("one\n", take(100));
    done();
}

TEST(what_is_lost_stays_so)
{
    static const enum loss all[] = { LOSS_DELETED, LOSS_TRUNCATED,
                                     LOSS_GIVEN_UP };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (i == 0)
            prepare();
        else
            logs_delete("audit.log");
        logs_add("audit.log", "one\ntwo\n");
        open_at("audit.log", 0, NULL);
        EQ_STR("one\n", take(4));
        chain_lose(r.file->chain, r.file, all[i]);
        EQ_STR("", take(100));
        EQ(READER_CHANGED, what);
        EQ(4, r.at);
        done();
        logs_has_place = false;
    }
}

/* ---- compressed ---- */

static void add_gz(struct span text)
{
    logs_add_span("text", text);
    logs_zip("text", T1 ".gz");
    logs_delete("text");
    logs_age(T1 ".gz");
    logs_add("audit.log", "live\n");
}

TEST(a_gz_is_read_as_its_text)
{
    static const size_t sizes[] = { 1, 255, 257, 4096, 60000 };
    struct buf want = long_text(20011);

    prepare();
    add_gz(span(want.at, want.len));
    open_at(T1 ".gz", 0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf have;
        uint64_t size;

        reader_seek(&r, logs_file(T1 ".gz"), 0, NULL);
        have = take_all(sizes[i]);
        EQ(READER_END, what);
        EQ(want.len, r.at);
        EQ_SPAN(span(want.at, want.len), span(have.at, have.len));
        OK(file_text_size(r.file, &size));
        EQ(want.len, size);
        buf_free(&have);
    }
    OK(!reader_check_end(&r));
    EQ(0, reader_skip_hole(&r));
    buf_free(&want);
    done();
}

/* An offset is one of the text: the guard may be of the plain form. */
TEST(a_place_in_the_plain_file_is_one_in_its_gz)
{
    struct buf want = long_text(20000);
    struct guard g;

    prepare();
    logs_add_span("plain", span(want.at, want.len));
    g = guard_before("plain", 15000);
    add_gz(span(want.at, want.len));
    open_at(T1 ".gz", 15000, &g);
    take(1000);
    EQ(READER_BYTES, what);
    EQ_SPAN(span(want.at + 15000, got_len), span(got, got_len));
    buf_free(&want);
    done();
}

TEST(a_guard_that_does_not_hold_in_a_gz_starts_again)
{
    struct buf want = long_text(20000);
    struct guard g;

    prepare();
    logs_add_span("plain", span(want.at, want.len));
    g = guard_before("plain", 14999);
    add_gz(span(want.at, want.len));
    open_at(T1 ".gz", 15000, &g);
    EQ_STR("", take(1000));
    EQ(READER_CHANGED, what);
    EQ(0, r.at);
    EQ(LOSS_NONE, file_loss(r.file));
    take(1000);
    EQ_SPAN(span(want.at, 1000), span(got, got_len));
    buf_free(&want);
    done();
}

TEST(a_gz_that_is_shorter_than_the_place_starts_again)
{
    prepare();
    add_gz(SPAN("one\ntwo\n"));
    open_at(T1 ".gz", 9, NULL);
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    EQ(0, r.at);
    EQ_STR("one\ntwo\n", take(100));
    EQ_STR("", take(100));
    EQ(READER_END, what);
    done();
}

TEST(the_end_of_a_gz_is_a_place_as_well)
{
    prepare();
    add_gz(SPAN("one\ntwo\n"));
    open_at(T1 ".gz", 8, NULL);
    EQ_STR("", take(100));
    EQ(READER_END, what);
    EQ(8, r.at);
    done();
}

/* The way to a far place is long, and the loop has other things to do. */
TEST(a_far_place_in_a_gz_is_reached_in_steps)
{
    struct buf text = { 0 };
    unsigned steps = 0;

    prepare();
    buf_room(&text, 40 * MIB);
    memset(text.at, 'x', 40 * MIB);
    text.len = 40 * MIB;
    memcpy(text.at + text.len - 4, "end\n", 4);
    add_gz(span(text.at, text.len));
    buf_free(&text);
    open_at(T1 ".gz", 40 * MIB - 4, NULL);
    do {
        take(100);
        steps++;
    } while (what == READER_MORE);
    EQ_STR("end\n", got);
    EQ(3, steps);
    done();
}

/* A file that is read is compressed, and its plain form goes. */
TEST(another_form_of_the_text_is_read_on_where_the_first_was_left)
{
    struct buf want = long_text(20000);

    prepare();
    logs_add_span(T1, span(want.at, want.len));
    logs_add("audit.log", "live\n");
    open_at(T1, 0, NULL);
    take(12345);
    EQ(12345, got_len);
    file_take_fd(r.file, FORM_GZ, -1); /* a descriptor that is none */
    EQ_STR("", take(10));
    EQ(READER_FAILED, what);
    logs_zip(T1, T1 ".gz");
    file_take_fd(r.file, FORM_GZ, open(logs_path(T1 ".gz"), O_RDONLY));
    take(5000);
    EQ_SPAN(span(want.at + 12345, 5000), span(got, got_len));
    file_take_fd(r.file, FORM_PLAIN, open(logs_path(T1), O_RDONLY));
    take(5000);
    EQ_SPAN(span(want.at + 17345, 2655), span(got, got_len));
    OK(r.gz == NULL);
    buf_free(&want);
    done();
}

/* Its size may be right: what was read before tells. */
TEST(another_text_is_not_read_on)
{
    struct buf want = long_text(20000);

    prepare();
    logs_add_span(T1, span(want.at, want.len));
    logs_add("audit.log", "live\n");
    open_at(T1, 0, NULL);
    take(12345);
    want.at[12340] = '#';
    logs_add_span("other", span(want.at, want.len));
    logs_zip("other", T1 ".gz");
    file_take_fd(r.file, FORM_GZ, open(logs_path(T1 ".gz"), O_RDONLY));
    EQ_STR("", take(5000));
    EQ(READER_CHANGED, what);
    EQ(0, r.at);
    EQ(LOSS_NONE, file_loss(r.file));
    take(5000);
    EQ_SPAN(span(want.at, 5000), span(got, got_len));
    buf_free(&want);
    done();
}

/* ---- damaged ---- */

static uint64_t size_of(const char *name)
{
    struct stat st;

    EQ(0, stat(logs_path(name), &st));
    return (uint64_t)st.st_size;
}

/* Handed out is what comes before the damage, and it is the same for all who
 * read it. */
TEST(a_damaged_gz_is_read_up_to_the_damage)
{
    struct buf want = long_text(50000), have, again;

    prepare();
    add_gz(span(want.at, want.len));
    overwrite(T1 ".gz", size_of(T1 ".gz") / 2, "this was no deflate stream");
    logs_age(T1 ".gz");
    open_at(T1 ".gz", 0, NULL);
    have = take_all(1000);
    EQ(READER_CHANGED, what);
    EQ(LOSS_DAMAGED, file_loss(r.file));
    OK(file_is_open(r.file));
    OK(have.len > 1000); /* some of it may be what the damage made */
    EQ_SPAN(span(want.at, 1000), span(have.at, 1000));
    EQ(have.len, r.at);
    EQ_STR("", take(100));
    EQ(READER_CHANGED, what);
    reader_close(&r);
    reader_open(&r);
    reader_seek(&r, logs_file(T1 ".gz"), 0, NULL);
    again = take_all(777);
    EQ(READER_CHANGED, what);
    EQ_SPAN(span(have.at, have.len), span(again.at, again.len));
    buf_free(&want);
    buf_free(&have);
    buf_free(&again);
    done();
}

TEST(a_gz_that_is_cut_is_waited_for_while_it_may_grow)
{
    struct buf want = long_text(50000), have, rest;

    prepare();
    logs_add_span("text", span(want.at, want.len));
    logs_zip("text", "whole");
    logs_copy("whole", T1 ".gz");
    logs_cut(T1 ".gz", size_of("whole") / 2);
    logs_add("audit.log", "live\n");
    open_at(T1 ".gz", 0, NULL);
    have = take_all(1000);
    EQ(READER_FAILED, what);
    EQ(LOSS_NONE, file_loss(r.file));
    OK(have.len > 1000 && have.len < want.len);
    EQ_STR("", take(100));
    EQ(READER_FAILED, what);
    logs_cut(T1 ".gz", 0); /* gzip writes in place */
    logs_copy("whole", T1 ".gz");
    rest = take_all(1000);
    EQ(READER_END, what);
    buf_add(&have, rest.at, rest.len);
    EQ_SPAN(span(want.at, want.len), span(have.at, have.len));
    buf_free(&want);
    buf_free(&have);
    buf_free(&rest);
    done();
}

TEST(a_gz_that_is_cut_and_old_is_damaged)
{
    struct buf want = long_text(50000), have;

    prepare();
    add_gz(span(want.at, want.len));
    logs_cut(T1 ".gz", size_of(T1 ".gz") / 2);
    logs_age(T1 ".gz");
    open_at(T1 ".gz", 0, NULL);
    have = take_all(1000);
    EQ(READER_CHANGED, what);
    EQ(LOSS_DAMAGED, file_loss(r.file));
    EQ_SPAN(span(want.at, have.len), span(have.at, have.len));
    buf_free(&want);
    buf_free(&have);
    done();
}

TEST(a_damaged_gz_whose_plain_form_comes_back_is_read_on)
{
    struct buf want = long_text(50000), have;

    prepare();
    add_gz(span(want.at, want.len));
    logs_cut(T1 ".gz", size_of(T1 ".gz") / 2);
    logs_age(T1 ".gz");
    open_at(T1 ".gz", 0, NULL);
    have = take_all(1000);
    EQ(LOSS_DAMAGED, file_loss(r.file));
    logs_add_span("plain", span(want.at, want.len));
    file_take_fd(r.file, FORM_PLAIN, open(logs_path("plain"), O_RDONLY));
    EQ(LOSS_NONE, file_loss(r.file));
    take(1000);
    EQ_SPAN(span(want.at + have.len, 1000), span(got, got_len));
    buf_free(&want);
    buf_free(&have);
    done();
}

/* ---- where the last line begins ---- */

TEST(the_end_is_behind_the_last_newline)
{
    prepare();
    add_gz(SPAN("one\ntwo\n"));
    logs_add("audit.log", "2\nhalf");
    open_at("audit.log", 0, NULL);
    EQ(7, reader_last_line(logs_file("audit.log")));
    EQ(8, reader_last_line(logs_file(T1 ".gz"))); /* whole, whatever its end */
    done();
}
