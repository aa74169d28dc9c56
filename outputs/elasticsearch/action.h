/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action - the line before each document of a bulk request, and what it holds:
 * the name of the index and the id.
 *
 *   {"create":{"_index":"auditing-2026.11.23","_id":"..."}}
 *
 * The id is made of the event's time (milliseconds, 12 hex digits), so that ids
 * of one time lie together in the index, and of the SHA-256 of the event's own
 * bytes (22 characters of base64url, the first 132 bits). The same bytes give
 * the same id, and nobody can choose one.
 */
#ifndef TALLYMAN_ACTION_H
#define TALLYMAN_ACTION_H

#include "agent/base/sha256.h"
#include "parsers/event.h"

#define ACTION_ID_LEN    34
#define ACTION_INDEX_MAX 255 /* bytes, of Elasticsearch itself */

struct action;

/* `index` may hold %Y %m %d %H (of the event's time, UTC). */
struct action *action_new(const char *index);
void action_free(struct action *a);
/* NULL, or what is wrong with such a pattern. */
const char *action_check_index(const char *index);

/* Adds the line with its newline; `ev->time_us` is set. An event that has an id
 * keeps it. */
void action_add(struct action *a, const struct event *ev, struct buf *out);
/* The id within such a line. */
struct span action_id(struct span line);
/* The name of the index within such a line. */
struct span action_index(struct span line);
/* The object with index and id within such a line. */
struct span action_place(struct span line);

#endif
