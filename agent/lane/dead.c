/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/dead.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/sha256.h"

#define ROTATE_BYTES (64 * MIB)
/* A line that cannot be read is kept up to here; its hash tells the rest. */
#define LINE_KEPT (64 * KIB)

/* Two lanes of one output write one file. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, "\"%s\":\"", key);
    buf_add_json(out, span(text, strlen(text)));
    buf_add(out, "\",", 2);
}

static void add_base64(struct buf *out, struct span s)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.at;

    for (size_t i = 0; i < s.len; i += 3) {
        unsigned v = (unsigned)p[i] << 16;
        size_t left = s.len - i;
        char four[4];

        v |= left > 1 ? (unsigned)p[i + 1] << 8 : 0;
        v |= left > 2 ? p[i + 2] : 0;
        four[0] = digit[v >> 18];
        four[1] = digit[v >> 12 & 63];
        four[2] = left > 1 ? digit[v >> 6 & 63] : '=';
        four[3] = left > 2 ? digit[v & 63] : '=';
        buf_add(out, four, 4);
    }
}

/* Its head, if it is long; not cut within a letter. */
static struct span kept_of(struct span line)
{
    size_t n = LINE_KEPT;

    if (line.len <= n)
        return line;
    while (n > LINE_KEPT - 4 && ((unsigned char)line.at[n] & 0xc0) == 0x80)
        n--;
    return span(line.at, n);
}

/* A line that is no JSON, as text where it is text. */
static void add_line(struct buf *out, struct span line)
{
    bool is_text;

    line = kept_of(line);
    is_text = span_is_utf8(line);
    buf_printf(out, "\"%s\":\"", is_text ? "line" : "line_base64");
    if (is_text)
        buf_add_json(out, line);
    else
        add_base64(out, line);
    buf_add(out, "\"", 1);
}

static void add_hash(struct buf *out, const struct dead_letter *d)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    if (d->hash != NULL)
        memcpy(hash, d->hash, sizeof(hash));
    else
        sha256_of(d->document.len > 0 ? d->document : d->line, hash);
    sha256_hex(hash, hex);
    buf_printf(out, "\"sha256\":\"%s\",", hex);
}

/* yajl takes two kinds of space that JSON does not have. */
bool dead_is_strict(struct span document)
{
    return document.len > 0 && span_is_utf8(document) &&
           memchr(document.at, '\v', document.len) == NULL &&
           memchr(document.at, '\f', document.len) == NULL;
}

void dead_print(const struct dead_letter *d, struct buf *out)
{
    char now[CLOCK_TEXT_SIZE];

    clock_format(now, clock_wall_us(), 3);
    buf_add(out, "{", 1);
    add_text(out, "time", now);
    add_text(out, "kind", d->kind);
    add_text(out, "reason", d->reason);
    if (d->status != 0)
        buf_printf(out, "\"status\":%u,", d->status);
    add_text(out, "trail", d->trail);
    add_text(out, "output", d->output);
    add_text(out, "file", d->file);
    buf_printf(out, "\"offset\":%" PRIu64 ",\"length\":%" PRIu64 ",", d->offset,
               d->length);
    add_hash(out, d);
    if (d->id.len > 0) {
        buf_add(out, "\"id\":\"", 6);
        buf_add_json(out, d->id);
        buf_add(out, "\",", 2);
    }
    if (dead_is_strict(d->document)) {
        buf_add(out, "\"document\":", 11);
        buf_add_span(out, d->document);
    } else {
        add_line(out, d->document.len > 0 ? d->document : d->line);
    }
    buf_add(out, "}\n", 2);
}

/* ---- the file ---- */

/* What root makes beside an agent that is not root belongs to whom the
 * directory belongs: else that agent could add nothing any more. */
static int give_to_owner(int fd, int dir)
{
    struct stat mine, its;

    if (geteuid() != 0)
        return 0;
    if (fstat(fd, &mine) != 0 || fstat(dir, &its) != 0)
        return -1;
    return mine.st_uid != its.st_uid ? fchown(fd, its.st_uid, its.st_gid) : 0;
}

static int open_dir(int state, struct err *e)
{
    int dir;

    if (mkdirat(state, "dead", 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the directory dead: %m");
    dir = openat(state, "dead", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, ERR_IO, "cannot open the directory dead: %m");
    if (give_to_owner(dir, state) == 0)
        return dir;
    err_set(e, ERR_IO, "cannot give the directory dead to its owner: %m");
    close(dir);
    return ERR_IO;
}

/* Whether the file is still the one that has the name. */
static bool is_there(int dir, const char *name, int fd)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && fstatat(dir, name, &there, 0) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* For us alone: other processes may write it, or rename it away, as well. */
static int open_locked(int dir, const char *name, int flags, struct err *e)
{
    for (;;) {
        int fd =
            openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        int rc;

        if (fd < 0)
            return err_set(e, errno == ENOENT ? ERR_MISSING : ERR_IO,
                           "cannot open dead/%s: %m", name);
        do
            rc = flock(fd, LOCK_EX);
        while (rc != 0 && errno == EINTR);
        if (rc == 0 && is_there(dir, name, fd))
            return fd;
        if (rc != 0)
            err_set(e, ERR_IO, "cannot lock dead/%s: %m", name);
        close(fd);
        if (rc != 0)
            return ERR_IO;
    }
}

/* Out of the way with a file: OUTPUT-<time>.ndjson. */
static int rename_away(int dir, const char *name, const char *output,
                       struct err *e)
{
    char now[CLOCK_TEXT_SIZE], to[256];

    clock_format(now, clock_wall_us(), 6);
    snprintf(to, sizeof(to), "%.200s-%s.ndjson", output, now);
    if (renameat2(dir, name, dir, to, RENAME_NOREPLACE) != 0)
        return err_set(e, ERR_IO, "cannot rename dead/%s: %m", name);
    return 0;
}

/* A crash may have left half a record at the end: `*end` is before it, and
 * where the file ends now. */
static int find_end(int fd, const char *name, int64_t *end, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0 ||
        (*end = file_last_line(fd, (uint64_t)st.st_size)) < 0 ||
        (*end != st.st_size && ftruncate(fd, *end) != 0))
        return err_set(e, ERR_IO, "cannot find the end of dead/%s: %m", name);
    return 0;
}

static int write_records(int fd, const char *name, struct span records,
                         struct err *e)
{
    int64_t end;
    int rc = find_end(fd, name, &end, e);

    if (rc != 0)
        return rc;
    if (lseek(fd, end, SEEK_SET) == end &&
        file_write_all(fd, records.at, records.len) == 0 && fsync(fd) == 0)
        return 0;
    err_set(e, ERR_IO, "cannot write dead/%s: %m", name);
    if (ftruncate(fd, end) != 0)
        err_prefix(e, "and cannot take half a record back");
    return ERR_IO;
}

/* The one to write into; a large one is renamed first. */
static int open_to_append(int dir, const char *name, const char *output,
                          struct err *e)
{
    int fd = open_locked(dir, name, O_CREAT, e), rc;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < (off_t)ROTATE_BYTES)
        return fd;
    rc = rename_away(dir, name, output, e);
    close(fd);
    return rc != 0 ? rc : open_locked(dir, name, O_CREAT, e);
}

static int append_to(int dir, const char *output, struct span records,
                     struct err *e)
{
    char name[256];
    int fd, rc;

    snprintf(name, sizeof(name), "%.200s.ndjson", output);
    fd = open_to_append(dir, name, output, e);
    if (fd < 0)
        return fd == ERR_MISSING ? ERR_IO : fd;
    if (give_to_owner(fd, dir) != 0)
        rc = err_set(e, ERR_IO, "cannot give dead/%s to its owner: %m", name);
    else
        rc = write_records(fd, name, records, e);
    if (close(fd) != 0 && rc == 0)
        rc = err_set(e, ERR_IO, "cannot close dead/%s: %m", name);
    if (rc == 0 && fsync(dir) != 0)
        rc = err_set(e, ERR_IO, "cannot fsync the directory dead: %m");
    return rc;
}

int dead_append(int state, const char *output, struct span records,
                struct err *e)
{
    int dir = open_dir(state, e), rc;

    if (dir < 0)
        return dir;
    pthread_mutex_lock(&writing);
    rc = append_to(dir, output, records, e);
    pthread_mutex_unlock(&writing);
    close(dir);
    return rc;
}

int dead_set_aside(int state, const char *output, struct err *e)
{
    int dir = openat(state, "dead", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, rc;
    char name[256];
    int64_t end;

    if (dir < 0 && errno == ENOENT)
        return 0;
    if (dir < 0)
        return err_set(e, ERR_IO, "cannot open the directory dead: %m");
    snprintf(name, sizeof(name), "%.200s.ndjson", output);
    rc = fd = open_locked(dir, name, 0, e);
    if (fd >= 0) {
        rc = find_end(fd, name, &end, e);
        if (rc == 0)
            rc = rename_away(dir, name, output, e);
        close(fd);
    }
    close(dir);
    return rc == ERR_MISSING ? 0 : rc;
}

/* ---- which there are ---- */

/* OUTPUT.ndjson, or OUTPUT-<time>.ndjson; another output's name may begin like
 * this one's. */
static bool is_of(const char *name, const char *output)
{
    static const char end[] = ".ndjson";
    size_t len = strlen(name), first = strlen(output);
    struct span time;

    if (strncmp(name, output, first) != 0 || len < first + strlen(end) ||
        strcmp(name + len - strlen(end), end) != 0)
        return false;
    time = span(name + first, len - strlen(end) - first);
    return time.len == 0 ||
           (time.len == CLOCK_TEXT_SIZE && time.at[0] == '-' &&
            clock_parse(span(time.at + 1, time.len - 1)) != CLOCK_NO_TIME);
}

/* By time; what is still written is the last. */
static int by_age(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t m = strlen(x), n = strlen(y);

    return m != n ? (m > n ? -1 : 1) : strcmp(x, y);
}

int dead_list(const char *state_dir, const char *output,
              struct dead_files *files, struct err *e)
{
    char *path = xprintf("%s/dead", state_dir);
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;

    *files = (struct dead_files){ 0 };
    if (dir == NULL && errno != ENOENT)
        rc = err_set(e, ERR_IO, "cannot open the directory %s: %m", path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_of(entry->d_name, output))
            continue;
        files->paths =
            xrealloc(files->paths, (files->n + 1) * sizeof(*files->paths));
        files->paths[files->n++] = xprintf("%s/%s", path, entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    if (files->n > 0)
        qsort(files->paths, files->n, sizeof(*files->paths), by_age);
    free(path);
    return rc;
}

void dead_files_free(struct dead_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->paths[i]);
    free(files->paths);
    *files = (struct dead_files){ 0 };
}
