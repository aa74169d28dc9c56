/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_tree - a small JSON text, such as a server's answer, as yajl's tree.
 *
 * Bounded in size and in depth: yajl frees its trees by recursion, so brackets
 * without end would take more stack than there is.
 */
#ifndef TALLYMAN_JSON_TREE_H
#define TALLYMAN_JSON_TREE_H

#include <yajl/yajl_tree.h>

#include "agent/base/bytes.h"

#define JSON_TREE_DEPTH 256

/* NULL where it is no JSON, has more than `most` bytes, or is nested deeper
 * than JSON_TREE_DEPTH. To be freed by yajl_tree_free(), which takes NULL. */
yajl_val json_tree(struct span json, size_t most);

#endif
