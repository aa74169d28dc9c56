/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "test/unit/unit.h"

#define LIMIT (4 * MIB)

static uv_loop_t loop;
static struct spool *s;
static int state;
static int in; /* where the test writes */
static unsigned hints;
static bool late;

static void on_hint(void *arg)
{
    OK(arg == &hints);
    hints++;
}

static void on_late(uv_timer_t *timer)
{
    (void)timer;
    late = true;
}

/* Runs the loop until the condition holds, at most ten seconds. */
#define RUN_UNTIL(condition)                        \
    do {                                            \
        uv_timer_t timer_;                          \
        late = false;                               \
        uv_timer_init(&loop, &timer_);              \
        uv_timer_start(&timer_, on_late, 10000, 0); \
        while (!(condition) && !late)               \
            uv_run(&loop, UV_RUN_ONCE);             \
        uv_close((uv_handle_t *)&timer_, NULL);     \
        uv_run(&loop, UV_RUN_NOWAIT);               \
        OK(condition);                              \
    } while (0)

/* What is ready now, without waiting. */
static void run(void)
{
    for (int i = 0; i < 20; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void set_stdin(int fd)
{
    OK(dup2(fd, 0) == 0);
    close(fd);
}

static void start(uint64_t limit)
{
    struct err e = { 0 };

    EQ(0, uv_loop_init(&loop));
    state = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    s = spool_open(&loop, state, limit, on_hint, &hints, &e);
    if (s == NULL)
        FAIL("%s", e.text);
}

static void start_pipe(uint64_t limit)
{
    int fds[2];

    EQ(0, pipe(fds));
    in = fds[1];
    set_stdin(fds[0]);
    start(limit);
}

static void stop(void)
{
    spool_close(s);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    close(state);
}

static struct stat stat_of(void)
{
    struct stat st;

    EQ(0, fstat(spool_fd(s), &st));
    return st;
}

static size_t size(void)
{
    return (size_t)stat_of().st_size;
}

static void put(const char *text)
{
    EQ(0, file_write_all(in, text, strlen(text)));
}

static void holds(const char *text)
{
    char got[200] = "";

    EQ((long long)strlen(text), size());
    EQ((long long)strlen(text),
       file_pread(spool_fd(s), got, sizeof(got) - 1, 0));
    EQ_STR(text, got);
}

/* As much as the pipe takes; all bytes of one turn are the same. */
static size_t fill_pipe(char byte)
{
    char bytes[4096];
    size_t n = 0;
    ssize_t w;

    memset(bytes, byte, sizeof(bytes));
    OK(fcntl(in, F_SETFL, O_NONBLOCK) == 0);
    while ((w = write(in, bytes, sizeof(bytes))) > 0)
        n += (size_t)w;
    return n;
}

static unsigned names_in_state(void)
{
    DIR *dir = opendir(unit_dir());
    struct dirent *entry;
    unsigned n = 0;

    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

TEST(what_comes_by_a_pipe_is_in_the_file)
{
    start_pipe(LIMIT);
    run();
    EQ(0, hints);
    put("one\n");
    RUN_UNTIL(hints > 0);
    holds("one\n");
    put("tw");
    RUN_UNTIL(size() == 6);
    put("o\n");
    RUN_UNTIL(size() == 8);
    holds("one\ntwo\n");
    OK(!spool_has_ended(s));
    EQ(0, names_in_state());
    close(in);
    RUN_UNTIL(spool_has_ended(s));
    holds("one\ntwo\n");
    run();
    stop();
}

TEST(the_end_is_told_by_a_hint)
{
    start_pipe(LIMIT);
    close(in);
    RUN_UNTIL(hints > 0);
    OK(spool_has_ended(s));
    EQ(0, size());
    stop();
}

TEST(flags_of_the_shared_descriptor_stay_as_they_are)
{
    start_pipe(LIMIT);
    put("x");
    RUN_UNTIL(size() == 1);
    EQ(0, fcntl(0, F_GETFL) & O_NONBLOCK);
    close(in);
    stop();
}

TEST(a_file_is_read_to_its_end_from_where_it_is)
{
    char path[200];
    int fd;

    snprintf(path, sizeof(path), "%s/input", unit_dir());
    fd = open(path, O_RDWR | O_CREAT, 0600);
    EQ(0, file_write_all(fd, "skipped\nread\n", 13));
    EQ(8, lseek(fd, 8, SEEK_SET));
    set_stdin(fd);
    start(LIMIT);
    RUN_UNTIL(spool_has_ended(s));
    holds("read\n");
    stop();
}

TEST(a_large_file_comes_whole_and_in_turns)
{
    static char bytes[3 * MIB + 17];
    char path[200], *got = malloc(sizeof(bytes));
    int fd;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + i / 251);
    snprintf(path, sizeof(path), "%s/input", unit_dir());
    fd = open(path, O_RDWR | O_CREAT, 0600);
    EQ(0, file_write_all(fd, bytes, sizeof(bytes)));
    EQ(0, lseek(fd, 0, SEEK_SET));
    set_stdin(fd);
    start(LIMIT);
    RUN_UNTIL(spool_has_ended(s));
    OK(hints > 5);
    EQ((long long)sizeof(bytes), size());
    EQ((long long)sizeof(bytes),
       file_pread(spool_fd(s), got, sizeof(bytes), 0));
    OK(memcmp(bytes, got, sizeof(bytes)) == 0);
    free(got);
    stop();
}

TEST(dev_null_has_ended)
{
    set_stdin(open("/dev/null", O_RDONLY));
    start(LIMIT);
    RUN_UNTIL(spool_has_ended(s));
    EQ(0, size());
    stop();
}

TEST(a_socket_is_read_too_and_stays_blocking)
{
    int fds[2];

    EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    in = fds[1];
    set_stdin(fds[0]);
    start(LIMIT);
    run();
    put("one\n");
    RUN_UNTIL(size() == 4);
    EQ(0, fcntl(0, F_GETFL) & O_NONBLOCK);
    run(); /* nothing is there: this must not block */
    put("two\n");
    RUN_UNTIL(size() == 8);
    close(in);
    RUN_UNTIL(spool_has_ended(s));
    holds("one\ntwo\n");
    stop();
}

TEST(a_terminal_is_read_until_its_end_of_file)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), fd;

    OK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    OK(fd >= 0);
    set_stdin(fd);
    in = master;
    start(LIMIT);
    put("typed\n");
    RUN_UNTIL(size() == 6);
    put("\004");
    RUN_UNTIL(spool_has_ended(s));
    holds("typed\n");
    close(master);
    stop();
}

TEST(a_terminal_that_goes_away_has_ended)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), fd;

    OK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    set_stdin(fd);
    start(LIMIT);
    run();
    close(master);
    RUN_UNTIL(spool_has_ended(s));
    stop();
}

TEST(the_writer_waits_while_too_much_is_unread)
{
    size_t sent;

    start_pipe(100000);
    sent = fill_pipe('a');
    run();
    sent += fill_pipe('b');
    run();
    sent += fill_pipe('c');
    run();
    EQ(100000, size());
    OK(sent > 100000);
    spool_passed(s, 40000); /* and no more than that comes */
    run();
    EQ(140000, size());
    for (size_t had = 0; size() < sent; had = size()) {
        OK(size() > had);
        spool_passed(s, size());
        run();
    }
    EQ((long long)sent, size());
    close(in);
    spool_passed(s, size());
    RUN_UNTIL(spool_has_ended(s));
    stop();
}

TEST(the_end_is_not_seen_while_too_much_is_unread)
{
    start_pipe(3);
    put("abcdef");
    close(in);
    run();
    EQ(3, size());
    OK(!spool_has_ended(s));
    spool_passed(s, 3);
    run();
    EQ(6, size());
    spool_passed(s, 6);
    RUN_UNTIL(spool_has_ended(s));
    holds("abcdef");
    stop();
}

TEST(room_is_given_back_and_offsets_stay)
{
    size_t total = 0;
    char got[8];
    int64_t full;

    start_pipe(16 * MIB);
    while (total < 8 * MIB) {
        total += fill_pipe('x');
        RUN_UNTIL(size() == total);
    }
    full = stat_of().st_blocks;
    spool_passed(s, MIB - 1);
    EQ(full, stat_of().st_blocks);
    spool_passed(s, 6 * MIB + 100);
    OK(stat_of().st_blocks * 512 <= full * 512 - (int64_t)(5 * MIB));
    EQ((long long)total, size());
    EQ(8, file_pread(spool_fd(s), got, 8, 6 * MIB + 100));
    OK(memcmp(got, "xxxxxxxx", 8) == 0);
    spool_passed(s, 5); /* what is older says nothing new */
    fcntl(in, F_SETFL, 0);
    put("end");
    RUN_UNTIL(size() == total + 3);
    close(in);
    stop();
}

TEST(a_full_disk_loses_nothing)
{
    struct rlimit was, small;

    signal(SIGXFSZ, SIG_IGN);
    EQ(0, getrlimit(RLIMIT_FSIZE, &was));
    small = (struct rlimit){ 10, was.rlim_max };
    start_pipe(LIMIT);
    EQ(0, setrlimit(RLIMIT_FSIZE, &small));
    put("0123456789abcdef\n");
    RUN_UNTIL(size() == 10); /* a part of the piece */
    put("more\n");
    close(in);
    run();
    EQ(10, size());
    OK(!spool_has_ended(s));
    EQ(0, setrlimit(RLIMIT_FSIZE, &was));
    RUN_UNTIL(spool_has_ended(s));
    holds("0123456789abcdef\nmore\n");
    stop();
}

TEST(what_cannot_be_read_is_refused)
{
    struct err e = { 0 };

    EQ(0, uv_loop_init(&loop));
    state = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    set_stdin(open("/", O_RDONLY | O_DIRECTORY));
    OK(spool_open(&loop, state, LIMIT, on_hint, &hints, &e) == NULL);
    HAS(e.text, "standard input is a directory");
    close(0);
    OK(spool_open(&loop, state, LIMIT, on_hint, &hints, &e) == NULL);
    HAS(e.text, "standard input cannot be used: Bad file descriptor");
    EQ(0, open("/dev/null", O_WRONLY));
    OK(spool_open(&loop, state, LIMIT, on_hint, &hints, &e) == NULL);
    HAS(e.text, "standard input is not open for reading");
    set_stdin(open("/dev/null", O_RDONLY));
    OK(spool_open(&loop, -1, LIMIT, on_hint, &hints, &e) == NULL);
    HAS(e.text, "cannot make a file for standard input");
    close(state);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
}

static void close_at_once(void *arg)
{
    (void)arg;
    spool_close(s);
    s = NULL;
}

TEST(it_can_be_ended_while_its_writer_goes_on)
{
    start_pipe(LIMIT);
    put("one\ntw");
    RUN_UNTIL(size() == 6);
    hints = 0;
    spool_end(s);
    OK(spool_has_ended(s));
    EQ(1, hints);
    put("o\n");
    run();
    EQ(6, size());
    EQ(1, hints);
    spool_end(s);
    EQ(1, hints);
    stop();
}

TEST(it_may_be_closed_from_its_hint)
{
    struct err e = { 0 };
    int fds[2];

    EQ(0, pipe(fds));
    in = fds[1];
    set_stdin(fds[0]);
    EQ(0, uv_loop_init(&loop));
    state = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    s = spool_open(&loop, state, LIMIT, close_at_once, NULL, &e);
    put("x");
    RUN_UNTIL(s == NULL);
    close(in);
    stop();
}
