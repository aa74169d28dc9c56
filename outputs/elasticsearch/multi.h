/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multi - libcurl's multi interface on the libuv loop: its sockets and its time.
 *
 * Runs easy handles and says when one has ended. Knows nothing of what they ask.
 */
#ifndef TALLYMAN_MULTI_H
#define TALLYMAN_MULTI_H

#include <curl/curl.h>
#include <uv.h>

struct multi;

/* Keeps up to `connections` alive. `ended` comes from the loop, never from
 * within curl or multi_add(); it takes the handle out by multi_remove(). */
struct multi *multi_open(uv_loop_t *loop, unsigned connections,
                         void (*ended)(CURL *easy, CURLcode code));
/* What a handle needs, once, to be run by this one. */
void multi_adopt(struct multi *m, CURL *easy);
void multi_add(struct multi *m, CURL *easy);
void multi_remove(struct multi *m, CURL *easy);
/* All handles have been taken out. `closed` comes from the loop. */
void multi_close(struct multi *m, void (*closed)(void *arg), void *arg);

#endif
