/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shapes - the kinds of requests the generated log is a mix of.
 *
 * Texts are templates: "%x" stands for a part that event.c fills in, the same
 * for both stages of a request:
 *
 *   %n namespace   %a application  %h replica set hash  %p pod name
 *   %N node        %u %o uids      %r %R resource version, and the one before
 *   %t second      %I pod address  %B a long text of random letters
 *   %T token       %L list items   %% a percent sign
 */
#ifndef BENCH_SHAPES_H
#define BENCH_SHAPES_H

enum shape_flag {
    SHAPE_LONG_RUNNING = 1, /* watch: ResponseStarted as well */
    SHAPE_REFUSED = 2,      /* 403, with the reason in responseStatus */
    SHAPE_UNKNOWN = 4,      /* 401: ResponseStarted alone, no user */
};

struct shape_user {
    const char *user;  /* inside of "user":{...} */
    const char *agent; /* userAgent */
    const char *address;
    const char *reason; /* value of authorization.k8s.io/reason */
};

struct shape {
    unsigned weight; /* of 10,000 requests */
    unsigned flags;
    int code;
    unsigned min_items, max_items; /* for %L, and KiB for %B */
    const struct shape_user *by;
    const char *level;
    const char *verb;
    const char *uri;
    const char *ref;      /* objectRef at RequestReceived, NULL if none */
    const char *ref_done; /* and later; NULL if the same */
    const char *request;  /* requestObject, NULL if none */
    const char *response; /* responseObject, NULL if none */
};

extern const struct shape shapes[];
extern const unsigned shapes_count;
extern const struct shape shape_steady;
extern const char *const shape_list_item;

#endif
