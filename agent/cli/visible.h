/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible - what was written to a cluster is found by searches and counts: a
 * server shows it only after some seconds, or when it is told to.
 */
#ifndef TALLYMAN_VISIBLE_H
#define TALLYMAN_VISIBLE_H

#include "agent/cli/ask.h"
#include "agent/ops/conf.h"

/* All indices that a pattern of dates may stand for: "a-%Y.%m" is "a-*.*". To
 * be freed. */
char *visible_name(const char *target);
/* Whether it did, which wants the privilege "maintenance"; a->why. */
bool visible_refresh(struct ask *a, const char *target);
/* The same for an output of any type, at the end of a command: who has no right
 * to it sees the same a little later. */
void visible_now(const struct conf_output *o);

#endif
