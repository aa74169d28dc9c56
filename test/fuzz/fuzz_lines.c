/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_lines - a writer that writes, rotates and stops at any place, and a
 * cursor that looks at any time: every line comes out once, whole and in order.
 *
 *   input:  (op, bytes)...    op % 8: 0-3 writes that many bytes of the input,
 *           4 a newline, 5 rotates, 6 reads, 7 a run of NULs or a long line
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/lane/cursor.h"
#include "agent/trail/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LINE 300

static uv_loop_t loop;
static struct watcher *watcher;
static char dir[64], path[96];
static struct trail_conf conf = { .max_line = MAX_LINE,
                                  .poll = 1000,
                                  .quiet = 3600000,
                                  .pin_max_bytes = 1024 * MIB };
static struct cursor cursor;
static struct trail *trail;
static int fd;
static unsigned rotations;

/* What has to come out: each line as len, hash, kind; as text. */
static struct buf want, have;
static struct buf partial; /* what the live file ends with */
static uint64_t want_holes;
static const unsigned char no_hash[SHA256_SIZE];

static void note(struct buf *to, enum cursor_what what, uint64_t len,
                 const unsigned char hash[SHA256_SIZE])
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex(hash, hex);
    buf_printf(to, "%d %llu %s\n", (int)what, (unsigned long long)len, hex);
}

/* What was written up to here is a line, or the torn end of a file. */
static void line_ends(bool is_torn)
{
    unsigned char hash[SHA256_SIZE];
    struct span s = { partial.at, partial.len };
    uint64_t hole = 0;

    while (s.len > 0 && *s.at == '\0') {
        s = span(s.at + 1, s.len - 1);
        hole++;
    }
    want_holes += hole;
    if (hole > 0)
        note(&want, CURSOR_GAP, hole, no_hash);
    if (!is_torn || s.len > 0) {
        sha256_of(s, hash);
        note(&want,
             s.len > MAX_LINE ? CURSOR_LONG
             : is_torn        ? CURSOR_TORN
                              : CURSOR_LINE,
             s.len, hash);
    }
    partial.len = 0;
}

static void write_bytes(const void *bytes, size_t n)
{
    const char *at = bytes, *end = at + n, *newline;
    ssize_t w = write(fd, bytes, n);

    assert(w == (ssize_t)n);
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        buf_add(&partial, at, (size_t)(newline - at));
        line_ends(false);
        at = newline + 1;
    }
    buf_add(&partial, at, (size_t)(end - at));
}

/* Each begins with a line of its own: two files of one text are one file. */
static void open_live(void)
{
    char first[16];
    int n = snprintf(first, sizeof(first), "%u\n", rotations);

    fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    assert(fd >= 0);
    write_bytes(first, (size_t)n);
}

static void rotate(void)
{
    char to[128];
    int rc;

    snprintf(to, sizeof(to), "%s/audit-2026-11-23T00-00-%02u.%03u.log", dir,
             rotations / 1000 % 60, rotations % 1000);
    rotations++;
    close(fd);
    rc = rename(path, to);
    assert(rc == 0);
    line_ends(true);
    open_live();
}

static void read_all(void)
{
    trail_forget_hints(trail); /* as the loop would */
    cursor_wake(&cursor);
    for (;;) {
        unsigned char hash[SHA256_SIZE];
        struct line line;
        enum cursor_what what = cursor_next(&cursor, &line);

        if (what == CURSOR_END)
            break;
        if (what == CURSOR_MORE)
            continue;
        if (what == CURSOR_GAP) {
            assert(cursor.gap.loss == LOSS_NONE && cursor.gap.has_bytes &&
                   cursor.gap.bytes == line.len);
            memcpy(hash, no_hash, sizeof(hash));
        } else if (what == CURSOR_LONG) {
            assert(line.len > MAX_LINE && line.bytes.len <= line.len);
            memcpy(hash, line.hash, sizeof(hash));
        } else {
            assert(line.len == line.bytes.len && line.len <= MAX_LINE);
            sha256_of(line.bytes, hash);
        }
        note(&have, what, line.len, hash);
    }
}

static void start(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof(dir), "%s/tallyman-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (mkdtemp(dir) == NULL)
            abort();
        snprintf(path, sizeof(path), "%s/audit.log", dir);
        conf.path = path;
        log_set_level(LOG_ERROR);
        uv_loop_init(&loop);
    }
    want.len = have.len = partial.len = 0;
    want_holes = 0;
    rotations = 0;
    open_live();
    watcher = watcher_open(&loop);
    trail = trail_open(watcher, &loop, -1, "fuzz", &conf);
    cursor_open(&cursor, trail, "lane fuzz");
}

static void empty_dir(void)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    closedir(d);
}

__attribute__((destructor)) static void remove_dir(void)
{
    if (dir[0] != '\0')
        rmdir(dir);
}

static void stop(void)
{
    cursor_close(&cursor);
    trail_close(trail);
    watcher_close(watcher);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(fd);
    empty_dir();
}

static void play(const uint8_t *data, size_t size)
{
    static const char nuls[4096];
    static char xs[31 * 31 * 150];

    if (xs[0] != 'x')
        memset(xs, 'x', sizeof(xs));
    for (size_t i = 0; i < size;) {
        uint8_t op = data[i++];
        size_t n = op / 8;

        switch (op % 8) {
        case 4:
            write_bytes("\n", 1);
            break;
        case 5:
            if (rotations < 40)
                rotate();
            break;
        case 6:
            read_all();
            break;
        case 7:
            if (n % 2 == 0)
                write_bytes(nuls, n * 100);
            else
                write_bytes(xs, n * n * 150);
            break;
        default:
            n = n < size - i ? n : size - i;
            write_bytes(data + i, n);
            i += n;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    start();
    play(data, size);
    rotate(); /* so that everything is final */
    read_all();
    assert(want.len == have.len);
    assert(want.len == 0 || memcmp(want.at, have.at, want.len) == 0);
    assert(cursor.hole_bytes == want_holes);
    stop();
    return 0;
}
