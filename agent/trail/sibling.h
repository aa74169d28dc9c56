/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sibling - which names in a directory are rotated files of a log, and in what
 * order they were written.
 *
 *   lumberjack (kube-apiserver)   audit-2026-11-23T03-09-58.015.log[.gz]
 *   logrotate                     audit.log.1[.gz]
 *   logrotate, dateext            audit.log-20261123[.gz]
 *     with hours or a dateformat  -2026112303 -20261123-1763900000 -2026-11-23
 *   logrotate, extension .log     audit.1.log[.gz], audit-20261123.log[.gz]
 *
 * Pure: looks at names only.
 */
#ifndef TALLYMAN_SIBLING_H
#define TALLYMAN_SIBLING_H

#include <stdint.h>

#include "agent/base/bytes.h"

enum sibling_kind {
    SIBLING_NONE,
    SIBLING_TIMED,   /* final as soon as it has this name */
    SIBLING_DATED,   /* its writer may still hold it */
    SIBLING_NUMBERED /* likewise */
};

struct sibling {
    enum sibling_kind kind;
    bool is_gz;
    char key[32]; /* sorts, within a kind, as written */
};

/* Whether `name` is a rotated file of the log called `live`. */
struct sibling sibling_of(const char *live, const char *name);
/* < 0 when `a` was written before `b`. */
int sibling_compare(const struct sibling *a, const struct sibling *b);

/* Whether a name looks like that of a rotated file, whatever its live file is
 * called. A number that may as well belong to the name (10.0.0.1, app-9.6.log)
 * is not enough. */
bool sibling_is_rotated_name(const char *name);
/* What the live file of such a numbered one would be called: 10.0.0, app-9.log;
 * to be freed. NULL where the name has no number. */
char *sibling_live_of_numbered(const char *name);

#endif
