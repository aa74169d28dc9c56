/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/dead.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
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

/* Whether it can stand in a record as the JSON it is. yajl takes two kinds of
 * space that JSON does not have. */
static bool is_strict(struct span document)
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
    if (is_strict(d->document)) {
        buf_add(out, "\"document\":", 11);
        buf_add_span(out, d->document);
    } else {
        add_line(out, d->document.len > 0 ? d->document : d->line);
    }
    buf_add(out, "}\n", 2);
}

/* ---- the file ---- */

static int open_dir(int state, struct err *e)
{
    int dir;

    if (mkdirat(state, "dead", 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the directory dead: %m");
    dir = openat(state, "dead", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, ERR_IO, "cannot open the directory dead: %m");
    return dir;
}

/* Out of the way with a file that is large: OUTPUT-<time>.ndjson. */
static int rotate(int dir, const char *name, const char *output, struct err *e)
{
    char now[CLOCK_TEXT_SIZE], to[256];
    struct stat st;

    if (fstatat(dir, name, &st, 0) != 0 || st.st_size < (off_t)ROTATE_BYTES)
        return 0;
    clock_format(now, clock_wall_us(), 6);
    snprintf(to, sizeof(to), "%.200s-%s.ndjson", output, now);
    if (renameat2(dir, name, dir, to, RENAME_NOREPLACE) != 0)
        return err_set(e, ERR_IO, "cannot rename dead/%s: %m", name);
    return 0;
}

static int write_records(int fd, const char *name, struct span records,
                         struct err *e)
{
    struct stat st;
    int64_t end;

    /* A crash may have left half a record at the end. */
    if (fstat(fd, &st) != 0 ||
        (end = file_last_line(fd, (uint64_t)st.st_size)) < 0 ||
        (end != st.st_size && ftruncate(fd, end) != 0))
        return err_set(e, ERR_IO, "cannot find the end of dead/%s: %m", name);
    if (lseek(fd, end, SEEK_SET) == end &&
        file_write_all(fd, records.at, records.len) == 0 && fsync(fd) == 0)
        return 0;
    err_set(e, ERR_IO, "cannot write dead/%s: %m", name);
    if (ftruncate(fd, end) != 0)
        err_prefix(e, "and cannot take half a record back");
    return ERR_IO;
}

static int append_to(int dir, const char *output, struct span records,
                     struct err *e)
{
    char name[256];
    int fd, rc;

    snprintf(name, sizeof(name), "%.200s.ndjson", output);
    rc = rotate(dir, name, output, e);
    if (rc != 0)
        return rc;
    fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open dead/%s: %m", name);
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
