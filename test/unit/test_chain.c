/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a chain makes of a directory, seen by a reader who goes along it, and by
 * one who was away for a while.
 */
#include "agent/base/clock.h"
#include "test/unit/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int list_error; /* 0: a directory can be listed */
static unsigned listings;

DIR *opendir(const char *path)
{
    listings++;
    errno = list_error;
    return list_error != 0
               ? NULL
               : fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* ---- one text, several forms ---- */

TEST(a_file_and_its_gz_are_one)
{
    logs_prepare();
    logs_add(T1, "1\n2\n");
    logs_zip(T1, T1 ".gz");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR(T1 " audit.log", logs_chain());
    EQ_STR("1|2|3|", logs_rest());
    logs_stop();
}

TEST(the_plain_one_goes_and_its_gz_is_read_on)
{
    logs_prepare();
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_zip(T1, T1 ".gz");
    logs_look();
    EQ_STR(T1 " audit.log", logs_chain());
    logs_delete(T1);
    logs_look();
    EQ_STR(T1 ".gz audit.log", logs_chain());
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(what_was_compressed_meanwhile_is_resumed_in_its_gz)
{
    logs_prepare();
    logs_add(T1, "1\n2\n3\n");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_zip(T1, T1 ".gz");
    logs_delete(T1);
    logs_start();
    EQ_STR("2|3|4|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(compressed_and_plain_siblings_come_in_the_order_they_were_written)
{
    logs_prepare();
    logs_add("one", "1\n");
    logs_zip("one", T1 ".gz");
    logs_add(T2, "2\n");
    logs_add("three", "3\n");
    logs_zip("three", T3 ".gz");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("1|2|3|4|", logs_rest());
    logs_stop();
}

TEST(a_gz_in_the_making_does_not_repeat_its_file)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T1 ".gz", "");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|2|3|", logs_rest());
    logs_zip(T1, T1 ".gz");
    logs_delete(T1);
    logs_look();
    EQ_STR("", logs_rest());
    logs_add("audit.log", "4\n");
    EQ_STR("4|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_gz_that_begins_while_we_look_does_not_repeat_its_file)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "3\n");
    logs_start();
    logs_add(T1 ".gz", "");
    logs_look();
    EQ_STR(T1 " audit.log", logs_chain());
    logs_zip(T1, T1 ".gz");
    logs_look();
    logs_delete(T1);
    EQ_STR("1|3|", logs_rest());
    EQ_STR("(" T1 ".gz) audit.log", logs_chain());
    logs_stop();
}

#define LONG_LINE 2000 /* with its newline */

/* One that compresses to about 1200 bytes. */
static const char *long_line(void)
{
    static char line[LONG_LINE + 1];
    unsigned x = 1;

    for (size_t i = 0; i < LONG_LINE; i++) {
        x = x * 1664525 + 1013904223;
        line[i] = (char)('a' + (x >> 24) % 26);
    }
    line[LONG_LINE - 1] = '\n';
    return line;
}

/* As much of it as makes a part of the first line. */
TEST(a_gz_of_which_little_is_written_does_not_repeat_its_file)
{
    const char *line = long_line();

    logs_prepare();
    logs_add(T1, line);
    logs_add("audit.log", "2\n");
    logs_zip(T1, "whole.gz");
    logs_copy("whole.gz", T1 ".gz");
    logs_cut(T1 ".gz", 275);
    logs_start();
    EQ_STR(T1 " audit.log", logs_chain());
    EQ(0, strncmp(line, logs_rest(), LONG_LINE - 1));
    logs_cut(T1 ".gz", 0);
    logs_copy("whole.gz", T1 ".gz");
    logs_delete(T1);
    logs_look();
    EQ_STR("", logs_rest());
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_stop();
}

TEST(a_gz_in_the_making_of_what_was_empty_when_it_was_seen_is_its_file)
{
    logs_prepare();
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("", logs_rest());
    logs_add("audit.log", long_line());
    logs_add("audit.log", long_line());
    logs_move("audit.log", T1);
    logs_zip(T1, "whole.gz");
    logs_copy("whole.gz", T1 ".gz");
    logs_cut(T1 ".gz", 1200);
    logs_add("audit.log", "2\n");
    logs_look();
    EQ_STR(T1 " audit.log", logs_chain());
    logs_stop();
}

TEST(a_gz_in_the_making_is_not_read_for_its_file_after_a_restart)
{
    const char *line = long_line();

    logs_prepare();
    logs_add(T1, line);
    logs_add(T1, line);
    logs_add(T1, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    logs_read(2);
    logs_run_until_remembered();
    logs_stop();
    logs_zip(T1, "whole.gz");
    logs_copy("whole.gz", T1 ".gz");
    logs_cut(T1 ".gz", 1200);
    logs_delete_pins();
    logs_start();
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(the_gz_of_a_passed_file_is_not_read_again)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_zip(T1, T1 ".gz");
    logs_look();
    logs_delete(T1);
    EQ_STR("", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

/* logrotate, delaycompress: .1 becomes .2.gz, and .2.gz becomes .3.gz. */
TEST(numbered_files_are_renamed_and_compressed)
{
    logs_prepare();
    logs_add("old", "1\n");
    logs_zip("old", "audit.log.2.gz");
    logs_add("audit.log.1", "2\n3\n");
    logs_age("audit.log.1");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("1|2|", logs_read(2));
    logs_move("audit.log.2.gz", "audit.log.3.gz");
    logs_move("audit.log.1", "audit.log.2");
    logs_zip("audit.log.2", "audit.log.2.gz");
    logs_delete("audit.log.2");
    logs_move("audit.log", "audit.log.1");
    logs_age("audit.log.1");
    logs_add("audit.log", "5\n");
    logs_look();
    EQ_STR("(audit.log.3.gz) audit.log.2.gz audit.log.1 audit.log",
           logs_chain());
    EQ_STR("3|4|5|", logs_rest());
    logs_stop();
}

TEST(numbered_files_are_renamed_and_compressed_while_nobody_looks)
{
    logs_prepare();
    logs_add("old", "1\n");
    logs_zip("old", "audit.log.2.gz");
    logs_add("audit.log.1", "2\n3\n");
    logs_age("audit.log.1");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("1|2|", logs_read(2));
    logs_stop();
    logs_move("audit.log.2.gz", "audit.log.3.gz");
    logs_zip("audit.log.1", "audit.log.2.gz");
    logs_delete("audit.log.1");
    logs_add("audit.log", "5\n");
    logs_move("audit.log", "audit.log.1");
    logs_age("audit.log.1");
    logs_add("audit.log", "6\n");
    logs_start();
    EQ_STR("3|4|5|6|", logs_rest());
    logs_stop();
}

TEST(two_files_of_one_name_but_for_the_gz_may_be_two)
{
    logs_prepare();
    logs_add("two", "2\n");
    logs_zip("two", T1 ".gz");
    logs_add(T1, "1\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|2|3|", logs_rest());
    logs_stop();
}

TEST(two_siblings_with_one_date_come_by_their_times_of_change)
{
    logs_prepare();
    logs_add("audit.log-20261123", "2\n");
    logs_add("audit-20261123.log", "1\n");
    logs_age("audit-20261123.log");
    logs_add("audit.log", "3\n");
    logs_conf.quiet = 0;
    logs_start();
    EQ_STR("1|2|3|", logs_rest());
    logs_stop();
}

/* ---- odd siblings ---- */

TEST(empty_files_are_passed)
{
    logs_prepare();
    logs_add(T1, "");
    logs_add(T2, "1\n");
    logs_add(T3, "");
    logs_add(T4, "");
    logs_zip(T4, T4 ".gz");
    logs_delete(T4);
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("audit.log", "2\n");
    EQ_STR("2|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(an_empty_file_is_no_reason_to_list_the_directory_at_each_step)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add(T3, "");
    logs_add("audit.log", "4\n");
    logs_age_dir();
    logs_start();
    listings = 0;
    EQ_STR("1|2|4|", logs_rest());
    EQ(0, listings);
    logs_stop();
}

/* Later it would come behind the log, which would be left for it if it was
 * deleted under its writer then. */
TEST(an_empty_sibling_of_before_the_start_has_its_place_at_once)
{
    logs_prepare();
    logs_add(T1, "");
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR(T1 " audit.log", logs_chain());
    logs_stop();
}

TEST(files_with_half_a_line_hold_up_nobody)
{
    logs_prepare();
    logs_add(T1, "hal");
    logs_add(T2, "f\n");
    logs_add(T3, "no newline");
    logs_zip(T3, T3 ".gz");
    logs_delete(T3);
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("torn:hal|f|torn:no newline|1|", logs_rest());
    logs_stop();
}

TEST(a_sibling_that_is_no_regular_file_is_passed_over)
{
    logs_prepare();
    logs_add(T1, "1\n");
    EQ(0, mkdir(logs_path(T2), 0755));
    EQ(0, mkfifo(logs_path(T3), 0600));
    EQ(0, symlink("/nowhere", logs_path(T4)));
    EQ(0, symlink("/dev/zero", logs_path("audit.log.1")));
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR(T1 " audit.log", logs_chain());
    EQ_STR("1|2|", logs_rest());
    logs_stop();
}

/* Only where permissions hold for us. */
static void without_rights(void)
{
    if (geteuid() == 0)
        EQ(0, seteuid(65534));
}

static void with_rights(void)
{
    if (getuid() == 0)
        EQ(0, seteuid(0));
}

TEST(an_unreadable_sibling_in_the_middle_is_waited_for)
{
    logs_prepare();
    logs_state = NULL;
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add(T3, "3\n");
    logs_add("audit.log", "4\n");
    EQ(0, chmod(logs_path(T2), 0));
    without_rights();
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_look();
    EQ_STR("", logs_rest());
    with_rights();
    EQ(0, chmod(logs_path(T2), 0644));
    without_rights();
    EQ_STR("2|3|4|", logs_rest());
    with_rights();
    logs_stop();
}

TEST(an_unreadable_sibling_is_told_as_lost_once_it_is_gone)
{
    logs_prepare();
    logs_state = NULL;
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "4\n");
    EQ(0, chmod(logs_path(T2), 0));
    without_rights();
    logs_start();
    EQ_STR("1|", logs_rest());
    with_rights();
    logs_delete(T2);
    without_rights();
    EQ_STR("gap:deleted|4|", logs_rest());
    with_rights();
    logs_stop();
}

/* ---- what is remembered ---- */

TEST(a_clock_that_was_set_back_does_not_change_the_order)
{
    logs_prepare();
    logs_add(T2, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_move("audit.log", T1); /* an earlier name than the one we are at */
    logs_add("audit.log", "3\n");
    logs_look();
    EQ_STR(T2 " " T1 " audit.log", logs_chain());
    logs_restart();
    EQ_STR(T2 " " T1 " audit.log", logs_chain());
    EQ_STR("2|3|", logs_rest());
    logs_stop();
}

TEST(a_clock_that_was_set_back_while_nobody_looked_costs_nothing)
{
    logs_prepare();
    logs_add(T2, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_move("audit.log", T1);
    logs_add("audit.log", "3\n");
    logs_move("audit.log", T3);
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("2|3|4|", logs_rest());
    logs_stop();
}

/* By its name alone the new file comes before those that were read. */
TEST(a_new_file_with_an_early_name_is_read)
{
    logs_prepare();
    logs_add(T2, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
    logs_add("audit.log", "3\n");
    logs_move("audit.log", T1);
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

TEST(a_file_that_was_deleted_while_nobody_looked_is_told_as_lost)
{
    logs_prepare();
    logs_conf.pin_max_bytes = 0;
    logs_add(T1, "1\n2\n");
    logs_add(T2, "3\n");
    logs_add("audit.log", "4\n");
    logs_state = NULL; /* no pins */
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_delete(T1);
    logs_start();
    EQ_STR("gap:deleted|3|4|", logs_rest());
    logs_stop();
}

TEST(a_file_that_was_read_to_its_end_may_be_deleted)
{
    logs_prepare();
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|2|", logs_read(2));
    logs_stop();
    logs_delete_pins();
    logs_delete(T1);
    logs_start();
    EQ_STR("3|", logs_rest());
    logs_stop();
}

/* What was read is known by the roll alone as long as nothing can be listed. */
static void start_unable_to_list(int why)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|2|", logs_read(2));
    logs_stop();
    list_error = why;
    logs_start();
    list_error = 0;
    logs_look();
    EQ_STR("(" T1 ") " T2 " audit.log", logs_chain());
    EQ_STR("3|", logs_rest());
    logs_stop();
}

TEST(what_was_read_is_not_read_again_after_a_start_that_could_not_list_it)
{
    start_unable_to_list(EMFILE);
}

TEST(what_was_read_is_not_read_again_after_a_start_that_was_not_allowed_to)
{
    start_unable_to_list(EACCES);
}

/* ---- files that come and go between two looks ---- */

/* The log is rotated, and once more; then both rotated files are deleted. */
static void come_and_go(bool is_zipped)
{
    logs_move("audit.log", T1);
    logs_add("audit.log", "2\n");
    logs_move("audit.log", T2);
    logs_add("audit.log", "3\n");
    logs_delete(T1);
    if (is_zipped)
        logs_zip(T2, T2 ".gz");
    logs_delete(T2);
    if (is_zipped)
        logs_delete(T2 ".gz");
}

static void read_and_come_and_go(bool is_zipped)
{
    logs_prepare();
    logs_conf.quiet = 0;
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    come_and_go(is_zipped);
}

TEST(what_came_and_went_before_anybody_saw_it_is_told_of)
{
    read_and_come_and_go(false);
    EQ_STR("gap:deleted|3|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(what_came_and_was_compressed_and_went_is_told_of)
{
    read_and_come_and_go(true);
    EQ_STR("gap:deleted|3|", logs_rest());
    logs_stop();
}

TEST(what_came_and_went_is_told_of_once_something_stands_behind_it)
{
    read_and_come_and_go(false);
    logs_move("audit.log", T3);
    logs_delete(T3);
    EQ_STR("", logs_rest());
    logs_add("audit.log", "4\n");
    EQ_STR("gap:deleted|4|", logs_rest());
    logs_stop();
}

TEST(what_came_and_went_is_told_of_after_a_restart)
{
    logs_prepare();
    logs_conf.quiet = 0;
    logs_add("audit.log", "1\n");
    logs_start();
    logs_move("audit.log", T1);
    logs_look(); /* it is pinned */
    logs_add("audit.log", "2\n");
    logs_move("audit.log", T2);
    logs_add("audit.log", "3\n");
    logs_delete(T1);
    logs_delete(T2);
    logs_look();
    logs_restart();
    EQ_STR("1|gap:deleted|3|", logs_rest());
    logs_stop();
}

TEST(a_log_that_is_deleted_and_begun_anew_leaves_no_doubt)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_delete("audit.log");
    logs_add(T3, "3\n");
    logs_add("audit.log", "4\n");
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

TEST(who_stops_at_an_empty_log_has_read_the_file_before)
{
    logs_prepare();
    logs_add(T1, "1\nhalf");
    logs_add("audit.log", "");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_restart();
    EQ_STR("torn:half|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_add("audit.log", "2\n");
    EQ_STR("2|", logs_rest());
    logs_stop();
}

TEST(what_came_between_may_be_lost_as_well)
{
    logs_prepare();
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|2|", logs_read(2));
    logs_stop();
    logs_delete_pins();
    logs_delete(T1);
    logs_delete("audit.log"); /* rotated and deleted, who knows */
    logs_add("audit.log", "5\n");
    logs_start();
    EQ_STR("gap:deleted|5|", logs_rest()); /* "2" is what was seen of it */
    logs_stop();
}

TEST(what_its_writer_still_had_open_may_have_grown_before_it_was_deleted)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_move("audit.log", "audit.log.1");
    logs_add("audit.log", "3\n");
    logs_look();
    logs_run_until_remembered();
    logs_stop();
    logs_add("audit.log.1", "2\n");
    logs_delete_pins();
    logs_delete("audit.log.1");
    logs_start();
    EQ_STR("gap:deleted|3|", logs_rest());
    logs_stop();
}

TEST(what_was_compressed_had_grown_since_its_size_was_noted)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_run_until_remembered();
    logs_stop();
    logs_add("audit.log", "2\n3\n");
    logs_zip("audit.log", T1 ".gz");
    logs_delete("audit.log");
    logs_add("audit.log", "4\n");
    logs_start();
    logs_run_until_remembered();
    EQ_STR("2|", logs_read(1));
    logs_stop();
    logs_delete_pins();
    logs_delete(T1 ".gz");
    logs_start();
    EQ_STR("gap:deleted 2|4|", logs_rest());
    logs_stop();
}

/* The oldest is deleted, and the new live file gets its inode. */
TEST(an_inode_that_is_used_again_is_another_file)
{
    uint64_t inode;

    logs_prepare();
    logs_add(T1, "a first line\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("a first line|2|", logs_rest());
    inode = logs_inode(T1);
    logs_stop();
    logs_add("audit.log", "3\n");
    logs_delete(T1);
    logs_move("audit.log", T2);
    logs_add("audit.log", "4\n");
    if (logs_inode("audit.log") != inode)
        fprintf(stderr, "skipped: no inode was used again here\n");
    logs_start();
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

/* The same, while the reader has still to be told that the oldest is lost; then
 * the one that has its inode is rotated and compressed. */
TEST(a_lost_file_does_not_get_the_names_of_the_next_one_with_its_inode)
{
    const char *line = long_line();
    uint64_t inode;

    logs_prepare();
    logs_conf.pin_max_bytes = 0;
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_run_until_remembered();
    inode = logs_inode(T1);
    logs_stop();
    logs_delete_pins();
    logs_delete(T1);
    logs_move("audit.log", T2);
    logs_add("audit.log", line);
    if (logs_inode("audit.log") != inode)
        fprintf(stderr, "skipped: no inode was used again here\n");
    logs_start();
    logs_move("audit.log", T3);
    logs_add("audit.log", "5\n");
    logs_look();
    logs_zip(T3, "whole.gz");
    logs_copy("whole.gz", T3 ".gz");
    logs_cut(T3 ".gz", 1000);
    logs_look();
    EQ_STR("[" T1 "] " T2 " " T3 " audit.log", logs_chain());
    logs_stop();
}

TEST(a_live_file_with_the_inode_of_the_one_before_is_another)
{
    uint64_t inode;

    logs_prepare();
    logs_add("audit.log", "one\n");
    logs_start();
    EQ_STR("one|", logs_rest());
    inode = logs_inode("audit.log");
    logs_stop();
    logs_zip("audit.log", T1 ".gz");
    for (unsigned i = 0; i < 200; i++) {
        logs_delete("audit.log");
        logs_add("audit.log", "two\n");
        if (logs_inode("audit.log") == inode)
            break;
    }
    if (logs_inode("audit.log") != inode)
        fprintf(stderr, "skipped: no inode was used again here\n");
    logs_start();
    EQ_STR("two|", logs_rest());
    logs_stop();
}

/* Both are remembered, for somebody has yet to pass the first; its head is
 * shorter, as if it had been seen when its first line was not whole. */
TEST(a_place_is_in_the_file_that_has_its_head)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_stop();
    logs_cut("audit.log", 0); /* as good as another file with its inode */
    logs_add("audit.log", "a longer line\n");
    logs_start();
    trail_hold(logs_trail);
    EQ_STR("gap:deleted|a longer line|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_log_that_was_deleted_under_its_writer_is_read_on)
{
    int fd;

    logs_prepare();
    fd = open(logs_path("audit.log"), O_CREAT | O_WRONLY, 0600);
    EQ(2, write(fd, "1\n", 2));
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_delete("audit.log");
    EQ_STR("", logs_rest());
    EQ(2, write(fd, "2\n", 2));
    EQ_STR("2|", logs_rest());
    EQ(0, futimens(fd, (struct timespec[2]){ { .tv_sec = 1000000000 },
                                             { .tv_sec = 1000000000 } }));
    close(fd);
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_stop();
}

/* ---- places ---- */

TEST(a_log_that_was_deleted_under_its_writer_is_not_left_for_an_empty_file)
{
    int writer;

    logs_prepare();
    logs_add("empty", "");
    logs_zip("empty", T1 ".gz");
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    writer = open(logs_path("audit.log"), O_WRONLY | O_APPEND);
    logs_delete("audit.log");
    logs_age(T1 ".gz"); /* it is not in the making any more */
    logs_look();
    EQ_STR("", logs_rest());
    EQ(2, write(writer, "2\n", 2));
    EQ_STR("2|", logs_rest());
    close(writer);
    logs_add("audit.log", "3\n");
    EQ_STR("3|", logs_rest());
    logs_stop();
}

TEST(siblings_are_where_the_link_leads)
{
    logs_prepare();
    EQ(0, mkdir(logs_path("a"), 0755));
    logs_add("a/real.log", "2\n");
    logs_add("a/real-2026-11-23T01-00-00.000.log", "1\n");
    EQ(0, symlink("a/real.log", logs_path("audit.log")));
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_move("a/real.log", "a/real-2026-11-23T02-00-00.000.log");
    logs_add("a/real-2026-11-23T02-00-00.000.log", "3\n");
    logs_add("a/real.log", "4\n");
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

TEST(a_link_that_leads_elsewhere_is_followed)
{
    logs_prepare();
    EQ(0, mkdir(logs_path("a"), 0755));
    EQ(0, mkdir(logs_path("b"), 0755));
    logs_add("a/audit.log", "1\n");
    logs_add("b/audit.log", "3\n");
    EQ(0, symlink("a/audit.log", logs_path("audit.log")));
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_add("a/audit.log", "2\n");
    logs_delete("audit.log");
    EQ(0, symlink("b/audit.log", logs_path("audit.log")));
    logs_age("a/audit.log");
    logs_look();
    EQ_STR("2|3|", logs_rest());
    logs_add("b/audit.log", "4\n");
    EQ_STR("4|", logs_rest());
    logs_move("b/audit.log", "b/" T1);
    logs_add("b/audit.log", "5\n");
    EQ_STR("5|", logs_rest());
    logs_stop();
}

TEST(a_directory_that_is_replaced_is_read_from_the_new_one)
{
    char dir[256], away[264];

    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_age("audit.log");
    logs_start();
    EQ_STR("1|", logs_read(1));
    snprintf(dir, sizeof(dir), "%s", logs_path("."));
    dir[strlen(dir) - 2] = '\0';
    snprintf(away, sizeof(away), "%s.old", dir);
    EQ(0, rename(dir, away));
    logs_look();
    EQ_STR("2|", logs_rest());
    EQ(0, mkdir(dir, 0755));
    logs_add(T2, "3\n");
    logs_add("audit.log", "4\n");
    logs_look();
    EQ_STR("3|4|", logs_rest());
    logs_stop();
}

/* ---- what is held ---- */

TEST(passed_files_are_closed)
{
    char name[64], text[16];

    logs_prepare();
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "audit-2026-11-23T%02u-%02u-00.000.log",
                 i / 10, i % 10);
        snprintf(text, sizeof(text), "%u\n", i);
        logs_add(name, text);
    }
    logs_add("audit.log", "live\n");
    logs_start();
    OK(logs_open_files() > 100);
    HAS(logs_rest(), "|98|99|live|");
    OK(logs_open_files() < 40);
    logs_restart(); /* and it begins so */
    EQ_STR("", logs_rest());
    OK(logs_open_files() < 40);
    logs_stop();
}

TEST(what_is_deleted_before_it_is_read_is_held)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    logs_delete(T1);
    logs_delete(T2);
    logs_look();
    EQ_STR("1|2|3|", logs_rest());
    EQ_STR("audit.log", logs_chain());
    logs_stop();
}

TEST(the_oldest_are_given_up_where_too_much_is_held)
{
    logs_prepare();
    logs_conf.pin_max_bytes = 8;
    logs_add(T1, "11\n12\n");
    logs_add(T2, "21\n");
    logs_add(T3, "31\n");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("11|", logs_read(1));
    logs_delete(T1);
    logs_look();
    EQ_STR(T1 " " T2 " " T3 " audit.log", logs_chain());
    logs_delete(T2);
    logs_look();
    EQ_STR("[" T1 "] " T2 " " T3 " audit.log", logs_chain());
    logs_delete(T3);
    logs_look();
    EQ_STR("[" T1 "] " T2 " " T3 " audit.log", logs_chain());
    EQ_STR("12|gap:given up|21|31|4|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_file_without_pins_is_given_up_at_once)
{
    logs_prepare();
    logs_conf.pin_max_bytes = 0;
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    logs_delete(T1);
    logs_look();
    EQ_STR("gap:given up 4|3|", logs_rest());
    logs_stop();
}
