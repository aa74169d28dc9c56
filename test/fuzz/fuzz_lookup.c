/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a server answers to a lookup: it is read or refused, what is said of
 * it is printable, and nothing is found that was not asked for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "outputs/elasticsearch/lookup.h"

#define LINE(id) "{\"create\":{\"_index\":\"i-1\",\"_id\":\"" id "\"}}\n"

static void try_one(enum lookup_how how, struct span answer)
{
    struct lookup *l = lookup_new(how);
    struct err e = { 0 };
    unsigned all = 0;

    lookup_start(l);
    lookup_add(l, SPAN(LINE("01a20959b3ce3c_14gvTPqaQCzgAl11goB")));
    lookup_add(l, SPAN(LINE("000000000001RBNvo1WzZ4oRRq0W9-hknp")));
    (void)lookup_body(l);
    if (lookup_read(l, answer, &e) != 0) {
        for (const char *p = e.text; *p != '\0'; p++) {
            if ((unsigned char)*p < ' ')
                abort();
        }
        if (e.text[0] == '\0')
            abort();
    } else {
        all = lookup_copies(l, 0) + lookup_copies(l, 1);
        if (all > answer.len || (how != LOOKUP_BY_SEARCH && all > 2) ||
            (lookup_lacks_index(l) && all > 1))
            abort();
    }
    lookup_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span answer = span((const char *)data, size);

    try_one(LOOKUP_BY_PLACE, answer);
    try_one(LOOKUP_BY_SEARCH, answer);
    try_one(LOOKUP_BY_COUNT, answer);
    return 0;
}
