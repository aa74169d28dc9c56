/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed - small files of text, one "key value" a line, that say of themselves
 * whether they are whole: the first line is a title with a version, the last
 * one "sum <sha256 of all lines above>".
 */
#ifndef TALLYMAN_SEALED_H
#define TALLYMAN_SEALED_H

#include "agent/base/err.h"
#include "agent/base/sha256.h"

/* Adds the last line. */
void sealed_end(struct buf *text);
/* Leaves the lines between title and sum in `text`; ERR_DAMAGED. */
int sealed_open(struct span *text, const char *title, struct err *e) MUST_CHECK;

/* The next line "KEY value": takes it off `text`, the value in `out`; false
 * where the next line is another one: then nothing is changed. */
bool sealed_take(struct span *text, const char *key, struct span *out);
/* 64 digits, as sha256_hex() prints them; the text need not end there. */
bool sealed_hash(const char *hex, unsigned char out[static SHA256_SIZE]);

#endif
