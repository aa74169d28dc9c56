/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/file.h"

#define MAGIC "tallyman checkpoint 1"

int checkpoint_take(struct checkpoint *c, int fd, const char *path,
                    uint64_t offset, struct err *e)
{
    int rc = identity_of(fd, &c->id, e);

    if (rc == 0)
        rc = guard_of(fd, offset, &c->guard, e);
    if (rc == ERR_FORMAT) /* truncated meanwhile: the reader will see */
        rc = guard_of(fd, 0, &c->guard, e);
    if (rc != 0) {
        err_prefix(e, "%s", path);
        return rc;
    }
    c->path.len = 0;
    buf_add(&c->path, path, strcspn(path, "\n"));
    c->offset = offset;
    return 0;
}

void checkpoint_free(struct checkpoint *c)
{
    buf_free(&c->path);
    buf_free(&c->mark);
}

static void add_sum(struct buf *out)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(span(out->at, out->len), hash);
    sha256_hex(hash, hex);
    buf_printf(out, "sum %s\n", hex);
}

void checkpoint_print(const struct checkpoint *c, struct buf *out)
{
    char head[SHA256_HEX_SIZE], guard[SHA256_HEX_SIZE];

    sha256_hex(c->id.head, head);
    sha256_hex(c->guard.hash, guard);
    out->len = 0;
    buf_printf(out, "%s\npath %.*s\n", MAGIC, (int)c->path.len, c->path.at);
    buf_printf(out, "file %" PRIu64 " %" PRIu64 " %" PRIu32 " %s\n", c->id.dev,
               c->id.ino, c->id.head_len, head);
    buf_printf(out, "offset %" PRIu64 "\nguard %" PRIu32 " %s\n", c->offset,
               c->guard.len, guard);
    if (c->mark.len > 0)
        buf_printf(out, "mark %.*s\n", (int)c->mark.len, c->mark.at);
    add_sum(out);
}

/* The next line, without its newline, which must be there. */
static bool next_line(struct span *text, struct span *line)
{
    const char *newline = memchr(text->at, '\n', text->len);

    if (newline == NULL)
        return false;
    *line = span(text->at, (size_t)(newline - text->at));
    text->len -= line->len + 1;
    text->at = newline + 1;
    return true;
}

/* A line "KEY rest": the rest, in `out`; else nothing is changed. */
static bool take_line(struct span *text, const char *key, struct span *out)
{
    struct span left = *text, line;
    size_t n = strlen(key);

    if (!next_line(&left, &line) || line.len < n + 1 ||
        memcmp(line.at, key, n) != 0 || line.at[n] != ' ')
        return false;
    *out = span(line.at + n + 1, line.len - n - 1);
    *text = left;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hash(const char *hex, unsigned char out[SHA256_SIZE])
{
    for (int i = 0; i < SHA256_SIZE; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high >= 0 ? hex_digit(hex[2 * i + 1]) : -1;

        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return hex[2 * SHA256_SIZE] == '\0';
}

static bool parse_fields(struct checkpoint *c, struct span file,
                         struct span offset, struct span guard)
{
    char text[256], hash[SHA256_HEX_SIZE + 1];
    int n = 0;

    snprintf(text, sizeof(text), "%.*s", (int)file.len, file.at);
    if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu32 " %65s%n", &c->id.dev,
               &c->id.ino, &c->id.head_len, hash, &n) != 4 ||
        text[n] != '\0' || !parse_hash(hash, c->id.head))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)offset.len, offset.at);
    if (sscanf(text, "%" SCNu64 "%n", &c->offset, &n) != 1 || text[n] != '\0')
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)guard.len, guard.at);
    return sscanf(text, "%" SCNu32 " %65s%n", &c->guard.len, hash, &n) == 2 &&
           text[n] == '\0' && parse_hash(hash, c->guard.hash) &&
           c->id.head_len <= IDENTITY_HEAD_MAX &&
           c->guard.len <= IDENTITY_GUARD_MAX && c->guard.len <= c->offset;
}

static bool sum_holds(struct span all, struct span rest, struct span sum)
{
    size_t above = all.len - rest.len - sum.len - strlen("sum \n");
    unsigned char want[SHA256_SIZE], have[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    if (rest.len != 0 || sum.len != SHA256_HEX_SIZE - 1)
        return false;
    snprintf(hex, sizeof(hex), "%.*s", (int)sum.len, sum.at);
    sha256_of(span(all.at, above), have);
    return parse_hash(hex, want) && memcmp(want, have, SHA256_SIZE) == 0;
}

int checkpoint_parse(struct checkpoint *c, struct span text, struct err *e)
{
    struct span all = text, line, path, file, offset, guard, sum;
    struct span mark = SPAN("");

    if (!next_line(&text, &line) || !span_is(line, MAGIC))
        return err_set(e, ERR_DAMAGED, "not a checkpoint of this version");
    if (!take_line(&text, "path", &path) || !take_line(&text, "file", &file) ||
        !take_line(&text, "offset", &offset) ||
        !take_line(&text, "guard", &guard))
        return err_set(e, ERR_DAMAGED, "a line is missing");
    (void)take_line(&text, "mark", &mark);
    if (!take_line(&text, "sum", &sum) || !sum_holds(all, text, sum) ||
        !parse_fields(c, file, offset, guard))
        return err_set(e, ERR_DAMAGED, "its checksum does not match");
    c->path.len = c->mark.len = 0;
    buf_add_span(&c->path, path);
    buf_add_span(&c->mark, mark);
    return 0;
}

static int load_one(struct checkpoint *c, int dir, const char *name,
                    struct err *e)
{
    struct buf text = { 0 };
    int rc = file_read(dir, name, CHECKPOINT_MAX, &text, e);

    if (rc == 0) {
        rc = checkpoint_parse(c, span(text.at, text.len), e);
        if (rc != 0)
            err_prefix(e, "%s", name);
    } else if (rc == ERR_LIMIT) {
        rc = ERR_DAMAGED;
    }
    buf_free(&text);
    return rc;
}

int checkpoint_load(struct checkpoint *c, int dir, const char *name,
                    bool *fell_back, struct err *e)
{
    char prev[256];
    int first = load_one(c, dir, name, e), second;
    struct err other;

    *fell_back = false;
    if (first == 0 || first == ERR_IO)
        return first;
    snprintf(prev, sizeof(prev), "%s.prev", name);
    second = load_one(c, dir, prev, &other);
    if (second == 0) {
        *fell_back = true;
        return 0;
    }
    if (first == ERR_MISSING && second != ERR_MISSING && e != NULL)
        *e = other;
    return first == ERR_MISSING ? second : first;
}
