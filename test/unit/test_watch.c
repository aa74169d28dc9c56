/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/watch.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER      (UINT64_C(1) << 40) /* ms: no tick while we test */
#define MAX_EVENTS "/proc/sys/fs/inotify/max_queued_events"

static uv_loop_t loop;
static uv_timer_t deadline;
static struct watcher *watcher;
static char dir[128];

struct probe {
    struct watch *w;
    unsigned hints;
    void (*then)(struct probe *p);
};

static const char *path(const char *name)
{
    static char text[4][256];
    static unsigned n;
    char *at = text[n++ % 4];

    snprintf(at, 256, "%s/%s", dir, name);
    return at;
}

static void add(const char *name)
{
    int fd = open(path(name), O_CREAT | O_WRONLY | O_APPEND, 0644);

    OK(fd >= 0);
    EQ(1, write(fd, "x", 1));
    close(fd);
}

static void move(const char *from, const char *to)
{
    EQ(0, rename(path(from), path(to)));
}

static void on_hint(void *arg)
{
    struct probe *p = arg;

    p->hints++;
    if (p->then != NULL)
        p->then(p);
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    FAIL("waited for 20 s");
}

static void prepare(void)
{
    snprintf(dir, sizeof(dir), "%s", unit_dir());
    EQ(0, uv_loop_init(&loop));
    uv_timer_init(&loop, &deadline);
    uv_timer_start(&deadline, on_deadline, 20000, 0);
    uv_unref((uv_handle_t *)&deadline);
    watcher = watcher_open(&loop);
}

static void stop(void)
{
    watcher_close(watcher);
    uv_close((uv_handle_t *)&deadline, NULL);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
}

static void watch_every(struct probe *p, const char *sub, const char *prefix,
                        uint64_t poll_ms)
{
    p->w = watch_open(watcher, "test", sub[0] != '\0' ? path(sub) : dir, prefix,
                      poll_ms, on_hint, p);
}

/* Listens, and what is known at the start is taken. */
static void watch(struct probe *p, const char *sub, const char *prefix)
{
    watch_every(p, sub, prefix, NEVER);
    OK(watch_has_inotify(p->w));
    OK(watch_take_names(p->w));
    watch_listen(p->w, true);
}

/* A log, and a watch that does not listen. */
static void prepare_deaf(struct probe *p)
{
    prepare();
    add("audit.log");
    watch(p, "", "audit");
    watch_listen(p->w, false);
}

/* What was queued is read by the first turn, and hinted by the second. */
static void settle(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void run_until_hinted(struct probe *p, unsigned hints)
{
    while (p->hints < hints)
        uv_run(&loop, UV_RUN_ONCE);
}

/* ---- what the kernel knows ---- */

static int find_inotify(unsigned *count)
{
    int found = -1;

    *count = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64], what[64] = "";

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, what, sizeof(what) - 1) > 0 &&
            strcmp(what, "anon_inode:inotify") == 0) {
            (*count)++;
            found = fd;
        }
    }
    return found;
}

/* The kernel's watches: how many there are, on how many it tells who writes,
 * and whether one is on that inode. */
struct kernel {
    unsigned watches;
    unsigned with_bytes;
    bool has_ino;
};

static struct kernel kernel(ino_t ino)
{
    struct kernel k = { 0 };
    char name[64], line[256];
    unsigned instances;
    FILE *info;

    snprintf(name, sizeof(name), "/proc/self/fdinfo/%d",
             find_inotify(&instances));
    EQ(1, instances);
    info = fopen(name, "r");
    OK(info != NULL);
    while (fgets(line, sizeof(line), info) != NULL) {
        unsigned long at;
        unsigned mask;

        if (sscanf(line, "inotify wd:%*x ino:%lx sdev:%*x mask:%x", &at,
                   &mask) != 2)
            continue;
        k.watches++;
        k.with_bytes += (mask & IN_MODIFY) != 0;
        k.has_ino |= at == ino;
    }
    fclose(info);
    return k;
}

static unsigned watched_dirs(void)
{
    return kernel(0).watches;
}

static bool is_watched(const char *name)
{
    struct stat st;

    EQ(0, stat(path(name), &st));
    return kernel(st.st_ino).has_ino;
}

static int queued_bytes(void)
{
    unsigned instances;
    int n = 0;

    EQ(0, ioctl(find_inotify(&instances), FIONREAD, &n));
    return n;
}

/* ---- hints ---- */

TEST(a_file_that_grows_is_a_hint_and_its_name_has_not_changed)
{
    struct probe p = { 0 };

    prepare();
    add("audit.log");
    watch(&p, "", "audit");
    settle();
    EQ(0, p.hints);
    add("audit.log");
    run_until_hinted(&p, 1);
    OK(!watch_take_names(p.w));
    settle();
    EQ(1, p.hints);
    watch_close(p.w);
    stop();
}

TEST(a_name_without_the_prefix_is_no_hint)
{
    struct probe p = { 0 };

    prepare();
    watch(&p, "", "audit");
    add("other.log");
    move("other.log", "aud");
    settle();
    EQ(0, p.hints);
    OK(!watch_take_names(p.w));
    add("audit-1.log");
    run_until_hinted(&p, 1);
    OK(watch_take_names(p.w));
    watch_close(p.w);
    stop();
}

TEST(whatever_happens_to_a_name_is_told_until_it_is_taken)
{
    struct probe p = { 0 };

    prepare();
    watch_every(&p, "", "audit", NEVER);
    OK(watch_take_names(p.w)); /* nobody knows yet what is there */
    OK(!watch_take_names(p.w));
    watch_listen(p.w, true);
    for (unsigned i = 1; i <= 5; i++) {
        switch (i) {
        case 1:
            add("audit.log");
            break;
        case 2:
            move("audit.log", "audit.log.1");
            break;
        case 3:
            EQ(0, chmod(path("audit.log.1"), 0600));
            break;
        case 4:
            EQ(0, chmod(dir, 0750));
            break;
        default:
            EQ(0, unlink(path("audit.log.1")));
        }
        run_until_hinted(&p, i);
        settle();
        EQ(i, p.hints);
        OK(watch_take_names(p.w));
        OK(!watch_take_names(p.w));
    }
    watch_close(p.w);
    stop();
}

TEST(names_stay_changed_while_only_bytes_are_hinted)
{
    struct probe p = { 0 };

    prepare();
    watch(&p, "", "audit");
    add("audit.log");
    run_until_hinted(&p, 1);
    add("audit.log");
    run_until_hinted(&p, 2);
    watch_forget(p.w);
    OK(watch_take_names(p.w));
    watch_close(p.w);
    stop();
}

/* ---- listening ---- */

TEST(a_watch_that_does_not_listen_loses_nothing)
{
    struct probe p = { 0 };

    prepare_deaf(&p);
    add("audit.log");
    settle();
    EQ(0, p.hints);
    watch_listen(p.w, true);
    EQ(0, p.hints); /* not from within the call */
    run_until_hinted(&p, 1);
    OK(!watch_take_names(p.w));
    watch_close(p.w);
    stop();
}

TEST(what_another_reads_for_a_watch_that_does_not_listen_is_kept)
{
    struct probe a = { 0 }, b = { 0 };

    prepare();
    add("a.log");
    add("b.log");
    watch(&a, "", "a");
    watch(&b, "", "b");
    watch_listen(b.w, false);
    add("b.log");
    move("b.log", "b.log.1");
    add("a.log");
    run_until_hinted(&a, 1);
    settle();
    EQ(0, b.hints);
    OK(watch_take_names(b.w)); /* it may ask without listening */
    watch_listen(b.w, true);
    run_until_hinted(&b, 1);
    EQ(1, a.hints);
    watch_close(a.w);
    watch_close(b.w);
    stop();
}

/* The tick is for those who want to know of names: nobody has read. */
TEST(a_tick_does_not_use_up_the_hint_of_a_watch_that_does_not_listen)
{
    struct probe a = { 0 }, b = { 0 };

    prepare();
    add("a.log");
    add("b.log");
    watch(&a, "", "a");
    watch_every(&b, "", "b", 100);
    add("b.log");
    watch_forget(a.w);
    run_until_hinted(&b, 1);
    watch_listen(b.w, true);
    settle();
    OK(b.hints >= 2);
    watch_close(a.w);
    watch_close(b.w);
    stop();
}

TEST(a_forgotten_hint_does_not_come)
{
    struct probe p = { 0 };

    prepare();
    add("audit.log");
    watch(&p, "", "audit");
    add("audit.log");
    watch_forget(p.w);
    settle();
    EQ(0, p.hints);
    add("audit.log");
    run_until_hinted(&p, 1);
    watch_close(p.w);
    stop();
}

TEST(a_forgotten_hint_of_a_name_comes_unless_it_was_taken)
{
    struct probe p = { 0 };

    prepare();
    watch(&p, "", "audit");
    add("audit.log");
    watch_forget(p.w);
    OK(watch_take_names(p.w));
    settle();
    EQ(0, p.hints);
    move("audit.log", "audit.log.1");
    watch_forget(p.w);
    run_until_hinted(&p, 1);
    OK(watch_take_names(p.w));
    watch_close(p.w);
    stop();
}

TEST(to_forget_is_not_to_lose_the_hint_of_another)
{
    struct probe a = { 0 }, b = { 0 }, paused = { 0 };

    prepare();
    add("a.log");
    add("b.log");
    watch(&a, "", "a");
    watch(&b, "", "b");
    watch(&paused, "", "b");
    watch_listen(paused.w, false);
    add("b.log");
    add("a.log");
    watch_forget(a.w);
    EQ(0, queued_bytes());
    EQ(0, b.hints);
    run_until_hinted(&b, 1);
    settle();
    EQ(0, a.hints);
    EQ(0, paused.hints);
    OK(uv_backend_timeout(&loop) != 0); /* the loop is at rest */
    watch_listen(paused.w, true);
    run_until_hinted(&paused, 1);
    watch_close(a.w);
    watch_close(b.w);
    watch_close(paused.w);
    stop();
}

static struct probe *other;

static void forget_and_feed_the_other(struct probe *p)
{
    if (p->hints > 100)
        return;
    add(p == other ? "a.log" : "b.log");
    watch_forget(p->w);
}

/* Two that find each other's hints: the loop still gets round to its timers. */
TEST(hints_that_lead_to_hints_keep_nobody_waiting)
{
    struct probe a = { .then = forget_and_feed_the_other };
    struct probe b = { .then = forget_and_feed_the_other };

    prepare();
    add("a.log");
    add("b.log");
    watch(&a, "", "a");
    watch(&b, "", "b");
    other = &b;
    add("a.log");
    for (unsigned turn = 0; turn < 20; turn++) {
        unsigned before = a.hints + b.hints;

        uv_run(&loop, UV_RUN_NOWAIT);
        OK(a.hints + b.hints <= before + 3);
    }
    run_until_hinted(&b, 100);
    watch_close(a.w);
    watch_close(b.w);
    stop();
}

/* ---- many ---- */

TEST(a_hundred_watches_need_one_instance_and_one_kernel_watch_a_directory)
{
    static struct probe same[100], own[100];

    prepare();
    for (unsigned i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%u", i);
        EQ(0, mkdir(path(name), 0700));
        watch(&own[i], name, "audit");
        watch(&same[i], "", i % 2 != 0 ? "odd" : "even");
    }
    EQ(101, watched_dirs());
    add("odd");
    add("42/audit.log");
    run_until_hinted(&own[42], 1);
    for (unsigned i = 0; i < 100; i++) {
        EQ(i % 2, same[i].hints);
        EQ(i == 42, own[i].hints);
        watch_close(own[i].w);
    }
    EQ(1, watched_dirs());
    for (unsigned i = 0; i < 99; i++)
        watch_close(same[i].w);
    EQ(1, watched_dirs());
    add("odd"); /* the last one still hears */
    run_until_hinted(&same[99], 2);
    watch_close(same[99].w);
    EQ(0, watched_dirs());
    stop();
}

static struct probe many[100];

static unsigned fewest_hints(void)
{
    unsigned n = many[0].hints;

    for (size_t i = 1; i < ARRAY_LEN(many); i++)
        n = many[i].hints < n ? many[i].hints : n;
    return n;
}

TEST(ticks_of_one_period_come_together)
{
    unsigned turns = 0;

    prepare();
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        uint64_t opened_at = uv_now(&loop);

        watch_every(&many[i], "", "audit", 50);
        while (i % 10 == 0 && uv_now(&loop) < opened_at + 3)
            uv_update_time(&loop);
    }
    while (fewest_hints() == 0)
        uv_run(&loop, UV_RUN_ONCE);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        OK(watch_take_names(many[i].w));
        many[i].hints = 0;
    }
    while (many[0].hints < 4) {
        uv_run(&loop, UV_RUN_ONCE);
        turns++;
        EQ(many[0].hints, fewest_hints());
    }
    OK(turns <= 8);
    OK(watch_take_names(many[7].w)); /* a tick knows nothing */
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        watch_close(many[i].w);
    stop();
}

TEST(each_watch_has_a_period_of_its_own)
{
    struct probe slow = { 0 }, fast = { 0 };

    prepare();
    watch_every(&slow, "", "audit", NEVER);
    watch_every(&fast, "", "audit", 1);
    run_until_hinted(&fast, 20);
    EQ(0, slow.hints);
    watch_close(fast.w);
    watch_close(slow.w);
    stop();
}

/* Else each line of a busy log wakes us for a trail that is idle. */
TEST(bytes_that_nobody_listens_to_wake_us_once)
{
    struct probe idle = { 0 }, busy = { 0 };

    prepare();
    EQ(0, mkdir(path("busy"), 0700));
    add("busy/b.log");
    add("a.log");
    watch(&idle, "", "a");
    watch(&busy, "busy", "b");
    watch_listen(busy.w, false);
    add("busy/b.log");
    settle();
    add("busy/b.log");
    EQ(0, queued_bytes());
    EQ(2, kernel(0).watches);
    EQ(1, kernel(0).with_bytes);
    move("busy/b.log", "busy/b.log.1"); /* names are told all the same */
    settle();
    OK(watch_take_names(busy.w));
    watch_listen(busy.w, true);
    run_until_hinted(&busy, 1);
    EQ(2, kernel(0).with_bytes);
    EQ(0, idle.hints);
    watch_close(idle.w);
    watch_close(busy.w);
    stop();
}

TEST(who_guards_is_told_of_names_at_once_and_of_no_bytes)
{
    struct probe p = { 0 };

    prepare_deaf(&p);
    watch_guard(p.w);
    add("audit.log");
    settle();
    EQ(0, p.hints);
    EQ(0, kernel(0).with_bytes); /* no more of them wake us */
    move("audit.log", "audit.log.1");
    run_until_hinted(&p, 1);
    OK(watch_take_names(p.w));
    watch_listen(p.w, true);
    run_until_hinted(&p, 2); /* for the bytes of before */
    EQ(1, kernel(0).with_bytes);
    watch_close(p.w);
    stop();
}

TEST(who_guards_is_told_of_names_that_changed_before)
{
    struct probe p = { 0 };

    prepare_deaf(&p);
    move("audit.log", "audit.log.1");
    settle();
    EQ(0, p.hints);
    watch_guard(p.w);
    EQ(0, p.hints); /* not from within the call */
    run_until_hinted(&p, 1);
    watch_close(p.w);
    stop();
}

TEST(who_forgets_guards_no_more)
{
    struct probe p = { 0 };

    prepare_deaf(&p);
    watch_guard(p.w);
    watch_forget(p.w);
    move("audit.log", "audit.log.1");
    settle();
    EQ(0, p.hints);
    watch_close(p.w);
    stop();
}

TEST(bytes_are_heard_again_from_the_moment_they_are_forgotten)
{
    struct probe idle = { 0 }, busy = { 0 }, third = { 0 };

    prepare();
    EQ(0, mkdir(path("busy"), 0700));
    add("busy/b.log");
    add("busy/c.log");
    watch(&idle, "", "a");
    watch(&busy, "busy", "b");
    watch(&third, "busy", "c"); /* the same directory */
    watch_listen(busy.w, false);
    watch_listen(third.w, false);
    add("busy/b.log");
    settle();
    add("busy/c.log");
    watch_forget(busy.w); /* reads to the end now, and then: */
    add("busy/b.log");
    watch_listen(busy.w, true);
    run_until_hinted(&busy, 1);
    watch_listen(third.w, true);
    run_until_hinted(&third, 1);
    watch_close(idle.w);
    watch_close(busy.w);
    watch_close(third.w);
    stop();
}

/* ---- directories that come and go ---- */

TEST(a_directory_that_was_replaced_is_followed_at_once)
{
    struct probe p = { 0 };

    prepare();
    EQ(0, mkdir(path("log"), 0700));
    watch(&p, "log", "audit");
    move("log", "log.old");
    EQ(0, mkdir(path("log"), 0700));
    run_until_hinted(&p, 1);
    OK(watch_has_inotify(p.w));
    OK(watch_take_names(p.w));
    EQ(1, watched_dirs());
    settle();
    add("log.old/audit.log");
    settle();
    EQ(1, p.hints);
    add("log/audit.log");
    run_until_hinted(&p, 2);
    watch_close(p.w);
    stop();
}

TEST(a_directory_that_was_deleted_is_followed_though_it_gets_its_inode_back)
{
    struct probe p = { 0 };

    prepare();
    EQ(0, mkdir(path("log"), 0700));
    watch(&p, "log", "audit");
    EQ(0, rmdir(path("log")));
    EQ(0, mkdir(path("log"), 0700));
    run_until_hinted(&p, 1);
    OK(watch_take_names(p.w));
    OK(watch_has_inotify(p.w));
    add("log/audit.log");
    run_until_hinted(&p, 2);
    watch_close(p.w);
    stop();
}

TEST(a_directory_that_appears_later_is_found_by_the_timer)
{
    struct probe p = { 0 };

    prepare();
    watch_every(&p, "log", "audit", 1);
    OK(!watch_has_inotify(p.w));
    OK(watch_take_names(p.w));
    OK(watch_take_names(p.w)); /* nobody would tell */
    watch_listen(p.w, true);
    run_until_hinted(&p, 2);
    EQ(0, mkdir(path("log"), 0700));
    run_until_hinted(&p, p.hints + 1);
    OK(watch_has_inotify(p.w));
    EQ(0, rmdir(path("log")));
    run_until_hinted(&p, p.hints + 2);
    OK(!watch_has_inotify(p.w));
    watch_close(p.w);
    stop();
}

/* Nothing tells of it but the timer: the directory itself is where it was. */
TEST(a_link_to_a_directory_that_was_changed_is_found_by_the_timer)
{
    struct probe p = { 0 };

    prepare();
    EQ(0, mkdir(path("1"), 0700));
    EQ(0, mkdir(path("2"), 0700));
    EQ(0, symlink("1", path("log")));
    watch_every(&p, "log", "audit", 1);
    OK(is_watched("1"));
    EQ(0, symlink("2", path("new")));
    move("new", "log");
    run_until_hinted(&p, 1);
    OK(is_watched("2") && !is_watched("1"));
    watch_close(p.w);
    stop();
}

TEST(a_watch_that_moves_hears_of_the_other_directory)
{
    struct probe p = { 0 };

    prepare();
    EQ(0, mkdir(path("1"), 0700));
    EQ(0, mkdir(path("2"), 0700));
    watch(&p, "1", "audit");
    watch_move(p.w, path("1"), "audit");
    settle();
    EQ(0, p.hints);
    watch_move(p.w, path("2"), "kube");
    run_until_hinted(&p, 1);
    OK(watch_take_names(p.w));
    EQ(1, watched_dirs());
    add("1/audit.log");
    add("2/audit.log");
    settle();
    EQ(1, p.hints);
    add("2/kube.log");
    run_until_hinted(&p, 2);
    watch_move(p.w, path("2"), "audit"); /* its log is there already */
    run_until_hinted(&p, 3);
    watch_close(p.w);
    stop();
}

TEST(one_that_leaves_a_directory_takes_it_from_nobody)
{
    struct probe a = { 0 }, b = { 0 };

    prepare();
    EQ(0, mkdir(path("1"), 0700));
    watch(&a, "", "audit");
    watch(&b, "", "audit");
    watch_move(a.w, path("1"), "audit");
    add("audit.log");
    run_until_hinted(&b, 1);
    watch_close(a.w);
    watch_close(b.w);
    stop();
}

/* ---- limits ---- */

/* How many events the queue takes; 0, and said, where that is too many to fill. */
static unsigned long queue_size(void)
{
    unsigned long max = 0;
    FILE *f = fopen(MAX_EVENTS, "r");
    bool is_known = f != NULL && fscanf(f, "%lu", &max) == 1;

    if (f != NULL)
        fclose(f);
    if (is_known && max <= 100000)
        return max;
    fprintf(stderr, "skipped: " MAX_EVENTS " is %lu\n", max);
    return 0;
}

TEST(an_overflow_of_the_queue_is_a_hint_for_everyone)
{
    struct probe a = { 0 }, b = { 0 }, paused = { 0 };
    unsigned long max = queue_size();

    if (max == 0)
        return;
    prepare();
    EQ(0, mkdir(path("1"), 0700));
    EQ(0, mkdir(path("2"), 0700));
    add("1/audit.0");
    add("1/audit.1");
    watch(&a, "1", "audit");
    watch(&b, "2", "audit");
    watch(&paused, "2", "audit");
    watch_listen(paused.w, false);
    for (unsigned long i = 0; i <= max; i++)
        EQ(0, truncate(path(i % 2 != 0 ? "1/audit.1" : "1/audit.0"), 0));
    add("2/audit.log"); /* nobody tells of this */
    EQ(0, watcher_overflows(watcher));
    uv_run(&loop, UV_RUN_NOWAIT);
    OK(queued_bytes() > 0); /* a turn of the loop has an end */
    EQ(1, a.hints);
    run_until_hinted(&b, 1);
    EQ(1, watcher_overflows(watcher));
    OK(watch_take_names(a.w));
    OK(watch_take_names(b.w));
    OK(watch_take_names(paused.w));
    watch_listen(paused.w, true);
    run_until_hinted(&paused, 1); /* bytes, too */
    watch_close(a.w);
    watch_close(b.w);
    watch_close(paused.w);
    stop();
}

TEST(names_may_have_changed_when_more_is_queued_than_is_read_at_once)
{
    struct probe p = { 0 };

    prepare();
    add("audit.0");
    add("audit.1");
    watch(&p, "", "audit");
    for (unsigned i = 0; i < 5000; i++)
        EQ(0, truncate(path(i % 2 != 0 ? "audit.1" : "audit.0"), 0));
    watch_forget(p.w);
    OK(queued_bytes() > 0);
    OK(watch_take_names(p.w));
    watch_close(p.w);
    stop();
}

/* ---- limits that only a user namespace lets us set ---- */

static int log_fd = -1;

static bool set_limit(const char *name, const char *value)
{
    char file[128];
    int fd;
    bool ok;

    snprintf(file, sizeof(file), "/proc/sys/user/%s", name);
    fd = open(file, O_WRONLY | O_CLOEXEC);
    ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
    if (fd >= 0)
        close(fd);
    return ok;
}

static const char *log_text(void)
{
    static char text[16384];
    ssize_t len = pread(log_fd, text, sizeof(text) - 1, 0);

    OK(len >= 0);
    text[len] = '\0';
    return text;
}

/* How often the log has `text`. */
static unsigned logged(const char *text)
{
    unsigned n = 0;

    for (const char *at = log_text(); (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* Runs `test` in a child that is alone in a user namespace, where `limit` is
 * 0; what it logs is kept. */
static void with_limit(const char *limit, void (*test)(void))
{
    int status = 0;
    pid_t pid;

    log_fd = memfd_create("log", MFD_CLOEXEC);
    OK(log_fd >= 0);
    unit_dir(); /* the parent's to remove */
    pid = fork();
    OK(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) != 0 || !set_limit(limit, "0"))
            _exit(77);
        dup2(log_fd, STDERR_FILENO);
        test();
        _exit(0);
    }
    EQ(pid, waitpid(pid, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        fprintf(stderr, "skipped: cannot set user.%s here\n", limit);
    else if (status != 0)
        FAIL("the child ended with status %d:\n%s", status, log_text());
    close(log_fd);
}

static void without_kernel_watches(void)
{
    struct probe a = { 0 }, b = { 0 };

    prepare();
    OK(watcher_has_inotify(watcher));
    watch_every(&a, "", "audit", 1);
    watch_every(&b, "", "audit", 1);
    watch_listen(a.w, true);
    OK(!watch_has_inotify(a.w));
    run_until_hinted(&a, 3);
    OK(watch_take_names(a.w));
    OK(watch_take_names(a.w));
    EQ(1, logged("fs.inotify.max_user_watches"));
    OK(set_limit("max_inotify_watches", "10"));
    run_until_hinted(&a, a.hints + 1);
    OK(watch_has_inotify(a.w) && watch_has_inotify(b.w));
    run_until_hinted(&a, a.hints + 2);
    EQ(1, logged("enough inotify watches again"));
    watch_close(a.w);
    watch_close(b.w);
    stop();
}

TEST(without_kernel_watches_the_timer_goes_on_until_there_are_some)
{
    with_limit("max_inotify_watches", without_kernel_watches);
}

static void without_instance(void)
{
    struct probe p = { 0 }, slow = { 0 };

    prepare();
    OK(!watcher_has_inotify(watcher));
    watch_every(&p, "", "audit", 1);
    watch_every(&slow, "", "audit", NEVER);
    watch_listen(slow.w, true);
    watch_forget(slow.w);
    run_until_hinted(&p, 3);
    OK(watch_take_names(p.w));
    OK(watch_take_names(p.w));
    EQ(1, logged("fs.inotify.max_user_instances"));
    EQ(0, slow.hints);
    OK(set_limit("max_inotify_instances", "1"));
    run_until_hinted(&slow, 1); /* what was there before nobody told */
    OK(watcher_has_inotify(watcher) && watch_has_inotify(p.w));
    OK(watch_take_names(slow.w));
    EQ(1, logged("inotify works now"));
    watch_close(p.w);
    add("audit.log");
    run_until_hinted(&slow, 2);
    watch_close(slow.w);
    stop();
}

TEST(without_an_instance_the_timer_goes_on_until_there_is_one)
{
    with_limit("max_inotify_instances", without_instance);
}

/* ---- closing ---- */

static struct probe *victims[3];

static void close_all(struct probe *p)
{
    (void)p;
    for (size_t i = 0; i < ARRAY_LEN(victims); i++)
        watch_close(victims[i]->w);
    watcher_close(watcher);
    watcher = NULL;
}

static struct passers *passers;

/* Closes one that has somebody's names noted, and hears of an overflow. */
static void close_and_overflow(struct probe *p)
{
    unsigned long max = queue_size();

    p->then = NULL;
    watch_close(victims[0]->w);
    passers_free(passers);
    for (unsigned long i = 0; i <= max; i++)
        EQ(0, truncate(path(i % 2 != 0 ? "audit.1" : "audit.0"), 0));
    while (watcher_overflows(watcher) == 0)
        watch_forget(p->w);
}

TEST(one_that_was_closed_by_a_hint_notes_nothing_more)
{
    struct probe a = { .then = close_and_overflow }, b = { 0 };

    if (queue_size() == 0)
        return;
    prepare();
    add("audit.0");
    add("audit.1");
    watch(&b, "", "audit");
    watch(&a, "", "audit"); /* comes first */
    passers = passers_new("audit.log");
    watch_follow(b.w, passers);
    victims[0] = &b;
    add("audit.log");
    run_until_hinted(&a, 1);
    watch_close(a.w);
    stop();
}

TEST(everything_may_be_closed_by_a_hint)
{
    struct probe a = { .then = close_all }, b = a, c = a;

    prepare();
    watch(&a, "", "audit");
    watch(&b, "", "audit");
    watch(&c, "", "audit");
    victims[0] = &a;
    victims[1] = &b;
    victims[2] = &c;
    add("audit.log");
    while (watcher != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    EQ(1, a.hints + b.hints + c.hints);
    stop();
}

TEST(everything_may_be_closed_by_a_tick)
{
    struct probe a = { .then = close_all }, b = a, c = a;

    prepare();
    watch_every(&a, "", "audit", 1);
    watch_every(&b, "", "audit", 1);
    watch_every(&c, "", "audit", 1);
    victims[0] = &a;
    victims[1] = &b;
    victims[2] = &c;
    while (watcher != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    EQ(1, a.hints + b.hints + c.hints);
    stop();
}

static struct probe opened;

static void open_another(struct probe *p)
{
    watch_close(p->w);
    watch(&opened, "", "audit");
}

TEST(a_hint_may_open_a_watch)
{
    struct probe p = { .then = open_another };

    prepare();
    watch(&p, "", "audit");
    add("audit.log");
    run_until_hinted(&p, 1);
    settle();
    EQ(0, opened.hints);
    add("audit.log");
    run_until_hinted(&opened, 1);
    EQ(1, watched_dirs());
    watch_close(opened.w);
    stop();
}

TEST(a_watcher_without_watches_lets_the_loop_end)
{
    struct probe p = { 0 };

    prepare();
    watch(&p, "", "audit");
    watch_close(p.w);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    stop();
}

TEST(watches_go_on_after_their_watcher_was_closed)
{
    struct probe p = { 0 };

    prepare();
    watch(&p, "", "audit");
    watcher_close(watcher);
    watcher_close(NULL);
    add("audit.log");
    run_until_hinted(&p, 1);
    watch_close(p.w);
    watch_close(NULL);
    watcher = NULL;
    stop();
}
