/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json_tree.h"

#include <stdlib.h>

/* Counts brackets outside strings. */
static bool is_shallow(struct span json)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.at[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{') &&
                 ++depth > JSON_TREE_DEPTH)
            return false;
        else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return true;
}

yajl_val json_tree(struct span json, size_t most)
{
    yajl_val root;
    char *text;

    if (json.len == 0 || json.len > most || !is_shallow(json))
        return NULL;
    text = xstrndup(json.at, json.len);
    root = yajl_tree_parse(text, NULL, 0);
    free(text);
    return root;
}
