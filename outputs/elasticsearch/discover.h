/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover - which nodes of a cluster take events: those that hold data, and
 * those that run ingest pipelines. Pure, but for reading JSON.
 */
#ifndef TALLYMAN_DISCOVER_H
#define TALLYMAN_DISCOVER_H

#include "agent/base/opt.h"

#define DISCOVER_PATH \
    "/_nodes/http?filter_path=nodes.*.roles,nodes.*.http.publish_address"

/* Adds each such node as NAME:PORT, to be freed with discover_free().
 * ERR_FORMAT where the answer is none of that kind; ERR_MISSING where there is
 * no such node. */
int discover_nodes(struct span json, struct opt_list *addresses) MUST_CHECK;
void discover_free(struct opt_list *addresses);

#endif
