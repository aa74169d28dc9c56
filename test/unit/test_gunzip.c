/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/gunzip.h"
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <sys/mman.h>
#include <unistd.h>

/* gzip -9n of "hello\n", of nothing, and of add_lines(6): blocks of fixed and of
 * dynamic codes, by another program than the rest here. */
static const unsigned char hello_gz[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00,
                                          0x00, 0x00, 0x02, 0x03, 0xcb, 0x48,
                                          0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00,
                                          0x20, 0x30, 0x3a, 0x36, 0x06, 0x00,
                                          0x00, 0x00 };
static const unsigned char empty_gz[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x02, 0x03,
                                          0x03, 0x00, 0x00, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x00, 0x00 };
static const unsigned char lines_gz[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xa5, 0x8e,
    0x31, 0x0e, 0xc2, 0x30, 0x0c, 0x45, 0x77, 0x8e, 0xe1, 0x99, 0xa1, 0x49,
    0x89, 0xeb, 0xb2, 0xd2, 0x85, 0x01, 0x09, 0x71, 0x03, 0x27, 0x71, 0x51,
    0xa5, 0xd0, 0x56, 0x8a, 0x61, 0xa9, 0xb8, 0x3b, 0x19, 0x19, 0x10, 0xa8,
    0x62, 0x7d, 0xd2, 0x7b, 0xff, 0x2f, 0x90, 0xe4, 0x21, 0x09, 0xf6, 0x70,
    0x12, 0xe5, 0xc8, 0xca, 0xb0, 0x05, 0xbe, 0xc7, 0x41, 0x8f, 0x5d, 0x81,
    0x18, 0x5c, 0x83, 0x3d, 0x87, 0x02, 0xb3, 0xf2, 0x55, 0x0a, 0xba, 0x48,
    0x9e, 0xa7, 0x31, 0xcb, 0x61, 0xba, 0xcd, 0x49, 0x54, 0xe0, 0xb9, 0x59,
    0xbe, 0x47, 0xc8, 0x22, 0x11, 0xfa, 0xfa, 0x2d, 0x72, 0xe6, 0x71, 0x08,
    0xbf, 0x4d, 0x76, 0x3d, 0x8b, 0x69, 0xdb, 0xf5, 0x26, 0xda, 0xaa, 0x76,
    0x2e, 0xc4, 0xbf, 0x8e, 0x07, 0xcf, 0xb6, 0x41, 0xbf, 0x5b, 0x3f, 0x4f,
    0x95, 0x35, 0x64, 0x04, 0x3f, 0x98, 0x2f, 0x50, 0xb7, 0x7f, 0x86, 0x72,
    0x01, 0x00, 0x00
};

static struct gunzip *g;
static int fd;
static struct buf plain, packed, have;
static uint64_t seed;

static unsigned rnd(void)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(seed >> 32);
}

static void start(void)
{
    g = gunzip_new();
    fd = memfd_create("test.gz", MFD_CLOEXEC);
    OK(fd >= 0);
    seed = 1;
}

static void stop(void)
{
    gunzip_free(g);
    close(fd);
    buf_free(&plain);
    buf_free(&packed);
    buf_free(&have);
}

static void add_lines(unsigned n)
{
    while (n-- > 0) {
        unsigned id = rnd();

        buf_printf(&plain,
                   "{\"level\":\"Metadata\",\"auditID\":\"%08x\","
                   "\"stage\":\"%s\"}\n",
                   id, id >> 31 ? "Panic" : "ResponseComplete");
    }
}

static void text(size_t n)
{
    plain.len = 0;
    while (plain.len < n)
        add_lines(1);
    plain.len = n;
}

static void noise(size_t n)
{
    plain.len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = (char)(rnd() >> 24);

        buf_add(&plain, &c, 1);
    }
}

static void pack_as(struct span in, unsigned level, unsigned kind)
{
    static struct isal_zstream s;
    static uint8_t room[ISAL_DEF_LVL3_DEFAULT];
    size_t most = in.len + in.len / 8 + 4096;

    isal_deflate_init(&s);
    s.level = level;
    s.level_buf = room;
    s.level_buf_size = sizeof(room);
    s.gzip_flag = (uint16_t)kind;
    s.end_of_stream = 1;
    s.next_in = (uint8_t *)in.at;
    s.avail_in = (uint32_t)in.len;
    s.next_out = (uint8_t *)buf_room(&packed, most);
    s.avail_out = (uint32_t)most;
    EQ(COMP_OK, isal_deflate(&s));
    EQ(ZSTATE_END, s.internal_state.state);
    packed.len += most - s.avail_out;
}

/* Adds `in` as a member to `packed`. */
static void pack(struct span in)
{
    pack_as(in, 1, IGZIP_GZIP);
}

static struct span all(const struct buf *b)
{
    return span(b->at, b->len);
}

static void file_is(const void *bytes, size_t n)
{
    EQ(0, ftruncate(fd, 0));
    EQ(n, pwrite(fd, bytes, n, 0));
}

/* Reads on in pieces of `n`, or of random sizes up to -n; adds to `have`. */
static enum gunzip_state read_on(long n)
{
    size_t asked, got;

    do {
        asked = n > 0 ? (size_t)n : 1 + rnd() % (unsigned)-n;
        got = gunzip_read(g, fd, buf_room(&have, asked), asked);
        have.len += got;
        OK(got <= asked);
        OK(got == asked || gunzip_state(g) != GUNZIP_MORE);
        EQ(have.len, gunzip_offset(g));
    } while (gunzip_state(g) == GUNZIP_MORE);
    return gunzip_state(g);
}

static enum gunzip_state read_all(long n)
{
    have.len = 0;
    gunzip_start(g);
    EQ(GUNZIP_MORE, gunzip_state(g));
    EQ(0, gunzip_offset(g));
    return read_on(n);
}

static bool is_whole(void)
{
    return have.len == plain.len &&
           (plain.len == 0 || memcmp(have.at, plain.at, plain.len) == 0);
}

static bool is_prefix(void)
{
    return have.len <= plain.len &&
           (have.len == 0 || memcmp(have.at, plain.at, have.len) == 0);
}

/* `packed` is a file of the text `plain`, however it is read. */
static void check_whole(void)
{
    static const long sizes[] = { 1, 100, 4096, 65536, 1 << 20, -100, -200000 };

    file_is(packed.at, packed.len);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (sizes[i] == 1 && plain.len > 100000)
            continue;
        EQ(GUNZIP_END, read_all(sizes[i]));
        OK(is_whole());
        EQ(0, gunzip_read(g, fd, buf_room(&have, 1), 1));
        EQ(GUNZIP_END, gunzip_state(g));
    }
}

static void check_known(const unsigned char *gz, size_t n)
{
    packed.len = 0;
    buf_add(&packed, gz, n);
    check_whole();
}

TEST(what_gzip_wrote_is_read)
{
    start();
    buf_add(&plain, "hello\n", 6);
    check_known(hello_gz, sizeof(hello_gz));
    plain.len = 0;
    check_known(empty_gz, sizeof(empty_gz));
    seed = 1;
    add_lines(6);
    check_known(lines_gz, sizeof(lines_gz));
    stop();
}

TEST(every_size_and_level_is_read)
{
    static const size_t sizes[] = { 0,     1,     255,   4095,    32768,
                                    65535, 65536, 65537, 1 << 20, 3000001 };

    start();
    for (unsigned level = 0; level <= 3; level++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            text(sizes[i]);
            packed.len = 0;
            pack_as(all(&plain), level, IGZIP_GZIP);
            check_whole();
        }
    }
    stop();
}

TEST(what_did_not_shrink_is_read)
{
    start();
    noise(1 << 20);
    pack(all(&plain));
    check_whole();
    stop();
}

/* The program that everybody has wrote it. */
TEST(gzip_itself_is_read)
{
    char command[256];
    FILE *f;

    if (system("gzip --version >/dev/null 2>&1") != 0) {
        fprintf(stderr, "skipped: no gzip here\n");
        return;
    }
    start();
    text(2000000);
    for (int level = 1; level <= 9; level += 4) {
        snprintf(command, sizeof(command), "gzip -%d >%s/x.gz", level,
                 unit_dir());
        f = popen(command, "w");
        EQ(plain.len, fwrite(plain.at, 1, plain.len, f));
        EQ(0, pclose(f));
        snprintf(command, sizeof(command), "%s/x.gz", unit_dir());
        close(fd);
        fd = open(command, O_RDONLY);
        EQ(GUNZIP_END, read_all(-100000));
        OK(is_whole());
    }
    stop();
}

enum {
    F_TEXT = 1,
    F_HCRC = 2,
    F_EXTRA = 4,
    F_NAME = 8,
    F_COMMENT = 16,
    F_ALL = 31
};

static void pack_with_header(unsigned flags, size_t name_len)
{
    unsigned char head[10] = {
        0x1f, 0x8b, 8, (unsigned char)flags, 1, 2, 3, 4
    };
    size_t from = packed.len;
    uint32_t crc;

    buf_add(&packed, head, sizeof(head));
    if (flags & F_EXTRA)
        buf_add(&packed,
                "\x05\x00"
                "extra",
                7);
    for (size_t i = 0; flags & F_NAME && i < name_len; i++)
        buf_add(&packed, "n", 1);
    if (flags & F_NAME)
        buf_add(&packed, "", 1);
    if (flags & F_COMMENT)
        buf_add(&packed, "comment", 8);
    crc = crc32_gzip_refl(0, (uint8_t *)packed.at + from, packed.len - from);
    if (flags & F_HCRC)
        buf_add(&packed, &(char[]){ (char)crc, (char)(crc >> 8) }, 2);
    pack_as(all(&plain), 1, IGZIP_GZIP_NO_HDR);
}

/* The file grows by a byte, again and again. */
static void check_growing(void)
{
    have.len = 0;
    gunzip_start(g);
    for (size_t i = 0; i < packed.len; i++) {
        file_is(packed.at, i);
        EQ(GUNZIP_CUT, read_on(100));
        EQ(GUNZIP_CUT, read_on(100));
        OK(is_prefix());
    }
    file_is(packed.at, packed.len);
    EQ(GUNZIP_END, read_on(100));
    OK(is_whole());
}

TEST(every_header_is_read)
{
    start();
    text(300);
    for (unsigned flags = 0; flags <= F_ALL; flags++) {
        packed.len = 0;
        pack_with_header(flags, 10);
        check_whole();
        check_growing();
    }
    packed.len = 0;
    pack_with_header(F_ALL, 300000);
    check_whole();
    stop();
}

TEST(a_wrong_header_checksum_is_damage)
{
    start();
    text(300);
    pack_with_header(F_HCRC, 0);
    packed.at[10] ^= 1;
    file_is(packed.at, packed.len);
    EQ(GUNZIP_DAMAGED, read_all(100));
    EQ(0, have.len);
    stop();
}

TEST(a_wrong_trailer_is_damage)
{
    start();
    text(300);
    pack(all(&plain));
    for (size_t i = packed.len - 8; i < packed.len; i++) {
        packed.at[i] ^= 1;
        file_is(packed.at, packed.len);
        EQ(GUNZIP_DAMAGED, read_all(100));
        OK(is_whole());
        packed.at[i] ^= 1;
    }
    stop();
}

TEST(members_are_one_text)
{
    size_t from;

    start();
    for (unsigned i = 0; i < 2000; i++) {
        from = plain.len;
        add_lines(rnd() % 20 == 0 ? rnd() % 2000 : rnd() % 4);
        pack(span(plain.at + from, plain.len - from));
        if (i % 10 == 0)
            buf_add(&packed, "\0\0\0\0\0", rnd() % 6);
    }
    OK(packed.len > 3 * 65536);
    check_whole();
    stop();
}

TEST(zeros_behind_the_end_are_padding)
{
    static const char zeros[100000];

    start();
    text(1000);
    pack(all(&plain));
    buf_add(&packed, zeros, sizeof(zeros));
    check_whole();
    stop();
}

TEST(garbage_behind_a_member_is_damage)
{
    static const char *const garbage[] = { "x", "{\"level\":", "\x1f\x8c",
                                           "\x1f\x8b\x09" };

    start();
    text(1000);
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        packed.len = 0;
        pack(all(&plain));
        buf_add(&packed, garbage[i], strlen(garbage[i]));
        file_is(packed.at, packed.len);
        EQ(GUNZIP_DAMAGED, read_all(100));
        OK(is_whole());
        EQ(0, gunzip_read(g, fd, buf_room(&have, 1), 1));
        EQ(GUNZIP_DAMAGED, gunzip_state(g));
    }
    stop();
}

TEST(what_is_no_gzip_is_damaged)
{
    start();
    file_is("{\"level\":\"Metadata\"}\n", 21);
    EQ(GUNZIP_DAMAGED, read_all(100));
    file_is("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21);
    EQ(GUNZIP_DAMAGED, read_all(100));
    EQ(0, have.len);
    stop();
}

TEST(an_empty_file_is_cut)
{
    start();
    EQ(GUNZIP_CUT, read_all(100));
    EQ(0, have.len);
    stop();
}

TEST(a_file_cut_at_any_byte_goes_on_when_it_grows)
{
    size_t first;

    start();
    text(700);
    pack(span(plain.at, 300));
    first = packed.len;
    pack(span(plain.at + 300, 400));
    for (size_t i = 0; i < packed.len; i++) {
        file_is(packed.at, i);
        EQ(i == first ? GUNZIP_END : GUNZIP_CUT, read_all(-50));
        OK(is_prefix());
        OK(i < first || have.len >= 300);
        file_is(packed.at, packed.len);
        EQ(GUNZIP_END, read_on(-50));
        OK(is_whole());
    }
    stop();
}

TEST(a_file_that_grows_by_bytes_is_read)
{
    start();
    text(2000);
    pack(all(&plain));
    check_growing();
    noise(500);
    packed.len = 0;
    pack_as(all(&plain), 0, IGZIP_GZIP);
    check_growing();
    plain.len = packed.len = 0;
    pack(all(&plain));
    check_growing();
    stop();
}

TEST(a_large_file_that_grows_is_read)
{
    size_t len = 0;

    start();
    text(1 << 20);
    pack(all(&plain));
    gunzip_start(g);
    while (len < packed.len) {
        len += 1 + rnd() % 5000;
        if (len > packed.len)
            len = packed.len;
        file_is(packed.at, len);
        EQ(len < packed.len ? GUNZIP_CUT : GUNZIP_END, read_on(-70000));
        OK(is_prefix());
    }
    OK(is_whole());
    stop();
}

/* The file grows by up to `n` bytes at a time, and is read each time. */
static enum gunzip_state read_growing(unsigned n)
{
    size_t len = 0, more;

    EQ(0, ftruncate(fd, 0));
    have.len = 0;
    gunzip_start(g);
    do {
        more = 1 + rnd() % n;
        if (more > packed.len - len)
            more = packed.len - len;
        EQ(more, pwrite(fd, packed.at + len, more, (off_t)len));
        len += more;
    } while (read_on(100000) != GUNZIP_DAMAGED && len < packed.len);
    return gunzip_state(g);
}

/* Nothing wrong is called whole, and how much is read or there at a time
 * changes nothing. */
static void check_damaged(void)
{
    static struct buf other;
    enum gunzip_state state;

    file_is(packed.at, packed.len);
    state = read_all(100000);
    OK(state != GUNZIP_FAILED && state != GUNZIP_MORE);
    OK(state != GUNZIP_END || is_whole());
    other.len = 0;
    buf_add(&other, have.at, have.len);
    EQ(state, read_all(1));
    EQ_SPAN(all(&other), all(&have));
    EQ(state, read_all(-40));
    EQ_SPAN(all(&other), all(&have));
    EQ(state, read_growing(3));
    EQ_SPAN(all(&other), all(&have));
}

static void check_every_change(void)
{
    for (size_t i = 0; i < packed.len; i++) {
        char was = packed.at[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            packed.at[i] = (char)(was ^ (1 << bit));
            check_damaged();
        }
        packed.at[i] = (char)~was;
        check_damaged();
        packed.at[i] = was;
    }
}

TEST(no_changed_byte_goes_unnoticed)
{
    start();
    add_lines(6);
    buf_add(&packed, lines_gz, sizeof(lines_gz));
    check_every_change();
    text(400);
    packed.len = 0;
    pack(span(plain.at, 200));
    pack(span(plain.at + 200, 200));
    check_every_change();
    packed.len = 0;
    pack_with_header(F_ALL, 5);
    check_every_change();
    stop();
}

/* What one file leaves in memory must not show in the next one's text. */
TEST(damaged_text_does_not_hang_on_the_file_before)
{
    struct buf first = { 0 };
    size_t from;

    start();
    for (unsigned i = 0; i < 2000; i++) {
        packed.len = first.len = 0;
        buf_add(&packed, lines_gz, sizeof(lines_gz));
        packed.at[10 + rnd() % (packed.len - 10)] = (char)(rnd() >> 24);
        file_is(packed.at, packed.len);
        gunzip_free(g);
        g = gunzip_new();
        read_all(1000);
        buf_add(&first, have.at, have.len);
        text(5000);
        from = packed.len;
        pack(all(&plain));
        file_is(packed.at + from, packed.len - from);
        EQ(GUNZIP_END, read_all(1000));
        file_is(packed.at, from);
        read_all(1000);
        EQ_SPAN(all(&first), all(&have));
    }
    buf_free(&first);
    stop();
}

TEST(text_before_the_damage_is_handed_out)
{
    static const long sizes[] = { 1, 100, 33000, 65536, 1 << 20 };
    unsigned char block[5] = { 0, 0x60, 0xea, 0x9f, 0x15 };
    unsigned char head[10] = { 0x1f, 0x8b, 8 };

    start();
    noise(180000);
    buf_add(&packed, head, sizeof(head));
    for (size_t i = 0; i < 3; i++) {
        buf_add(&packed, block, sizeof(block)); /* as it is, of 60000 bytes */
        buf_add(&packed, plain.at + i * 60000, 60000);
    }
    buf_add(&packed, "\x07 no such block", 15);
    file_is(packed.at, packed.len);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        EQ(GUNZIP_DAMAGED, read_all(sizes[i]));
        OK(is_whole());
    }
    stop();
}

static unsigned bits_left; /* of the last byte of `packed` */

/* Adds the `n` low bits, lowest first, as deflate has its numbers. */
static void put(unsigned value, unsigned n)
{
    for (; n-- > 0; value >>= 1) {
        if (bits_left == 0) {
            buf_add(&packed, "", 1);
            bits_left = 8;
        }
        if (value & 1)
            packed.at[packed.len - 1] |= (char)(1 << (8 - bits_left));
        bits_left--;
    }
}

/* A block with codes of 'a': 10, end: 11, length 258: 0, distance 1: 0. */
static void put_block_header(void)
{
    /* of the codes 16, 17, 18, ...: 18 (zeros) is 0, 1 is 10, 2 is 11 */
    static const unsigned lengths[18] = { [2] = 1, [15] = 2, [17] = 2 };

    put(0x4, 3);
    put(286 - 257, 5);
    put(0, 5);
    put(18 - 4, 4);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        put(lengths[i], 3);
    put((97 - 11) << 1, 8);
    put(3, 2); /* 'a' */
    put((138 - 11) << 1, 8);
    put((20 - 11) << 1, 8);
    put(3, 2); /* end */
    put((28 - 11) << 1, 8);
    put(1, 2); /* length 258 */
    put(1, 2); /* distance 1 */
}

/* A match and what makes no sense in one byte: the match's text is held back
 * where there is no room for it. */
TEST(text_held_back_at_the_damage_is_handed_out)
{
    static const long sizes[] = { 1, 2, 100, 10000 };
    unsigned char head[10] = { 0x1f, 0x8b, 8 };

    start();
    for (unsigned matches = 1; matches <= 9; matches++) {
        packed.len = plain.len = bits_left = 0;
        buf_add(&packed, head, sizeof(head));
        put_block_header();
        put(1, 2);
        put(0, 2 * matches);
        put(3, 2);
        put(7, 3);
        put(0, 40);
        file_is(packed.at, packed.len);
        for (unsigned i = 0; i < 1 + 258 * matches; i++)
            buf_add(&plain, "a", 1);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            EQ(GUNZIP_DAMAGED, read_all(sizes[i]));
            OK(is_whole());
        }
    }
    stop();
}

/* Not a byte less, and not a byte that is none. */
TEST(damage_amid_lines_keeps_the_lines_before)
{
    struct buf whole = { 0 };

    start();
    for (unsigned i = 0; i < 12; i++) {
        size_t at;

        text(1 << 20);
        packed.len = 0;
        pack_as(all(&plain), i % 4, IGZIP_GZIP);
        at = packed.len / 2 + rnd() % (packed.len / 4);
        memset(packed.at + at, (int)rnd(), 1 + rnd() % 100);
        file_is(packed.at, packed.len);
        EQ(GUNZIP_DAMAGED, read_all(1 << 20));
        whole.len = 0;
        buf_add(&whole, have.at, have.len);
        have.len = 400000;
        OK(whole.len > have.len && is_prefix());
        EQ(GUNZIP_DAMAGED, read_all(-40000));
        EQ_SPAN(all(&whole), all(&have));
        EQ(GUNZIP_DAMAGED, read_growing(7));
        EQ_SPAN(all(&whole), all(&have));
        gunzip_start(g);
        EQ(whole.len, gunzip_skip(g, fd, SIZE_MAX));
        EQ(GUNZIP_DAMAGED, gunzip_state(g));
        EQ(GUNZIP_TAIL, gunzip_tail(g, have.at, GUNZIP_TAIL));
        EQ(0, memcmp(whole.at + whole.len - GUNZIP_TAIL, have.at, GUNZIP_TAIL));
    }
    buf_free(&whole);
    stop();
}

static void check_tail(void)
{
    char tail[GUNZIP_TAIL];
    uint64_t at = gunzip_offset(g);

    for (size_t n = 0; n <= sizeof(tail); n += 1 + n / 2) {
        size_t got = gunzip_tail(g, tail, n);

        EQ(at < n ? at : n, got);
        OK(memcmp(plain.at + at - got, tail, got) == 0);
    }
    EQ(at < sizeof(tail) ? at : sizeof(tail), gunzip_tail(g, tail, 256));
}

TEST(skipped_text_keeps_its_tail)
{
    static const size_t most[] = { 3, 300, 10000, 1000000 };
    char piece[1000];

    start();
    text(1500000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    for (size_t i = 0; i < ARRAY_LEN(most); i++) {
        gunzip_start(g);
        check_tail();
        for (unsigned steps = 0; steps < 500; steps++) {
            uint64_t at = gunzip_offset(g);
            size_t n = rnd() % most[i], got = gunzip_skip(g, fd, n);

            EQ(at + got, gunzip_offset(g));
            check_tail();
            if (got < n)
                break;
            n = rnd() % sizeof(piece);
            at += got;
            got = gunzip_read(g, fd, piece, n);
            OK(memcmp(plain.at + at, piece, got) == 0);
            check_tail();
            if (got < n)
                break;
        }
        OK(gunzip_state(g) == GUNZIP_MORE || gunzip_offset(g) == plain.len);
    }
    stop();
}

TEST(skipping_stops_where_reading_does)
{
    start();
    text(1000000);
    pack(all(&plain));
    file_is(packed.at, packed.len - 1);
    EQ(1000000, gunzip_skip(g, fd, SIZE_MAX));
    EQ(GUNZIP_CUT, gunzip_state(g));
    file_is(packed.at, packed.len);
    EQ(0, gunzip_skip(g, fd, 5));
    EQ(GUNZIP_END, gunzip_state(g));
    gunzip_start(g);
    EQ(1000000, gunzip_skip(g, fd, 1000000));
    EQ(0, gunzip_skip(g, fd, 0));
    check_tail();
    stop();
}

TEST(one_struct_serves_one_file_after_another)
{
    start();
    file_is("no gzip", 7);
    EQ(GUNZIP_DAMAGED, read_all(10));
    text(200000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    gunzip_start(g);
    EQ(100000, gunzip_skip(g, fd, 100000));
    plain.len = 0;
    buf_add(&plain, "hello\n", 6);
    check_known(hello_gz, sizeof(hello_gz));
    stop();
}

TEST(a_member_added_later_is_read)
{
    start();
    text(1000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    EQ(GUNZIP_END, read_all(100));
    buf_add(&plain, "hello\n", 6);
    buf_add(&packed, hello_gz, sizeof(hello_gz));
    file_is(packed.at, packed.len);
    EQ(GUNZIP_END, read_on(100));
    OK(is_whole());
    stop();
}

TEST(the_descriptors_position_is_left_alone)
{
    uint32_t isize;
    char head[10];

    start();
    text(1000);
    pack(all(&plain));
    check_whole();
    EQ(10, gunzip_head(fd, head, 10));
    OK(gunzip_size(fd, &isize));
    EQ(0, lseek(fd, 0, SEEK_CUR));
    stop();
}

TEST(a_failed_read_is_tried_again)
{
    int good;

    start();
    text(1000000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    have.len = gunzip_read(g, fd, buf_room(&have, 1000), 1000);
    EQ(1000, have.len);
    EQ(0, gunzip_errno(g));
    good = fd;
    fd = open("/", O_RDONLY | O_DIRECTORY);
    EQ(GUNZIP_FAILED, read_on(5000));
    EQ(EISDIR, gunzip_errno(g));
    OK(is_prefix() && have.len < plain.len);
    close(fd);
    fd = good;
    EQ(GUNZIP_END, read_on(5000));
    EQ(0, gunzip_errno(g));
    OK(is_whole());
    stop();
}

TEST(asking_for_nothing_changes_nothing)
{
    start();
    EQ(0, gunzip_read(g, fd, NULL, 0));
    EQ(GUNZIP_MORE, gunzip_state(g));
    EQ(0, gunzip_tail(g, NULL, 0));
    EQ(GUNZIP_CUT, read_all(1));
    EQ(0, gunzip_read(g, fd, NULL, 0));
    EQ(GUNZIP_CUT, gunzip_state(g));
    gunzip_free(NULL);
    stop();
}

TEST(the_head_is_the_first_text)
{
    char head[GUNZIP_HEAD];

    start();
    text(100000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    EQ(GUNZIP_HEAD, gunzip_head(fd, head, sizeof(head)));
    EQ(0, memcmp(plain.at, head, sizeof(head)));
    EQ(1, gunzip_head(fd, head, 1));
    EQ(0, gunzip_head(fd, head, 0));
    file_is(hello_gz, sizeof(hello_gz));
    EQ(6, gunzip_head(fd, head, sizeof(head)));
    EQ(0, memcmp("hello\n", head, 6));
    file_is(hello_gz, sizeof(hello_gz) - 9);
    EQ(6, gunzip_head(fd, head, sizeof(head)));
    file_is(hello_gz, 9);
    EQ(0, gunzip_head(fd, head, sizeof(head)));
    file_is(hello_gz, 0);
    EQ(0, gunzip_head(fd, head, sizeof(head)));
    stop();
}

TEST(what_is_no_gzip_has_no_head)
{
    char head[10];

    start();
    file_is("no gzip at all", 14);
    EQ(-1, gunzip_head(fd, head, sizeof(head)));
    EQ(EBADMSG, errno);
    EQ(-1, gunzip_head(-1, head, sizeof(head)));
    EQ(EBADF, errno);
    stop();
}

TEST(the_size_is_what_the_last_bytes_say)
{
    uint32_t isize = 1;

    start();
    file_is(empty_gz, sizeof(empty_gz) - 1);
    OK(!gunzip_size(fd, &isize));
    OK(!gunzip_size(-1, &isize));
    EQ(1, isize);
    file_is(empty_gz, sizeof(empty_gz));
    OK(gunzip_size(fd, &isize));
    EQ(0, isize);
    text(1000000);
    pack(all(&plain));
    file_is(packed.at, packed.len);
    OK(gunzip_size(fd, &isize));
    EQ(1000000, isize);
    stop();
}

/* A thousandfold and more; its struct does not grow, for nothing allocates. */
TEST(a_bomb_is_but_a_long_text)
{
    start();
    plain.len = 0;
    memset(buf_room(&plain, 64 * MIB), 'a', 64 * MIB);
    plain.len = 64 * MIB;
    pack_as(all(&plain), 3, IGZIP_GZIP);
    OK(packed.len < plain.len / 200);
    file_is(packed.at, packed.len);
    EQ(plain.len - 1, gunzip_skip(g, fd, plain.len - 1));
    check_tail();
    EQ(GUNZIP_MORE, gunzip_state(g));
    EQ(1, gunzip_skip(g, fd, 2));
    EQ(GUNZIP_END, gunzip_state(g));
    stop();
}
