/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product - Elasticsearch or OpenSearch, which version, and what that means.
 *
 * Told apart by what they say of themselves: `GET /`, or where that is
 * forbidden (403) or not there (405, serverless) the headers of its answer and
 * the versions of the nodes. Pure, but for reading JSON.
 */
#ifndef TALLYMAN_PRODUCT_H
#define TALLYMAN_PRODUCT_H

#include "agent/base/err.h"

enum product_name {
    PRODUCT_UNKNOWN,
    PRODUCT_ELASTICSEARCH,
    PRODUCT_OPENSEARCH
};

/* What differs between them, as far as we use it. */
enum product_can {
    CAN_DATA_STREAMS = 1 << 0,
    CAN_REQUIRE_DATA_STREAM = 1 << 1, /* parameter of _bulk */
    CAN_FLATTENED = 1 << 2,           /* field type, with ignore_above */
    CAN_FLAT_OBJECT = 1 << 3,         /* field type, without ignore_above */
    CAN_ILM = 1 << 4,                 /* by default; a plugin may be missing */
    CAN_ISM = 1 << 5,
    CAN_ILM_META = 1 << 6 /* a policy may have `_meta` */
};

struct product {
    enum product_name name;
    unsigned major, minor, patch; /* 0.0.0: not known */
    bool serverless;
    unsigned can; /* enum product_can */
    char version[32];
    char cluster[128]; /* its name, "" where not known; anybody's text */
};

/* "Elasticsearch", "OpenSearch", "an unknown search server". */
const char *product_title(const struct product *p);

/* From the body of `GET /`. ERR_FORMAT where it says nothing of that kind. */
int product_from_root(struct product *p, struct span json) MUST_CHECK;
/* From the headers X-elastic-product and X-OpenSearch-Version ("" where not
 * there); ERR_MISSING where they say nothing. */
int product_from_headers(struct product *p, const char *elastic,
                         const char *opensearch) MUST_CHECK;
/* The lowest version in `GET /_nodes?filter_path=nodes.*.version`. */
int product_add_version(struct product *p, struct span json) MUST_CHECK;

#endif
