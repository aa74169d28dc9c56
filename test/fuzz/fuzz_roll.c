/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_roll - any bytes as the roll of a trail: as they are, and with title and
 * sum that are right, so that what stands between them is reached as well. What
 * is taken is printed and read back the same, but for the files that nothing
 * is known of.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/base/sealed.h"
#include "agent/trail/roll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void empty(struct chain *c)
{
    while (c->oldest != NULL) {
        struct file *f = c->oldest;

        c->oldest = f->next;
        file_free(f);
    }
}

static void check(const struct chain *c)
{
    for (const struct file *f = c->oldest; f != NULL; f = f->next) {
        assert(f->id.head_len <= IDENTITY_HEAD_MAX);
        assert(f->path != NULL && f->path[0] != '\0');
        assert(strchr(f->path, '\n') == NULL);
        assert(f->remembered && f->is_named && f->fd < 0);
        assert(f->passed + f->might_grow + (f->loss != LOSS_NONE) <= 1);
    }
}

static void read_back(struct chain *c)
{
    struct chain again = { .who = "fuzz" };
    struct buf text = { 0 }, more = { 0 };
    int rc;

    roll_print(c, &text);
    rc = roll_parse(&again, span(text.at, text.len), NULL);
    assert(rc == 0);
    check(&again);
    roll_print(&again, &more);
    assert(text.len == more.len && memcmp(text.at, more.at, text.len) == 0);
    empty(&again);
    buf_free(&text);
    buf_free(&more);
}

static void parse(struct span text)
{
    struct chain c = { .who = "fuzz" };
    struct err e = { 0 };
    int rc = roll_parse(&c, text, &e);

    check(&c);
    if (rc == 0)
        read_back(&c);
    else
        assert(rc == ERR_DAMAGED && e.text[0] != '\0');
    empty(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = { 0 };
    char *own = xmalloc(size); /* reading on behind it is seen */

    memcpy(own, data, size);
    parse(span(own, size));
    free(own);
    buf_printf(&text, "tallyman roll 1\n");
    buf_add(&text, data, size);
    sealed_end(&text);
    parse(span(text.at, text.len));
    buf_free(&text);
    return 0;
}
