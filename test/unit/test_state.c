/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/state.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[128];
static struct state s;

static void prepare(void)
{
    snprintf(path, sizeof(path), "%s/state", unit_dir());
}

static void opens(void)
{
    struct err e;

    if (state_open(&s, path, &e) != 0)
        FAIL("%s", e.text);
    OK(s.dir >= 0 && s.lock >= 0);
}

static void refused(int code, const char *why)
{
    struct err e = { 0 };

    EQ(code, state_open(&s, path, &e));
    HAS(e.text, path);
    HAS(e.text, why);
    EQ(-1, s.dir);
    EQ(-1, s.lock);
}

TEST(the_directory_is_made_for_us_alone)
{
    struct stat st;

    prepare();
    umask(0);
    opens();
    EQ(0, fstat(s.dir, &st));
    EQ(0700, st.st_mode & 07777);
    EQ(0, fstat(s.lock, &st));
    EQ(0600, st.st_mode & 07777);
    state_close(&s);
    EQ(-1, s.dir);
    state_close(&s);
    opens();
    state_close(&s);
}

TEST(a_second_agent_is_refused_and_told_who_the_first_is)
{
    struct state first;
    char pid[32];

    prepare();
    opens();
    first = s;
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    refused(ERR_BUSY, pid);
    refused(ERR_BUSY, "another tallyman");
    state_close(&first);
    opens();
    state_close(&s);
}

TEST(a_lock_file_with_rubbish_in_it_does_no_harm)
{
    struct state first;

    prepare();
    opens();
    first = s;
    EQ(0, ftruncate(first.lock, 0));
    EQ(12, pwrite(first.lock, "\x1b[31m99\nxyz", 12, 0));
    refused(ERR_BUSY, "another tallyman");
    EQ(0, ftruncate(first.lock, 0));
    refused(ERR_BUSY, "another tallyman");
    state_close(&first);
}

TEST(an_agent_that_was_killed_leaves_no_lock)
{
    int ready[2];
    pid_t pid;
    char c;

    prepare();
    EQ(0, pipe(ready));
    pid = fork();
    if (pid == 0) {
        opens();
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    EQ(1, read(ready[0], &c, 1));
    refused(ERR_BUSY, "another tallyman");
    EQ(0, kill(pid, SIGKILL));
    EQ(pid, waitpid(pid, NULL, 0));
    opens();
    state_close(&s);
}

TEST(a_child_does_not_keep_the_lock)
{
    prepare();
    opens();
    OK(fcntl(s.lock, F_GETFD) & FD_CLOEXEC);
    OK(fcntl(s.dir, F_GETFD) & FD_CLOEXEC);
    state_close(&s);
}

TEST(what_cannot_be_a_directory_is_refused)
{
    int fd;

    prepare();
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    refused(ERR_IO, "Not a directory");
    EQ(0, unlink(path));
    strcat(path, "/deeper");
    refused(ERR_IO, "No such file");
}

TEST(a_directory_that_cannot_be_written_is_refused)
{
    prepare();
    EQ(0, chmod(unit_dir(), 0755));
    EQ(0, mkdir(path, 0555));
    if (geteuid() == 0)
        EQ(0, seteuid(65534));
    refused(ERR_IO, "cannot write");
    if (getuid() == 0)
        EQ(0, seteuid(0));
}

TEST(a_link_in_the_place_of_the_lock_is_not_followed)
{
    char victim[160], link[160];

    prepare();
    EQ(0, mkdir(path, 0700));
    snprintf(victim, sizeof(victim), "%s/victim", unit_dir());
    snprintf(link, sizeof(link), "%s/lock", path);
    EQ(0, symlink(victim, link));
    refused(ERR_IO, "cannot write");
    EQ(-1, access(victim, F_OK));
}
