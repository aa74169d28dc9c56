/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand - ${VAR}, ${file:/path} and $$ in a value of the configuration.
 *
 * What comes out is not looked at again. Messages name variables and paths,
 * never what was in them, nor any other part of the value.
 */
#ifndef TALLYMAN_EXPAND_H
#define TALLYMAN_EXPAND_H

#include "agent/base/err.h"

/* Adds `text`, expanded and NUL-ended, to `out`. ERR_CONFIG with `e` set. */
int expand(const char *text, struct buf *out, struct err *e) MUST_CHECK;
/* The path where `text` is one ${file:/path} and nothing else, to be freed;
 * else NULL. */
char *expand_file_of(const char *text);

#endif
