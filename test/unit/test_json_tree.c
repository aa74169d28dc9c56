/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json_tree.h"
#include "test/unit/unit.h"

static bool is_taken(const char *json)
{
    yajl_val root = json_tree(span(json, strlen(json)), 100000);
    bool taken = root != NULL;

    yajl_tree_free(root);
    return taken;
}

/* `depth` times "[", something, and as many "]". */
static bool nested_is_taken(size_t depth, const char *inside)
{
    char *json = xmalloc(2 * depth + strlen(inside) + 1);
    bool taken;

    memset(json, '[', depth);
    strcpy(json + depth, inside);
    memset(json + depth + strlen(inside), ']', depth);
    json[2 * depth + strlen(inside)] = '\0';
    taken = is_taken(json);
    free(json);
    return taken;
}

TEST(a_text_becomes_a_tree)
{
    OK(is_taken("{\"a\":[1,\"x\",null,true,{\"b\":1.5}]}"));
    OK(is_taken(" 7 "));
    OK(!is_taken(""));
    OK(!is_taken("{"));
    OK(!is_taken("<html>"));
    OK(!is_taken("[]]"));
}

TEST(a_text_of_too_many_bytes_is_none)
{
    OK(json_tree(SPAN("[1,2,3]"), 6) == NULL);
}

TEST(brackets_without_end_are_none)
{
    OK(nested_is_taken(JSON_TREE_DEPTH, ""));
    OK(!nested_is_taken(JSON_TREE_DEPTH + 1, ""));
    OK(!nested_is_taken(40000, "1"));
}

TEST(brackets_in_a_string_do_not_count)
{
    char *many = xcalloc(1, 2000);
    char *json;

    memset(many, '[', 1999);
    json = xprintf("[\"%s\", \"\\\"%s\"]", many, many);
    OK(is_taken(json));
    free(json);
    free(many);
}
