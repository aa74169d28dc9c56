/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/gzip.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

struct gzip {
    struct isal_zstream stream;
    struct inflate_state inflate;
    uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

struct gzip *gzip_new(void)
{
    return xcalloc(1, sizeof(struct gzip));
}

void gzip_free(struct gzip *z)
{
    free(z);
}

void gzip_pack(struct gzip *z, struct span in, struct buf *out)
{
    struct isal_zstream *s = &z->stream;
    size_t room = in.len / 8 + 4 * KIB; /* audit logs shrink to a tenth */

    isal_deflate_init(s);
    s->level = 1;
    s->level_buf = z->level_buf;
    s->level_buf_size = sizeof(z->level_buf);
    s->gzip_flag = IGZIP_GZIP;
    s->end_of_stream = 1;
    s->flush = NO_FLUSH;
    s->next_in = (uint8_t *)in.at;
    s->avail_in = (uint32_t)in.len;
    do {
        s->next_out = (uint8_t *)buf_room(out, room);
        s->avail_out = (uint32_t)room;
        if (isal_deflate(s) != COMP_OK)
            abort(); /* only for wrong arguments */
        out->len += room - s->avail_out;
    } while (s->internal_state.state != ZSTATE_END);
}

void gzip_unpack(struct gzip *z, struct span in, size_t len, struct buf *out)
{
    struct inflate_state *s = &z->inflate;

    isal_inflate_init(s);
    s->crc_flag = ISAL_GZIP;
    s->next_in = (uint8_t *)in.at;
    s->avail_in = (uint32_t)in.len;
    /* A byte more than there is: else it stops before the checksum. */
    s->next_out = (uint8_t *)buf_room(out, len + 1);
    s->avail_out = (uint32_t)len + 1;
    if (isal_inflate(s) != ISAL_DECOMP_OK || s->avail_out != 1 ||
        s->block_state != ISAL_BLOCK_FINISH)
        abort();
    out->len += len;
}
