/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/letter.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/json_handle.h"
#include "agent/base/sealed.h"
#include "agent/base/sha256.h"
#include "parsers/scan.h"

/* The members of a record. scan notes places under the names of an event's
 * fields: here they are only numbers. */
enum {
    KIND = EVENT_VERB,
    REASON = EVENT_STAGE,
    STATUS = EVENT_RESPONSE_STATUS,
    TRAIL = EVENT_USER,
    SOURCE = EVENT_REQUEST_URI,
    OFFSET = EVENT_OBJECT_REF,
    LENGTH = EVENT_ANNOTATIONS,
    HASH = EVENT_API_VERSION,
    ID = EVENT_AUDIT_ID,
    DOCUMENT = EVENT_REQUEST_OBJECT,
    LINE = EVENT_RESPONSE_OBJECT,
    LINE_BASE64 = EVENT_LEGACY_TIMESTAMP,
};

#define KEY(key, field)                                         \
    {                                                           \
        { key, sizeof(key) - 1 }, (enum event_field)field, NULL \
    }

static const struct scan_key keys[] = {
    KEY("kind", KIND),
    KEY("reason", REASON),
    KEY("status", STATUS),
    KEY("trail", TRAIL),
    KEY("file", SOURCE),
    KEY("offset", OFFSET),
    KEY("length", LENGTH),
    KEY("sha256", HASH),
    KEY("id", ID),
    KEY("document", DOCUMENT),
    KEY("line", LINE),
    KEY("line_base64", LINE_BASE64),
    SCAN_END,
};

/* Which of the above are texts that are kept, decoded. */
static const int texts[] = { KIND, REASON, TRAIL, SOURCE };

struct letter_reader {
    struct scan *scan;
    struct event found;
    struct buf texts[ARRAY_LEN(texts)]; /* NUL-ended */
    struct buf line;
    const char *why;
};

struct letter_reader *letter_reader_new(void)
{
    struct letter_reader *r = xcalloc(1, sizeof(*r));

    r->scan = scan_new(keys);
    return r;
}

void letter_reader_free(struct letter_reader *r)
{
    if (r == NULL)
        return;
    scan_free(r->scan);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_free(&r->texts[i]);
    buf_free(&r->line);
    free(r);
}

const char *letter_why(const struct letter_reader *r)
{
    return r->why;
}

/* ---- values ---- */

static int on_string(void *arg, const unsigned char *text, size_t len)
{
    buf_add(arg, text, len);
    return 1;
}

/* The inside of a JSON string, decoded; false where it is none. */
static bool decode(struct span value, struct buf *out)
{
    static const yajl_callbacks callbacks = { .yajl_string = on_string };
    struct span plain = scan_plain_string(value);
    yajl_handle yajl;
    bool ok;

    out->len = 0;
    if (plain.at != NULL) {
        buf_add_span(out, plain);
        return true;
    }
    if (value.len == 0 || value.at[0] != '"')
        return false;
    yajl = json_handle(&callbacks, out, JSON_ONE);
    ok = yajl_parse(yajl, (const unsigned char *)value.at, value.len) ==
             yajl_status_ok &&
         yajl_complete_parse(yajl) == yajl_status_ok;
    json_handle_drop(&yajl);
    return ok;
}

static bool decode_base64(struct span value, struct buf *out)
{
    struct span s = scan_plain_string(value);
    int n;

    out->len = 0;
    if (s.at == NULL || s.len % 4 != 0 || s.len > (size_t)INT32_MAX)
        return false;
    buf_room(out, s.len / 4 * 3 + 1);
    n = EVP_DecodeBlock((unsigned char *)out->at, (const unsigned char *)s.at,
                        (int)s.len);
    if (n < 0)
        return false;
    out->len = (size_t)n; /* with a NUL for each "=" */
    for (size_t i = 1; i <= 2 && i <= s.len && s.at[s.len - i] == '='; i++)
        out->len--;
    return true;
}

/* A number that is not there is 0. */
static bool number(struct span value, uint64_t *out)
{
    char digits[24], *end;

    *out = 0;
    if (value.at == NULL)
        return true;
    if (value.len >= sizeof(digits))
        return false;
    memcpy(digits, value.at, value.len);
    digits[value.len] = '\0';
    *out = strtoull(digits, &end, 10);
    return end > digits && *end == '\0' && digits[0] != '-';
}

/* ---- a record ---- */

static int fail(struct letter_reader *r, const char *why)
{
    r->why = why;
    return ERR_FORMAT;
}

static int read_texts(struct letter_reader *r)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!decode(r->found.field[texts[i]], &r->texts[i]) ||
            memchr(r->texts[i].at, '\0', r->texts[i].len) != NULL)
            return fail(r, "no dead letter: kind, reason, trail or file is "
                           "missing");
        buf_add(&r->texts[i], "", 1);
    }
    return 0;
}

static int read_numbers(struct letter_reader *r, struct letter *l)
{
    const struct span *field = r->found.field;
    struct span hash = scan_plain_string(field[HASH]);
    uint64_t status;

    if (!number(field[OFFSET], &l->is.offset) ||
        !number(field[LENGTH], &l->is.length) ||
        !number(field[STATUS], &status) || status > 999)
        return fail(r, "no dead letter: offset, length or status is no number");
    if (hash.len != SHA256_HEX_SIZE - 1 || !sealed_hash(hash.at, l->hash))
        return fail(r, "no dead letter: it has no sha256");
    l->is.status = (unsigned)status;
    l->is.hash = l->hash;
    l->is.id = scan_plain_string(field[ID]);
    return 0;
}

/* A document stands there whole, and may have been corrected by hand; of a line
 * it is the hash that tells. */
static int read_content(struct letter_reader *r, struct letter *l)
{
    const struct span *field = r->found.field;
    unsigned char hash[SHA256_SIZE];

    l->is_whole = field[DOCUMENT].at != NULL;
    if (l->is_whole) {
        l->text = l->is.document = field[DOCUMENT];
        return 0;
    }
    if (!decode(field[LINE], &r->line) &&
        !decode_base64(field[LINE_BASE64], &r->line))
        return fail(r, "no dead letter: there is no document and no line");
    l->text = l->is.line = span(r->line.at, r->line.len);
    sha256_of(l->text, hash);
    l->is_whole = memcmp(hash, l->hash, sizeof(hash)) == 0;
    return 0;
}

int letter_read(struct letter_reader *r, struct span record, struct letter *l)
{
    int rc = scan_line(r->scan, record, &r->found);

    *l = (struct letter){ 0 };
    if (rc != 0)
        return fail(r, scan_why(r->scan));
    if (!dead_is_strict(record)) /* somebody has edited it */
        return fail(r, "no dead letter: not strictly JSON, or not UTF-8");
    rc = read_texts(r);
    if (rc == 0)
        rc = read_numbers(r, l);
    if (rc == 0)
        rc = read_content(r, l);
    l->is.kind = r->texts[0].at;
    l->is.reason = r->texts[1].at;
    l->is.trail = r->texts[2].at;
    l->is.file = r->texts[3].at;
    return rc;
}

/* ---- as a parser ---- */

#define NPARSERS 8

struct parser {
    struct letter_reader *reader;
    struct letter letter;
    letter_parser_of *parser_of;
    void *arg;
    struct parser *inner[NPARSERS]; /* opened when first needed */
    const char *why;
};

struct parser *letter_parser_new(letter_parser_of *parser_of, void *arg)
{
    struct parser *p = xcalloc(1, sizeof(*p));

    p->reader = letter_reader_new();
    p->parser_of = parser_of;
    p->arg = arg;
    return p;
}

static void parser_close(struct parser *p)
{
    for (size_t i = 0; i < NPARSERS; i++) {
        if (p->inner[i] != NULL)
            parsers[i]->close(p->inner[i]);
    }
    letter_reader_free(p->reader);
    free(p);
}

/* Where an event had no time of its own, its document has the one at which it
 * was read. */
static void take_time(struct event *ev)
{
    struct span text = scan_plain_string(ev->field[EVENT_TIMESTAMP]);

    if (ev->time_us == CLOCK_NO_TIME && text.at != NULL)
        ev->time_us = clock_parse(text);
}

static int parser_run(struct parser *p, struct span line, struct event *ev)
{
    struct letter *l = &p->letter;
    int rc = letter_read(p->reader, line, l);
    unsigned i;

    p->why = rc != 0 ? letter_why(p->reader) : "only its head was kept";
    if (rc != 0 || !l->is_whole)
        return ERR_FORMAT;
    i = p->parser_of(p->arg, l->is.trail);
    if (i >= NPARSERS)
        abort();
    if (p->inner[i] == NULL)
        p->inner[i] = parsers[i]->open();
    rc = parsers[i]->run(p->inner[i], l->text, ev);
    if (rc != 0) {
        p->why = parsers[i]->why(p->inner[i]);
        return rc;
    }
    take_time(ev);
    if (l->is.document.len > 0)
        ev->id = l->is.id;
    return 0;
}

static const char *parser_why(const struct parser *p)
{
    return p->why;
}

const struct parser_ops letter_parser = {
    .name = "letter",
    .help = "Dead letters, for the events that are in them.",
    .run = parser_run,
    .why = parser_why,
    .close = parser_close,
};

/* ---- once more ---- */

void letter_print_again(struct letter_reader *r, const struct dead_letter *d,
                        struct span record, struct buf *out)
{
    struct dead_letter again = *d;
    struct letter l;

    if (letter_read(r, record, &l) != 0) {
        dead_print(d, out); /* a record that is none, kept as it is */
        return;
    }
    if (!l.is_whole) { /* nothing new can be said of it */
        buf_add_span(out, record);
        buf_add(out, "\n", 1);
        return;
    }
    again.trail = l.is.trail;
    again.file = l.is.file;
    again.offset = l.is.offset;
    again.length = l.is.length;
    again.id = d->id.len > 0 ? d->id : l.is.id;
    again.hash = NULL;
    if (d->document.len == 0) {
        again.document = l.is.document;
        again.line = l.is.line;
    }
    dead_print(&again, out);
}
