/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file - events appended to a file, one a line, on disk before they count.
 *
 * After a crash it goes on exactly: the mark in the checkpoint says how long
 * the file was when everything before it was settled, and what lies beyond is
 * cut off, for it will be written again. A file is only left for a new one when
 * a checkpoint holds all of it, so what a crash leaves behind is never in more
 * than one file.
 *
 *   mark:  <inode> <length> <guard length> <sha256> <1: to be rotated>
 *
 * Writing and fsync run on a thread of the pool; the loop never waits.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/sha256.h"
#include "outputs/line.h"
#include "outputs/output.h"

#define GUARD_MAX 256

struct file_conf {
    char *path;
    uint64_t max_size;
};

struct output {
    const struct file_conf *conf;
    const char *who;
    int fd;               /* -1: it could not be opened yet */
    struct buf resume_at; /* the mark of the last run, until it is open */
    uint64_t length;      /* of what is settled, and on disk */
    bool rotate;          /* before the next write */
    bool opened;          /* by the last work, which did nothing else */
    uv_work_t work;
    uv_idle_t idle;    /* only to close on the loop */
    struct send *send; /* under way, or NULL */
    struct err err;
    int rc;
    void (*closed)(void *arg);
    void *arg;
};

static const char *check_path(const char *path)
{
    for (const char *c = path; (c = strchr(c, '{')) != NULL; c++) {
        if (strncmp(c, "{trail}", 7) != 0)
            return "has a placeholder that is not {trail}";
    }
    return path[strlen(path) - 1] == '/' ? "is a directory" : NULL;
}

static const struct opt file_opts[] = {
    OPT_PATH(struct file_conf, path, .required = true, .check = check_path,
             .help = "File to append to. Made with mode 0600. It takes one "
                     "trail; for several put {trail} into the path, which "
                     "becomes the name of the trail."),
    OPT_BYTES(struct file_conf, max_size, .def = "0",
              .help = "Rename the file to NAME-<UTC time>EXT once it is this "
                      "large; 0: never."),
    OPT_END
};

/* ---- the file ---- */

static int open_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    struct stat st;

    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open %s: %m", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        err_set(e, ERR_IO, "%s is not a regular file", path);
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        err_set(e, ERR_IO, "%s is written by somebody else: %m", path);
    else
        return fd;
    close(fd);
    return ERR_IO;
}

static int size_of(int fd, const char *path, uint64_t *size, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_set(e, ERR_IO, "cannot stat %s: %m", path);
    *size = (uint64_t)st.st_size;
    return 0;
}

static int cut(int fd, const char *path, uint64_t length, struct err *e)
{
    if (ftruncate(fd, (off_t)length) != 0)
        return err_set(e, ERR_IO, "cannot cut %s to %" PRIu64 " bytes: %m",
                       path, length);
    return 0;
}

static bool is_at_path(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

static int sync_dir(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir =
        slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fsync(fd) != 0)
        rc = err_set(e, ERR_IO, "cannot fsync the directory %s: %m", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

/* NAME-2006-01-02T15-04-05.000EXT, as lumberjack names its backups. */
static char *rotated_name(const char *path, int64_t now_us)
{
    const char *base = strrchr(path, '/') + 1, *dot = strrchr(base, '.');
    char time[CLOCK_TEXT_SIZE];

    if (dot == NULL)
        dot = base + strlen(base);
    clock_format(time, now_us, 3);
    time[strlen(time) - 1] = '\0'; /* no Z */
    time[13] = time[16] = '-';
    return xprintf("%.*s-%s%s", (int)(dot - path), path, time, dot);
}

static int rename_away(const char *path, struct err *e)
{
    for (int64_t now = clock_wall_us();; now += 1000) {
        char *to = rotated_name(path, now);
        int failed =
            renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) != 0
                ? errno
                : 0;

        free(to);
        if (failed == 0)
            return 0;
        if (failed != EEXIST) /* else the next ms: never over an older one */
            return err_set(e, ERR_IO, "cannot rotate %s: %s", path,
                           strerror(failed));
    }
}

/* Opens what is at the path now, which may be nothing, and takes it over. */
static int take_over(struct output *o, struct err *e)
{
    int fd = open_file(o->conf->path, e), rc;
    uint64_t length;

    if (fd < 0)
        return fd;
    rc = size_of(fd, o->conf->path, &length, e);
    if (rc == 0)
        rc = sync_dir(o->conf->path, e);
    if (rc != 0) { /* the old one stays ours: all is tried again */
        close(fd);
        return rc;
    }
    close(o->fd);
    o->fd = fd;
    o->length = length;
    o->rotate = false;
    return 0;
}

/* Behind the settled length: what a failed write left is written over. */
static int write_at_end(struct output *o, struct span bytes, struct err *e)
{
    int rc = cut(o->fd, o->conf->path, o->length, e);

    if (rc != 0)
        return rc;
    if (lseek(o->fd, (off_t)o->length, SEEK_SET) < 0 ||
        file_write_all(o->fd, bytes.at, bytes.len) != 0 ||
        fdatasync(o->fd) != 0) {
        rc = err_set(e, ERR_IO, "cannot write %s: %m", o->conf->path);
        /* A torn line would stay until the next try: better none. */
        if (cut(o->fd, o->conf->path, o->length, NULL) != 0)
            err_prefix(e, "and cannot take it back");
        return rc;
    }
    o->length += bytes.len;
    return 0;
}

/* ---- sending ---- */

static int open_at_mark(struct output *o, struct err *e);

/* Runs on a thread of the pool, while nobody else touches the output. */
static void write_send(uv_work_t *work)
{
    struct output *o = work->data;
    const struct send *s = o->send;

    o->rc = 0;
    o->opened = false;
    if (o->fd < 0) {
        o->rc = open_at_mark(o, &o->err);
        o->opened = o->rc == 0;
        return;
    }
    if (!is_at_path(o->fd, o->conf->path)) {
        /* Somebody else has renamed or deleted it. */
        o->rc = take_over(o, &o->err);
        o->opened = o->rc == 0;
        return;
    }
    if (o->rotate) {
        o->rc = rename_away(o->conf->path, &o->err);
        if (o->rc == 0)
            o->rc = take_over(o, &o->err);
    }
    if (o->rc != 0)
        return;
    o->rc =
        write_at_end(o, batch_bytes_of(s->batch, s->first, s->count), &o->err);
}

static void on_written(uv_work_t *work, int status)
{
    struct output *o = work->data;
    struct send *s = o->send;
    struct answer a = { .kind = ANSWER_BLOCKED, .why = o->err.text };

    o->send = NULL;
    if (o->closed != NULL)
        return;
    if (status == 0 && o->opened) {
        /* Its length goes into a checkpoint before the first write. */
        a = (struct answer){ .kind = ANSWER_BLOCKED,
                             .checkpoint_first = true,
                             .why = "the file was opened anew" };
    } else if (status == 0 && o->rc == 0) {
        line_verdicts(s->batch, s->first, s->count, VERDICT_DELIVERED);
        o->rotate = o->conf->max_size > 0 && o->length >= o->conf->max_size;
        a = (struct answer){ .kind = ANSWER_ITEMS,
                             .checkpoint_first = o->rotate };
    }
    s->answered(s, &a);
}

static void file_send(struct output *o, struct send *s)
{
    o->send = s;
    if (uv_queue_work(o->idle.loop, &o->work, write_send, on_written) != 0)
        abort(); /* only for wrong arguments */
}

/* ---- the mark ---- */

struct mark {
    uint64_t ino;
    uint64_t length;
    uint64_t guard_len;
    char guard[SHA256_HEX_SIZE];
    int rotate;
};

/* The hash of what lies before `length`; false where it cannot be read. */
static bool guard_at(int fd, uint64_t length, uint64_t n,
                     char hex[static SHA256_HEX_SIZE])
{
    unsigned char hash[SHA256_SIZE];
    char bytes[GUARD_MAX];

    if (n > sizeof(bytes) || n > length ||
        file_pread(fd, bytes, (size_t)n, length - n) != (ssize_t)n)
        return false;
    sha256_of(span(bytes, (size_t)n), hash);
    sha256_hex(hash, hex);
    return true;
}

static void file_mark(struct output *o, struct buf *line)
{
    uint64_t n = o->length < GUARD_MAX ? o->length : GUARD_MAX;
    char hex[SHA256_HEX_SIZE];
    struct stat st;

    /* Without a mark nothing can be cut off after a crash; it is no reason to
     * stop, and it is made anew at the next settling. */
    if (o->fd < 0) /* where the last run left it */
        buf_add(line, o->resume_at.at, o->resume_at.len);
    if (o->fd < 0 || fstat(o->fd, &st) != 0 ||
        !guard_at(o->fd, o->length, n, hex))
        return;
    buf_printf(line, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %s %d",
               (uint64_t)st.st_ino, o->length, n, hex, o->rotate);
}

static bool parse_mark(struct span text, struct mark *m)
{
    char line[256];
    int n = 0;

    snprintf(line, sizeof(line), "%.*s", (int)text.len, text.at);
    return sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %64s %d%n",
                  &m->ino, &m->length, &m->guard_len, m->guard, &m->rotate,
                  &n) == 5 &&
           line[n] == '\0';
}

static bool is_marked(int fd, const struct mark *m)
{
    char hex[SHA256_HEX_SIZE];
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_ino == m->ino &&
           (uint64_t)st.st_size >= m->length &&
           guard_at(fd, m->length, m->guard_len, hex) &&
           strcmp(hex, m->guard) == 0;
}

/* The marked file under another name in the same directory: its descriptor, or
 * -1. */
static int find_marked(const char *path, const struct mark *m)
{
    const char *base = strrchr(path, '/') + 1;
    char *dir_path = xstrndup(path, (size_t)(base - path));
    DIR *dir = opendir(dir_path);
    struct dirent *entry;
    int fd = -1;

    free(dir_path);
    while (dir != NULL && fd < 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_ino != m->ino)
            continue;
        fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0 && !is_marked(fd, m)) {
            close(fd);
            fd = -1;
        }
    }
    if (dir != NULL)
        closedir(dir);
    return fd;
}

/* The crash came after the file was renamed, before a checkpoint of the new
 * one: all of the new one will be written again. */
static int resume_rotated(struct output *o, const struct mark *m, struct err *e)
{
    int old = find_marked(o->conf->path, m), rc;

    if (old < 0) {
        log_warn(o->who,
                 "%s is not the file that was written to; appending, some "
                 "events may be there twice",
                 o->conf->path);
        return 0;
    }
    rc = cut(old, o->conf->path, m->length, e);
    close(old);
    if (rc == 0 && m->rotate) {
        o->length = 0;
        rc = cut(o->fd, o->conf->path, 0, e);
    }
    return rc;
}

/* What others left, or an agent that was killed and had no checkpoint, may end
 * in the middle of a line: nothing is to be made one with that. */
static int end_line(struct output *o, struct err *e)
{
    char last = '\n';

    if (o->length > 0 && file_pread(o->fd, &last, 1, o->length - 1) != 1)
        return err_set(e, ERR_IO, "cannot read %s: %m", o->conf->path);
    if (last == '\n')
        return 0;
    log_warn(o->who, "%s ended in the middle of a line: a newline is put there",
             o->conf->path);
    return write_at_end(o, SPAN("\n"), e);
}

/* Goes on where the mark says, on an open file. */
static int go_to_mark(struct output *o, struct err *e)
{
    struct span text = { o->resume_at.at, o->resume_at.len };
    struct mark m;
    int rc = size_of(o->fd, o->conf->path, &o->length, e);

    if (rc != 0)
        return rc;
    if (text.len == 0) /* the first start: append */
        return end_line(o, e);
    if (!parse_mark(text, &m))
        return err_set(e, ERR_DAMAGED, "the checkpoint's mark is damaged");
    if (!is_marked(o->fd, &m))
        return resume_rotated(o, &m, e);
    if (o->length > m.length)
        log_info(o->who,
                 "cutting %" PRIu64 " bytes from %s that were not "
                 "settled; they come again",
                 o->length - m.length, o->conf->path);
    o->length = m.length;
    o->rotate = m.rotate != 0;
    return cut(o->fd, o->conf->path, m.length, e);
}

static int open_at_mark(struct output *o, struct err *e)
{
    int rc;

    o->fd = open_file(o->conf->path, e);
    if (o->fd < 0)
        return o->fd;
    rc = sync_dir(o->conf->path, e);
    if (rc == 0)
        rc = go_to_mark(o, e);
    if (rc == 0) {
        buf_free(&o->resume_at);
    } else {
        close(o->fd);
        o->fd = -1;
    }
    return rc;
}

/* A file that cannot be opened yet, or a disk that is full, is waited for: the
 * first sending tries again and says so. */
static int file_resume(struct output *o, struct span mark, struct err *e)
{
    struct err why = { 0 };
    int rc;

    buf_add_span(&o->resume_at, mark);
    rc = open_at_mark(o, &why);
    if (rc == ERR_DAMAGED)
        return err_set(e, rc, "%s", why.text);
    if (rc != 0)
        log_warn(o->who, "%s; trying again when there is something to write",
                 why.text);
    return 0;
}

/* ---- life ---- */

static struct output *file_open(const struct output_env *env, const void *conf,
                                struct err *e)
{
    struct output *o = xcalloc(1, sizeof(*o));

    (void)e;
    o->conf = conf;
    o->who = env->who;
    o->fd = -1;
    uv_idle_init(env->loop, &o->idle);
    o->idle.data = o->work.data = o;
    return o;
}

static void on_closed(uv_handle_t *handle)
{
    struct output *o = handle->data;
    void (*closed)(void *) = o->closed;
    void *arg = o->arg;

    if (o->fd >= 0)
        close(o->fd);
    buf_free(&o->resume_at);
    free(o);
    closed(arg);
}

/* A write under way is waited for: its thread has our bytes. */
static void close_when_quiet(uv_idle_t *idle)
{
    struct output *o = idle->data;

    if (o->send == NULL)
        uv_close((uv_handle_t *)&o->idle, on_closed);
}

static void file_close(struct output *o, void (*closed)(void *arg), void *arg)
{
    o->closed = closed;
    o->arg = arg;
    uv_idle_start(&o->idle, close_when_quiet);
}

extern const struct output_ops output_file;

const struct output_ops output_file = {
    .name = "file",
    .help = "Append each event to a local file, one a line.",
    .opts = file_opts,
    .conf_size = sizeof(struct file_conf),
    .max_in_flight = 1,
    .shape = SHAPE_BYTES,
    .open = file_open,
    .resume = file_resume,
    .encode = line_encode,
    .send = file_send,
    .mark = file_mark,
    .close = file_close,
};
