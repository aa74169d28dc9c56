/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - lines of kube-apiserver's audit log: audit.k8s.io Events of v1,
 * v1beta1 and v1alpha1, in Go's order of fields (which is only a hint).
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "parsers/scan.h"

struct parser {
    struct scan *scan;
    const char *why;
};

#define KEY(name, key)                               \
    {                                                \
        { key, sizeof(key) - 1 }, EVENT_##name, NULL \
    }
#define IN(name, key, of)                          \
    {                                              \
        { key, sizeof(key) - 1 }, EVENT_##name, of \
    }

static const struct scan_key user_keys[] = {
    KEY(USER_USERNAME, "username"),
    KEY(USER_GROUPS, "groups"),
    SCAN_END,
};

static const struct scan_key object_ref_keys[] = {
    KEY(OBJECT_REF_RESOURCE, "resource"),
    KEY(OBJECT_REF_NAMESPACE, "namespace"),
    KEY(OBJECT_REF_NAME, "name"),
    KEY(OBJECT_REF_API_GROUP, "apiGroup"),
    KEY(OBJECT_REF_SUBRESOURCE, "subresource"),
    SCAN_END,
};

static const struct scan_key status_keys[] = {
    KEY(RESPONSE_STATUS_CODE, "code"),
    SCAN_END,
};

static const struct scan_key keys[] = {
    KEY(API_VERSION, "apiVersion"),
    KEY(LEVEL, "level"),
    KEY(AUDIT_ID, "auditID"),
    KEY(STAGE, "stage"),
    KEY(REQUEST_URI, "requestURI"),
    KEY(VERB, "verb"),
    IN(USER, "user", user_keys),
    IN(OBJECT_REF, "objectRef", object_ref_keys),
    IN(RESPONSE_STATUS, "responseStatus", status_keys),
    KEY(REQUEST_OBJECT, "requestObject"),
    KEY(RESPONSE_OBJECT, "responseObject"),
    KEY(RECEIVED_TIMESTAMP, "requestReceivedTimestamp"),
    KEY(STAGE_TIMESTAMP, "stageTimestamp"),
    KEY(ANNOTATIONS, "annotations"),
    KEY(LEGACY_TIMESTAMP, "timestamp"),
    KEY(TIMESTAMP, "@timestamp"),
    SCAN_END,
};

static struct parser *audit_open(void)
{
    struct parser *p = xcalloc(1, sizeof(*p));

    p->scan = scan_new(keys);
    return p;
}

static void audit_close(struct parser *p)
{
    scan_free(p->scan);
    free(p);
}

static int64_t time_of(const struct event *ev)
{
    static const enum event_field by_worth[] = {
        EVENT_STAGE_TIMESTAMP, EVENT_RECEIVED_TIMESTAMP,
        EVENT_LEGACY_TIMESTAMP, /* of v1alpha1 */
    };

    for (size_t i = 0; i < ARRAY_LEN(by_worth); i++) {
        struct span text = scan_plain_string(ev->field[by_worth[i]]);
        int64_t t = text.at != NULL ? clock_parse(text) : CLOCK_NO_TIME;

        if (t != CLOCK_NO_TIME)
            return t;
    }
    return CLOCK_NO_TIME;
}

/* Items of a webhook's EventList have no kind and no apiVersion; a line that
 * has another one is something else. */
static const char *not_an_event(const struct event *ev)
{
    static const char group[] = "\"audit.k8s.io/";
    struct span version = ev->field[EVENT_API_VERSION];

    if (version.at != NULL &&
        (version.len < sizeof(group) ||
         memcmp(version.at, group, sizeof(group) - 1) != 0))
        return "not an audit.k8s.io Event: another apiVersion";
    if (ev->field[EVENT_LEVEL].at == NULL)
        return "not an audit.k8s.io Event: it has no level";
    if (ev->field[EVENT_AUDIT_ID].at == NULL)
        return "not an audit.k8s.io Event: it has no auditID";
    if (ev->field[EVENT_STAGE].at == NULL)
        return "not an audit.k8s.io Event: it has no stage";
    return NULL;
}

static int audit_run(struct parser *p, struct span line, struct event *ev)
{
    int rc = scan_line(p->scan, line, ev);

    p->why = rc != 0 ? scan_why(p->scan) : not_an_event(ev);
    if (p->why != NULL)
        return rc != 0 ? rc : ERR_FORMAT;
    ev->time_us = time_of(ev);
    return 0;
}

static const char *audit_why(const struct parser *p)
{
    return p->why;
}

/* Go's order of fields. Within a string the quotes would be escaped. */
static const char begin[] =
    "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/";

extern const struct parser_ops parser_audit;

const struct parser_ops parser_audit = {
    .name = "audit",
    .help = "audit.k8s.io Events, one a line, as kube-apiserver logs them.",
    .begin = { begin, sizeof(begin) - 1 },
    .open = audit_open,
    .run = audit_run,
    .why = audit_why,
    .close = audit_close,
};
