/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_answer - see bulk_answer.h.
 */
#include "bulk_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct items {
    const char *one;
    char *text; /* one, one, one, ... */
    uint64_t count;
};

static struct items brief = { "{\"create\":{\"status\":201}},", NULL, 0 };
static struct items whole = {
    "{\"create\":{\"_index\":\"auditing\",\"_id\":\"0\",\"_version\":1,"
    "\"result\":\"created\",\"_shards\":{\"total\":2,\"successful\":1,"
    "\"failed\":0},\"_seq_no\":0,\"_primary_term\":1,\"status\":201}},",
    NULL, 0
};

static unsigned part_of(const char *name, size_t len)
{
    if (strncmp(name, "errors", len) == 0 && len == 6)
        return ANSWER_ERRORS;
    if (strncmp(name, "took", len) == 0 && len == 4)
        return ANSWER_TOOK;
    if (strncmp(name, "items", 5) != 0)
        return 0;
    if (memmem(name, len, "status", 6))
        return ANSWER_STATUS;
    if (memmem(name, len, "error", 5) || memmem(name, len, "failure_store", 13))
        return 0; /* no item has one */
    return ANSWER_ITEMS;
}

unsigned answer_parts(const char *target)
{
    const char *at = strstr(target, "filter_path=");
    unsigned parts = 0;
    size_t len;

    if (!at)
        return ANSWER_ALL;
    for (at += strlen("filter_path=");; at += len) {
        len = strcspn(at, ",%& ");
        parts |= part_of(at, len);
        if (at[len] == ',')
            at++;
        else if (strncasecmp(at + len, "%2c", 3) == 0)
            at += 3;
        else
            return parts;
    }
}

static size_t items_grow(struct items *it, uint64_t count)
{
    size_t one = strlen(it->one);

    if (count > it->count) {
        it->text = realloc(it->text, one * count * 2);
        if (!it->text)
            abort();
        for (; it->count < 2 * count; it->count++)
            memcpy(it->text + one * it->count, it->one, one);
    }
    return count ? one * count - 1 : 0; /* the last comma stays out */
}

void answer_make(struct answer *a, unsigned parts, uint64_t items,
                 int64_t took_ms)
{
    struct items *it = parts & ANSWER_ITEMS ? &whole : &brief;
    const char *comma = "";
    char *p = a->head, *end = a->head + sizeof(a->head);

    p += snprintf(p, (size_t)(end - p), "{");
    if (parts & ANSWER_ERRORS) {
        p += snprintf(p, (size_t)(end - p), "\"errors\":false");
        comma = ",";
    }
    if (parts & ANSWER_TOOK) {
        p += snprintf(p, (size_t)(end - p), "%s\"took\":%" PRId64, comma,
                      took_ms);
        comma = ",";
    }
    a->items_len = 0;
    a->tail = "}";
    if (parts & (ANSWER_STATUS | ANSWER_ITEMS)) {
        p += snprintf(p, (size_t)(end - p), "%s\"items\":[", comma);
        a->items_len = items_grow(it, items);
        a->tail = "]}";
    }
    a->items = it->text;
    a->tail_len = strlen(a->tail);
    a->head_len = (size_t)(p - a->head);
}
