/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/discover.h"

#include <stdlib.h>

#include "agent/base/json_tree.h"

/* That of a thousand nodes has some 200 KiB. */
#define JSON_MAX MIB

/* "data", also "data_hot" and its like, and "ingest". A node without any role
 * passes on what it gets, one more hop. */
static bool takes_events(yajl_val node)
{
    static const char *const path[] = { "roles", NULL };
    yajl_val roles = yajl_tree_get(node, (const char **)path, yajl_t_array);

    for (size_t i = 0; roles != NULL && i < YAJL_GET_ARRAY(roles)->len; i++) {
        const char *role = YAJL_GET_STRING(YAJL_GET_ARRAY(roles)->values[i]);

        if (role != NULL &&
            (strncmp(role, "data", 4) == 0 || strcmp(role, "ingest") == 0))
            return true;
    }
    return false;
}

/* "10.0.0.1:9200", "[::1]:9200", or "name/10.0.0.1:9200" where a name was
 * configured: then that one, for it is what the certificate has. */
static char *address_of(yajl_val node)
{
    static const char *const path[] = { "http", "publish_address", NULL };
    yajl_val v = yajl_tree_get(node, (const char **)path, yajl_t_string);
    const char *text = v != NULL ? YAJL_GET_STRING(v) : "";
    const char *slash = strchr(text, '/'), *port = strrchr(text, ':');

    if (port == NULL || port == text)
        return NULL;
    if (slash != NULL && slash > text && slash < port)
        return xprintf("%.*s%s", (int)(slash - text), text, port);
    return xstrdup(slash != NULL ? slash + 1 : text);
}

/* Nothing that would make another URL of it. */
static bool is_address(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
            !(*p >= '0' && *p <= '9') && strchr(".-_:[]", *p) == NULL)
            return false;
    }
    return true;
}

static void add_node(yajl_val node, struct opt_list *addresses)
{
    char *address = takes_events(node) ? address_of(node) : NULL;

    if (address == NULL || !is_address(address)) {
        free(address);
        return;
    }
    addresses->at =
        xrealloc(addresses->at, (addresses->n + 1) * sizeof(char *));
    addresses->at[addresses->n++] = address;
}

int discover_nodes(struct span json, struct opt_list *addresses)
{
    static const char *const path[] = { "nodes", NULL };
    yajl_val root, nodes;

    *addresses = (struct opt_list){ 0 };
    root = json_tree(json, JSON_MAX);
    nodes = root != NULL
                ? yajl_tree_get(root, (const char **)path, yajl_t_object)
                : NULL;
    for (size_t i = 0; nodes != NULL && i < YAJL_GET_OBJECT(nodes)->len; i++)
        add_node(YAJL_GET_OBJECT(nodes)->values[i], addresses);
    yajl_tree_free(root);
    if (nodes == NULL)
        return ERR_FORMAT;
    return addresses->n > 0 ? 0 : ERR_MISSING;
}

void discover_free(struct opt_list *addresses)
{
    for (size_t i = 0; i < addresses->n; i++)
        free(addresses->at[i]);
    free(addresses->at);
    *addresses = (struct opt_list){ 0 };
}
