/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/sha256.h"
#include "agent/lane/dead.h"
#include "test/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

static int state;

static void open_state(void)
{
    state = open(unit_dir(), O_RDONLY | O_DIRECTORY);
    OK(state >= 0);
}

static struct dead_letter example(void)
{
    return (struct dead_letter){
        .kind = "quarantined",
        .reason = "not JSON",
        .trail = "audit",
        .output = "search",
        .file = "/var/log/audit.log",
        .offset = UINT64_MAX,
        .length = 12,
    };
}

/* ---- records ---- */

static struct buf out;
static yajl_val record;

static void print(const struct dead_letter *d)
{
    char why[256];

    out.len = 0;
    dead_print(d, &out);
    OK(out.len > 0 && out.at[out.len - 1] == '\n');
    OK(memchr(out.at, '\n', out.len) == out.at + out.len - 1);
    OK(span_is_utf8(span(out.at, out.len)));
    out.at[out.len - 1] = '\0';
    yajl_tree_free(record);
    record = yajl_tree_parse(out.at, why, sizeof(why));
    if (record == NULL)
        FAIL("%s: %s", why, out.at);
    OK(YAJL_IS_OBJECT(record));
}

static yajl_val get(const char *key)
{
    const char *path[] = { key, NULL };

    return yajl_tree_get(record, path, yajl_t_any);
}

static void is_text(const char *key, const char *want)
{
    EQ_STR(want, YAJL_GET_STRING(get(key)));
}

static void is_number(const char *key, const char *want)
{
    yajl_val v = get(key);

    OK(v != NULL && v->type == yajl_t_number);
    EQ_STR(want, YAJL_GET_NUMBER(v));
}

static void is_hash(struct span of)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(of, hash);
    sha256_hex(hash, hex);
    is_text("sha256", hex);
}

static void done(void)
{
    yajl_tree_free(record);
    record = NULL;
    buf_free(&out);
}

TEST(a_record_says_what_why_and_where)
{
    struct dead_letter d = example();

    d.line = SPAN("{\"half");
    print(&d);
    is_text("kind", "quarantined");
    is_text("reason", "not JSON");
    is_text("trail", "audit");
    is_text("output", "search");
    is_text("file", "/var/log/audit.log");
    is_number("offset", "18446744073709551615");
    is_number("length", "12");
    is_text("line", "{\"half");
    is_hash(d.line);
    OK(get("status") == NULL && get("id") == NULL && get("document") == NULL);
    OK(YAJL_IS_STRING(get("time")));
    const char *time = get("time")->u.string;
    OK(clock_parse(span(time, strlen(time))) != CLOCK_NO_TIME);
    done();
}

TEST(a_refused_one_has_status_id_and_document)
{
    struct dead_letter d = example();
    const char *path[] = { "document", "a", "b", NULL };

    d.kind = "refused";
    d.status = 400;
    d.id = SPAN("018f\"x");
    d.document = SPAN("{\"a\":{\"b\":\"c\"},\"n\":12345678901234567890}");
    print(&d);
    is_text("kind", "refused");
    is_number("status", "400");
    is_text("id", "018f\"x");
    EQ_STR("c", YAJL_GET_STRING(yajl_tree_get(record, path, yajl_t_string)));
    HAS(out.at,
        "\"document\":{\"a\":{\"b\":\"c\"},\"n\":12345678901234567890}");
    OK(get("line") == NULL && get("line_base64") == NULL);
    is_hash(d.document);
    done();
}

TEST(the_hash_of_a_line_that_was_not_kept_is_taken_as_it_is)
{
    struct dead_letter d = example();
    unsigned char hash[SHA256_SIZE];

    sha256_of(SPAN("all of it"), hash);
    d.hash = hash;
    d.line = SPAN("all");
    print(&d);
    is_hash(SPAN("all of it"));
    done();
}

TEST(hostile_text_stays_inside_its_string)
{
    static const char evil[] =
        "\"},\"kind\":\"x\\\n\r\t\b\x01\x1f\x7f\xe2\x80\xae</script>";
    struct dead_letter d = example();

    d.reason = d.trail = d.output = d.file = evil;
    d.id = span(evil, strlen(evil));
    d.line = span(evil, strlen(evil));
    print(&d);
    is_text("kind", "quarantined");
    is_text("reason", evil);
    is_text("file", evil);
    is_text("id", evil);
    is_text("line", evil);
    done();
}

TEST(a_line_that_is_not_utf8_is_kept_as_base64)
{
    struct dead_letter d = example();

    d.line = SPAN("\xff\xfe\0\n\"");
    print(&d);
    is_text("line_base64", "//4ACiI=");
    OK(get("line") == NULL);
    d.line = SPAN("\xff\xfe\0\n");
    print(&d);
    is_text("line_base64", "//4ACg==");
    d.line = SPAN("\xff\xfe\0");
    print(&d);
    is_text("line_base64", "//4A");
    done();
}

TEST(every_byte_and_pair_of_bytes_gives_a_record)
{
    struct dead_letter d = example();

    for (unsigned v = 0; v < 0x10000; v += 1 + v / 0x8000) {
        char two[2] = { (char)(v >> 8), (char)v };

        d.line = span(two, 2);
        d.id = v % 16 == 0 ? span(two, 2) : span(NULL, 0);
        out.len = 0;
        dead_print(&d, &out);
        OK(span_is_utf8(span(out.at, out.len)));
        if (v % 61 == 0)
            print(&d);
    }
    done();
}

TEST(a_document_that_is_not_utf8_is_kept_as_base64)
{
    struct dead_letter d = example();

    d.document = SPAN("{\"a\":\"\xff\"}");
    print(&d);
    is_text("line_base64", "eyJhIjoi/yJ9");
    OK(get("document") == NULL);
    is_hash(d.document);
    done();
}

/* yajl takes more for space than JSON does, and so may a document hold it. */
TEST(a_document_with_odd_space_gives_a_record_that_json_allows)
{
    struct dead_letter d = example();
    bool in_string = false;

    d.document = SPAN("{\"level\":1,\f\"a\":\v2}");
    print(&d);
    for (size_t i = 0; i + 1 < out.len; i++) {
        in_string ^= out.at[i] == '"' && (i == 0 || out.at[i - 1] != '\\');
        if (!in_string && (out.at[i] == '\f' || out.at[i] == '\v'))
            FAIL("byte %02x outside of a string", out.at[i]);
    }
    done();
}

TEST(a_long_line_is_cut_and_its_hash_is_of_the_whole)
{
    struct dead_letter d = example();
    size_t n = 300000;
    char *text = xmalloc(n);

    memset(text, 'x', n);
    d.line = span(text, n);
    print(&d);
    OK(YAJL_IS_STRING(get("line")));
    EQ(64 * KIB, strlen(get("line")->u.string));
    is_hash(d.line);
    free(text);
    done();
}

TEST(a_cut_within_a_letter_is_still_text)
{
    struct dead_letter d = example();
    size_t n = 128 * KIB;
    char *text = xmalloc(n + 1);

    for (size_t i = 0; i < n; i += 2)
        memcpy(text + 1 + i, "\xc3\xa9", 2);
    text[0] = 'x';
    d.line = span(text, n + 1);
    print(&d);
    if (get("line") == NULL)
        FAIL("text was kept as base64 because its cut fell into a letter");
    free(text);
    done();
}

/* ---- the file ---- */

static void append(const char *records)
{
    struct err e;

    if (dead_append(state, "search", span(records, strlen(records)), &e) != 0)
        FAIL("%s", e.text);
}

static const char *kept(void)
{
    static char text[4096];
    int fd = openat(state, "dead/search.ndjson", O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return "-";
    n = read(fd, text, sizeof(text) - 1);
    OK(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static unsigned files(char last[256])
{
    DIR *d = fdopendir(openat(state, "dead", O_RDONLY | O_DIRECTORY));
    struct dirent *entry;
    unsigned n = 0;

    OK(d != NULL);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (strcmp(entry->d_name, "search.ndjson") != 0)
            snprintf(last, 256, "%s", entry->d_name);
    }
    closedir(d);
    return n;
}

/* By the kernel's list of locks, where a "->" stands before those who wait. */
static bool waits_for_a_lock(pid_t pid)
{
    FILE *locks = fopen("/proc/locks", "r");
    bool waits = false;
    char line[256];
    int holder;

    OK(locks != NULL);
    while (!waits && fgets(line, sizeof(line), locks) != NULL)
        waits = sscanf(line, "%*s -> FLOCK %*s %*s %d", &holder) == 1 &&
                holder == pid;
    fclose(locks);
    return waits;
}

TEST(records_are_appended_to_a_file_of_mode_0600)
{
    struct stat st;

    open_state();
    umask(0);
    append("{\"a\":1}\n");
    append("{\"a\":2}\n{\"a\":3}\n");
    EQ_STR("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", kept());
    EQ(0, fstatat(state, "dead/search.ndjson", &st, 0));
    EQ(0600, st.st_mode & 07777);
    EQ(0, fstatat(state, "dead", &st, 0));
    EQ(0700, st.st_mode & 07777);
}

TEST(each_output_has_a_file_of_its_own)
{
    open_state();
    append("{}\n");
    EQ(0, dead_append(state, "archive", SPAN("{\"x\":1}\n"), NULL));
    EQ_STR("{}\n", kept());
    EQ(0, faccessat(state, "dead/archive.ndjson", F_OK, 0));
}

TEST(a_torn_last_record_is_cut)
{
    int fd;

    open_state();
    append("{\"a\":1}\n");
    fd = openat(state, "dead/search.ndjson", O_WRONLY | O_APPEND);
    EQ(6, write(fd, "{\"half", 6));
    append("{\"a\":2}\n");
    EQ_STR("{\"a\":1}\n{\"a\":2}\n", kept());
    EQ(0, ftruncate(fd, 0));
    EQ(6, write(fd, "{\"half", 6));
    append("{\"a\":3}\n");
    EQ_STR("{\"a\":3}\n", kept());
    close(fd);
}

/* Longer than any piece it may be read in, and the NULs of a lost write. */
TEST(a_long_torn_record_is_cut)
{
    char *path;

    open_state();
    append("{\"a\":1}\n");
    path = xprintf("%s/dead/search.ndjson", unit_dir());
    EQ(0, truncate(path, 1000000));
    free(path);
    append("{\"a\":2}\n");
    EQ_STR("{\"a\":1}\n{\"a\":2}\n", kept());
}

TEST(a_large_file_is_renamed_and_left)
{
    char *path, last[256] = "";
    struct stat st;

    open_state();
    append("{\"a\":1}\n");
    path = xprintf("%s/dead/search.ndjson", unit_dir());
    EQ(0, truncate(path, 64 * 1024 * 1024 - 1));
    append("{\"a\":2}\n");
    EQ_STR("{\"a\":1}\n{\"a\":2}\n", kept());
    EQ(1, files(last));
    EQ(0, truncate(path, 64 * 1024 * 1024));
    append("{\"a\":3}\n");
    EQ_STR("{\"a\":3}\n", kept());
    EQ(2, files(last));
    EQ(0, strncmp(last, "search-", 7));
    EQ_STR(".ndjson", last + strlen(last) - 7);
    free(path);
    path = xprintf("%s/dead/%s", unit_dir(), last);
    EQ(0, stat(path, &st));
    EQ(64 * 1024 * 1024, st.st_size);
    free(path);
}

/* Another process may have renamed it between our open and our lock. */
TEST(nothing_is_added_to_a_file_that_was_set_aside)
{
    char last[256] = "";
    int fd, status;
    pid_t pid;

    open_state();
    append("{\"a\":1}\n");
    fd = openat(state, "dead/search.ndjson", O_RDWR);
    EQ(0, flock(fd, LOCK_EX));
    pid = fork();
    if (pid == 0) {
        close(fd);
        append("{\"a\":2}\n"); /* waits for the lock */
        _exit(0);
    }
    while (!waits_for_a_lock(pid))
        sched_yield();
    EQ(0, renameat(state, "dead/search.ndjson", state,
                   "dead/search-2026-11-23T17:00:03.406123Z.ndjson"));
    close(fd);
    EQ(pid, waitpid(pid, &status, 0));
    EQ(0, status);
    EQ_STR("{\"a\":2}\n", kept());
    EQ(2, files(last));
}

TEST(what_is_set_aside_has_no_half_record)
{
    struct dead_files list;
    struct stat st;
    int fd;

    open_state();
    EQ(0, dead_set_aside(state, "search", NULL));
    append("{\"a\":1}\n");
    fd = openat(state, "dead/search.ndjson", O_WRONLY | O_APPEND);
    EQ(6, write(fd, "{\"half", 6));
    close(fd);
    EQ(0, dead_set_aside(state, "search", NULL));
    EQ_STR("-", kept());
    EQ(0, dead_list(unit_dir(), "search", &list, NULL));
    EQ(1, list.n);
    EQ(0, stat(list.paths[0], &st));
    EQ(8, st.st_size);
    dead_files_free(&list);
    EQ(0, dead_set_aside(state, "search", NULL));
}

static void make(const char *name)
{
    char *path = xprintf("dead/%s", name);
    int fd = openat(state, path, O_CREAT | O_WRONLY, 0600);

    OK(fd >= 0);
    close(fd);
    free(path);
}

TEST(the_files_of_an_output_are_listed_by_age)
{
    static const char *const want[] = {
        "search-2026-11-23T17:00:03.406123Z.ndjson",
        "search-2026-11-24T01:00:00.000000Z.ndjson",
        "search.ndjson",
    };
    struct dead_files list;

    open_state();
    EQ(0, dead_list(unit_dir(), "search", &list, NULL));
    EQ(0, list.n);
    EQ(0, mkdirat(state, "dead", 0700));
    make("search.ndjson");
    make(want[1]);
    make(want[0]);
    make("search-old.ndjson");
    make("search-old-2026-11-24T01:00:00.000000Z.ndjson");
    make("searching.ndjson");
    make("search-2026-11-24T01:00:00.000000Z.ndjson.bak");
    make("other.ndjson");
    EQ(0, dead_list(unit_dir(), "search", &list, NULL));
    EQ(ARRAY_LEN(want), list.n);
    for (size_t i = 0; i < list.n; i++)
        EQ_STR(want[i], strrchr(list.paths[i], '/') + 1);
    dead_files_free(&list);
}

TEST(a_write_that_fails_leaves_nothing_half)
{
    struct rlimit limit;
    struct err e;
    pid_t pid;
    int status;

    open_state();
    append("{\"a\":1}\n");
    pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        limit.rlim_cur = limit.rlim_max = 12;
        setrlimit(RLIMIT_FSIZE, &limit);
        if (dead_append(state, "search", SPAN("{\"a\":2}\n"), &e) != ERR_IO ||
            strstr(e.text, strerror(EFBIG)) == NULL ||
            strcmp(kept(), "{\"a\":1}\n") != 0)
            _exit(1);
        _exit(0);
    }
    EQ(pid, waitpid(pid, &status, 0));
    EQ(0, status);
    append("{\"a\":3}\n");
    EQ_STR("{\"a\":1}\n{\"a\":3}\n", kept());
}

TEST(a_link_is_not_followed)
{
    struct err e;

    open_state();
    append("{\"a\":1}\n");
    EQ(0, symlinkat("search.ndjson", state, "dead/other.ndjson"));
    EQ(ERR_IO, dead_append(state, "other", SPAN("{}\n"), &e));
    EQ_STR("{\"a\":1}\n", kept());
}

TEST(without_a_directory_it_is_said)
{
    struct err e;
    int fd;

    open_state();
    fd = openat(state, "dead", O_CREAT | O_WRONLY, 0600);
    close(fd);
    EQ(ERR_IO, dead_append(state, "search", SPAN("{}\n"), &e));
    HAS(e.text, "dead");
    EQ(ERR_IO, dead_append(-1, "search", SPAN("{}\n"), &e));
}
