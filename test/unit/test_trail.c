/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/reader.h"
#include "agent/trail/watch.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define T1 "audit-2026-11-23T01-00-00.000.log"
#define T2 "audit-2026-11-23T02-00-00.000.log"
#define T3 "audit-2026-11-23T03-00-00.000.log"

static uv_loop_t loop;
static struct watcher *watcher;
static struct trail_conf conf;
static struct trail *t;
static char dir[128];

static const char *path(const char *name)
{
    static char text[4][256];
    static unsigned n;
    char *at = text[n++ % 4];

    snprintf(at, 256, "%s/%s", dir, name);
    return at;
}

static void write_file(const char *name, const char *text)
{
    int fd = open(path(name), O_CREAT | O_WRONLY | O_APPEND, 0644);

    OK(fd >= 0);
    EQ(strlen(text), write(fd, text, strlen(text)));
    close(fd);
}

static void move(const char *from, const char *to)
{
    EQ(0, rename(path(from), path(to)));
}

static void delete (const char *name)
{
    EQ(0, unlink(path(name)));
}

/* Written so long ago that whoever wrote it has finished. */
static void make_quiet(const char *name)
{
    struct timespec old[2] = { { .tv_sec = 1000000000 },
                               { .tv_sec = 1000000000 } };

    EQ(0, utimensat(AT_FDCWD, path(name), old, 0));
}

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
}

static void stop(void)
{
    trail_close(t);
    watcher_close(watcher);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    free(conf.path);
}

static const char *name_of(const struct file *f)
{
    return strrchr(file_path(f), '/') + 1;
}

/* The names from the oldest on, as far as each one is final. */
static const char *chain(void)
{
    static char text[4096];
    const struct file *f = trail_oldest(t);

    text[0] = '\0';
    for (; f != NULL; f = trail_after(f))
        strcat(strcat(text, text[0] != '\0' ? " " : ""), name_of(f));
    return text;
}

static struct identity identity(const char *name)
{
    int fd = open(path(name), O_RDONLY);
    struct identity id;
    struct stat st;
    struct head h;

    EQ(0, fstat(fd, &st));
    EQ(0, head_read(fd, false, &h, NULL));
    identity_set(&id, &st, &h);
    close(fd);
    return id;
}

/* A reader begins there, as a lane does. */
static struct file *begin(struct file *f)
{
    trail_hold(t);
    file_ref(f);
    trail_release(t);
    return f;
}

/* Goes on to that one. */
static struct file *go_on(struct file *from, struct file *to)
{
    file_ref(to);
    file_unref(from);
    return to;
}

/* All there is in it at present. */
static const char *text_of(struct file *f)
{
    static char text[256];
    size_t got, n = 0;
    struct reader r;
    enum reader_what what;

    reader_open(&r);
    reader_seek(&r, f, 0, NULL);
    do {
        what = reader_read(&r, text + n, sizeof(text) - 1 - n, &got);
        n += got;
    } while (what == READER_BYTES || what == READER_MORE);
    EQ(READER_END, what);
    reader_close(&r);
    text[n] = '\0';
    return text;
}

TEST(a_log_that_is_not_there_is_waited_for)
{
    prepare();
    start();
    OK(trail_oldest(t) == NULL && trail_newest(t) == NULL);
    trail_look_closely(t);
    OK(trail_oldest(t) == NULL);
    write_file("audit.log", "one\n");
    trail_look_closely(t);
    OK(trail_newest(t) != NULL && trail_oldest(t) == trail_newest(t));
    EQ_STR("audit.log", name_of(trail_newest(t)));
    OK(file_is_open(trail_newest(t)));
    stop();
}

TEST(a_directory_that_is_not_there_is_waited_for)
{
    prepare();
    snprintf(dir, sizeof(dir), "%s/log", unit_dir());
    free(conf.path);
    conf.path = strdup(path("audit.log"));
    start();
    OK(trail_oldest(t) == NULL);
    EQ(0, mkdir(dir, 0700));
    trail_look_closely(t);
    OK(trail_oldest(t) == NULL);
    write_file("audit.log", "one\n");
    trail_look_closely(t);
    EQ_STR("audit.log", chain());
    stop();
}

TEST(siblings_come_in_the_order_they_were_written)
{
    prepare();
    write_file(T3, "3\n");
    write_file("audit.log", "4\n");
    write_file(T1, "1\n");
    write_file(T2, "2\n");
    write_file("audit-policy.yaml", "no\n");
    write_file("other-audit.log", "no\n");
    EQ(0, mkdir(path("audit-2026-11-23T02-30-00.000.log"), 0700));
    start();
    EQ_STR(T1 " " T2 " " T3 " audit.log", chain());
    OK(trail_after(trail_newest(t)) == NULL);
    stop();
}

TEST(numbered_siblings_count_down_to_the_live_file)
{
    prepare();
    for (int i = 12; i >= 1; i--) {
        char name[32];

        snprintf(name, sizeof(name), "audit.log.%d", i);
        write_file(name, name);
        make_quiet(name);
    }
    write_file("audit.log", "x\n");
    start();
    EQ_STR("audit.log.12 audit.log.11 audit.log.10 audit.log.9 audit.log.8 "
           "audit.log.7 audit.log.6 audit.log.5 audit.log.4 audit.log.3 "
           "audit.log.2 audit.log.1 audit.log",
           chain());
    stop();
}

TEST(a_sibling_that_its_writer_may_still_hold_is_not_final)
{
    prepare();
    write_file("audit.log.1", "1\n");
    write_file("audit.log", "2\n");
    start();
    EQ_STR("audit.log.1", chain());
    make_quiet("audit.log.1");
    EQ_STR("audit.log.1 audit.log", chain());
    stop();
}

TEST(a_sibling_of_the_api_server_is_final_at_once)
{
    prepare();
    write_file("audit.log", "1\n");
    start();
    EQ_STR("audit.log", chain());
    move("audit.log", T1);
    trail_look_closely(t);
    EQ_STR(T1, chain()); /* nothing has come after it yet */
    write_file("audit.log", "2\n");
    trail_look_closely(t);
    EQ_STR(T1 " audit.log", chain());
    stop();
}

TEST(a_sibling_that_is_renamed_keeps_its_place)
{
    struct file *first;

    prepare();
    write_file("audit.log", "1\n");
    start();
    first = begin(trail_newest(t));
    for (int i = 2; i < 6; i++) {
        for (int n = 9; n > 0; n--) {
            char from[32], to[32];

            snprintf(from, sizeof(from), "audit.log.%d", n);
            snprintf(to, sizeof(to), "audit.log.%d", n + 1);
            rename(path(from), path(to));
        }
        move("audit.log", "audit.log.1");
        make_quiet("audit.log.1");
        write_file("audit.log",
                   (const char *[]){ "2\n", "3\n", "4\n", "5\n" }[i - 2]);
        trail_look_closely(t);
    }
    EQ_STR("audit.log.4", name_of(first));
    OK(trail_oldest(t) == first);
    EQ_STR("audit.log.4 audit.log.3 audit.log.2 audit.log.1 audit.log",
           chain());
    file_unref(first);
    stop();
}

TEST(several_rotations_between_two_looks_are_put_in_order)
{
    prepare();
    write_file("audit.log", "1\n");
    start();
    move("audit.log", T1);
    write_file("audit.log", "2\n");
    move("audit.log", T2);
    write_file("audit.log", "3\n");
    move("audit.log", T3);
    write_file("audit.log", "4\n");
    trail_look_closely(t);
    EQ_STR(T1 " " T2 " " T3 " audit.log", chain());
    stop();
}

TEST(a_clock_that_is_set_back_does_not_change_the_order)
{
    prepare();
    write_file(T2, "1\n");
    write_file("audit.log", "2\n");
    start();
    move("audit.log", T1);
    write_file("audit.log", "3\n");
    trail_look_closely(t);
    EQ_STR(T2 " " T1 " audit.log", chain());
    stop();
}

TEST(a_file_is_held_while_a_reader_is_before_it)
{
    struct file *first;

    prepare();
    write_file(T1, "1\n");
    write_file(T2, "2\n");
    write_file("audit.log", "3\n");
    start();
    first = begin(trail_oldest(t));
    delete (T1);
    delete (T2);
    trail_look_closely(t);
    EQ_STR(T1 " " T2 " audit.log", chain());
    EQ_STR("2\n", text_of(trail_after(first)));
    go_on(first, trail_newest(t));
    EQ_STR("audit.log", chain());
    file_unref(trail_newest(t));
    stop();
}

/* While no reader has room for more nobody waits, and nobody reads what a timer
 * or a guard has seen. */
static void rotate_unread(uint64_t poll, bool guards)
{
    struct file *first, *second;

    prepare();
    conf.poll = poll;
    write_file("audit.log", "1\n");
    start();
    first = begin(trail_oldest(t));
    if (guards)
        trail_guard(t);
    move("audit.log", T1);
    write_file("audit.log", "2\n");
    while (trail_newest(t) == first)
        OK(uv_run(&loop, UV_RUN_ONCE) != 0);
    delete ("audit.log");
    write_file("audit.log", "3\n");
    trail_look_closely(t);
    second = trail_after(first);
    OK(second != NULL && second != trail_newest(t));
    EQ_STR("2\n", text_of(second));
    file_unref(first);
    stop();
}

TEST(a_rotated_file_is_held_although_nobody_waits)
{
    rotate_unread(1, false);
}

TEST(who_guards_holds_a_rotated_file_before_any_tick)
{
    rotate_unread(3600000, true);
}

TEST(a_file_without_name_and_reader_is_let_go)
{
    struct file *second;

    prepare();
    write_file(T1, "1\n");
    write_file(T2, "2\n");
    write_file("audit.log", "3\n");
    start();
    second = begin(trail_after(trail_oldest(t)));
    delete (T1);
    trail_look_closely(t);
    OK(trail_oldest(t) == second);
    delete (T2);
    trail_look_closely(t);
    OK(trail_oldest(t) == second);
    file_unref(second);
    OK(trail_oldest(t) == trail_newest(t));
    stop();
}

TEST(a_deleted_live_file_is_kept_until_the_next_one_is_there)
{
    struct file *f;

    prepare();
    write_file("audit.log", "1\n");
    start();
    f = begin(trail_newest(t));
    delete ("audit.log");
    trail_look_closely(t);
    OK(trail_newest(t) == f);
    OK(trail_oldest(t) == f && file_is_open(f));
    OK(trail_after(f) == NULL);
    write_file("audit.log", "2\n");
    trail_look_closely(t);
    OK(trail_newest(t) != f && trail_oldest(t) == f);
    file_unref(f);
    stop();
}

TEST(what_is_no_regular_file_is_not_a_log)
{
    prepare();
    EQ(0, mkfifo(path("audit.log"), 0600));
    EQ(0, mkfifo(path(T1), 0600));
    EQ(0, symlink("/dev/zero", path(T2)));
    start();
    OK(trail_oldest(t) == NULL);
    delete ("audit.log");
    write_file("audit.log", "1\n");
    trail_look_closely(t);
    EQ_STR("audit.log", chain());
    stop();
}

TEST(a_link_to_a_log_is_followed)
{
    prepare();
    write_file("elsewhere", "1\n");
    EQ(0, symlink("elsewhere", path("audit.log")));
    start();
    OK(trail_newest(t) != NULL);
    write_file("new", "2\n");
    delete ("audit.log");
    EQ(0, symlink("new", path("audit.log")));
    trail_look_closely(t);
    OK(trail_newest(t) != NULL);
    struct identity id = identity("new");
    OK(trail_find(t, &id) == trail_newest(t));
    stop();
}

TEST(a_file_is_found_by_its_identity)
{
    struct identity first, second;

    prepare();
    write_file("audit.log", "1\n");
    start();
    first = identity("audit.log");
    move("audit.log", T1);
    write_file("audit.log", "2\n");
    second = identity("audit.log");
    trail_look_closely(t);
    EQ_STR(T1, name_of(trail_find(t, &first)));
    OK(trail_find(t, &second) == trail_newest(t));
    first.head[0] ^= 1;
    OK(trail_find(t, &first) == NULL);
    stop();
}

TEST(a_copy_is_found_where_the_file_itself_is_gone)
{
    struct identity id;

    prepare();
    write_file("audit.log.1", "one\nand on\n");
    write_file("original", "one\nand other\n");
    id = identity("original");
    write_file("audit.log", "two\n");
    start();
    EQ_STR("audit.log.1", name_of(trail_find(t, &id)));
    move("original", T1);
    trail_look_closely(t);
    EQ_STR(T1, name_of(trail_find(t, &id))); /* rather than a copy */
    stop();
}

/* While we run, an open descriptor keeps a passed file's inode from being used
 * again; after a restart the head tells. */
TEST(an_inode_that_is_used_again_is_not_taken_for_the_passed_file)
{
    struct identity id;

    prepare();
    write_file(T1, "the first line of a file that was passed\n");
    id = identity(T1);
    for (int i = 0; i < 1000; i++) {
        struct stat st;

        delete (T1);
        write_file(T1, "another first line\n");
        EQ(0, stat(path(T1), &st));
        if (st.st_ino != id.ino)
            continue;
        start();
        OK(trail_find(t, &id) == NULL);
        stop();
        return;
    }
    fprintf(stderr, "skipped: no inode was used again here\n");
    EQ(0, uv_loop_close(&loop));
}

TEST(a_passed_file_keeps_its_inode_as_long_as_it_has_a_name)
{
    struct stat st;
    ino_t passed;

    prepare();
    write_file(T1, "1\n");
    write_file("audit.log", "2\n");
    start();
    EQ(0, stat(path(T1), &st));
    passed = st.st_ino;
    for (int i = 0; i < 200; i++) {
        char name[64];

        snprintf(name, sizeof(name), "audit-2026-11-24T%02d-00-00.%03d.log",
                 i % 24, i);
        if (i == 0)
            delete (T1);
        write_file(name, name);
        EQ(0, stat(path(name), &st));
        OK(st.st_ino != passed);
    }
    stop();
}

TEST(a_thousand_siblings_are_put_in_order)
{
    const struct file *f;
    char last[64] = "";
    unsigned n = 0;

    prepare();
    for (unsigned i = 0; i < 1000; i++) {
        unsigned k = i * 389 % 1000;
        char name[64];

        snprintf(name, sizeof(name), "audit-2026-11-%02uT%02u-00-00.%03u.log",
                 1 + k / 40, k % 40 / 2, k);
        write_file(name, name);
    }
    write_file("audit.log", "x\n");
    start();
    for (f = trail_oldest(t); f != trail_newest(t); f = trail_after(f), n++) {
        OK(f != NULL);
        OK(strcmp(last, name_of(f)) < 0);
        snprintf(last, sizeof(last), "%s", name_of(f));
    }
    EQ(1000, n);
    stop();
}

TEST(a_directory_that_may_not_be_listed_still_has_its_live_file)
{
    struct file *f;

    prepare();
    write_file("audit.log", "1\n");
    EQ(0, chmod(dir, 0111));
    if (geteuid() == 0)
        EQ(0, seteuid(65534));
    start();
    f = trail_oldest(t);
    if (getuid() == 0)
        EQ(0, seteuid(0));
    EQ(0, chmod(dir, 0700));
    OK(f != NULL && file_is_open(f));
    write_file(T1, "0\n");
    trail_look_closely(t);
    OK(trail_oldest(t) != NULL);
    stop();
}

TEST(a_file_that_may_not_be_read_yet_is_found_by_its_inode)
{
    struct identity id;

    prepare();
    EQ(0, chmod(dir, 0755));
    write_file(T1, "1\n");
    id = identity(T1);
    EQ(0, chmod(path(T1), 0));
    write_file("audit.log", "2\n");
    if (geteuid() == 0)
        EQ(0, seteuid(65534));
    start();
    OK(trail_find(t, &id) == trail_oldest(t));
    if (getuid() == 0)
        EQ(0, seteuid(0));
    stop();
}

/* Only where permissions hold for us. */
TEST(a_file_that_may_not_be_read_is_waited_for)
{
    prepare();
    EQ(0, chmod(dir, 0755));
    write_file(T1, "1\n");
    EQ(0, chmod(path(T1), 0));
    write_file("audit.log", "2\n");
    if (geteuid() == 0)
        EQ(0, seteuid(65534));
    start();
    OK(!file_is_open(trail_oldest(t)));
    EQ_STR(T1, chain());
    trail_look_closely(t);
    EQ_STR(T1, chain());
    if (getuid() == 0)
        EQ(0, seteuid(0));
    EQ(0, chmod(path(T1), 0644));
    trail_look_closely(t);
    OK(file_is_open(trail_oldest(t)));
    EQ_STR(T1 " audit.log", chain());
    stop();
}

TEST(an_unreadable_file_that_is_deleted_holds_up_nobody)
{
    static const char *const names[] = { T1, "audit.log.1",
                                         "audit.log-20261123" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct file *f;

        prepare();
        EQ(0, chmod(dir, 0777));
        write_file(names[i], "1\n");
        make_quiet(names[i]);
        EQ(0, chmod(path(names[i]), 0));
        write_file("audit.log", "2\n");
        if (geteuid() == 0)
            EQ(0, seteuid(65534));
        start();
        f = begin(trail_oldest(t));
        OK(trail_after(f) == NULL);
        if (getuid() == 0)
            EQ(0, seteuid(0));
        delete (names[i]);
        trail_look_closely(t);
        if (trail_after(f) != trail_newest(t))
            FAIL("stuck at %s, which is gone", names[i]);
        file_unref(f);
        stop();
        delete ("audit.log");
    }
}

/* ---- waiting ---- */

static unsigned called;

static void on_more(void *arg)
{
    (void)arg;
    called++;
}

static struct waiter waiter = { .more = on_more };

static void run_until_called(unsigned times)
{
    while (called < times) {
        int active = uv_run(&loop, UV_RUN_ONCE);

        OK(active != 0 || called >= times);
    }
}

TEST(a_waiter_is_called_once_when_the_log_grows)
{
    prepare();
    write_file("audit.log", "1\n");
    start();
    trail_wait(t, &waiter);
    trail_wait(t, &waiter);
    write_file("audit.log", "2\n");
    run_until_called(1);
    OK(!waiter.waits);
    write_file("audit.log", "3\n");
    uv_run(&loop, UV_RUN_NOWAIT);
    EQ(1, called);
    trail_wait(t, &waiter); /* and nothing that happened is forgotten */
    run_until_called(2);
    stop();
}

TEST(a_waiter_is_called_for_a_rotation)
{
    prepare();
    write_file("audit.log", "1\n");
    start();
    trail_wait(t, &waiter);
    move("audit.log", T1);
    run_until_called(1);
    stop();
}

TEST(without_hints_the_poll_timer_calls)
{
    prepare();
    conf.poll = 5;
    start();
    trail_wait(t, &waiter);
    run_until_called(1);
    stop();
}

TEST(hints_that_were_forgotten_wake_nobody)
{
    prepare();
    conf.poll = 3600000;
    write_file("audit.log", "1\n");
    start();
    write_file("audit.log", "2\n");
    trail_forget_hints(t);
    trail_wait(t, &waiter);
    uv_run(&loop, UV_RUN_NOWAIT);
    EQ(0, called);
    write_file("audit.log", "3\n");
    trail_forget_hints(t); /* somebody waits: it is not forgotten */
    run_until_called(1);
    stop();
}

TEST(a_waiter_that_was_cancelled_is_not_called)
{
    struct waiter other = { .more = on_more };

    prepare();
    write_file("audit.log", "1\n");
    start();
    trail_wait(t, &waiter);
    trail_wait(t, &other);
    trail_wait_cancel(t, &waiter);
    trail_wait_cancel(t, &waiter);
    write_file("audit.log", "2\n");
    run_until_called(1);
    EQ(1, called);
    OK(!other.waits);
    stop();
}
