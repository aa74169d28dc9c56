/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_handle - yajl, as all of us use it.
 *
 * Memory comes from xmalloc(), so that none of yajl's own failures has to be
 * looked for. Strings are taken as they are: logs and answers quote what clients
 * sent, cut anywhere, and whoever needs UTF-8 looks for it.
 */
#ifndef TALLYMAN_JSON_HANDLE_H
#define TALLYMAN_JSON_HANDLE_H

#include <yajl/yajl_parse.h>

enum json_values {
    JSON_ONE, /* a text; yajl_complete_parse() ends it */
    JSON_MANY /* one after the other: the handle is used for all of them */
};

/* Never NULL. `on` is looked at each time, and lives as long. After an error it is
 * of no more use. */
yajl_handle json_handle(const yajl_callbacks *on, void *ctx,
                        enum json_values values);
/* Sets it to NULL; takes that. */
void json_handle_drop(yajl_handle *h);

#endif
