/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - where things are in one line of the log.
 *
 * All spans borrow the line's bytes and hold the value as JSON wrote it:
 * strings with their quotes and escapes. An absent field has at == NULL. The
 * whole is valid only while the line is.
 */
#ifndef TALLYMAN_EVENT_H
#define TALLYMAN_EVENT_H

#include <stdint.h>

#include "agent/base/bytes.h"

/* The fields of an audit.k8s.io Event that the rest of the agent needs; the
 * names are those of the API (field names in Go's order). */
#define EVENT_FIELDS(X)                               \
    X(API_VERSION, "apiVersion")                      \
    X(LEVEL, "level")                                 \
    X(AUDIT_ID, "auditID")                            \
    X(STAGE, "stage")                                 \
    X(REQUEST_URI, "requestURI")                      \
    X(VERB, "verb")                                   \
    X(USER, "user")                                   \
    X(OBJECT_REF, "objectRef")                        \
    X(RESPONSE_STATUS, "responseStatus")              \
    X(REQUEST_OBJECT, "requestObject")                \
    X(RESPONSE_OBJECT, "responseObject")              \
    X(RECEIVED_TIMESTAMP, "requestReceivedTimestamp") \
    X(STAGE_TIMESTAMP, "stageTimestamp")              \
    X(ANNOTATIONS, "annotations")                     \
    X(LEGACY_TIMESTAMP, "timestamp")                  \
    X(TIMESTAMP, "@timestamp")

/* Members of the objects above. */
#define EVENT_MEMBERS(X)                      \
    X(USER, USERNAME, "username")             \
    X(USER, GROUPS, "groups")                 \
    X(OBJECT_REF, RESOURCE, "resource")       \
    X(OBJECT_REF, NAMESPACE, "namespace")     \
    X(OBJECT_REF, NAME, "name")               \
    X(OBJECT_REF, API_GROUP, "apiGroup")      \
    X(OBJECT_REF, SUBRESOURCE, "subresource") \
    X(RESPONSE_STATUS, CODE, "code")

enum event_field {
#define X(name, key) EVENT_##name,
    EVENT_FIELDS(X)
#undef X
#define X(of, name, key) EVENT_##of##_##name,
    EVENT_MEMBERS(X)
#undef X
        EVENT_NFIELDS
};

struct event {
    struct span line; /* without its newline */
    struct span body; /* the outermost object, { to } */
    struct span field[EVENT_NFIELDS];
    /* From the key "level" to the end of the object: what identifies an event
     * however it reached us. The whole object where there is no such key. */
    struct span identity;
    /* The id it was sent with before, as the output made it; else empty. */
    struct span id;
    int64_t time_us; /* CLOCK_NO_TIME where it has none */
    uint32_t depth;  /* levels of objects and arrays: 1 for {} */
};

#endif
