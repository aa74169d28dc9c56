/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/sealed.h"
#include "agent/trail/roll.h"
#include "test/unit/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH "0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17"
#define WHEN "2026-11-23T17:00:03.406123Z"

static void empty(struct chain *c)
{
    while (c->oldest != NULL) {
        struct file *f = c->oldest;

        c->oldest = f->next;
        file_free(f);
    }
}

static struct file *add(struct chain *c, const char *path, uint64_t ino)
{
    struct file *f = chain_add(c, NULL);

    f->path = xstrdup(path);
    f->id = (struct identity){ .dev = UINT64_MAX, .ino = ino, .head_len = 5 };
    for (int i = 0; i < SHA256_SIZE; i++)
        f->id.head[i] = (unsigned char)(i * 9);
    f->entered_us = clock_parse(SPAN(WHEN));
    return f;
}

/* One of each kind. */
static struct buf example(void)
{
    struct chain c = { .who = "trail test" };
    struct buf text = { 0 };
    struct file *f = add(&c, "/var/log/a b-1.log.gz", 1);

    f->passed = true;
    f = add(&c, "/var/log/a-2.log\nwith newline", 2);
    f->has_text_size = true;
    f->text_size = UINT64_MAX;
    add(&c, "/var/log/empty", 3)->id.head_len = 0;
    add(&c, "/var/log/b.log", 5)->loss = LOSS_TRUNCATED;
    add(&c, "/var/log/c.log", 6)->loss = LOSS_GIVEN_UP;
    f = add(&c, "/var/log/d.log", 7);
    f->loss = LOSS_DELETED;
    f->leaves_gap = true;
    c.live = add(&c, "/var/log/a.log", 4);
    c.live->has_text_size = true;
    roll_print(&c, &text);
    empty(&c);
    return text;
}

TEST(the_text_is_for_people_too)
{
    struct buf text = example();
    struct span s = { text.at, text.len };

    EQ(0, sealed_open(&s, "tallyman roll 1", NULL));
    EQ_SPAN(SPAN("file 18446744073709551615 1 5 " HASH " - " WHEN
                 " read /var/log/a b-1.log.gz\n"
                 "file 18446744073709551615 2 5 " HASH
                 " 18446744073709551615 " WHEN " rotated /var/log/a-2.log\n"
                 "file 18446744073709551615 5 5 " HASH " - " WHEN
                 " cut /var/log/b.log\n"
                 "file 18446744073709551615 6 5 " HASH " - " WHEN
                 " given-up /var/log/c.log\n"
                 "file 18446744073709551615 7 5 " HASH " - " WHEN
                 " rotated,lacking /var/log/d.log\n"
                 "file 18446744073709551615 4 5 " HASH " 0 " WHEN
                 " live /var/log/a.log\n"),
            s);
    buf_free(&text);
}

TEST(what_is_printed_is_read_back)
{
    struct chain c = { .who = "trail test" };
    struct buf text = example(), again = { 0 };
    struct file *f;

    EQ(0, roll_parse(&c, span(text.at, text.len), NULL));
    f = c.oldest;
    EQ_STR("/var/log/a b-1.log.gz", f->path);
    OK(f->passed && !f->might_grow && !f->has_text_size && f->remembered);
    OK(f->fd < 0 && f->is_named && f->loss == LOSS_NONE);
    EQ(5, f->id.head_len);
    OK(f->entered_us == clock_parse(SPAN(WHEN)));
    f = f->next;
    EQ_STR("/var/log/a-2.log", f->path);
    OK(!f->passed && !f->might_grow && f->has_text_size);
    OK(f->text_size == UINT64_MAX && f->id.dev == UINT64_MAX);
    EQ(2, f->id.ino);
    f = f->next;
    OK(f->loss == LOSS_TRUNCATED && !f->passed && !f->might_grow);
    f = f->next;
    OK(f->loss == LOSS_GIVEN_UP && !f->passed && !f->might_grow);
    f = f->next;
    OK(f->loss == LOSS_NONE && !f->passed); /* it shows by not being there */
    f = f->next;
    OK(f->might_grow && f->has_text_size && f->text_size == 0);
    OK(f->next == NULL && c.live == NULL);
    roll_print(&c, &again);
    EQ_SPAN(span(text.at, text.len), span(again.at, again.len));
    empty(&c);
    buf_free(&text);
    buf_free(&again);
}

TEST(an_empty_roll_is_one)
{
    struct chain c = { .who = "trail test" };
    struct buf text = { 0 };

    roll_print(&c, &text);
    EQ(0, roll_parse(&c, span(text.at, text.len), NULL));
    OK(c.oldest == NULL);
    buf_free(&text);
}

static void damaged(struct span text)
{
    struct chain c = { .who = "trail test" };
    struct err e = { 0 };

    if (roll_parse(&c, text, &e) != ERR_DAMAGED)
        FAIL("taken:\n%.*s", (int)text.len, text.at);
    OK(e.text[0] != '\0');
    empty(&c);
}

TEST(every_flipped_bit_and_every_cut_is_noticed)
{
    struct buf text = example();

    for (size_t i = 0; i < 8 * text.len; i++) {
        text.at[i / 8] = (char)(text.at[i / 8] ^ 1 << i % 8);
        damaged(span(text.at, text.len));
        text.at[i / 8] = (char)(text.at[i / 8] ^ 1 << i % 8);
    }
    for (size_t n = 0; n < text.len; n++)
        damaged(span(text.at, n));
    buf_free(&text);
}

/* With a sum that is right. */
TEST(lines_that_no_print_ever_wrote_are_refused)
{
    static const char *const all[] = {
        "rubbish",
        "fil 1 2 5 " HASH " - " WHEN " read /a",
        "file 1 2 5 " HASH,
        "file 1 2 5 " HASH " - " WHEN " read",
        "file 1 2 5 " HASH " - " WHEN " read ",
        "file 1 2 5 " HASH " - " WHEN " gone /a",
        "file 1 2 5 " HASH " - yesterday read /a",
        "file 1 2 5 " HASH " - read /a",
        "file 1 2 1025 " HASH " - " WHEN " read /a",
        "file 1 2 5 " HASH "0 - " WHEN " read /a",
        "file 1 2 5 " HASH " many " WHEN " read /a",
        "file 1 2 5 " HASH " 12x " WHEN " read /a",
        "file 1 2 5 " HASH " -1 " WHEN " read /a",
        "file 1 2 5 " HASH " 99999999999999999999 " WHEN " read /a",
        "file 1 2 5 " HASH "  " WHEN " read /a",
        "file x 2 5 " HASH " - " WHEN " read /a",
        "",
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct buf text = { 0 };

        buf_printf(&text, "tallyman roll 1\n%s\n", all[i]);
        sealed_end(&text);
        damaged(span(text.at, text.len));
        buf_free(&text);
    }
}

/* ---- the one on disk ---- */

static void overwrite(const char *name, const char *with)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", logs_state, name);
    fd = open(path, O_WRONLY | O_TRUNC);
    OK(fd >= 0);
    EQ(strlen(with), write(fd, with, strlen(with)));
    close(fd);
}

TEST(a_damaged_one_leaves_the_order_to_the_names)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    overwrite("audit.roll", "tallyman roll 1\nrubbish\n");
    logs_start();
    EQ_STR(T1 " " T2 " audit.log", logs_chain());
    EQ_STR("2|3|", logs_rest());
    logs_stop();
    overwrite("audit.roll", "");
    logs_start();
    EQ_STR("", logs_rest());
    logs_stop();
}

/* A kill came between the two renames by which a new one is put in place. */
TEST(the_one_before_is_used_where_there_is_no_other)
{
    char roll[300], prev[300];

    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "22\n");
    logs_add(T3, "333\n");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    snprintf(roll, sizeof(roll), "%s/audit.roll", logs_state);
    snprintf(prev, sizeof(prev), "%s/audit.roll.prev", logs_state);
    EQ(0, rename(roll, prev));
    logs_delete_pins();
    logs_delete(T2);
    logs_start();
    EQ_STR("gap:deleted 3|333|4|", logs_rest());
    logs_stop();
}

/* It was rotated, and may have grown, while nobody looked. */
TEST(how_much_of_a_live_file_is_lost_is_not_known)
{
    logs_prepare();
    logs_add("audit.log", "1\n2\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_delete("audit.log");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("gap:deleted|3|", logs_rest());
    logs_stop();
}

/* Not even its names tell it apart from one that was never read. */
TEST(a_roll_keeps_passed_files_from_being_read_by_another_name)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
    logs_move(T1, T3);
    logs_start();
    EQ_STR("(" T3 ") audit.log", logs_chain());
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(files_that_are_gone_are_told_as_lost_in_their_places)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "22\n");
    logs_add(T3, "333\n");
    logs_add("audit.log", "4\n");
    logs_state = NULL;
    logs_start(); /* a roll, but no pins */
    EQ_STR("1|", logs_read(1));
    logs_stop();
    logs_prepare_state();
    logs_start();
    logs_stop();
    logs_delete_pins();
    logs_delete(T2);
    logs_start();
    EQ_STR("gap:deleted 3|333|4|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

TEST(a_file_is_remembered_once_it_is_on_disk)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    OK(!file_is_remembered(trail_newest(logs_trail)));
    logs_run_until_remembered();
    logs_move("audit.log", T1);
    logs_add("audit.log", "2\n");
    logs_look();
    OK(file_is_remembered(trail_oldest(logs_trail)));
    OK(!file_is_remembered(trail_newest(logs_trail)));
    logs_run_until_remembered();
    logs_stop();
}

static bool roll_has(const char *what)
{
    int state = open(logs_state, O_RDONLY | O_DIRECTORY);
    struct buf text = { 0 };
    bool yes;

    EQ(0, file_read(state, "audit.roll", ROLL_MAX, &text, NULL));
    buf_add(&text, "", 1);
    yes = strstr(text.at, what) != NULL;
    buf_free(&text);
    close(state);
    return yes;
}

TEST(a_roll_is_not_written_in_the_middle_of_a_look)
{
    logs_prepare();
    logs_add("two", "2\n");
    logs_zip("two", T2 ".gz");
    logs_add(T3, "3\n");
    logs_add("audit.log", "4\n");
    logs_start();
    logs_run_until_remembered();
    OK(roll_has(" live "));
    logs_stop();
    OK(roll_has(" live "));
}

/* It was live when the roll was written, and has been rotated since. */
TEST(a_file_is_live_only_as_long_as_it_is)
{
    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_stop();
    logs_move("audit.log", T1);
    logs_add("audit.log", "2\n");
    logs_start();
    logs_stop(); /* it has read nothing of that yet */
    logs_delete_pins();
    logs_delete(T1);
    logs_start();
    EQ_STR("2|", logs_rest());
    logs_stop();
}

/* Killed, it does not write its roll: the last one it wrote has to do. */
TEST(what_came_after_the_last_roll_is_found_by_name)
{
    char old[300], roll[300];

    logs_prepare();
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_stop();
    snprintf(roll, sizeof(roll), "%s/audit.roll", logs_state);
    snprintf(old, sizeof(old), "%s/kept", logs_state);
    EQ(0, link(roll, old));
    logs_move("audit.log", T1);
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("2|", logs_rest());
    logs_stop();
    EQ(0, rename(old, roll));
    logs_move("audit.log", T2);
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("3|", logs_rest());
    logs_stop();
}

/* The roll as a start of the machine makes it look where the file system gets
 * another number by it: LVM, btrfs, ZFS, NFS. */
static void renumber_device(void)
{
    struct chain c = { .who = "trail test" };
    int dir = open(logs_state, O_RDONLY | O_DIRECTORY);
    struct buf text = { 0 };

    EQ(0, file_read(dir, "audit.roll", ROLL_MAX, &text, NULL));
    EQ(0, roll_parse(&c, span(text.at, text.len), NULL));
    for (struct file *f = c.oldest; f != NULL; f = f->next)
        f->id.dev += 7;
    roll_print(&c, &text);
    EQ(0, file_replace(dir, "audit.roll", span(text.at, text.len), NULL));
    logs_place.id.dev += 7;
    empty(&c);
    buf_free(&text);
    close(dir);
}

TEST(a_file_system_that_got_another_number_costs_nothing)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n4\n");
    logs_start();
    EQ_STR("1|2|3|", logs_read(3));
    logs_stop();
    renumber_device();
    logs_start();
    EQ_STR("4|", logs_rest());
    logs_stop();
    renumber_device();
    logs_add("audit.log", "5\n");
    logs_move("audit.log", T3);
    logs_add("audit.log", "6\n");
    logs_start();
    EQ_STR("5|6|", logs_rest());
    logs_stop();
}

/* What was lost is told of by the same words in the next life. */
TEST(a_loss_is_the_same_after_a_restart)
{
    logs_prepare();
    logs_conf.pin_max_bytes = 0;
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_delete(T1);
    logs_look();
    logs_restart();
    EQ_STR("gap:given up 2|3|", logs_rest());
    logs_cut("audit.log", 0);
    logs_look();
    logs_restart();
    logs_add("audit.log", "4\n");
    EQ_STR("gap:truncated|4|", logs_rest());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}
