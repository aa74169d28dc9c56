/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/pins.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/trail/chain.h"
#include "test/unit/logs.h"

/* ---- pins alone ---- */

static struct chain chain;
static int state;

static void prepare_in(const char *state_dir)
{
    state = open(state_dir, O_RDONLY | O_DIRECTORY);
    OK(state >= 0);
    chain = (struct chain){ .who = "trail test" };
    pins_open(&chain.pins, chain.who, state, "audit");
}

static void prepare(void)
{
    logs_prepare();
    prepare_in(logs_state);
}

static void done(void)
{
    while (chain.oldest != NULL) {
        struct file *f = chain.oldest;

        chain.oldest = f->next;
        file_free(f);
    }
    pins_close(&chain.pins);
    close(state);
}

static struct file *open_file(const char *name)
{
    const char *end = strrchr(name, '.');
    struct file *f = chain_add(&chain, NULL);
    struct stat st;

    EQ(0, stat(logs_path(name), &st));
    name_set(f, strcmp(end, ".gz") == 0 ? FORM_GZ : FORM_PLAIN, logs_path(name),
             &st);
    file_open(f);
    OK(f->fd >= 0);
    return f;
}

/* "DEV-INODE" of a file that has that name now. */
static const char *pin_of(const char *name, const char *ending)
{
    static char text[64];
    struct stat st;

    EQ(0, stat(logs_path(name), &st));
    snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64 "%s",
             (uint64_t)st.st_dev, (uint64_t)st.st_ino, ending);
    return text;
}

static bool has_pin(const char *pin)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof(path), "audit.pins/%s", pin);
    return fstatat(state, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

TEST(a_pin_is_a_link_to_what_is_open)
{
    struct file *f;
    struct stat st;

    prepare();
    logs_add(T1, "1\n");
    f = open_file(T1);
    EQ(0, logs_pins());
    pins_add(&chain.pins, f);
    OK(f->pinned);
    EQ(1, logs_pins());
    OK(has_pin(pin_of(T1, "")));
    EQ(0, fstat(f->fd, &st));
    EQ(2, st.st_nlink);
    EQ(0, fstatat(state, "audit.pins", &st, 0));
    EQ(0700, st.st_mode & 07777);
    done();
}

TEST(a_pin_of_a_gz_says_so)
{
    struct file *f;

    prepare();
    logs_add(T1, "1\n");
    logs_zip(T1, T1 ".gz");
    f = open_file(T1 ".gz");
    pins_add(&chain.pins, f);
    OK(f->pinned);
    OK(has_pin(pin_of(T1 ".gz", ".gz")));
    pins_remove(&chain.pins, f);
    OK(!f->pinned);
    EQ(0, logs_pins());
    done();
}

TEST(one_is_enough)
{
    struct file *f;
    struct stat st;

    prepare();
    logs_add(T1, "1\n");
    f = open_file(T1);
    pins_add(&chain.pins, f);
    pins_add(&chain.pins, f);
    f->pinned = false; /* as after a kill: it is there, and not known */
    pins_add(&chain.pins, f);
    OK(f->pinned);
    EQ(1, logs_pins());
    EQ(0, fstat(f->fd, &st));
    EQ(2, st.st_nlink);
    done();
}

TEST(what_is_not_open_or_has_no_name_gets_none)
{
    struct file *f, *g;

    prepare();
    logs_add(T1, "1\n");
    f = open_file(T1);
    file_close(f);
    pins_add(&chain.pins, f);
    logs_add(T2, "2\n");
    g = open_file(T2);
    name_clear(&g->names[FORM_PLAIN]);
    pins_add(&chain.pins, g);
    OK(!f->pinned && !g->pinned);
    EQ(0, logs_pins());
    OK(!chain.pins.off);
    done();
}

/* Between the look and the link, another file got its name. */
TEST(another_file_is_not_pinned_in_its_place)
{
    struct file *f;
    struct stat st;

    prepare();
    logs_add(T1, "1\n");
    f = open_file(T1);
    logs_move(T1, T2);
    logs_add(T1, "another\n");
    pins_add(&chain.pins, f);
    OK(!f->pinned);
    EQ(0, logs_pins());
    EQ(0, stat(logs_path(T1), &st));
    EQ(1, st.st_nlink);
    done();
}

TEST(what_is_gone_meanwhile_stops_nothing)
{
    struct file *f, *g;

    prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    f = open_file(T1);
    g = open_file(T2);
    logs_delete(T1);
    pins_add(&chain.pins, f);
    OK(!f->pinned && !chain.pins.off);
    pins_add(&chain.pins, g);
    OK(g->pinned);
    EQ(1, logs_pins());
    done();
}

TEST(only_its_own_is_removed)
{
    struct file *f, *g;

    prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    f = open_file(T1);
    g = open_file(T2);
    pins_add(&chain.pins, f);
    pins_add(&chain.pins, g);
    pins_remove(&chain.pins, f);
    EQ(1, logs_pins());
    OK(has_pin(pin_of(T2, "")));
    pins_remove(&chain.pins, f); /* it has none any more */
    EQ(1, logs_pins());
    logs_delete_pins();
    pins_remove(&chain.pins, g); /* somebody was quicker */
    OK(!g->pinned);
    done();
}

TEST(without_a_state_directory_there_are_none)
{
    struct file *f;

    logs_prepare();
    state = -1;
    chain = (struct chain){ .who = "trail test" };
    pins_open(&chain.pins, chain.who, -1, "audit");
    logs_add(T1, "1\n");
    f = open_file(T1);
    pins_add(&chain.pins, f);
    OK(!f->pinned);
    pins_remove(&chain.pins, f);
    pins_each(&chain.pins, NULL, NULL); /* calls nobody */
    pins_close(&chain.pins);
    chain.pins.name = NULL;
    chain.pins.dir = -1;
    file_close(f);
    file_free(f);
}

/* Where links cannot be made it is said once, and not tried again. */
TEST(another_file_system_has_no_links)
{
    char other[] = "/dev/shm/tallyman-unit-XXXXXX";
    struct stat a, b;
    struct file *f;

    logs_prepare();
    if (mkdtemp(other) == NULL || stat(other, &a) != 0 ||
        stat(unit_dir(), &b) != 0 || a.st_dev == b.st_dev) {
        (void)rmdir(other);
        printf("skipped: there is no other file system at hand\n");
        return;
    }
    prepare_in(other);
    logs_add(T1, "1\n");
    f = open_file(T1);
    pins_add(&chain.pins, f);
    OK(!f->pinned && chain.pins.off);
    pins_add(&chain.pins, f);
    OK(!f->pinned);
    EQ(0, fstat(f->fd, &a));
    EQ(1, a.st_nlink);
    EQ(0, unlinkat(state, "audit.pins", AT_REMOVEDIR)); /* empty, then */
    EQ(0, rmdir(other));
    done();
}

/* Whoever may write there is not followed to where he leads. */
TEST(a_link_in_the_place_of_the_directory_is_not_followed)
{
    char path[256];
    struct file *f;

    prepare();
    snprintf(path, sizeof(path), "%s/elsewhere", unit_dir());
    EQ(0, mkdir(path, 0700));
    EQ(0, symlinkat(path, state, "audit.pins"));
    logs_add(T1, "1\n");
    f = open_file(T1);
    pins_add(&chain.pins, f);
    OK(!f->pinned && chain.pins.off);
    EQ(0, rmdir(path)); /* nothing was made in it */
    done();
}

/* ---- those of before ---- */

static char found[512];

static void note(void *arg, bool is_gz, int fd)
{
    size_t n = strlen(found);
    char text[64] = { 0 };

    EQ(42, *(int *)arg);
    OK(read(fd, text, sizeof(text) - 1) >= 0);
    close(fd);
    text[strcspn(text, "\n")] = '\0';
    snprintf(found + n, sizeof(found) - n, "%s%s|", is_gz ? "gz:" : "",
             is_gz ? "" : text);
}

static const char *each(void)
{
    int arg = 42;

    found[0] = '\0';
    pins_each(&chain.pins, note, &arg);
    return found;
}

TEST(those_of_before_are_found)
{
    struct file *f;
    unsigned files;

    prepare();
    EQ_STR("", each());
    logs_add(T1, "one\n");
    logs_add("two", "2\n");
    logs_zip("two", T2 ".gz");
    pins_add(&chain.pins, open_file(T1));
    done();
    prepare_in(logs_state); /* the next life */
    EQ_STR("one|", each());
    files = logs_open_files();
    EQ_STR("one|", each()); /* and they can be looked for again */
    EQ(files, logs_open_files());
    f = open_file(T2 ".gz");
    pins_add(&chain.pins, f);
    logs_delete(T1);
    logs_delete(T2 ".gz");
    each();
    HAS(found, "one|");
    HAS(found, "gz:|");
    EQ(8, strlen(found));
    done();
}

TEST(what_no_pin_is_called_is_left_alone)
{
    static const char *const names[] = { "README",    "1",    "-",
                                         "1-",        "-1",   "1-2.log",
                                         "1-2.gz.gz", "0x1-2" };
    char path[256];
    int dir;

    prepare();
    EQ(0, mkdirat(state, "audit.pins", 0700));
    dir = openat(state, "audit.pins", O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        close(openat(dir, names[i], O_CREAT | O_WRONLY, 0600));
    EQ(0, mkdirat(dir, "1-2", 0700));
    EQ(0, mkfifoat(dir, "1-3", 0600));
    EQ(0, symlinkat("/etc/passwd", dir, "1-4"));
    close(dir);
    pins_close(&chain.pins);
    pins_open(&chain.pins, chain.who, state, "audit");
    EQ_STR("", each());
    EQ(ARRAY_LEN(names) + 3, logs_pins());
    snprintf(path, sizeof(path), "%s/audit.pins/1-2", logs_state);
    EQ(0, rmdir(path));
    done();
}

/* A file system may have another number after each start of the machine, and
 * what a backup brought back has other inodes. */
TEST(a_pin_with_an_old_name_gets_the_right_one)
{
    char path[256], stale[300];
    struct file *f;

    prepare();
    logs_add(T1, "one\n");
    f = open_file(T1);
    pins_add(&chain.pins, f);
    snprintf(path, sizeof(path), "%s/audit.pins", logs_state);
    snprintf(stale, sizeof(stale), "%s/1-2", path);
    EQ(0, renameat(chain.pins.dir, pin_of(T1, ""), AT_FDCWD, stale));
    EQ_STR("one|", each());
    EQ(1, logs_pins());
    OK(has_pin(pin_of(T1, "")));
    EQ(0, linkat(AT_FDCWD, logs_path(T1), AT_FDCWD, stale, 0));
    EQ_STR("one|", each()); /* one file with two names */
    EQ(1, logs_pins());
    pins_remove(&chain.pins, f);
    EQ(0, logs_pins());
    done();
}

/* ---- those of a trail ---- */

TEST(rotated_files_have_pins_until_they_are_read)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ(2, logs_pins()); /* what is live needs none */
    EQ_STR("1|2|", logs_read(2));
    EQ(1, logs_pins());
    EQ_STR("3|", logs_rest());
    EQ(0, logs_pins());
    logs_stop();
    EQ(0, logs_pins());
}

TEST(what_is_deleted_while_nobody_runs_is_read_by_its_pin)
{
    logs_prepare();
    logs_conf.quiet = 0; /* there is no name left to tell who wrote them */
    logs_add(T1, "11\n12\n13\n");
    logs_add("two", "2\n");
    logs_zip("two", T2 ".gz");
    logs_delete("two");
    logs_add(T3, "3\n");
    logs_add("audit.log", "4\n");
    logs_start();
    EQ_STR("11|", logs_read(1));
    logs_stop();
    EQ(3, logs_pins());
    logs_delete(T1);
    logs_delete(T2 ".gz");
    logs_delete(T3);
    logs_start();
    EQ_STR("12|", logs_read(1));
    logs_restart();
    EQ_STR("13|2|3|4|", logs_rest());
    EQ(0, logs_pins());
    logs_restart();
    EQ_STR("", logs_rest());
    logs_stop();
}

/* The last file that was known is pinned; others come and go while nobody runs. */
static void pin_and_lose_the_next(void)
{
    logs_prepare();
    logs_conf.quiet = 0;
    logs_add("audit.log", "1\n");
    logs_start();
    logs_move("audit.log", T1);
    logs_look();
    logs_stop();
    EQ(1, logs_pins());
    logs_add(T2, "2\n");
    logs_add("audit.log", "3\n");
    logs_delete(T1);
    logs_delete(T2);
}

TEST(what_came_behind_a_pinned_file_while_nobody_ran_may_be_gone)
{
    pin_and_lose_the_next();
    logs_start();
    EQ_STR("1|gap:deleted|3|", logs_rest());
    logs_stop();
}

TEST(what_came_behind_a_pin_that_no_roll_has_may_be_gone)
{
    char path[256];

    pin_and_lose_the_next();
    snprintf(path, sizeof(path), "%s/audit.roll", logs_state);
    EQ(0, unlink(path));
    logs_has_place = false;
    logs_start();
    EQ_STR("1|gap:deleted|3|", logs_rest());
    logs_stop();
}

TEST(a_pin_of_nothing_that_no_roll_has_leaves_no_doubt)
{
    char path[256];

    logs_prepare();
    logs_conf.quiet = 0;
    logs_add("audit.log", "1\n");
    logs_start();
    EQ_STR("1|", logs_rest());
    logs_stop();
    logs_add("empty", "");
    snprintf(path, sizeof(path), "%s/audit.pins", logs_state);
    EQ(0, mkdir(path, 0700));
    snprintf(path, sizeof(path), "%s/audit.pins/%s", logs_state,
             pin_of("empty", ""));
    EQ(0, link(logs_path("empty"), path));
    logs_delete("empty");
    logs_move("audit.log", T1);
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("2|", logs_rest());
    logs_stop();
}

/* A kill came before the roll was saved that has the second one. */
TEST(what_came_between_two_pins_may_be_gone)
{
    struct buf roll = { 0 };
    char path[256];
    int fd;

    pin_and_lose_the_next();
    snprintf(path, sizeof(path), "%s/audit.roll", logs_state);
    logs_load(path, &roll);
    logs_move("audit.log", T3);
    logs_add("audit.log", "4\n");
    logs_start();
    logs_stop();
    EQ(2, logs_pins());
    logs_delete(T3);
    fd = open(path, O_WRONLY | O_TRUNC);
    EQ(roll.len, write(fd, roll.at, roll.len));
    close(fd);
    buf_free(&roll);
    logs_has_place = false;
    logs_start();
    logs_restart();
    EQ_STR("1|gap:deleted|3|gap:deleted|4|", logs_rest());
    logs_stop();
}

TEST(pins_of_files_that_were_read_meanwhile_are_removed)
{
    char path[256];

    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    EQ_STR("1|2|", logs_rest());
    logs_stop();
    /* A kill came between the reading and the removing. */
    snprintf(path, sizeof(path), "%s/audit.pins/%s", logs_state,
             pin_of(T1, ""));
    EQ(0, link(logs_path(T1), path));
    logs_start();
    EQ(0, logs_pins());
    EQ_STR("", logs_rest());
    logs_stop();
}

/* It was renamed back: what is written in place must not be held by a link. */
TEST(the_live_file_loses_its_pin)
{
    logs_prepare();
    logs_add(T1, "1\n");
    logs_add("audit.log", "2\n");
    logs_start();
    logs_stop();
    EQ(1, logs_pins());
    logs_delete("audit.log");
    logs_move(T1, "audit.log");
    logs_start();
    EQ(0, logs_pins());
    logs_stop();
}

TEST(a_pin_with_an_old_name_is_used_and_removed)
{
    char from[256], to[256];

    logs_prepare();
    logs_conf.quiet = 0;
    logs_add(T1, "1\n2\n");
    logs_add("audit.log", "3\n");
    logs_start();
    EQ_STR("1|", logs_read(1));
    logs_stop();
    snprintf(from, sizeof(from), "%s/audit.pins/%s", logs_state,
             pin_of(T1, ""));
    snprintf(to, sizeof(to), "%s/audit.pins/1-2", logs_state);
    EQ(0, rename(from, to));
    logs_delete(T1);
    logs_start();
    EQ_STR("2|3|", logs_rest());
    EQ(0, logs_pins());
    logs_stop();
}
