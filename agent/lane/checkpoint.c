/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/sealed.h"

#define TITLE "tallyman checkpoint 1"

void checkpoint_take(struct checkpoint *c, struct file *f, uint64_t offset)
{
    const char *path;

    file_guard(f, offset, &c->guard); /* first: it may find that it was cut */
    c->id = *file_identity(f);
    path = file_path(f);
    c->path.len = 0;
    buf_add(&c->path, path, strcspn(path, "\n"));
    c->offset = offset;
}

void checkpoint_free(struct checkpoint *c)
{
    buf_free(&c->path);
    buf_free(&c->mark);
}

void checkpoint_print(const struct checkpoint *c, struct buf *out)
{
    char guard[SHA256_HEX_SIZE], last[CLOCK_TEXT_SIZE];

    sha256_hex(c->guard.hash, guard);
    out->len = 0;
    buf_printf(out, "%s\npath %.*s\nfile ", TITLE, (int)c->path.len,
               c->path.at);
    identity_print(&c->id, out);
    buf_printf(out, "\noffset %" PRIu64 "\nguard %" PRIu32 " %s\n", c->offset,
               c->guard.len, guard);
    if (c->last_us != CLOCK_NO_TIME)
        buf_printf(out, "last %.*s\n", (int)clock_format(last, c->last_us, 6),
                   last);
    if (c->has_horizon)
        buf_printf(out, "horizon %" PRIu64 "\n", c->horizon);
    if (c->mark.len > 0)
        buf_printf(out, "mark %.*s\n", (int)c->mark.len, c->mark.at);
    sealed_end(out);
}

static bool parse_horizon(struct checkpoint *c, struct span horizon)
{
    char text[32];
    int n = 0;

    c->horizon = 0;
    c->has_horizon = horizon.len > 0;
    if (!c->has_horizon)
        return true;
    snprintf(text, sizeof(text), "%.*s", (int)horizon.len, horizon.at);
    return sscanf(text, "%" SCNu64 "%n", &c->horizon, &n) == 1 &&
           text[n] == '\0';
}

static bool parse_fields(struct checkpoint *c, struct span file,
                         struct span offset, struct span guard)
{
    char text[256], hash[SHA256_HEX_SIZE + 1];
    int n = 0;

    snprintf(text, sizeof(text), "%.*s", (int)file.len, file.at);
    if (!identity_parse(&c->id, text, &n) || text[n] != '\0')
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)offset.len, offset.at);
    if (sscanf(text, "%" SCNu64 "%n", &c->offset, &n) != 1 || text[n] != '\0')
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)guard.len, guard.at);
    return sscanf(text, "%" SCNu32 " %65s%n", &c->guard.len, hash, &n) == 2 &&
           text[n] == '\0' && strlen(hash) == SHA256_HEX_SIZE - 1 &&
           sealed_hash(hash, c->guard.hash) &&
           c->guard.len <= IDENTITY_GUARD_MAX && c->guard.len <= c->offset;
}

int checkpoint_parse(struct checkpoint *c, struct span text, struct err *e)
{
    struct span path, file, offset, guard;
    struct span mark = SPAN(""), last = SPAN(""), horizon = SPAN("");
    int rc = sealed_open(&text, TITLE, e);

    if (rc != 0)
        return rc;
    if (!sealed_take(&text, "path", &path) ||
        !sealed_take(&text, "file", &file) ||
        !sealed_take(&text, "offset", &offset) ||
        !sealed_take(&text, "guard", &guard))
        return err_set(e, ERR_DAMAGED, "a line is missing");
    (void)sealed_take(&text, "last", &last);
    (void)sealed_take(&text, "horizon", &horizon);
    (void)sealed_take(&text, "mark", &mark);
    if (text.len > 0 || !parse_fields(c, file, offset, guard) ||
        !parse_horizon(c, horizon))
        return err_set(e, ERR_DAMAGED, "a line is not understood");
    c->last_us = last.len > 0 ? clock_parse(last) : CLOCK_NO_TIME;
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
