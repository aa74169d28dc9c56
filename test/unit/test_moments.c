/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log is written, copied, cut, renamed and compressed between any two system
 * calls of those who read it: each line comes once. Fifty ways in which this may
 * happen, the same ones in every run; MOMENTS_SEEDS=n is as many as one likes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "test/unit/logs.h"

#define SEEDS    50
#define LINES    60
#define SIBLINGS 40

/* ---- chance ---- */

static uint64_t chance;

static unsigned draw(unsigned n)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(chance >> 33) % n;
}

/* ---- the writer ---- */

enum phase {
    WRITING,
    HALF,     /* a line was begun */
    ZIPPING,  /* audit.log.1.gz grows beside audit.log.1 */
    ZIPPED,   /* it is whole, and the plain one still there */
    RENAMING, /* audit.log.n is audit.log.n+1 next */
    COPYING,  /* audit.log.1 grows; the writer waits */
    NPHASES
};

static struct {
    enum phase phase;
    bool zips;
    unsigned lines;
    unsigned siblings;
    unsigned next; /* sibling to be renamed */
    bool is_gz[SIBLINGS + 2];
    size_t done; /* bytes of what grows */
    struct buf zip;
    struct buf half;
    struct buf want; /* what readers are to make of it */
} w;

static const char *sibling(unsigned n)
{
    static char text[2][32];
    static unsigned turn;

    snprintf(text[++turn % 2], 32, "audit.log.%u%s", n,
             w.is_gz[n] ? ".gz" : "");
    return text[turn % 2];
}

static void want(const char *what, struct span text)
{
    buf_printf(&w.want, "%s%.*s|", what, (int)text.len, text.at);
}

static struct span make_line(void)
{
    static char text[2048];
    int n = snprintf(text, sizeof(text), "%u-", ++w.lines);
    unsigned more = draw(12) == 0 ? draw(1900) : draw(30);

    for (unsigned i = 0; i < more; i++)
        text[n + (int)i] = (char)('a' + draw(26));
    return span(text, (size_t)n + more);
}

static void add_line(void)
{
    struct span line = make_line();

    logs_add_span("audit.log", line);
    logs_add("audit.log", "\n");
    want("", line);
}

static void begin_line(void)
{
    struct span line = make_line();

    w.half.len = 0;
    buf_add_span(&w.half, line);
    logs_add_span("audit.log", line);
    w.phase = HALF;
}

static void end_line(void)
{
    logs_add("audit.log", "\n");
    want("", span(w.half.at, w.half.len));
    w.phase = WRITING;
}

static void rename_or_copy(void)
{
    w.next = w.siblings;
    w.phase = RENAMING;
}

static void begin_rotation(void)
{
    if (w.phase == HALF)
        want("torn:", span(w.half.at, w.half.len));
    w.done = 0;
    if (w.zips && w.siblings > 0 && !w.is_gz[1]) {
        logs_zip("audit.log.1", "zip");
        w.zip.len = 0;
        logs_load("zip", &w.zip);
        logs_delete("zip");
        logs_add("audit.log.1.gz", "");
        w.phase = ZIPPING;
        return;
    }
    rename_or_copy();
}

static bool add_piece(const char *to, struct span whole)
{
    size_t n = 1 + draw((unsigned)whole.len);

    n = n < whole.len - w.done ? n : whole.len - w.done;
    logs_add_span(to, span(whole.at + w.done, n));
    w.done += n;
    return w.done == whole.len;
}

static void rename_one(void)
{
    char from[32];

    if (w.next == 0) {
        logs_add("audit.log.1", "");
        w.is_gz[1] = false;
        w.done = 0;
        w.siblings++;
        w.phase = COPYING;
        return;
    }
    snprintf(from, sizeof(from), "%s", sibling(w.next));
    w.is_gz[w.next + 1] = w.is_gz[w.next];
    logs_move(from, sibling(w.next + 1));
    w.next--;
}

static void copy_piece(void)
{
    static struct buf log;

    log.len = 0;
    logs_load("audit.log", &log);
    if (log.len > 0 && !add_piece("audit.log.1", span(log.at, log.len)))
        return;
    logs_cut("audit.log", 0);
    w.phase = WRITING;
}

/* MOMENTS_SEED=n is that one alone, and what is done is told. */
static bool aloud;

static void step(void)
{
    static const char *const names[] = { "writes",  "is in half a line",
                                         "zips",    "has zipped",
                                         "renames", "copies" };

    if (aloud)
        log_debug("writer", "line %u, %u siblings: %s", w.lines, w.siblings,
                  names[w.phase]);
    switch (w.phase) {
    case WRITING:
        if (draw(4) == 0 && w.siblings < SIBLINGS)
            begin_rotation();
        else if (draw(5) == 0)
            begin_line();
        else
            add_line();
        break;
    case HALF:
        if (draw(2) == 0 && w.siblings < SIBLINGS)
            begin_rotation();
        else
            end_line();
        break;
    case ZIPPING:
        if (add_piece("audit.log.1.gz", span(w.zip.at, w.zip.len)))
            w.phase = ZIPPED;
        break;
    case ZIPPED:
        logs_delete("audit.log.1");
        w.is_gz[1] = true;
        rename_or_copy();
        break;
    case RENAMING:
        rename_one();
        break;
    case COPYING:
        copy_piece();
        break;
    case NPHASES:
        break;
    }
}

/* ---- between two system calls ---- */

static unsigned one_in; /* 0: the writer stands still */

static void moment(void)
{
    static bool is_acting;
    unsigned n;

    if (one_in == 0 || is_acting || draw(one_in) > 0)
        return;
    is_acting = true;
    for (n = 1 + draw(5); n > 0 && w.lines < LINES; n--)
        step();
    is_acting = false;
}

ssize_t pread(int fd, void *bytes, size_t n, off_t offset)
{
    moment();
    return syscall(SYS_pread64, fd, bytes, n, offset);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
    moment();
    return syscall(SYS_preadv, fd, iov, n, offset, 0);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    moment();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

DIR *opendir(const char *path)
{
    return fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    moment();
    return (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

/* ---- the readers ---- */

static void prepare(uint64_t seed)
{
    struct buf zip = w.zip, half = w.half, text = w.want;

    logs_prepare_again();
    chance = seed;
    draw(2);
    w = (typeof(w)){ .zip = zip, .half = half, .want = text };
    w.want.len = 0;
    w.zips = draw(2) == 0;
    logs_add("audit.log", "");
    logs_conf.quiet = 0; /* what is no copy cannot grow either */
    one_in = 30 + draw(200);
}

/* All is done that was begun, and a last line says so. */
static void calm_down(void)
{
    one_in = 0;
    while (w.phase != WRITING)
        step();
    add_line();
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines, put in order, as one text: where more is done within one look than
 * a rotation, files that nobody saw may come behind one that was seen. */
static char *sorted(const struct buf *text)
{
    char *copy = xstrndup(text->at, text->len), *rest = copy, *line;
    const char *at[2 * LINES];
    struct buf out = { 0 };
    size_t n = 0;

    while ((line = strsep(&rest, "|")) != NULL && n < ARRAY_LEN(at))
        at[n++] = line;
    qsort(at, n, sizeof(*at), by_text);
    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s|", at[i]);
    free(copy);
    return out.at;
}

static void check(uint64_t seed, const char *who, const struct buf *got)
{
    char *a = sorted(got), *b = sorted(&w.want);
    bool same = strcmp(a, b) == 0;

    free(a);
    free(b);
    if (same)
        return;
    FAIL("seed %" PRIu64 ": %s has\n%.*s\nand not\n%.*s\n%s", seed, who,
         (int)got->len, got->at, (int)w.want.len, w.want.at, logs_chain());
}

static void read_some(struct cursor *c, struct buf *to, unsigned n)
{
    while (n-- > 0 && logs_next(c, to))
        ;
}

/* The seeds of this run: from there, so many. */
static uint64_t seeds(uint64_t *first)
{
    const char *only = getenv("MOMENTS_SEED"), *more = getenv("MOMENTS_SEEDS");

    logs_prepare();
    *first = only != NULL ? strtoull(only, NULL, 10) : 1;
    aloud = only != NULL && more == NULL;
    log_set_level(aloud ? LOG_DEBUG : LOG_ERROR);
    if (more != NULL)
        return strtoull(more, NULL, 10);
    return aloud ? 1 : SEEDS;
}

TEST(two_readers_at_their_own_pace_have_each_line_once)
{
    static struct buf got, other;
    struct cursor second;
    uint64_t first, n = seeds(&first);

    for (uint64_t seed = first; seed < first + n; seed++) {
        prepare(seed);
        logs_start();
        cursor_open(&second, logs_trail, "lane other");
        cursor_seek(&second, trail_oldest(logs_trail), 0, NULL);
        got.len = other.len = 0;
        while (w.lines < LINES) {
            moment();
            read_some(&logs_cursor, &got, draw(6));
            read_some(&second, &other, draw(6));
        }
        calm_down();
        read_some(&logs_cursor, &got, UINT_MAX);
        read_some(&second, &other, UINT_MAX);
        check(seed, "the first", &got);
        check(seed, "the second", &other);
        cursor_close(&second);
        logs_stop();
    }
}
