/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/product.h"

#include <stdio.h>

#include "agent/base/json_tree.h"

/* A root answer has some 500 bytes, one of a thousand nodes 64 KiB. */
#define JSON_MAX (256 * KIB)

#define V(major, minor) ((major)*1000u + (minor))

/* From which version on, of which product, and until which. An unknown version
 * is taken for the newest one. */
static const struct {
    enum product_name name;
    unsigned from;
    unsigned before; /* 0: no end */
    unsigned can;
} abilities[] = {
    { PRODUCT_ELASTICSEARCH, V(7, 9), 0, CAN_DATA_STREAMS },
    { PRODUCT_ELASTICSEARCH, V(8, 13), 0, CAN_REQUIRE_DATA_STREAM },
    { PRODUCT_ELASTICSEARCH, V(7, 3), 0, CAN_FLATTENED },
    { PRODUCT_ELASTICSEARCH, V(6, 6), 0, CAN_ILM },
    { PRODUCT_ELASTICSEARCH, V(7, 14), 0, CAN_ILM_META },
    { PRODUCT_OPENSEARCH, V(1, 0), 0, CAN_DATA_STREAMS },
    { PRODUCT_OPENSEARCH, V(2, 7), 0, CAN_FLAT_OBJECT },
    { PRODUCT_OPENSEARCH, V(1, 0), 0, CAN_ISM },
};

const char *product_title(const struct product *p)
{
    static const char *const titles[] = {
        [PRODUCT_UNKNOWN] = "an unknown search server",
        [PRODUCT_ELASTICSEARCH] = "Elasticsearch",
        [PRODUCT_OPENSEARCH] = "OpenSearch",
    };

    return titles[p->name];
}

static void note_abilities(struct product *p)
{
    unsigned v = p->major > 0 ? V(p->major, p->minor) : V(999, 0);

    p->can = 0;
    for (size_t i = 0; i < ARRAY_LEN(abilities); i++) {
        if (abilities[i].name == p->name && v >= abilities[i].from &&
            (abilities[i].before == 0 || v < abilities[i].before))
            p->can |= abilities[i].can;
    }
    if (p->serverless)
        p->can &= ~(unsigned)CAN_ILM; /* it has a lifecycle of its own */
}

static void note_version(struct product *p, const char *text)
{
    snprintf(p->version, sizeof(p->version), "%s", text);
    p->major = p->minor = p->patch = 0;
    (void)sscanf(text, "%u.%u.%u", &p->major, &p->minor, &p->patch);
    note_abilities(p);
}

static const char *text_at(yajl_val root, const char **path)
{
    yajl_val v = yajl_tree_get(root, path, yajl_t_string);

    return v != NULL ? YAJL_GET_STRING(v) : NULL;
}

/* OpenSearch says so itself; Elasticsearch says nothing, and before 7.14 not
 * even in its headers, but greets. */
static enum product_name name_in(yajl_val root)
{
    const char *distribution =
        text_at(root, (const char *[]){ "version", "distribution", NULL });
    const char *tagline = text_at(root, (const char *[]){ "tagline", NULL });

    if (distribution != NULL)
        return strcmp(distribution, "opensearch") == 0 ? PRODUCT_OPENSEARCH
                                                       : PRODUCT_UNKNOWN;
    if (tagline != NULL && strstr(tagline, "You Know, for Search") != NULL)
        return PRODUCT_ELASTICSEARCH;
    return PRODUCT_UNKNOWN;
}

int product_from_root(struct product *p, struct span json)
{
    yajl_val root = json_tree(json, JSON_MAX);
    const char *text;

    *p = (struct product){ 0 };
    p->name = root != NULL ? name_in(root) : PRODUCT_UNKNOWN;
    if (p->name != PRODUCT_UNKNOWN) {
        text =
            text_at(root, (const char *[]){ "version", "build_flavor", NULL });
        p->serverless = text != NULL && strcmp(text, "serverless") == 0;
        text = text_at(root, (const char *[]){ "cluster_name", NULL });
        snprintf(p->cluster, sizeof(p->cluster), "%s", text ? text : "");
        text = text_at(root, (const char *[]){ "version", "number", NULL });
        note_version(p, text != NULL ? text : "");
    }
    yajl_tree_free(root);
    return p->name != PRODUCT_UNKNOWN ? 0 : ERR_FORMAT;
}

/* "OpenSearch/3.8.0 (opensearch)" */
int product_from_headers(struct product *p, const char *elastic,
                         const char *opensearch)
{
    const char *slash = strchr(opensearch, '/');
    char version[sizeof(p->version)] = "";

    *p = (struct product){ 0 };
    if (strcmp(elastic, "Elasticsearch") == 0)
        p->name = PRODUCT_ELASTICSEARCH;
    else if (strncmp(opensearch, "OpenSearch", 10) == 0)
        p->name = PRODUCT_OPENSEARCH;
    else
        return ERR_MISSING;
    if (p->name == PRODUCT_OPENSEARCH && slash != NULL)
        snprintf(version, sizeof(version), "%.*s", (int)strcspn(slash + 1, " "),
                 slash + 1);
    note_version(p, version);
    return 0;
}

static bool is_lower(const char *text, const struct product *than)
{
    struct product v = { 0 };

    note_version(&v, text);
    if (v.major != than->major)
        return v.major < than->major;
    if (v.minor != than->minor)
        return v.minor < than->minor;
    return v.patch < than->patch;
}

/* While nodes are upgraded, what the oldest can do counts. */
int product_add_version(struct product *p, struct span json)
{
    static const char *const path[] = { "nodes", NULL };
    yajl_val root = json_tree(json, JSON_MAX);
    yajl_val nodes =
        root != NULL ? yajl_tree_get(root, (const char **)path, yajl_t_object)
                     : NULL;
    int rc = ERR_MISSING;

    for (size_t i = 0; nodes != NULL && i < YAJL_GET_OBJECT(nodes)->len; i++) {
        const char *text = text_at(YAJL_GET_OBJECT(nodes)->values[i],
                                   (const char *[]){ "version", NULL });

        if (text == NULL || (rc == 0 && !is_lower(text, p)))
            continue;
        note_version(p, text);
        rc = 0;
    }
    yajl_tree_free(root);
    return rc;
}
