/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/gunzip.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"

enum {
    FIRST = 4 * 1024,   /* read at first: enough for a head */
    PIECE = 64 * 1024,  /* and at most */
    CHUNK = 128 * 1024, /* skipped at a time: stays in the L2 cache */
    MIN_FILE = 10 + 2 + 8,
    MOST = 1 << 30 /* unpacked by one call of ISA-L */
};

/* Where in the file we are. A member is a header, data and a trailer. */
enum place {
    AT_GAP, /* before the first member or behind one */
    AT_HEADER,
    AT_DATA,
    AT_TRAILER,
    AT_WRECK, /* in data that makes no sense */
};

struct gunzip {
    enum gunzip_state state;
    int error;
    enum place place;
    bool is_first;        /* no member was whole yet: zeros are no padding */
    uint64_t file_off;    /* of the byte behind the piece */
    size_t ahead;         /* how much to read next */
    uint64_t offset;      /* in the text, of the next byte */
    uint64_t member_off;  /* in the file, of this member */
    uint64_t member_text; /* in the text, likewise */
    uint64_t again;       /* text to pass that was handed out before, and */
    uint64_t careful_off; /* where in the file to be careful: once_more() */
    unsigned magic_len;   /* how much of it this header has shown */
    unsigned trailer_len;
    uint8_t trailer[8]; /* CRC and length, as far as read */
    size_t tail_len;
    uint8_t tail[GUNZIP_TAIL];
    /* Kept, for a header may be cut: ISA-L's own way to read a whole member
     * forgets the header's flags then. */
    struct isal_gzip_header header;
    struct inflate_state inflate; /* its next_in, avail_in: the piece's rest */
    uint8_t in[PIECE];
    uint8_t scratch[CHUNK];
};

struct gunzip *gunzip_new(void)
{
    struct gunzip *g = xmalloc(sizeof(*g));

    gunzip_start(g);
    return g;
}

void gunzip_free(struct gunzip *g)
{
    free(g);
}

void gunzip_start(struct gunzip *g)
{
    g->state = GUNZIP_MORE;
    g->error = 0;
    g->place = AT_GAP;
    g->is_first = true;
    g->careful_off = UINT64_MAX;
    g->file_off = g->offset = 0;
    g->ahead = FIRST;
    g->tail_len = 0;
    isal_inflate_init(&g->inflate);
    g->inflate.next_in = g->in;
}

/* How much of the file to take next. */
static size_t next_piece(struct gunzip *g)
{
    size_t n = g->ahead;

    if (g->file_off >= g->careful_off)
        return 1;
    if (n > g->careful_off - g->file_off)
        n = (size_t)(g->careful_off - g->file_off);
    g->ahead = g->ahead * 8 < PIECE ? g->ahead * 8 : PIECE;
    return n;
}

/* The next piece, once the last is used up; false at the end of the file or on
 * error, with the state set. */
static bool fill(struct gunzip *g, int fd, enum gunzip_state at_end)
{
    struct inflate_state *s = &g->inflate;
    ssize_t n;

    if (s->avail_in > 0)
        return true;
    s->next_in = g->in;
    n = file_pread(fd, s->next_in, next_piece(g), g->file_off);
    if (n < 0) {
        g->state = GUNZIP_FAILED;
        g->error = errno;
        return false;
    }
    if (n == 0) {
        g->state = at_end;
        return false;
    }
    s->avail_in = (uint32_t)n;
    g->file_off += (uint64_t)n;
    return true;
}

static void start_member(struct gunzip *g)
{
    isal_inflate_reset(&g->inflate);
    /* ISA-L is to unpack and to count; header and trailer are read apart. */
    g->inflate.crc_flag = ISAL_GZIP_NO_HDR;
    isal_gzip_header_init(&g->header);
    g->member_off = g->file_off - g->inflate.avail_in;
    g->member_text = g->offset;
    g->careful_off = UINT64_MAX;
    g->again = 0;
    g->magic_len = g->trailer_len = 0;
    g->place = AT_HEADER;
}

/* Zeros pad a file to its blocks; what else comes is a member or damage, which
 * the header will tell. */
static void pass_gap(struct gunzip *g, int fd)
{
    struct inflate_state *s = &g->inflate;

    if (!fill(g, fd, g->is_first ? GUNZIP_CUT : GUNZIP_END))
        return;
    while (!g->is_first && s->avail_in > 0 && *s->next_in == 0) {
        s->next_in++;
        s->avail_in--;
    }
    if (s->avail_in > 0)
        start_member(g);
}

/* ISA-L waits for ten bytes before it looks; a short file that is no gzip would
 * seem cut for ever. */
static bool has_magic(struct gunzip *g)
{
    static const uint8_t magic[] = { 0x1f, 0x8b, 8 };
    const struct inflate_state *s = &g->inflate;

    for (uint32_t i = 0; i < s->avail_in && g->magic_len < 3; i++) {
        if (s->next_in[i] != magic[g->magic_len++])
            return false;
    }
    return true;
}

static void read_header(struct gunzip *g, int fd)
{
    int rc;

    if (!fill(g, fd, GUNZIP_CUT))
        return;
    if (!has_magic(g)) {
        g->state = GUNZIP_DAMAGED;
        return;
    }
    rc = isal_read_gzip_header(&g->inflate, &g->header);
    if (rc == ISAL_DECOMP_OK)
        g->place = AT_DATA;
    else if (rc != ISAL_END_INPUT)
        g->state = GUNZIP_DAMAGED;
}

/* What ISA-L took in bytes but has not used as bits. It lies in this piece: what
 * was left of the last one was less than what comes next, a symbol or a block's
 * header, so that took it. */
static void give_back(struct gunzip *g)
{
    struct inflate_state *s = &g->inflate;
    int32_t n = s->read_in_length / 8;

    assert(n >= 0 && n <= s->next_in - g->in);
    s->next_in -= n;
    s->avail_in += (uint32_t)n;
    s->read_in_length = 0;
}

static void hand_out(struct gunzip *g, const uint8_t *text, size_t n)
{
    size_t kept = n < GUNZIP_TAIL ? GUNZIP_TAIL - n : 0;

    g->offset += n;
    if (kept > g->tail_len)
        kept = g->tail_len;
    memmove(g->tail, g->tail + g->tail_len - kept, kept);
    if (n > GUNZIP_TAIL) {
        text += n - GUNZIP_TAIL;
        n = GUNZIP_TAIL;
    }
    memcpy(g->tail + kept, text, n);
    g->tail_len = kept + n;
}

/*
 * Where a distance is wrong, ISA-L's fast loop counts as text what it has not
 * copied: whatever the memory held, up to 258 bytes. Its slow loop is exact, and
 * runs while there are less than 8 bytes of input. So the member is read again:
 * as before up to where this call began, then byte by byte to the damage.
 */
static void once_more(struct gunzip *g, uint64_t careful_off)
{
    struct inflate_state *s = &g->inflate;
    uint64_t text = g->member_text;

    g->file_off = g->member_off;
    s->avail_in = 0;
    s->next_in = g->in;
    start_member(g);
    g->member_text = text;
    g->again = g->offset - text;
    g->careful_off = careful_off;
}

/* Unpacks up to `n` bytes, and says how many. */
static size_t unpack(struct gunzip *g, int fd, void *out, size_t n)
{
    struct inflate_state *s = &g->inflate;
    uint32_t room = n < MOST ? (uint32_t)n : MOST, got;
    uint64_t from = g->file_off - s->avail_in;
    int rc;

    s->next_out = out;
    s->avail_out = room;
    rc = isal_inflate(s);
    got = room - s->avail_out;
    if (rc < 0 && g->careful_off == UINT64_MAX) {
        once_more(g, from);
        return 0;
    }
    if (rc < 0) {
        g->place = AT_WRECK;
    } else if (s->block_state == ISAL_BLOCK_FINISH) {
        give_back(g);
        g->place = AT_TRAILER;
    } else if (s->avail_out > 0) {
        assert(s->avail_in == 0);
        fill(g, fd, GUNZIP_CUT);
    }
    return got;
}

static size_t read_data(struct gunzip *g, int fd, void *out, size_t n)
{
    size_t got;

    if (g->again > 0) {
        n = g->again < CHUNK ? (size_t)g->again : CHUNK;
        g->again -= unpack(g, fd, g->scratch, n);
        return 0;
    }
    got = unpack(g, fd, out, n);
    hand_out(g, out, got);
    return got;
}

/* What ISA-L had unpacked before it met the damage, but found no room for: to
 * call it again would be to unpack what stands behind the damage. */
static size_t rescue(struct gunzip *g, void *out, size_t n)
{
    struct inflate_state *s = &g->inflate;
    size_t held = (size_t)(s->tmp_out_valid - s->tmp_out_processed);

    if (held == 0)
        g->state = GUNZIP_DAMAGED;
    if (held > n)
        held = n;
    memcpy(out, s->tmp_out_buffer + s->tmp_out_processed, held);
    s->tmp_out_processed += (int32_t)held;
    hand_out(g, out, held);
    return held;
}

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static void read_trailer(struct gunzip *g, int fd)
{
    struct inflate_state *s = &g->inflate;

    if (!fill(g, fd, GUNZIP_CUT))
        return;
    while (g->trailer_len < sizeof(g->trailer) && s->avail_in > 0) {
        g->trailer[g->trailer_len++] = *s->next_in++;
        s->avail_in--;
    }
    if (g->trailer_len < sizeof(g->trailer))
        return;
    if (le32(g->trailer) != s->crc || le32(g->trailer + 4) != s->total_out) {
        g->state = GUNZIP_DAMAGED;
        return;
    }
    g->is_first = false;
    g->place = AT_GAP;
}

size_t gunzip_read(struct gunzip *g, int fd, void *out, size_t n)
{
    uint8_t *text = out;
    size_t got = 0;

    if (n == 0 || g->state == GUNZIP_DAMAGED)
        return 0;
    g->state = GUNZIP_MORE;
    g->error = 0;
    while (got < n && g->state == GUNZIP_MORE) {
        switch (g->place) {
        case AT_GAP:
            pass_gap(g, fd);
            break;
        case AT_HEADER:
            read_header(g, fd);
            break;
        case AT_DATA:
            got += read_data(g, fd, text + got, n - got);
            break;
        case AT_TRAILER:
            read_trailer(g, fd);
            break;
        case AT_WRECK:
            got += rescue(g, text + got, n - got);
            break;
        }
    }
    return got;
}

size_t gunzip_skip(struct gunzip *g, int fd, size_t n)
{
    size_t left = n, asked, got;

    do {
        asked = left < CHUNK ? left : CHUNK;
        got = gunzip_read(g, fd, g->scratch, asked);
        left -= got;
    } while (left > 0 && got == asked);
    return n - left;
}

size_t gunzip_tail(const struct gunzip *g, void *out, size_t n)
{
    if (n > g->tail_len)
        n = g->tail_len;
    if (n == 0)
        return 0;
    memcpy(out, g->tail + g->tail_len - n, n);
    return n;
}

enum gunzip_state gunzip_state(const struct gunzip *g)
{
    return g->state;
}

int gunzip_errno(const struct gunzip *g)
{
    return g->error;
}

uint64_t gunzip_offset(const struct gunzip *g)
{
    return g->offset;
}

ssize_t gunzip_head(int fd, void *out, size_t n)
{
    struct gunzip *g = gunzip_new();
    ssize_t got = (ssize_t)gunzip_read(g, fd, out, n);
    int error = g->error;

    if (g->state == GUNZIP_DAMAGED && got == 0)
        error = EBADMSG;
    gunzip_free(g);
    if (error == 0)
        return got;
    errno = error;
    return -1;
}

bool gunzip_size(int fd, uint32_t *isize)
{
    uint8_t last[4];
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_size < MIN_FILE ||
        file_pread(fd, last, sizeof(last), (uint64_t)st.st_size - 4) != 4)
        return false;
    *isize = le32(last);
    return true;
}
