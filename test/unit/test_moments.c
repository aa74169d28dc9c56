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

#define SEEDS          50
#define LINES          60
#define SIBLINGS       40
#define LINE_MAX_BYTES 90000

/* ---- chance ---- */

static uint64_t chance;

static unsigned draw(unsigned n)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(chance >> 33) % n;
}

/* ---- the writer ---- */

/* MOMENTS_SEED=n is that one alone, and what is done is told. */
static bool aloud;

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
    bool is_wide; /* a file is more than one read */
    unsigned lines;
    unsigned siblings;
    unsigned next; /* sibling to be renamed */
    bool is_gz[SIBLINGS + 2];
    unsigned first[SIBLINGS + 2]; /* line of a sibling; of the log: [0] */
    bool deletes;                 /* the oldest siblings, read or not */
    bool is_doomed[LINES + 2];    /* a line that was in one of them */
    size_t done;                  /* bytes of what grows */
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
    static char text[LINE_MAX_BYTES];
    int n = snprintf(text, sizeof(text), "%u-", ++w.lines);
    unsigned more = draw(12) == 0 ? draw(1900) : draw(30);

    if (w.is_wide && draw(4) == 0)
        more = draw(sizeof(text) - 16);

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
    w.first[w.next + 1] = w.first[w.next];
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
    w.first[1] = w.first[0];
    w.first[0] = w.lines + 1;
    w.phase = WRITING;
}

/* Retention: all but the newest few. */
static void delete_old(void)
{
    unsigned keep = 1 + draw(4);

    for (; w.siblings > keep; w.siblings--) {
        if (aloud)
            log_debug("writer", "deletes %s: %u to %u", sibling(w.siblings),
                      w.first[w.siblings], w.first[w.siblings - 1] - 1);
        logs_delete(sibling(w.siblings));
        for (unsigned i = w.first[w.siblings]; i < w.first[w.siblings - 1]; i++)
            w.is_doomed[i] = true;
    }
}

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
        else if (w.deletes && draw(8) == 0)
            delete_old();
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

static void act(unsigned n)
{
    static bool is_acting;

    if (is_acting)
        return;
    is_acting = true;
    for (; n > 0 && w.lines < LINES; n--)
        step();
    is_acting = false;
}

static void moment(void)
{
    if (one_in > 0 && draw(one_in) == 0)
        act(1 + draw(5));
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

/* No power fails here. */
int fsync(int fd)
{
    (void)fd;
    return 0;
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
    w.first[0] = 1;
    w.zips = draw(2) == 0;
    w.is_wide = draw(4) == 0;
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

/* Of lines that were deleted nothing has to be there, and a gap may tell so; half
 * of one may be there. */
static bool is_excused(const char *line)
{
    const char *number = strncmp(line, "torn:", 5) == 0 ? line + 5 : line;
    unsigned n = (unsigned)strtoul(number, NULL, 10);

    return strncmp(line, "gap:", 4) == 0 ||
           (n > 0 && n <= LINES + 1 && w.is_doomed[n]);
}

/* What is left of it then; whole lines of deleted files may be there once. */
static void leave_excused_out(struct buf *text)
{
    char *copy = xstrndup(text->at != NULL ? text->at : "", text->len);
    char *rest = copy, *line;
    bool was_there[LINES + 2] = { 0 };

    text->len = 0;
    while ((line = strsep(&rest, "|")) != NULL) {
        unsigned n = (unsigned)strtoul(line, NULL, 10);

        if (*line == '\0' || (is_excused(line) && (n == 0 || !was_there[n])))
            was_there[n] = n > 0;
        else
            buf_printf(text, "%s|", line);
    }
    free(copy);
}

static void read_some(struct cursor *c, struct buf *to, unsigned n)
{
    size_t before;

    while (n-- > 0 && (before = to->len, logs_next(c, to))) {
        if (aloud)
            log_debug(c->who, "has %.*s", (int)(to->len - before),
                      to->at + before);
    }
}

/* The seeds of this run: from there, so many. */
static uint64_t seeds(uint64_t *first, uint64_t usual)
{
    const char *only = getenv("MOMENTS_SEED"), *more = getenv("MOMENTS_SEEDS");

    logs_prepare();
    *first = only != NULL ? strtoull(only, NULL, 10) : 1;
    aloud = only != NULL && more == NULL;
    log_set_level(aloud ? LOG_DEBUG : LOG_ERROR);
    if (more != NULL)
        return strtoull(more, NULL, 10);
    return aloud ? 1 : usual;
}

TEST(two_readers_at_their_own_pace_have_each_line_once)
{
    static struct buf got, other;
    struct cursor second;
    uint64_t first, n = seeds(&first, SEEDS);

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

/* ---- readers that are killed ---- */

/* What a lane is to a trail: what comes before its place is settled. */
struct lane {
    struct cursor c;
    struct checkpoint place;
    bool has_place;
    struct file *saved; /* the place's */
    bool holds;         /* all, for that one is empty */
    struct buf got;
    size_t got_before; /* of it, at the place */
};

static struct buf roll; /* as it was when a place was noted last */

static void put_roll_back(void)
{
    static const char path[] = "../state/audit.roll";

    if (access(logs_path(path), F_OK) == 0)
        logs_delete(path);
    logs_add_span(path, span(roll.at, roll.len));
}

static void hold_all(struct lane *l)
{
    bool on = l->has_place && l->place.id.head_len == 0;

    if (on && !l->holds)
        trail_hold(logs_trail);
    if (!on && l->holds)
        trail_release(logs_trail);
    l->holds = on;
}

static void note_place(struct lane *l)
{
    struct checkpoint place = { 0 };
    struct file *f, *old = l->saved;
    uint64_t offset = cursor_place(&l->c, &f);

    if (f == NULL)
        return;
    checkpoint_take(&place, f, offset);
    if (place.id.head_len == 0 && l->has_place) {
        checkpoint_free(&place);
        return;
    }
    checkpoint_free(&l->place);
    l->place = place;
    l->has_place = true;
    l->got_before = l->got.len;
    l->saved = file_ref(f);
    file_unref(old);
    hold_all(l);
    logs_print_roll(&roll);
    if (aloud)
        log_debug(l->c.who, "notes offset %" PRIu64 " of %s", offset,
                  file_path(f));
}

static void find_place(struct lane *l)
{
    const struct checkpoint *p = &l->place;
    struct file *f;

    hold_all(l);
    if (!l->has_place) {
        cursor_seek(&l->c, trail_oldest(logs_trail), 0, NULL);
        return;
    }
    if (p->id.head_len == 0 && p->offset == 0) {
        cursor_seek(&l->c, trail_find_unread(logs_trail, &p->id), 0, NULL);
    } else {
        f = trail_find(logs_trail, &p->id);
        if (f == NULL)
            f = trail_add_lost(logs_trail, &p->id,
                               span(p->path.at, p->path.len));
        cursor_seek(&l->c, f, p->offset, &p->guard);
    }
    l->saved = file_ref(l->c.file);
}

static void start_lanes(struct lane *lanes, size_t n)
{
    logs_open();
    for (size_t i = 0; i < n; i++)
        cursor_open(&lanes[i].c, logs_trail, i == 0 ? "lane one" : "lane two");
    for (size_t i = 0; i < n; i++)
        find_place(&lanes[i]);
}

/* Cleanly, or as if it were by SIGKILL: what was read since the last place is
 * read again. */
static void stop_lanes(struct lane *lanes, size_t n, bool cleanly)
{
    unsigned before = one_in;
    bool is_old;

    one_in = cleanly ? one_in : 0;
    if (aloud)
        log_debug("readers", "%s", cleanly ? "stop" : "are killed");
    for (size_t i = 0; i < n && cleanly; i++)
        note_place(&lanes[i]);
    is_old = !cleanly && roll.len > 0 && draw(2) == 0;
    for (size_t i = 0; i < n; i++) {
        cursor_close(&lanes[i].c);
        file_unref(lanes[i].saved);
        lanes[i].saved = NULL;
        lanes[i].holds = false;
        lanes[i].got.len = lanes[i].got_before;
    }
    logs_close();
    if (is_old)
        put_roll_back();
    one_in = before;
}

static void restart_lanes(struct lane *lanes, size_t n)
{
    stop_lanes(lanes, n, draw(2) == 0);
    act(draw(2) * draw(30));
    start_lanes(lanes, n);
}

TEST(two_readers_that_are_killed_and_started_again_have_each_line_once)
{
    static struct lane lanes[2];
    uint64_t first, n = seeds(&first, SEEDS / 2); /* a stop takes its time */

    for (uint64_t seed = first; seed < first + n; seed++) {
        prepare(seed);
        roll.len = 0;
        w.deletes = draw(3) == 0;
        start_lanes(lanes, 2);
        while (w.lines < LINES) {
            moment();
            read_some(&lanes[0].c, &lanes[0].got, draw(6));
            read_some(&lanes[1].c, &lanes[1].got, draw(3) * draw(6));
            if (draw(5) == 0)
                note_place(&lanes[draw(2)]);
            if (draw(25) == 0)
                act(draw(40)); /* they stand still meanwhile */
            if (draw(20) == 0)
                restart_lanes(lanes, 2);
        }
        calm_down();
        if (w.deletes)
            leave_excused_out(&w.want);
        for (size_t i = 0; i < 2; i++) {
            read_some(&lanes[i].c, &lanes[i].got, UINT_MAX);
            if (w.deletes)
                leave_excused_out(&lanes[i].got);
            check(seed, i == 0 ? "the first" : "the second", &lanes[i].got);
            lanes[i].has_place = false;
            lanes[i].got.len = lanes[i].got_before = 0;
        }
        stop_lanes(lanes, 2, false);
        lanes[0].has_place = lanes[1].has_place = false;
    }
}
