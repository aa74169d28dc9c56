/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/verify_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/show.h"
#include "outputs/elasticsearch/action.h"

#define NAME_WIDTH   16
#define NUMBER_WIDTH 13

/* Rows beside the first three are printed where there is anything to tell. */
static const struct {
    const char *name; /* for people */
    const char *key;  /* in JSON */
    const char *says;
    size_t at;
    bool always;
} rows[] = {
#define COUNT(f) offsetof(struct verify_counts, f)
    { "events", "events", "", COUNT(events), true },
    { "present", "present", "", COUNT(present), true },
    { "missing", "missing", "", COUNT(missing), true },
    { "repaired", "repaired", "were missing, shipped now; present",
      COUNT(repaired), false },
    { "refused", "refused", "by the server; still missing", COUNT(refused),
      false },
    { "dead letters", "dead_letters", "refused before; see tallyman replay",
      COUNT(dead), false },
    { "without a time", "without_time", "their ids cannot be known",
      COUNT(untimed), false },
    { "stored twice", "stored_twice", "the same id in several indices",
      COUNT(twice), false },
    { "repeated lines", "repeated_lines", "one document for each and the first",
      COUNT(repeated), false },
    { "no events", "quarantined", "lines that are quarantined, not shipped",
      COUNT(quarantined), false },
    { "gaps", "gaps", "holes or damage in the log itself", COUNT(gaps), false },
    { "not read", "files_not_read", "files that could not be read to the end",
      COUNT(unread), false },
#undef COUNT
};

static uint64_t value_of(const struct verify_report *r, size_t i)
{
    return *(const uint64_t *)((const char *)&r->v->count + rows[i].at);
}

static void add_number(const struct verify_report *r, struct buf *out,
                       uint64_t n)
{
    char text[32], grouped[48];
    size_t len, to = 0;

    len = (size_t)snprintf(text, sizeof(text), "%" PRIu64, n);
    for (size_t i = 0; i < len; i++) {
        if (r->grouped && i > 0 && (len - i) % 3 == 0)
            grouped[to++] = ',';
        grouped[to++] = text[i];
    }
    buf_printf(out, "%*.*s", NUMBER_WIDTH, (int)to, grouped);
}

static void add_shown(struct buf *out, const char *text)
{
    show_add(out, span(text, strlen(text)));
}

static void add_row(const struct verify_report *r, struct buf *out,
                    const char *name, uint64_t n, const char *says)
{
    buf_printf(out, "%-*s", NAME_WIDTH, name);
    add_number(r, out, n);
    buf_printf(out, "%s%s\n", says[0] != '\0' ? "  " : "", says);
}

/* ---- text ---- */

static void add_target(const struct verify_report *r, struct buf *out)
{
    const struct product *p = r->product;

    buf_printf(out, "%-*s", NAME_WIDTH, "index");
    add_shown(out, r->target);
    if (p->name != PRODUCT_UNKNOWN) {
        buf_printf(out, ", %s%s", product_title(p),
                   p->version[0] != '\0' ? " " : "");
        add_shown(out, p->version);
    }
    buf_printf(out, "\n");
}

static void add_times(const struct verify_report *r, struct buf *out)
{
    char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

    if (r->v->first_us == CLOCK_NO_TIME)
        return;
    clock_format(first, r->v->first_us, 3);
    clock_format(last, r->v->last_us, 3);
    buf_printf(out, "%-*s%s to %s\n", NAME_WIDTH, "time", first, last);
}

static void add_range(const struct verify_report *r, struct buf *out)
{
    const struct verify_range *range = r->range;

    if (r->v->first_us == CLOCK_NO_TIME)
        return;
    if (!range->is_known) {
        buf_printf(out, "%-*s", NAME_WIDTH, "more");
        buf_printf(out, "%*s  ", NUMBER_WIDTH, "unknown");
        add_shown(out, range->why);
        buf_printf(out, "\n");
        return;
    }
    if (range->extra > 0)
        add_row(r, out, "more", range->extra,
                "other documents in the index of that time");
    if (range->gaps > 0)
        add_row(r, out, "gap records", range->gaps,
                "among these: something was lost, see them");
}

static void add_missing(const struct verify_report *r, struct buf *out)
{
    const struct verify *v = r->v;
    size_t n = v->nmissing < r->show ? v->nmissing : r->show;
    char time[CLOCK_TEXT_SIZE];

    for (size_t i = 0; i < n; i++) {
        const struct verify_place *p = &v->missing[i];
        struct span id = action_id(span(p->line, strlen(p->line)));

        clock_format(time, p->time_us, 6);
        buf_printf(out, "missing: ");
        add_shown(out, p->file);
        buf_printf(out, " offset %" PRIu64 " time %s id %.*s\n", p->offset,
                   time, (int)id.len, id.at);
    }
    if (n > 0 && v->count.missing > n)
        buf_printf(out, "missing: and %" PRIu64 " more\n",
                   v->count.missing - n);
}

static void add_verdict(const struct verify_report *r, struct buf *out)
{
    const struct verify_counts *c = &r->v->count;

    if (verify_is_complete(r->v)) {
        buf_printf(out, "complete: every event is in the index\n");
        return;
    }
    buf_printf(out, "not complete: ");
    if (c->events == 0)
        buf_printf(out, "there is no event in it\n");
    else if (c->present < c->events)
        buf_printf(out,
                   "%" PRIu64 " of %" PRIu64 " events are not in the "
                   "index%s\n",
                   c->events - c->present, c->events,
                   r->v->lacks_index && c->present == 0
                       ? ", which is not there at all"
                       : "");
    else if (c->twice > 0)
        buf_printf(out,
                   "every event is in the index, but %" PRIu64
                   " more than once\n",
                   c->twice);
    else
        buf_printf(out, "not all of the log could be read\n");
}

void verify_report_text(const struct verify_report *r, struct buf *out)
{
    add_target(r, out);
    add_times(r, out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].always || value_of(r, i) > 0)
            add_row(r, out, rows[i].name, value_of(r, i), rows[i].says);
    }
    add_range(r, out);
    add_missing(r, out);
    if (r->v->refusal[0] != '\0') {
        buf_printf(out, "refused: ");
        add_shown(out, r->v->refusal);
        buf_printf(out, "\n");
    }
    add_verdict(r, out);
}

/* ---- JSON ---- */

static void add_json(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":\"", key);
    buf_add_json(out, span(text, strlen(text)));
    buf_printf(out, "\"");
}

static void add_json_time(struct buf *out, const char *key, int64_t us)
{
    char text[CLOCK_TEXT_SIZE];

    if (us == CLOCK_NO_TIME) {
        buf_printf(out, ",\"%s\":null", key);
        return;
    }
    clock_format(text, us, 6);
    add_json(out, key, text);
}

static void add_json_known(struct buf *out, const char *key, bool is_known,
                           uint64_t n)
{
    if (is_known)
        buf_printf(out, ",\"%s\":%" PRIu64, key, n);
    else
        buf_printf(out, ",\"%s\":null", key);
}

static void add_json_missing(const struct verify_report *r, struct buf *out)
{
    const struct verify *v = r->v;

    buf_printf(out, ",\"first_missing\":[");
    for (size_t i = 0; i < v->nmissing && i < r->show; i++) {
        const struct verify_place *p = &v->missing[i];
        struct span place = action_place(span(p->line, strlen(p->line)));

        buf_printf(out, "%s{\"offset\":%" PRIu64, i > 0 ? "," : "", p->offset);
        add_json(out, "file", p->file);
        add_json_time(out, "time", p->time_us);
        buf_printf(out, ",\"place\":%.*s}", (int)place.len, place.at);
    }
    buf_printf(out, "]");
}

void verify_report_json(const struct verify_report *r, struct buf *out)
{
    const struct verify *v = r->v;
    const struct product *p = r->product;
    bool is_known = r->range->is_known;

    buf_printf(out, "{\"complete\":%s",
               verify_is_complete(v) ? "true" : "false");
    add_json(out, "index", r->target);
    add_json(out, "product",
             p->name != PRODUCT_UNKNOWN ? product_title(p) : "");
    add_json(out, "version", p->version);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        buf_printf(out, ",\"%s\":%" PRIu64, rows[i].key, value_of(r, i));
    buf_printf(out, ",\"repeated_lines_exact\":%s",
               v->repeated_is_partial ? "false" : "true");
    buf_printf(out, ",\"index_missing\":%s", v->lacks_index ? "true" : "false");
    add_json_time(out, "first_time", v->first_us);
    add_json_time(out, "last_time", v->last_us);
    add_json_known(out, "documents_in_range", is_known, r->range->documents);
    add_json_known(out, "extra", is_known, r->range->extra);
    add_json_known(out, "gap_records", is_known, r->range->gaps);
    add_json(out, "refusal", v->refusal);
    add_json_missing(r, out);
    buf_printf(out, "}\n");
}
