/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_gunzip - any bytes as a gzip file: read whole, in steps that read and
 * skip, and while it grows, its text is the same and so is what becomes of it;
 * and where ISA-L takes all of it as one member, so do we.
 */
#include <assert.h>
#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/trail/gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MOST = 1 << 20 /* text looked at: a bomb has no end */
};

static struct gunzip *g;
static int fd;
static uint8_t *whole, *again;
static size_t len; /* of `whole` */
static enum gunzip_state state;

static void prepare(void)
{
    if (g != NULL)
        return;
    g = gunzip_new();
    fd = memfd_create("fuzz.gz", MFD_CLOEXEC);
    whole = malloc(MOST);
    again = malloc(MOST);
    if (fd < 0 || whole == NULL || again == NULL)
        abort();
}

static void file_is(const uint8_t *data, size_t size)
{
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
}

static void check_tail(void)
{
    uint8_t tail[GUNZIP_TAIL];
    uint64_t at = gunzip_offset(g);
    size_t n = gunzip_tail(g, tail, sizeof(tail));

    assert(n == (at < sizeof(tail) ? at : sizeof(tail)));
    assert(memcmp(whole + at - n, tail, n) == 0);
}

/* Each step's size comes from the data, so that it is the fuzzer's choice. */
static void read_in_steps(const uint8_t *data, size_t size)
{
    size_t at = 0, n, got;

    gunzip_start(g);
    for (size_t i = 0; at < len; i++) {
        n = 1 + (size_t)data[i % size] * (i % 7) * (i % 11);
        if (n > len - at)
            n = len - at;
        if (data[i % size] % 3 == 0) {
            got = gunzip_skip(g, fd, n);
        } else {
            got = gunzip_read(g, fd, again, n);
            assert(memcmp(whole + at, again, got) == 0);
        }
        assert(got == n && gunzip_state(g) == GUNZIP_MORE);
        at += got;
        check_tail();
    }
    if (state != GUNZIP_MORE) {
        n = gunzip_read(g, fd, again, 1);
        assert(n == 0 && gunzip_state(g) == state);
    }
}

static void read_while_it_grows(const uint8_t *data, size_t size)
{
    size_t at = 0;

    gunzip_start(g);
    for (size_t n = 0; n < size; n += 1 + data[n] % 32) {
        file_is(data, n);
        at += gunzip_read(g, fd, again + at, MOST - at);
        if (at == MOST || gunzip_state(g) == GUNZIP_DAMAGED)
            break;
        assert(gunzip_state(g) == GUNZIP_CUT || gunzip_state(g) == GUNZIP_END);
    }
    file_is(data, size);
    at += gunzip_read(g, fd, again + at, MOST - at);
    assert(at == len && gunzip_state(g) == state);
    assert(memcmp(whole, again, len) == 0);
}

/* ISA-L reads one whole member in one call. */
static void compare(const uint8_t *data, size_t size)
{
    static struct inflate_state s;

    isal_inflate_init(&s);
    s.crc_flag = ISAL_GZIP;
    s.next_in = (uint8_t *)data;
    s.avail_in = (uint32_t)size;
    s.next_out = again;
    s.avail_out = MOST;
    if (isal_inflate_stateless(&s) != ISAL_DECOMP_OK || s.avail_in > 0)
        return;
    assert(s.total_out == len && memcmp(whole, again, len) == 0);
    assert(len == MOST || state == GUNZIP_END);
}

static void check_head(void)
{
    ssize_t n = gunzip_head(fd, again, GUNZIP_HEAD);

    if (n < 0) {
        assert(state == GUNZIP_DAMAGED && len == 0);
        return;
    }
    assert((size_t)n == (len < GUNZIP_HEAD ? len : GUNZIP_HEAD));
    assert(memcmp(whole, again, (size_t)n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 16 * KIB)
        return 0;
    prepare();
    file_is(data, size);
    gunzip_start(g);
    len = gunzip_read(g, fd, whole, MOST);
    state = gunzip_state(g);
    assert(state != GUNZIP_FAILED);
    assert(len == MOST || state != GUNZIP_MORE);
    check_head();
    read_in_steps(data, size);
    compare(data, size);
    read_while_it_grows(data, size);
    return 0;
}
