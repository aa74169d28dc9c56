/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match - which live logs a pattern finds, and what their trails are called.
 *
 *   /var/log/kube-*.log, /srv/node-[0-9]/?/audit.log: * ? [...] in any part
 *
 * Rotated files are no live logs, whether their live file is there or not: a
 * trail finds its own. Looks at names and links, and opens no file.
 */
#ifndef TALLYMAN_MATCH_H
#define TALLYMAN_MATCH_H

#include "agent/base/err.h"

struct match {
    char **paths; /* sorted */
    size_t n;
};

/* Whether a path has wildcards. */
bool match_is_pattern(const char *path);
/* What is wrong with a pattern, as the end of a sentence that begins with it,
 * or NULL. */
const char *match_mistake(const char *pattern);

/* The paths that match now and whose names are those of live logs. Where a
 * directory cannot be listed the others are searched all the same; `e` then
 * says why, and ERR_IO comes back. */
int match_find(struct match *m, const char *pattern, struct err *e) MUST_CHECK;
void match_free(struct match *m);
/* Adds a path to those that are there. */
void match_add(struct match *m, const char *path);
bool match_has(const struct match *m, const char *path);
/* Whether that path, which need not exist, would be found. */
bool match_would(const char *pattern, const char *path);

/* The name of the trail of a path that the pattern of trail `name` found: the
 * same at every start, fit for a file name; to be freed. */
char *match_trail_name(const char *name, const char *path);

#endif
