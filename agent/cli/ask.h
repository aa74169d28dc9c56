/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - one question to a cluster after the other, for commands: each call
 * runs the loop until the answer is there.
 */
#ifndef TALLYMAN_ASK_H
#define TALLYMAN_ASK_H

#include "outputs/elasticsearch/client.h"

struct ask {
    uv_loop_t loop;
    struct client *client;
    struct product product;
    struct client_request request; /* its `answer` is valid until the next */
    char why[1024];                /* of what went wrong, for people */
    unsigned status;               /* of the last answer */
    size_t hosts;                  /* how many there are to try */
    bool done;
    bool again; /* nothing came of it that a second time could repeat */
};

#define ASK_SLOTS 8 /* requests at once, for those who use the client itself */

/* `settings` live as long. ERR_IO with `e` set. */
int ask_open(struct ask *a, const struct elasticsearch_settings *settings,
             struct err *e) MUST_CHECK;
void ask_close(struct ask *a);

/* Where a host cannot be reached, the others are asked as well.
 *
 * The HTTP status, any, with the answer in a->request.answer; 0: there was
 * none, and a->why says why. For other statuses than 2xx a->why is set as
 * well. `json` may be NULL: no body. */
unsigned ask(struct ask *a, enum http_method method, const char *path,
             const struct span *json);
/* The same with a body of another kind. */
unsigned ask_as(struct ask *a, enum http_method method, const char *path,
                enum http_body kind, struct span body);
/* Fills a->product. 0, or ERR_IO with a->why set. */
int ask_product(struct ask *a) MUST_CHECK;

/* For those who use the client and run the loop themselves: first of all in each
 * `done`. An answer may come while the loop prepares to sleep; without this it
 * would sleep all the same. */
void ask_came(struct ask *a);

#endif
