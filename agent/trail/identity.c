/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/identity.h"

#include <sys/stat.h>

#include "agent/base/file.h"

/* The head of at most `max` bytes; -1 with errno. */
static ssize_t hash_head(int fd, size_t max, unsigned char out[SHA256_SIZE])
{
    char head[IDENTITY_HEAD_MAX];
    ssize_t n = file_pread(fd, head, max, 0);
    const char *end;

    if (n < 0)
        return -1;
    end = memchr(head, '\n', (size_t)n);
    if (end != NULL)
        n = end - head;
    sha256_of(span(head, (size_t)n), out);
    return n;
}

int identity_of(int fd, struct identity *id, struct err *e)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0)
        return err_set(e, ERR_IO, "cannot stat: %m");
    n = hash_head(fd, IDENTITY_HEAD_MAX, id->head);
    if (n < 0)
        return err_set(e, ERR_IO, "cannot read: %m");
    id->dev = st.st_dev;
    id->ino = st.st_ino;
    id->head_len = (uint32_t)n;
    return 0;
}

enum identity_match identity_match(int fd, const struct identity *id)
{
    unsigned char head[SHA256_SIZE];
    struct stat st;
    bool same_inode;

    if (fstat(fd, &st) != 0)
        return IDENTITY_OTHER;
    same_inode = st.st_dev == id->dev && st.st_ino == id->ino;
    if (id->head_len == 0)
        return same_inode ? IDENTITY_SAME : IDENTITY_OTHER;
    if (hash_head(fd, id->head_len, head) != (ssize_t)id->head_len ||
        memcmp(head, id->head, SHA256_SIZE) != 0)
        return IDENTITY_OTHER;
    return same_inode ? IDENTITY_SAME : IDENTITY_SAME_HEAD;
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

bool guard_holds(int fd, uint64_t offset, const struct guard *g)
{
    char bytes[IDENTITY_GUARD_MAX];
    unsigned char hash[SHA256_SIZE];
    ssize_t n;

    if (g->len > sizeof(bytes) || g->len > offset)
        return false;
    n = file_pread(fd, bytes, g->len, offset - g->len);
    if (n != (ssize_t)g->len)
        return false;
    sha256_of(span(bytes, (size_t)n), hash);
    return memcmp(hash, g->hash, SHA256_SIZE) == 0;
}
