/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/file.h"
#include "agent/base/sealed.h"
#include "agent/trail/gunzip.h"

int head_read(int fd, bool is_gz, struct head *h, struct err *e)
{
    ssize_t n = is_gz ? gunzip_head(fd, h->bytes, sizeof(h->bytes))
                      : file_pread(fd, h->bytes, sizeof(h->bytes), 0);
    const char *end;

    h->len = 0;
    h->is_whole = false;
    if (n < 0 && !is_gz)
        return err_set(e, ERR_IO, "cannot read: %m");
    if (n <= 0)
        return 0;
    end = memchr(h->bytes, '\n', (size_t)n);
    h->len = end != NULL ? (size_t)(end - h->bytes) : (size_t)n;
    h->is_whole = end != NULL || h->len == sizeof(h->bytes);
    return 0;
}

void identity_set(struct identity *id, const struct stat *st,
                  const struct head *h)
{
    id->dev = st->st_dev;
    id->ino = st->st_ino;
    id->head_len = (uint32_t)h->len;
    sha256_of(span(h->bytes, h->len), id->head);
}

bool identity_has_head(const struct identity *id, const struct head *h)
{
    unsigned char hash[SHA256_SIZE];

    if (id->head_len == 0 || h->len < id->head_len)
        return false;
    sha256_of(span(h->bytes, id->head_len), hash);
    return memcmp(hash, id->head, SHA256_SIZE) == 0;
}

bool identity_has_inode(const struct identity *id, const struct stat *st)
{
    return id->dev == st->st_dev && id->ino == st->st_ino;
}

void identity_print(const struct identity *id, struct buf *out)
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex(id->head, hex);
    buf_printf(out, "%" PRIu64 " %" PRIu64 " %" PRIu32 " %s", id->dev, id->ino,
               id->head_len, hex);
}

bool identity_parse(struct identity *id, const char *text, int *n)
{
    char hash[SHA256_HEX_SIZE + 1];

    return sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu32 " %65s%n", &id->dev,
                  &id->ino, &id->head_len, hash, n) == 4 &&
           strlen(hash) == SHA256_HEX_SIZE - 1 && sealed_hash(hash, id->head) &&
           id->head_len <= IDENTITY_HEAD_MAX;
}

int guard_of(int fd, uint64_t offset, struct guard *g, struct err *e)
{
    char bytes[IDENTITY_GUARD_MAX];
    uint64_t len = offset < sizeof(bytes) ? offset : sizeof(bytes);
    ssize_t n = file_pread(fd, bytes, (size_t)len, offset - len);

    if (n < 0)
        return err_set(e, ERR_IO, "cannot read: %m");
    if ((uint64_t)n != len)
        return err_set(e, ERR_FORMAT, "shorter than %llu bytes",
                       (unsigned long long)offset);
    g->len = (uint32_t)len;
    sha256_of(span(bytes, (size_t)n), g->hash);
    return 0;
}

bool guard_matches(const struct guard *g, struct span bytes)
{
    unsigned char hash[SHA256_SIZE];

    if (bytes.len != g->len)
        return false;
    sha256_of(bytes, hash);
    return memcmp(hash, g->hash, SHA256_SIZE) == 0;
}

bool guard_holds(int fd, uint64_t offset, const struct guard *g, char *bytes)
{
    ssize_t n;

    if (g->len > IDENTITY_GUARD_MAX || g->len > offset)
        return false;
    n = file_pread(fd, bytes, g->len, offset - g->len);
    return n == (ssize_t)g->len && guard_matches(g, span(bytes, (size_t)n));
}
