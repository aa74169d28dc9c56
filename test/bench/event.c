/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - see event.h. A request is drawn once and written two or three times,
 * once a stage, with the requests around it in between, as an API server that
 * serves several clients does.
 */
#include "event.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shapes.h"

enum {
    OPEN_MAX = 16,        /* requests under way at a time */
    POOL_BYTES = 1 << 18, /* random letters that long texts are cut from */
    START_S = 1795453200, /* 2026-11-23T17:00:00Z */
    SECOND_US = 1000000,
};

enum stage {
    RECEIVED,
    STARTED,
    COMPLETE,
    NSTAGES
};

struct request {
    const struct shape *shape;
    uint64_t number;
    uint64_t bits_a, bits_b; /* what uids and names are made of */
    int64_t received_us;
    unsigned version, items;
    enum stage next;
};

struct event_gen {
    uint64_t state;
    uint64_t number;
    int64_t now_us;
    int64_t second; /* the one that second_text tells */
    char second_text[20];
    unsigned weights; /* sum over all shapes */
    unsigned nopen;
    struct request open[OPEN_MAX];
    size_t len, cap;
    char *text;
    char pool[POOL_BYTES];
};

static const char *const stage_names[NSTAGES] = { "RequestReceived",
                                                  "ResponseStarted",
                                                  "ResponseComplete" };
static const char *const namespaces[] = {
    "shop",  "kube-system", "payments", "monitoring", "team-blue-staging",
    "batch", "ingress",     "default"
};
static const char *const apps[] = {
    "web",  "checkout", "search-frontend", "inventory",
    "mail", "ledger",   "cron-importer",   "prometheus-operator"
};
static const char *const nodes[] = { "node-a", "node-b", "worker-07.example",
                                     "worker-12.example" };
static const char safe[] = "bcdfghjklmnpqrstvwxz2456789bcdfg";
static const char hex[] = "0123456789abcdef";
static const char base64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

static uint64_t draw(struct event_gen *g)
{
    uint64_t z = (g->state += 0x9e3779b97f4a7c15u); /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(struct event_gen *g, unsigned n)
{
    return (unsigned)((draw(g) >> 32) * n >> 32);
}

static char *room(struct event_gen *g, size_t n)
{
    if (g->cap - g->len < n) {
        g->cap = 2 * g->cap + n;
        g->text = realloc(g->text, g->cap);
        if (!g->text)
            abort();
    }
    return g->text + g->len;
}

static void put(struct event_gen *g, const char *s, size_t n)
{
    memcpy(room(g, n), s, n);
    g->len += n;
}

static void puts_(struct event_gen *g, const char *s)
{
    put(g, s, strlen(s));
}

static void put_number(struct event_gen *g, uint64_t v, unsigned width)
{
    char digits[20];
    unsigned i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v || sizeof(digits) - i < width);
    put(g, digits + i, sizeof(digits) - i);
}

static void put_hex(struct event_gen *g, uint64_t v, unsigned digits)
{
    char *p = room(g, digits);

    for (unsigned i = digits; i-- > 0; v >>= 4)
        p[i] = hex[v & 15];
    g->len += digits;
}

/* A version 4 uuid; `tail` is its last twelve digits. */
static void put_uuid(struct event_gen *g, uint64_t bits, uint64_t tail)
{
    put_hex(g, bits, 8);
    put(g, "-", 1);
    put_hex(g, bits >> 32, 4);
    put(g, "-4", 2);
    put_hex(g, bits >> 48, 3);
    put(g, "-8", 2);
    put_hex(g, bits >> 20, 3);
    put(g, "-", 1);
    put_hex(g, tail, 12);
}

static void put_safe(struct event_gen *g, uint64_t bits, unsigned n)
{
    char *p = room(g, n);

    for (unsigned i = 0; i < n; i++, bits >>= 5)
        p[i] = safe[bits & 31];
    g->len += n;
}

/* The log spans hours, never midnight: the day is a constant. */
static void put_second(struct event_gen *g, int64_t us)
{
    int64_t second = us / SECOND_US, of_day = (START_S + second) % 86400;
    size_t len = g->len;

    if (second == g->second) {
        put(g, g->second_text, 19);
        return;
    }
    puts_(g, "2026-11-23T");
    put_number(g, (uint64_t)of_day / 3600, 2);
    put(g, ":", 1);
    put_number(g, (uint64_t)of_day / 60 % 60, 2);
    put(g, ":", 1);
    put_number(g, (uint64_t)of_day % 60, 2);
    memcpy(g->second_text, g->text + len, 19);
    g->second = second;
}

static void put_time(struct event_gen *g, int64_t us)
{
    put_second(g, us);
    put(g, ".", 1);
    put_number(g, (uint64_t)(us % SECOND_US), 6);
    put(g, "Z", 1);
}

/* A text of `n` letters in lines of 64, as a certificate has. */
static void put_letters(struct event_gen *g, size_t n, bool lines)
{
    while (n > 0) {
        size_t some = lines && n > 64 ? 64 : n;

        put(g, g->pool + below(g, POOL_BYTES - 1024), some);
        if (lines)
            put(g, "\\n", 2);
        n -= some;
    }
}

static void put_pod(struct event_gen *g, const struct request *r)
{
    puts_(g, apps[r->bits_a % 8]);
    put(g, "-", 1);
    put_safe(g, r->bits_a >> 4, 9);
    put(g, "-", 1);
    put_safe(g, r->bits_b >> 4, 5);
}

static void put_address(struct event_gen *g, const struct request *r)
{
    puts_(g, "10.244.");
    put_number(g, r->bits_b % 64, 1);
    put(g, ".", 1);
    put_number(g, (r->bits_b >> 8) % 254 + 1, 1);
}

static void expand(struct event_gen *g, const char *t, const struct request *r);

static void put_items(struct event_gen *g, const struct request *r)
{
    struct request item = *r;

    for (unsigned i = 0; i < r->items; i++) {
        item.bits_a = draw(g);
        item.bits_b = draw(g);
        if (i > 0)
            put(g, ",", 1);
        expand(g, shape_list_item, &item);
    }
}

static void put_token(struct event_gen *g)
{
    puts_(g, "eyJhbGciOiJSUzI1NiIsImtpZCI6Ik");
    put_letters(g, 70, false);
    put(g, ".", 1);
    put_letters(g, 540, false);
    put(g, ".", 1);
    put_letters(g, 342, false);
}

static void put_part(struct event_gen *g, char part, const struct request *r)
{
    switch (part) {
    case 'n':
        puts_(g, namespaces[r->bits_b % 8]);
        break;
    case 'a':
        puts_(g, apps[r->bits_a % 8]);
        break;
    case 'h':
        put_safe(g, r->bits_a >> 4, 9);
        break;
    case 'p':
        put_pod(g, r);
        break;
    case 'N':
        puts_(g, nodes[r->bits_a % 4]);
        break;
    case 'u':
        put_uuid(g, r->bits_a, r->bits_b);
        break;
    case 'o':
        put_uuid(g, r->bits_b, r->bits_a);
        break;
    case 'r':
        put_number(g, r->version, 1);
        break;
    case 'R':
        put_number(g, r->version - 1, 1);
        break;
    case 't':
        put_second(g, r->received_us);
        put(g, "Z", 1);
        break;
    case 'I':
        put_address(g, r);
        break;
    case 'B':
        put_letters(g, (size_t)r->items * 1000, true);
        break;
    case 'T':
        put_token(g);
        break;
    case 'L':
        put_items(g, r);
        break;
    default:
        put(g, &part, 1);
    }
}

static void expand(struct event_gen *g, const char *t, const struct request *r)
{
    for (;;) {
        const char *percent = strchrnul(t, '%');

        put(g, t, (size_t)(percent - t));
        if (!*percent)
            return;
        put_part(g, percent[1], r);
        t = percent + 2;
    }
}

static void put_status(struct event_gen *g, const struct request *r)
{
    unsigned flags = r->shape->flags;

    puts_(g, ",\"responseStatus\":{\"metadata\":{},");
    if (flags & SHAPE_UNKNOWN)
        puts_(g, "\"status\":\"Failure\",\"message\":\"Unauthorized\","
                 "\"reason\":\"Unauthorized\",");
    if (flags & SHAPE_REFUSED)
        expand(g,
               "\"status\":\"Failure\",\"message\":\"secrets \\\"%a\\\" is "
               "forbidden: User \\\"system:serviceaccount:%n:%a\\\" cannot get "
               "resource \\\"secrets\\\" in API group \\\"\\\" in the "
               "namespace \\\"%n\\\"\",\"reason\":\"Forbidden\",\"details\":{"
               "\"name\":\"%a\",\"kind\":\"secrets\"},",
               r);
    puts_(g, "\"code\":");
    put_number(g, (uint64_t)r->shape->code, 1);
    put(g, "}", 1);
}

static void put_annotations(struct event_gen *g, const struct request *r)
{
    bool refused = r->shape->flags & SHAPE_REFUSED;

    puts_(g, ",\"annotations\":{\"authorization.k8s.io/decision\":\"");
    puts_(g, refused ? "forbid" : "allow");
    puts_(g, "\",\"authorization.k8s.io/reason\":\"");
    if (!refused)
        expand(g, r->shape->by->reason, r);
    puts_(g, "\"}");
}

static void put_asked(struct event_gen *g, const struct request *r,
                      enum stage stage)
{
    const struct shape *s = r->shape;

    puts_(g, "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\","
             "\"level\":\"");
    puts_(g, s->level);
    puts_(g, "\",\"auditID\":\"");
    put_uuid(g, r->bits_a ^ r->bits_b, r->number);
    puts_(g, "\",\"stage\":\"");
    puts_(g, stage_names[stage]);
    puts_(g, "\",\"requestURI\":\"");
    expand(g, s->uri, r);
    puts_(g, "\",\"verb\":\"");
    puts_(g, s->verb);
    puts_(g, "\",\"user\":{");
    if (!(s->flags & SHAPE_UNKNOWN))
        expand(g, s->by->user, r);
    puts_(g, "},\"sourceIPs\":[\"");
    expand(g, s->by->address, r);
    puts_(g, "\"],\"userAgent\":\"");
    expand(g, s->by->agent, r);
    put(g, "\"", 1);
    if (s->ref) {
        puts_(g, ",\"objectRef\":{");
        expand(g, stage > RECEIVED && s->ref_done ? s->ref_done : s->ref, r);
        put(g, "}", 1);
    }
}

static void put_event(struct event_gen *g, const struct request *r,
                      enum stage stage)
{
    const struct shape *s = r->shape;

    g->len = 0;
    put_asked(g, r, stage);
    if (stage > RECEIVED)
        put_status(g, r);
    if (stage == COMPLETE && s->request) {
        puts_(g, ",\"requestObject\":");
        expand(g, s->request, r);
    }
    if (stage == COMPLETE && s->response) {
        puts_(g, ",\"responseObject\":");
        expand(g, s->response, r);
    }
    puts_(g, ",\"requestReceivedTimestamp\":\"");
    put_time(g, r->received_us);
    puts_(g, "\",\"stageTimestamp\":\"");
    put_time(g, stage == RECEIVED ? r->received_us : g->now_us);
    put(g, "\"", 1);
    if (stage > RECEIVED && !(s->flags & SHAPE_UNKNOWN))
        put_annotations(g, r);
    puts_(g, "}\n");
}

static struct request new_request(struct event_gen *g, const struct shape *s)
{
    struct request r = {
        .shape = s,
        .number = g->number++,
        .bits_a = draw(g),
        .bits_b = draw(g),
        .received_us = g->now_us,
        .version = 100000 + (unsigned)(g->number * 3),
    };

    if (s->max_items)
        r.items = s->min_items + below(g, s->max_items - s->min_items + 1);
    r.next = s->flags & SHAPE_UNKNOWN ? STARTED : RECEIVED;
    return r;
}

static const struct shape *pick_shape(struct event_gen *g)
{
    unsigned n = below(g, g->weights), i = 0;

    while (n >= shapes[i].weight)
        n -= shapes[i++].weight;
    return &shapes[i];
}

/* The stage after this one; NSTAGES: the request is over. */
static enum stage stage_after(const struct request *r)
{
    unsigned flags = r->shape->flags;

    if (flags & SHAPE_UNKNOWN || r->next == COMPLETE)
        return NSTAGES;
    if (r->next == RECEIVED && flags & SHAPE_LONG_RUNNING)
        return STARTED;
    return COMPLETE;
}

const char *event_next(struct event_gen *g, size_t *len)
{
    unsigned i;
    struct request *r;

    g->now_us += 20 + below(g, 700);
    /* As many requests end as begin; few are under way most of the time. */
    if (g->nopen == 0 || (g->nopen < OPEN_MAX && below(g, 12) >= 4 + g->nopen))
        g->open[i = g->nopen++] = new_request(g, pick_shape(g));
    else
        i = below(g, g->nopen);
    r = &g->open[i];
    put_event(g, r, r->next);
    r->next = stage_after(r);
    if (r->next == NSTAGES)
        *r = g->open[--g->nopen];
    *len = g->len;
    return g->text;
}

const char *event_steady(struct event_gen *g, uint64_t number, size_t *len)
{
    struct request r;

    g->now_us += SECOND_US / 1000;
    r = new_request(g, &shape_steady);
    r.number = number;
    put_event(g, &r, COMPLETE);
    *len = g->len;
    return g->text;
}

struct event_gen *event_gen_new(uint64_t seed)
{
    struct event_gen *g = calloc(1, sizeof(*g));

    if (!g)
        abort();
    g->state = seed;
    g->second = -1;
    for (unsigned i = 0; i < shapes_count; i++)
        g->weights += shapes[i].weight;
    for (size_t i = 0; i < POOL_BYTES; i++)
        g->pool[i] = base64[draw(g) & 63];
    room(g, 1 << 19);
    return g;
}

void event_gen_free(struct event_gen *g)
{
    if (!g)
        return;
    free(g->text);
    free(g);
}
