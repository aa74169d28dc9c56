/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a chain makes of a log that copytruncate copies and cuts in its place:
 * before we look, between two looks, and in the middle of one.
 */
#include "test/unit/logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What happens when that file is read, or the directory is listed, for the first
 * time from now on. */
static const char *file;
static unsigned reads_before;
static void (*when_read)(void);
static void (*when_lines_are_read)(void);
static void (*when_listed)(void);

static void once(void (**act)(void))
{
    void (*now)(void) = *act;

    *act = NULL;
    now();
}

static bool is_it(int fd)
{
    struct stat st, want;

    return fstat(fd, &st) == 0 && stat(logs_path(file), &want) == 0 &&
           st.st_ino == want.st_ino;
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
    if (when_lines_are_read != NULL && is_it(fd))
        once(&when_lines_are_read);
    return syscall(SYS_preadv, fd, iov, n, offset, 0);
}

ssize_t pread(int fd, void *bytes, size_t n, off_t offset)
{
    if (when_read != NULL && is_it(fd) && reads_before-- == 0)
        once(&when_read);
    return syscall(SYS_pread64, fd, bytes, n, offset);
}

DIR *opendir(const char *path)
{
    if (when_listed != NULL)
        once(&when_listed);
    return fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* ---- before a look ---- */

TEST(a_copy_before_the_cut_is_not_read_twice)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_add("audit.log.1", "1\n"); /* it is being made */
    logs_look();
    EQ_STR("audit.log", logs_chain());
    logs_add("audit.log.1", "2\n");
    logs_look();
    EQ_STR("audit.log", logs_chain());
    logs_cut("audit.log", 0);
    logs_look();
    EQ_STR("", logs_rest());
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_stop();
}

TEST(a_copy_that_was_made_while_nobody_looked_is_not_read_twice)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_copy("audit.log", "audit.log.1");
    logs_start();
    EQ_STR("audit.log", logs_chain());
    EQ_STR("1|2|", logs_rest());
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    EQ_STR("(audit.log.1) audit.log", logs_chain());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_copy_that_was_just_begun_when_we_started_is_not_read_twice)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_add("audit.log.1", "");
    logs_start();
    EQ_STR("", logs_rest()); /* it may be another's that still grows */
    EQ(0, logs_pins());
    logs_add("audit.log.1", "1\n");
    EQ_STR("1|2|", logs_rest());
    logs_add("audit.log.1", "2\n");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    EQ_STR("(audit.log.1) audit.log", logs_chain());
    logs_stop();
}

TEST(a_copy_that_was_just_begun_when_we_started_is_one_when_the_log_is_cut)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_add("audit.log.1", "");
    logs_start();
    logs_add("audit.log.1", "1\n2\n");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(a_copy_that_was_just_begun_is_known_by_its_text_once_it_is_compressed)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_add("audit.log.1", "");
    logs_start();
    logs_add("audit.log.1", "1\n2\n");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    logs_zip("audit.log.1", "audit.log.1.gz");
    logs_delete("audit.log.1");
    EQ_STR("1|2|3|", logs_rest());
    logs_stop();
}

TEST(half_a_line_of_before_the_start_is_no_copy_of_a_log_that_begins_like_it)
{
    logs_prepare();
    logs_add("audit.log.3", "1\n");
    logs_add("audit.log.2", "li");
    logs_add("audit.log.1", "line 2\n");
    logs_add("audit.log", "line 3\n");
    logs_age("audit.log.3");
    logs_age("audit.log.2");
    logs_age("audit.log.1");
    logs_start();
    EQ_STR("1|torn:li|line 2|line 3|", logs_rest());
    logs_stop();
}

TEST(a_file_that_was_empty_when_we_started_and_is_no_copy_keeps_its_place)
{
    logs_prepare();
    logs_add("audit.log.1", "");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("", logs_rest());
    logs_add("audit.log.1", "1\n");
    logs_age("audit.log.1");
    EQ_STR("1|2|", logs_rest());
    logs_stop();
}

TEST(what_was_not_read_before_the_cut_is_read_in_the_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n3\n");
    logs_start();
    EQ_STR("1|2|3|", logs_rest());
    logs_add("audit.log", "4\n5\n");
    logs_copy("audit.log", "audit.log.1");
    logs_cut("audit.log", 0);
    EQ_STR("4|5|", logs_rest());
    logs_add("audit.log", "6\n");
    EQ_STR("6|", logs_rest());
    logs_stop();
}

TEST(a_compressed_copy_is_one_as_well)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_add("audit.log", "3\n");
    logs_zip("audit.log", "audit.log.1.gz");
    logs_cut("audit.log", 0);
    EQ_STR("3|", logs_rest());
    logs_add("audit.log", "4\n");
    EQ_STR("4|", logs_rest());
    logs_stop();
}

TEST(a_log_that_was_cut_and_grew_past_our_place_is_noticed)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_copy("audit.log", "audit.log.1");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "three\nfour\nfive\n");
    EQ_STR("three|four|five|", logs_rest());
    logs_stop();
}

TEST(a_copy_is_not_taken_for_a_file_that_held_half_its_first_line)
{
    logs_prepare();
    logs_add(T1, "line");
    logs_zip(T1, T1 ".gz");
    logs_delete(T1);
    logs_add("audit.log", "lineage\n2\n");
    logs_start();
    EQ_STR("torn:line|lineage|", logs_read(2));
    logs_run_until_remembered();
    logs_stop();
    logs_copy("audit.log", T3);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(a_log_that_was_cut_twice_has_two_copies)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_copy("audit.log", "audit.log.1");
    logs_cut("audit.log", 0);
    logs_look();
    logs_add("audit.log", "3\n");
    logs_look();
    logs_move("audit.log.1", "audit.log.2");
    logs_copy("audit.log", "audit.log.1");
    logs_cut("audit.log", 0);
    logs_look();
    logs_add("audit.log", "4\n");
    EQ_STR("2|3|4|", logs_rest());
    logs_stop();
}

TEST(what_was_written_copied_and_cut_since_an_empty_log_was_seen_is_read_first)
{
    logs_prepare();
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("", logs_rest());
    logs_add("audit.log", "1\nhalf");
    logs_copy("audit.log", T1);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "2\n");
    EQ_STR("1|torn:half|2|", logs_rest());
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_stop();
}

TEST(what_came_before_a_log_of_which_nothing_was_read_is_read_after_a_restart)
{
    logs_prepare();
    logs_add("audit.log", "");
    logs_start();
    logs_add("audit.log", "1\n");
    logs_copy("audit.log", T1);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "2\n");
    logs_look();
    logs_restart();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
}

TEST(what_was_copied_and_cut_since_we_came_to_an_empty_log_is_read_after_a_stop)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_copy("audit.log", T2);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
    logs_restart();
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

/* As another lane does that starts later, at a file that is gone. */
TEST(a_file_that_is_added_as_lost_turns_nobody_back)
{
    struct identity gone = { .dev = 1, .ino = 1, .head_len = 1 };
    struct file *lost;

    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("1|", logs_rest());
    lost = file_ref(trail_add_lost(logs_trail, &gone, SPAN("gone")));
    logs_add("audit.log", "2\n");
    EQ_STR("2|", logs_rest());
    file_unref(lost);
    logs_stop();
}

TEST(a_log_that_was_cut_before_it_was_read_and_then_deleted_is_two_files)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_copy("audit.log", T2);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "three\n");
    logs_delete("audit.log");
    logs_look();
    logs_add("audit.log", "4\n");
    EQ_STR("2|three|4|", logs_rest());
    logs_stop();
}

TEST(a_log_that_was_cut_while_nobody_looked_is_read_in_its_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
    logs_add("audit.log", "3\n");
    logs_copy("audit.log", "audit.log.1");
    logs_age("audit.log.1");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

/* Its text begins like any line, and nobody knows whether it had grown. */
TEST(a_copy_is_not_taken_for_a_rotated_file_that_held_half_a_line)
{
    logs_prepare();
    logs_add("audit.log.1", "ha");
    logs_add("audit.log", "other 2\n");
    logs_start();
    EQ_STR("", logs_rest());
    logs_run_until_remembered();
    logs_stop();
    logs_delete_pins();
    logs_delete("audit.log.1");
    logs_copy("audit.log", "audit.log.2");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "half 3\n");
    logs_copy("audit.log", "audit.log.1");
    logs_cut("audit.log", 0);
    logs_add("audit.log", "half 4\n");
    logs_age("audit.log.2");
    logs_age("audit.log.1");
    logs_start();
    EQ_STR("gap:deleted|other 2|half 3|half 4|", logs_rest());
    logs_stop();
}

/* Its head is right, and so is what stands where another reader was. */
TEST(a_copy_of_something_else_is_not_gone_on_with_in_the_middle_of_a_line)
{
    static struct buf got;
    struct cursor second;
    char rest[301];

    memset(rest, 'x', sizeof(rest) - 1);
    rest[sizeof(rest) - 1] = '\0';
    logs_prepare();
    logs_add("audit.log", "first\nhal");
    logs_start();
    cursor_open(&second, logs_trail, "lane other");
    cursor_seek(&second, trail_oldest(logs_trail), 0, NULL);
    while (logs_next(&second, &got))
        ;
    EQ_SPAN(SPAN("first|"), span(got.at, got.len));
    logs_add("audit.log", "f\n");
    logs_add("audit.log", rest);
    (void)logs_rest();
    logs_add("audit.log.1", "first\nHALZ\n");
    logs_add("audit.log.1", rest);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "new\n");
    got.len = 0;
    while (logs_next(&second, &got))
        ;
    EQ_SPAN(SPAN("torn:hal|gap:truncated|new|"), span(got.at, got.len));
    cursor_close(&second);
    logs_stop();
}

TEST(without_a_copy_what_was_cut_off_is_lost)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\nhal");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_cut("audit.log", 0);
    EQ_STR("torn:hal|gap:truncated|", logs_rest());
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_log_that_was_cut_while_nobody_looked_and_has_no_copy_is_lost)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
    logs_cut("audit.log", 0);
    logs_add("audit.log", "three\n");
    logs_start();
    EQ_STR("gap:deleted|three|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

/* Its first line is the same: only what stands before our place tells. */
TEST(a_log_with_the_same_head_that_was_written_anew_is_noticed)
{
    logs_prepare();
    logs_add("audit.log", "head\n2\n3\n");
    logs_start();
    EQ_STR("head|2|3|", logs_rest());
    logs_stop();
    logs_cut("audit.log", 0);
    logs_add("audit.log", "head\nfour\nfive\n");
    logs_start();
    EQ_STR("gap:truncated|head|four|five|", logs_rest());
    logs_stop();
}

TEST(a_cut_in_the_middle_is_no_cut_to_nothing)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n3\n");
    logs_start();
    EQ_STR("1|2|3|", logs_rest());
    logs_cut("audit.log", 4);
    EQ_STR("gap:truncated|1|2|", logs_rest());
    logs_stop();
}

/* ---- in the middle of a look ---- */

static void look_and_when_read(const char *name, void (*act)(void))
{
    file = name;
    reads_before = 0;
    when_read = act;
    logs_look();
    OK(when_read == NULL);
}

static void cut_and_write(void)
{
    logs_cut("audit.log", 0);
    logs_add("audit.log", "3\n");
}

static void cut_again(void)
{
    logs_cut("audit.log", 0);
    logs_add("audit.log", "5\n");
}

TEST(what_came_before_a_log_that_is_cut_twice_in_one_look_stays_before_it)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_copy("audit.log", "audit.log.4");
    logs_cut("audit.log", 0);
    logs_add("audit.log.3", "2\n");
    logs_add("audit.log.2", "3\n");
    logs_age("audit.log.3");
    logs_age("audit.log.2");
    logs_add("audit.log", "4\n");
    logs_copy("audit.log", "audit.log.1");
    file = "audit.log.3";
    reads_before = 0;
    when_read = cut_again;
    EQ_STR("2|3|4|5|", logs_rest());
    logs_stop();
}

TEST(what_came_and_went_before_a_log_was_cut_twice_is_told_of_before_its_text)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_copy("audit.log", "audit.log.3");
    logs_cut("audit.log", 0);
    logs_add("audit.log.2", "2\n");
    logs_delete("audit.log.2");
    logs_add("audit.log", "4\n");
    logs_copy("audit.log", "audit.log.1");
    file = "audit.log.3";
    reads_before = 0;
    when_read = cut_again;
    EQ_STR("gap:deleted|4|5|", logs_rest());
    logs_stop();
}

TEST(a_log_that_is_cut_once_its_copy_is_listed_comes_after_the_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_copy("audit.log", T2);
    look_and_when_read(T2, cut_and_write);
    EQ_STR(T2 " audit.log", logs_chain());
    EQ_STR("2|3|", logs_rest());
    logs_add("audit.log", "4\n");
    EQ_STR("4|", logs_rest());
    logs_stop();
}

/* A .gz is looked at after the plain ones. */
TEST(a_copy_that_was_passed_over_is_found_once_the_log_is_cut)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_copy("audit.log", T2);
    logs_add("other", "0\n");
    logs_zip("other", T1 ".gz");
    look_and_when_read(T1 ".gz", cut_and_write);
    EQ_STR("2|0|3|", logs_rest());
    logs_stop();
}

static void copy_cut_and_write(void)
{
    logs_copy("audit.log", T3);
    cut_and_write();
}

TEST(what_is_copied_and_cut_once_the_directory_is_listed_is_read_in_its_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_add(T1, "0\n");
    look_and_when_read(T1, copy_cut_and_write);
    EQ_STR("2|0|3|", logs_rest());
    logs_stop();
}

static void copy_cut_and_write_again(void)
{
    logs_copy("audit.log", T4);
    logs_cut("audit.log", 0);
    logs_add("audit.log", "4\n");
}

static void and_again(void)
{
    copy_cut_and_write();
    file = T2;
    reads_before = 0;
    when_read = copy_cut_and_write_again;
}

TEST(what_is_copied_and_cut_twice_in_one_look_is_read_in_its_copies)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    logs_add(T1, "0\n");
    logs_add(T2, "00\n");
    look_and_when_read(T1, and_again);
    EQ_STR("2|0|00|3|4|", logs_rest());
    logs_stop();
}

static void cut_to_another_line(void)
{
    logs_cut("audit.log", 0);
    logs_add("audit.log", "another line\n");
}

TEST(half_a_first_line_that_is_cut_while_we_look_is_not_taken_for_the_new_one)
{
    logs_prepare();
    logs_add("audit.log", "half");
    logs_start();
    EQ_STR("", logs_rest());
    logs_copy("audit.log", T1);
    when_listed = cut_to_another_line;
    logs_look();
    EQ_STR("torn:half|another line|", logs_rest());
    logs_stop();
}

static void cut_to_a_third_line(void)
{
    logs_cut("audit.log", 0);
    logs_add("audit.log", "third line\n");
}

static void write_half_and_copy(void)
{
    logs_add("audit.log", "half");
    logs_add(T1, "half");
    file = T2;
    reads_before = 0;
    when_read = cut_to_a_third_line;
}

TEST(half_a_line_that_is_written_copied_and_cut_in_one_look_is_told_of)
{
    logs_prepare();
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("", logs_rest());
    logs_add(T1, "");
    logs_add(T2, "2\n");
    look_and_when_read(T1, write_half_and_copy);
    EQ_STR("torn:half|2|third line|", logs_rest());
    logs_stop();
}

TEST(a_log_that_is_cut_while_a_start_looks_at_it_goes_on_in_its_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_copy("audit.log", T1);
    file = T1;
    reads_before = 0;
    when_read = cut_and_write;
    logs_start();
    OK(when_read == NULL);
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(a_copy_is_read_if_the_log_was_cut_before_anybody_knew_it)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_copy("audit.log", T1);
    logs_age_dir();
    logs_add(T2, "0\n");
    file = T2;
    reads_before = 0;
    when_read = cut_and_write;
    logs_start();
    OK(when_read == NULL);
    EQ_STR("1|2|0|3|", logs_rest());
    logs_stop();
}

/* What stands before a place is read after it was seen that nothing was cut. */
TEST(a_log_that_is_cut_while_a_place_is_noted_is_not_gone_on_with)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_copy("audit.log", T1);
    file = "audit.log";
    reads_before = 2;
    when_read = cut_to_a_third_line;
    logs_stop();
    OK(when_read == NULL);
    logs_start();
    EQ_STR("third line|", logs_rest());
    logs_stop();
}

/* The guard of the place held, but a moment later it is another text. */
TEST(a_log_that_is_cut_before_its_first_read_at_a_place_goes_on_in_its_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_copy("audit.log", T1);
    logs_start();
    file = "audit.log";
    when_lines_are_read = cut_to_a_third_line;
    EQ_STR("2|third line|", logs_rest());
    OK(when_lines_are_read == NULL);
    logs_stop();
}

TEST(a_log_that_is_cut_before_its_guard_is_read_goes_on_in_its_copy)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_copy("audit.log", T1);
    logs_start();
    file = "audit.log";
    reads_before = 0;
    when_read = cut_to_a_third_line;
    EQ_STR("2|third line|", logs_rest());
    OK(when_read == NULL);
    logs_stop();
}
