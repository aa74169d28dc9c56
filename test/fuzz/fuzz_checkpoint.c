/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_checkpoint - any bytes as a checkpoint: as they are, and with a sum that
 * is right, so that what stands behind the sum is reached as well. What is
 * taken is printed and read back the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/lane/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(struct buf a, struct buf b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void read_back(const struct checkpoint *c)
{
    struct checkpoint again = { 0 };
    struct buf text = { 0 };
    struct err e;
    int rc;

    /* A path or mark that was printed never held these. */
    if (memchr(c->path.at != NULL ? c->path.at : "", '\0', c->path.len) ||
        memchr(c->mark.at != NULL ? c->mark.at : "", '\0', c->mark.len))
        return;
    checkpoint_print(c, &text);
    rc = checkpoint_parse(&again, span(text.at, text.len), &e);
    assert(rc == 0);
    assert(same(c->path, again.path) && same(c->mark, again.mark));
    assert(c->offset == again.offset && c->id.dev == again.id.dev &&
           c->id.ino == again.id.ino && c->id.head_len == again.id.head_len);
    assert(c->guard.len == again.guard.len);
    assert(c->has_horizon == again.has_horizon && c->horizon == again.horizon);
    assert(memcmp(c->id.head, again.id.head, SHA256_SIZE) == 0);
    assert(memcmp(c->guard.hash, again.guard.hash, SHA256_SIZE) == 0);
    buf_free(&text);
    checkpoint_free(&again);
}

static void parse(struct span text)
{
    struct checkpoint c = { 0 };
    struct err e = { 0 };
    int rc = checkpoint_parse(&c, text, &e);

    if (rc == 0) {
        assert(c.id.head_len <= IDENTITY_HEAD_MAX);
        assert(c.guard.len <= IDENTITY_GUARD_MAX && c.guard.len <= c.offset);
        read_back(&c);
    } else {
        assert(rc == ERR_DAMAGED && e.text[0] != '\0');
    }
    checkpoint_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    struct buf text = { 0 };
    char *own = xmalloc(size); /* reading on behind it is seen */

    memcpy(own, data, size);
    parse(span(own, size));
    free(own);
    buf_add(&text, data, size);
    sha256_of(span(text.at, text.len), hash);
    sha256_hex(hash, hex);
    buf_printf(&text, "sum %s\n", hex);
    parse(span(text.at, text.len));
    buf_free(&text);
    return 0;
}
