/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/ops/idset.h"
#include "test/unit/unit.h"

static struct span id(unsigned n)
{
    static char text[32];

    return span(text, (size_t)snprintf(text, sizeof(text), "id-%u", n));
}

TEST(an_id_is_there_once_it_was_added)
{
    struct idset *s = idset_new(1 << 20);

    OK(!idset_has(s, id(1)));
    for (unsigned i = 0; i < 100000; i++)
        OK(!idset_add(s, id(i)));
    for (unsigned i = 0; i < 100000; i++)
        OK(idset_add(s, id(i)) && idset_has(s, id(i)));
    OK(!idset_has(s, id(100000)) && !idset_has_forgotten(s));
    idset_free(s);
}

TEST(when_it_is_full_the_older_half_is_forgotten)
{
    struct idset *s = idset_new(2048);

    for (unsigned i = 0; i < 2048; i++)
        OK(!idset_add(s, id(i)));
    OK(idset_has(s, id(0)) && !idset_has_forgotten(s));
    OK(!idset_add(s, id(2048)));
    OK(idset_has_forgotten(s));
    OK(!idset_has(s, id(0)) && !idset_has(s, id(1023)));
    OK(idset_has(s, id(1024)) && idset_has(s, id(2048)));
    idset_free(s);
    idset_free(NULL);
}
