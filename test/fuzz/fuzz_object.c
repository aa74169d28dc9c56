/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_object - any bytes as an object that a cluster gives back, of each kind:
 * what can be read has a normal form that is JSON, and one hash.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "agent/setup/normal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_json(struct buf *text)
{
    yajl_val root;

    buf_add(text, "", 1);
    root = yajl_tree_parse(text->at, NULL, 0);
    assert(root != NULL);
    yajl_tree_free(root);
}

static void look(enum object_kind kind, struct span json)
{
    struct buf normal = { 0 };
    struct object one, other;
    int rc = object_read(kind, json, &one);

    assert(object_normal(kind, json, &normal) == rc);
    if (rc == 0) {
        assert(object_read(kind, json, &other) == 0);
        assert(strcmp(one.hash, other.hash) == 0);
        assert(strlen(one.hash) == OBJECT_HASH_SIZE - 1);
        assert(strlen(one.mark.stored) < OBJECT_HASH_SIZE);
        is_json(&normal);
    }
    buf_free(&normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int kind = OBJECT_COMPONENT; kind <= OBJECT_ISM; kind++)
        look((enum object_kind)kind, span((const char *)data, size));
    return 0;
}
