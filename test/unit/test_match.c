/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/match.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/unit.h"

static const char *path(const char *name)
{
    static char text[2][300];
    static unsigned turn;

    turn ^= 1;
    snprintf(text[turn], sizeof(text[0]), "%s/%s", unit_dir(), name);
    return text[turn];
}

static void touch(const char *name)
{
    int fd = open(path(name), O_WRONLY | O_CREAT, 0600);

    OK(fd >= 0);
    close(fd);
}

static void make_dir(const char *name)
{
    EQ(0, mkdir(path(name), 0700));
}

/* What a pattern finds, without the directory of the test. */
static const char *found(const char *pattern)
{
    static char text[1000];
    size_t skip = strlen(unit_dir()) + 1;
    struct match m;
    struct err e = { 0 };

    text[0] = '\0';
    if (match_find(&m, path(pattern), &e) != 0)
        FAIL("%s", e.text);
    for (size_t i = 0; i < m.n; i++) {
        OK(match_has(&m, m.paths[i]));
        OK(match_would(path(pattern), m.paths[i]));
        strcat(strcat(text, i > 0 ? " " : ""), m.paths[i] + skip);
    }
    OK(!match_has(&m, path("no-such")));
    match_free(&m);
    return text;
}

TEST(wildcards_make_a_pattern)
{
    OK(match_is_pattern("/a/*"));
    OK(match_is_pattern("/a?/b"));
    OK(match_is_pattern("/[ab]/c"));
    OK(!match_is_pattern("/a/b-{c}.log"));
    OK(match_mistake("/a/*/[b]") == NULL);
    HAS(match_mistake("/a/**"), "one directory");
    HAS(match_mistake("/a/[b"), "without its ']'");
}

TEST(live_files_are_found_in_any_part_and_in_order)
{
    make_dir("b");
    make_dir("a");
    touch("b/audit.log");
    touch("a/audit.log");
    touch("a/other.log");
    touch("a/.hidden.log");
    touch("top.log");
    EQ_STR("a/audit.log b/audit.log", found("*/audit.log"));
    EQ_STR("a/audit.log a/other.log b/audit.log", found("[ab]/*.log"));
    EQ_STR("a/audit.log a/other.log b/audit.log", found("?/*"));
    EQ_STR("top.log", found("*.log"));
    EQ_STR("", found("*/no-such"));
    EQ_STR("", found("no-such/*"));
    EQ_STR("", found("top.log/*"));
}

TEST(rotated_files_are_never_found_with_or_without_their_live_one)
{
    touch("a.log");
    touch("a.log.1");
    touch("a.log.2.gz");
    touch("a-20261123.log");
    touch("a-2026-11-23T03-09-58.015.log");
    touch("gone.log.1");
    touch("gone.1.log");
    touch("gone.log-20261123");
    touch("gone-2026-11-23T03-09-58.015.log");
    touch("gone-2026-11-23T03-09-58.015.log.gz");
    EQ_STR("a.log", found("*"));
    EQ_STR("", found("gone*"));
}

TEST(a_number_counts_once_the_live_file_is_there)
{
    touch("10.0.0.1.log");
    touch("10.0.0.2.log");
    touch("app-9.6.log");
    EQ_STR("10.0.0.1.log 10.0.0.2.log app-9.6.log", found("*.log"));
    touch("app-9.log");
    EQ_STR("10.0.0.1.log 10.0.0.2.log app-9.log", found("*.log"));
}

TEST(what_is_no_file_is_not_found)
{
    make_dir("dir.log");
    EQ(0, mkfifo(path("fifo.log"), 0600));
    EQ(0, symlink("nowhere", path("broken.log")));
    touch("a.log");
    EQ_STR("a.log", found("*.log"));
}

TEST(a_link_to_a_file_that_is_found_is_not_found_again)
{
    char real[300];

    make_dir("elsewhere");
    touch("a.log");
    touch("elsewhere/x");
    /* Through a path without links of its own, as realpath() has it. */
    OK(realpath(path("a.log"), real) != NULL);
    EQ(0, symlink("a.log", path("current.log")));
    EQ(0, symlink("elsewhere/x", path("pod.log")));
    EQ_STR("a.log pod.log", found("*.log"));
}

TEST(a_directory_that_cannot_be_listed_hides_no_other)
{
    struct match m;
    struct err e = { 0 };
    uid_t me = geteuid();

    make_dir("a");
    make_dir("b");
    touch("b/x.log");
    EQ(0, chmod(unit_dir(), 0755));
    EQ(0, chmod(path("a"), 0));
    EQ(0, chmod(path("b"), 0755));
    if (me == 0)
        EQ(0, seteuid(65534));
    EQ(ERR_IO, match_find(&m, path("*/x.log*"), &e));
    HAS(e.text, "/a");
    HAS(e.text, "Permission denied");
    EQ(1, m.n);
    match_free(&m);
    if (me == 0)
        EQ(0, seteuid(0));
    EQ(0, chmod(path("a"), 0700));
}

TEST(paths_are_added_in_order)
{
    struct match m = { 0 };

    match_add(&m, "/b");
    match_add(&m, "/c");
    match_add(&m, "/a");
    EQ_STR("/a", m.paths[0]);
    OK(match_has(&m, "/a") && match_has(&m, "/b") && match_has(&m, "/c"));
    OK(!match_has(&m, "/d"));
    match_free(&m);
    OK(!match_has(&m, "/a"));
}

TEST(names_of_trails_are_stable_and_fit_for_files)
{
    char *a = match_trail_name("kube", "/var/log/a/audit.log");
    char *b = match_trail_name("kube", "/var/log/b/audit.log");
    char *c = match_trail_name("kube", "/x/a b\xc3\xa9\n@.log");
    char *d =
        match_trail_name("kube", "/x/0123456789012345678901234567890123456"
                                 "78901234567890123456789012345678901");

    EQ_STR("kube@audit.log-aa41dbe0", a);
    OK(strcmp(a, b) != 0);
    EQ(0, strncmp(c, "kube@a_b____.log-", 17));
    EQ(5 + 64 + 9, strlen(d));
    free(a);
    free(b);
    free(c);
    free(d);
}
