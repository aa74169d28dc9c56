/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show - text that somebody else chose, made fit for a log or a terminal.
 *
 * Control characters, bytes that are not UTF-8, marks that turn the direction
 * of text about and characters that cannot be seen come out as \xNN.
 */
#ifndef TALLYMAN_SHOW_H
#define TALLYMAN_SHOW_H

#include "agent/base/bytes.h"

void show_add(struct buf *out, struct span s);

#endif
