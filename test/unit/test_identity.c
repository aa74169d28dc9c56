/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/identity.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char path_of[128];
static char bytes[IDENTITY_GUARD_MAX];

static const char *path(const char *name)
{
    snprintf(path_of, sizeof(path_of), "%s/%s", unit_dir(), name);
    return path_of;
}

/* Makes the file, or writes it anew in its place. */
static int write_file(const char *name, const char *text)
{
    int fd = open(path(name), O_CREAT | O_RDWR | O_TRUNC, 0600);

    OK(fd >= 0);
    EQ(strlen(text), write(fd, text, strlen(text)));
    return fd;
}

static void append(int fd, const char *text)
{
    OK(lseek(fd, 0, SEEK_END) >= 0);
    EQ(strlen(text), write(fd, text, strlen(text)));
}

static struct head head(int fd)
{
    struct head h;
    struct err e;

    if (head_read(fd, false, &h, &e) != 0)
        FAIL("%s", e.text);
    return h;
}

static struct identity identity(int fd)
{
    struct head h = head(fd);
    struct identity id;
    struct stat st;

    EQ(0, fstat(fd, &st));
    identity_set(&id, &st, &h);
    return id;
}

static bool has_head(int fd, const struct identity *id)
{
    struct head h = head(fd);

    return identity_has_head(id, &h);
}

static bool has_inode(int fd, const struct identity *id)
{
    struct stat st;

    EQ(0, fstat(fd, &st));
    return identity_has_inode(id, &st);
}

static void same(int fd, const struct identity *id)
{
    OK(has_inode(fd, id));
    OK(has_head(fd, id));
}

/* Its inode may be the same, its head is not. */
static void other(int fd, const struct identity *id)
{
    OK(!has_head(fd, id));
}

static struct guard guard(int fd, uint64_t offset)
{
    struct guard g;
    struct err e;

    if (guard_of(fd, offset, &g, &e) != 0)
        FAIL("%s", e.text);
    return g;
}

TEST(a_file_is_itself_and_no_other)
{
    int a = write_file("a", "one\ntwo\n"), b = write_file("b", "eins\n");
    struct identity id = identity(a);

    EQ(3, id.head_len);
    same(a, &id);
    other(b, &id);
}

TEST(the_head_is_the_first_line_up_to_1_kib)
{
    char text[3000];
    struct identity id;
    int fd;

    memset(text, 'x', sizeof(text));
    text[2999] = '\0';
    fd = write_file("a", text);
    id = identity(fd);
    EQ(IDENTITY_HEAD_MAX, id.head_len);
    text[1023] = '\n';
    EQ(1023, identity(write_file("b", text)).head_len);
    text[0] = '\n';
    EQ(0, identity(write_file("c", text)).head_len);
    same(fd, &id);
}

TEST(a_file_that_grows_is_the_same)
{
    int fd = write_file("a", "");
    struct identity empty = identity(fd), some, line;

    EQ(0, empty.head_len);
    append(fd, "ab");
    some = identity(fd);
    EQ(2, some.head_len);
    append(fd, "cd\nsecond\n");
    line = identity(fd);
    EQ(4, line.head_len);
    append(fd, "third\n");
    OK(has_inode(fd, &empty)); /* and an empty head tells nothing */
    OK(!has_head(fd, &empty));
    same(fd, &some);
    same(fd, &line);
}

TEST(an_empty_file_is_known_by_its_inode_only)
{
    int a = write_file("a", ""), b = write_file("b", "");
    struct identity id = identity(a);

    OK(has_inode(a, &id) && !has_inode(b, &id));
    OK(!has_head(a, &id) && !has_head(b, &id));
    EQ(0, id.head_len);
}

TEST(a_file_that_was_written_anew_is_another)
{
    int fd = write_file("a", "one\ntwo\n");
    struct identity id = identity(fd);

    write_file("a", "two\none\n");
    other(fd, &id);
    write_file("a", "one\nthree\n");
    same(fd, &id);
}

TEST(a_file_that_is_shorter_than_its_head_is_another)
{
    int fd = write_file("a", "one\ntwo\n");
    struct identity id = identity(fd);

    EQ(0, ftruncate(fd, 3));
    same(fd, &id);
    EQ(0, ftruncate(fd, 2));
    other(fd, &id);
    EQ(0, ftruncate(fd, 0));
    other(fd, &id);
}

TEST(a_first_line_that_is_only_a_prefix_of_the_head_is_another)
{
    int fd = write_file("a", "abcdef\n");
    struct identity id = identity(fd);

    write_file("a", "abc\ndef\n");
    other(fd, &id);
}

TEST(a_copy_has_the_same_head)
{
    int a = write_file("a", "one\ntwo\n"), b = write_file("b", "one\nzwei\n");
    struct identity id = identity(a);

    OK(has_head(b, &id) && !has_inode(b, &id));
}

TEST(a_renamed_file_is_the_same)
{
    struct identity id = identity(write_file("a", "one\n"));
    char from[128];
    int fd;

    strcpy(from, path("a"));
    EQ(0, rename(from, path("b")));
    fd = open(path("b"), O_RDONLY);
    same(fd, &id);
}

TEST(an_inode_that_is_used_again_is_another_file)
{
    int fd = write_file("a", "one\ntwo\n");
    struct identity id = identity(fd);

    for (int i = 0; i < 1000; i++) {
        struct stat st;

        close(fd);
        EQ(0, unlink(path("a")));
        fd = write_file("a", "another first line\n");
        EQ(0, fstat(fd, &st));
        if (st.st_ino == id.ino) {
            other(fd, &id);
            return;
        }
    }
    fprintf(stderr, "skipped: no inode was used again here\n");
}

TEST(what_cannot_be_read_matches_nothing)
{
    int fd = write_file("a", "one\n");
    struct identity id = identity(fd);
    struct guard g = guard(fd, 3);
    struct head h = head(fd);
    struct err e;

    close(fd);
    OK(identity_has_head(&id, &h));
    EQ(ERR_IO, head_read(fd, false, &h, &e));
    EQ(0, h.len);
    OK(!identity_has_head(&id, &h));
    EQ(ERR_IO, guard_of(fd, 3, &g, &e));
    OK(!guard_holds(fd, 3, &g, bytes));
}

TEST(the_guard_is_what_lies_just_before)
{
    char text[1001];
    struct guard g;
    int fd;

    for (int i = 0; i < 1000; i++)
        text[i] = (char)('a' + i % 26);
    text[1000] = '\0';
    fd = write_file("a", text);
    EQ(0, guard(fd, 0).len);
    EQ(10, guard(fd, 10).len);
    g = guard(fd, 900);
    EQ(IDENTITY_GUARD_MAX, g.len);
    OK(guard_holds(fd, 900, &g, bytes));
    OK(!guard_holds(fd, 899, &g, bytes));
    text[900] = '!'; /* behind it */
    text[643] = '!'; /* too far before it */
    write_file("a", text);
    OK(guard_holds(fd, 900, &g, bytes));
    text[644] = '!';
    write_file("a", text);
    OK(!guard_holds(fd, 900, &g, bytes));
}

TEST(the_guard_at_the_start_always_holds)
{
    int fd = write_file("a", "one\n");
    struct guard g = guard(fd, 0);

    EQ(0, ftruncate(fd, 0));
    OK(guard_holds(fd, 0, &g, bytes));
}

TEST(a_file_that_was_cut_before_the_offset_does_not_pass)
{
    int fd = write_file("a", "one\ntwo\n");
    struct guard g = guard(fd, 8), other;
    struct err e;

    EQ(0, ftruncate(fd, 7));
    OK(!guard_holds(fd, 8, &g, bytes));
    EQ(ERR_FORMAT, guard_of(fd, 8, &other, &e));
    append(fd, "\n");
    OK(guard_holds(fd, 8, &g, bytes));
}

TEST(a_guard_that_makes_no_sense_does_not_hold)
{
    int fd = write_file("a", "one\ntwo\n");
    struct guard g = guard(fd, 4);

    OK(!guard_holds(fd, 3, &g, bytes));
    g.len = IDENTITY_GUARD_MAX + 1;
    OK(!guard_holds(fd, 8, &g, bytes));
    g.len = UINT32_MAX;
    OK(!guard_holds(fd, UINT64_MAX, &g, bytes));
}
