/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - strings of JSON documents: shortened, made UTF-8, looked at.
 */
#ifndef TALLYMAN_TEXT_H
#define TALLYMAN_TEXT_H

#include "agent/base/bytes.h"

/* Adds `s` as the inside of a JSON string: all of it, or `most` bytes (no half
 * character) and then its length and SHA-256. */
void text_add_cut(struct buf *out, struct span s, size_t most);
/* Adds `s`, each byte that is not UTF-8 as U+FFFD; and how long that is. */
void text_add_utf8(struct buf *out, struct span s);
size_t text_utf8_len(struct span s);

/* Whether a string, as JSON writes it, holds half a surrogate pair; its escapes
 * are known to be whole. */
bool text_has_half_pair(struct span s);
/* Whether a string of `most` bytes may be in a JSON document; cheap. */
bool text_may_hold_string(struct span doc, size_t most);

#endif
