/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that file.c makes are replaced here, so that they can fail,
 * fall short, or be the last thing the process does.
 */
#include "agent/base/file.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned calls;  /* of those below, since fault() */
static unsigned die_at; /* the process ends before that one; 0: never */
static unsigned fail_at;
static int fail_with;
static size_t write_most;   /* bytes at once; 0: all */
static unsigned interrupts; /* EINTRs to come */

static bool goes_wrong(void)
{
    calls++;
    if (calls == die_at)
        _exit(0);
    if (calls != fail_at)
        return false;
    errno = fail_with;
    return true;
}

static bool is_interrupted(void)
{
    if (interrupts == 0)
        return false;
    interrupts--;
    errno = EINTR;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    if (is_interrupted() || goes_wrong())
        return -1;
    if (write_most > 0 && n > write_most)
        n = write_most;
    return syscall(SYS_write, fd, bytes, n);
}

ssize_t pread(int fd, void *bytes, size_t n, off_t offset)
{
    if (is_interrupted())
        return -1;
    return syscall(SYS_pread64, fd, bytes, n, offset);
}

int fsync(int fd)
{
    return goes_wrong() ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (goes_wrong())
        return -1;
    return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

static bool can_exchange = true;

int renameat2(int from_dir, const char *from, int to_dir, const char *to,
              unsigned flags)
{
    if (!can_exchange) {
        errno = EINVAL;
        return -1;
    }
    if (goes_wrong())
        return -1;
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void no_faults(void)
{
    calls = die_at = fail_at = interrupts = 0;
    write_most = 0;
}

static int dir;

static void open_dir(void)
{
    dir = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    OK(dir >= 0);
    no_faults();
}

static void replace(const char *name, const char *text)
{
    struct err e;

    if (file_replace(dir, name, span(text, strlen(text)), &e) != 0)
        FAIL("%s", e.text);
}

/* "-" where it is not there. */
static const char *text_of(const char *name)
{
    static struct buf b;
    struct err e;
    int rc;

    b.len = 0;
    rc = file_read(dir, name, 1 << 20, &b, &e);
    if (rc == ERR_MISSING)
        return "-";
    EQ(0, rc);
    buf_add(&b, "", 1);
    return b.at;
}

TEST(a_file_is_made_with_mode_0600)
{
    struct stat st;

    open_dir();
    umask(0);
    replace("x", "one");
    EQ_STR("one", text_of("x"));
    EQ_STR("-", text_of("x.prev"));
    EQ_STR("-", text_of("x.new"));
    EQ(0, fstatat(dir, "x", &st, 0));
    EQ(0600, st.st_mode & 07777);
}

TEST(what_was_there_is_kept)
{
    open_dir();
    replace("x", "one");
    replace("x", "two");
    replace("x", "three, which is longer");
    EQ_STR("three, which is longer", text_of("x"));
    EQ_STR("two", text_of("x.prev"));
}

static void crash_at_any_step(void)
{
    unsigned steps;

    open_dir();
    replace("x", "zero");
    replace("x", "one");
    calls = 0;
    replace("x", "two");
    steps = calls;
    EQ(5, steps);
    for (unsigned step = 1; step <= steps; step++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            no_faults();
            die_at = step;
            write_most = 2; /* and a write may be half done */
            replace("x", "three");
            _exit(1);
        }
        EQ(pid, waitpid(pid, &status, 0));
        EQ(0, status);
        const char *now = text_of("x");
        if (strcmp(now, "-") == 0)
            EQ_STR("two", text_of("x.prev"));
        else
            OK(strcmp(now, "two") == 0 || strcmp(now, "three") == 0);
        no_faults();
        replace("x", "one");
        replace("x", "two");
        EQ_STR("two", text_of("x"));
        EQ_STR("one", text_of("x.prev"));
    }
}

TEST(a_crash_at_any_step_leaves_one_file_whole)
{
    crash_at_any_step();
}

TEST(a_crash_leaves_one_file_whole_where_files_cannot_change_places)
{
    can_exchange = false;
    crash_at_any_step();
}

static void fail_at_any_step(void)
{
    for (unsigned step = 1; step <= 5; step++) {
        struct err e;

        open_dir();
        replace("x", "one");
        replace("x", "two");
        no_faults();
        fail_at = step;
        fail_with = EIO;
        EQ(ERR_IO, file_replace(dir, "x", SPAN("three"), &e));
        no_faults();
        HAS(e.text, "x");
        HAS(e.text, strerror(EIO));
        if (strcmp(text_of("x"), "-") == 0)
            EQ_STR("two", text_of("x.prev"));
        else
            OK(strcmp(text_of("x"), "two") == 0 || step == 5);
        replace("x", "four");
        EQ_STR("four", text_of("x"));
        close(dir);
    }
}

TEST(a_call_that_fails_is_told_and_leaves_one_file_whole)
{
    open_dir();
    replace("x", "zero"); /* so that all three are there */
    replace("x", "zero");
    fail_at_any_step();
}

TEST(a_failure_leaves_one_file_whole_where_files_cannot_change_places)
{
    can_exchange = false;
    fail_at_any_step();
}

TEST(what_was_left_of_a_longer_text_is_gone)
{
    open_dir();
    replace("x", "one, which is long");
    replace("x", "two, which is longer");
    replace("x", "three, as long as that");
    replace("x", "four");
    replace("x", "five");
    EQ_STR("five", text_of("x"));
    EQ_STR("four", text_of("x.prev"));
}

TEST(the_previous_one_is_kept_when_there_is_nothing_else)
{
    open_dir();
    replace("x", "one");
    replace("x", "two");
    EQ(0, unlinkat(dir, "x", 0));
    replace("x", "three");
    EQ_STR("three", text_of("x"));
    EQ_STR("one", text_of("x.prev"));
    replace("x", "four");
    EQ_STR("three", text_of("x.prev"));
}

TEST(a_full_disk_leaves_what_was_there)
{
    char big[256 * 1024];
    struct err e;
    pid_t pid;
    int status;

    open_dir();
    memset(big, 'x', sizeof(big));
    pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", unit_dir(), "tmpfs", 0, "size=64k") != 0)
            _exit(77);
        close(dir);
        open_dir();
        replace("x", "one");
        replace("x", "two");
        if (file_replace(dir, "x", span(big, sizeof(big)), &e) != ERR_IO ||
            strstr(e.text, strerror(ENOSPC)) == NULL ||
            strcmp(text_of("x"), "two") != 0 ||
            strcmp(text_of("x.prev"), "one") != 0)
            _exit(1);
        replace("x", "three");
        _exit(strcmp(text_of("x"), "three") != 0);
    }
    EQ(pid, waitpid(pid, &status, 0));
    OK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        fprintf(stderr, "skipped: may not mount a small file system\n");
    else
        EQ(0, WEXITSTATUS(status));
}

TEST(a_link_in_the_place_of_the_temporary_file_is_not_followed)
{
    struct err e;

    open_dir();
    replace("victim", "precious");
    EQ(0, symlinkat("victim", dir, "x.new"));
    EQ(ERR_IO, file_replace(dir, "x", SPAN("one"), &e));
    EQ_STR("precious", text_of("victim"));
}

TEST(a_name_that_is_too_long_is_refused)
{
    char name[300];
    struct err e;

    open_dir();
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    EQ(ERR_IO, file_replace(dir, name, SPAN("one"), &e));
    name[252] = '\0';
    EQ(ERR_IO, file_replace(dir, name, SPAN("one"), &e));
    name[250] = '\0';
    EQ(0, file_replace(dir, name, SPAN("one"), &e));
    EQ(0, file_replace(dir, name, SPAN("two"), &e));
}

TEST(short_writes_and_interrupts_are_dealt_with)
{
    int fd;

    open_dir();
    fd = openat(dir, "x", O_CREAT | O_RDWR, 0600);
    write_most = 3;
    interrupts = 5;
    EQ(0, file_write_all(fd, "all of these bytes", 18));
    no_faults();
    EQ_STR("all of these bytes", text_of("x"));
    fail_at = 3;
    fail_with = ENOSPC;
    write_most = 3;
    EQ(-1, file_write_all(fd, "all of these bytes", 18));
    EQ(ENOSPC, errno);
    no_faults();
    EQ(0, file_write_all(fd, "", 0));
    close(fd);
}

TEST(a_read_is_repeated_when_it_was_interrupted)
{
    char text[8];
    int fd;

    open_dir();
    replace("x", "0123456789");
    fd = openat(dir, "x", O_RDONLY);
    interrupts = 3;
    EQ(8, file_pread(fd, text, 8, 1));
    EQ(0, memcmp(text, "12345678", 8));
    EQ(2, file_pread(fd, text, 8, 8));
    EQ(0, file_pread(fd, text, 8, 10));
    close(fd);
    EQ(-1, file_pread(fd, text, 8, 0));
    EQ(EBADF, errno);
}

TEST(a_file_is_read_up_to_its_limit)
{
    struct buf b = { 0 };
    struct err e;

    open_dir();
    replace("x", "0123456789");
    EQ(0, file_read(dir, "x", 10, &b, &e));
    EQ_SPAN(SPAN("0123456789"), span(b.at, b.len));
    b.len = 0;
    EQ(ERR_LIMIT, file_read(dir, "x", 9, &b, &e));
    b.len = 0;
    EQ(ERR_MISSING, file_read(dir, "y", 9, &b, &e));
    HAS(e.text, "y");
    EQ(0, mkdirat(dir, "d", 0700));
    EQ(ERR_IO, file_read(dir, "d", 9, &b, &e));
    EQ(ERR_IO, file_read(dir, "d", 9, &b, NULL));
    buf_free(&b);
}

TEST(a_large_file_is_read_whole)
{
    struct buf want = { 0 }, b = { 0 };
    struct err e;

    open_dir();
    for (unsigned i = 0; i < 50000; i++)
        buf_printf(&want, "%u,", i);
    EQ(0, file_replace(dir, "x", span(want.at, want.len), &e));
    EQ(0, file_read(dir, "x", MIB, &b, &e));
    EQ_SPAN(span(want.at, want.len), span(b.at, b.len));
    buf_free(&want);
    buf_free(&b);
}

TEST(directories_are_made_with_those_they_are_in)
{
    char *path = xprintf("%s/a/b/c", unit_dir());
    struct err e = { 0 };
    struct stat st;

    umask(0);
    EQ(0, file_make_dirs(path, &e));
    EQ(0, stat(path, &st));
    OK(S_ISDIR(st.st_mode));
    EQ(0700, st.st_mode & 07777);
    EQ(0, file_make_dirs(path, &e)); /* again */
    free(path);
    path = xprintf("%s/x/y/", unit_dir());
    EQ(0, file_make_dirs(path, &e));
    EQ(0, stat(path, &st));
    free(path);
}

TEST(a_directory_that_cannot_be_made_is_named)
{
    char *path = xprintf("%s/file/b/c", unit_dir());
    char *file = xprintf("%s/file", unit_dir());
    struct err e = { 0 };
    int fd = open(file, O_CREAT | O_WRONLY, 0600);

    OK(fd >= 0);
    close(fd);
    EQ(ERR_IO, file_make_dirs(path, &e));
    HAS(e.text, "/file/b: Not a directory");
    free(file);
    free(path);
}
