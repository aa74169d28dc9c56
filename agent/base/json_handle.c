/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json_handle.h"

#include <stdlib.h>

#include "agent/base/bytes.h"

static void *get(void *ctx, size_t n)
{
    (void)ctx;
    return xmalloc(n);
}

static void *grow(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return xrealloc(p, n);
}

static void give(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

yajl_handle json_handle(const yajl_callbacks *on, void *ctx,
                        enum json_values values)
{
    static yajl_alloc_funcs memory = { get, grow, give, NULL };
    yajl_handle h = yajl_alloc(on, &memory, ctx);

    if (yajl_config(h, yajl_dont_validate_strings, 1) == 0 ||
        yajl_config(h, yajl_allow_multiple_values, values == JSON_MANY) == 0)
        abort(); /* options that it does not know */
    return h;
}

void json_handle_drop(yajl_handle *h)
{
    if (*h != NULL)
        yajl_free(*h);
    *h = NULL;
}
