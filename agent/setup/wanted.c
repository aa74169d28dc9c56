/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/wanted.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/setup/embedded.h"

#define HOUR_MS     UINT64_C(3600000)
#define DAY_MS      (24 * HOUR_MS)
#define ISM_VERSION 1 /* as "version" in the files: one more with each change */
/* One index of a stream holds a twelfth of the retention, at most. */
#define ROLLOVER_PARTS  12
#define ROLLOVER_MAX_MS (30 * DAY_MS)
#define ROLLOVER_SIZE   "50gb"
/* Above the built-in logs-*-* (100) and what Fleet makes (200). */
#define PRIORITY_MIN 250

/* ---- filling in ---- */

struct fill {
    const char *name; /* "$patterns", stands in quotes */
    char *json;       /* by which it is replaced, quotes and all */
};

static const struct fill *fill_at(const struct fill *fills, size_t n,
                                  struct span text)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(fills[i].name);

        if (text.len >= len + 2 && text.at[0] == '"' &&
            memcmp(text.at + 1, fills[i].name, len) == 0 &&
            text.at[len + 1] == '"')
            return &fills[i];
    }
    return NULL;
}

static void fill_in(struct span text, const struct fill *fills, size_t n,
                    struct buf *out)
{
    for (size_t i = 0; i < text.len;) {
        const struct fill *f =
            fill_at(fills, n, span(text.at + i, text.len - i));

        if (f != NULL) {
            buf_printf(out, "%s", f->json);
            i += strlen(f->name) + 2;
        } else {
            buf_add(out, text.at + i++, 1);
        }
    }
}

static char *quoted(const char *text)
{
    return xprintf("\"%s\"", text);
}

/* ---- what stands for what ---- */

static uint64_t rollover_ms(uint64_t retention)
{
    uint64_t ms = retention / ROLLOVER_PARTS;

    if (ms > ROLLOVER_MAX_MS)
        return ROLLOVER_MAX_MS;
    if (ms >= DAY_MS)
        return ms - ms % DAY_MS;
    return ms >= HOUR_MS ? ms - ms % HOUR_MS : HOUR_MS;
}

static char *duration(uint64_t ms)
{
    char text[OPT_NUMBER_SIZE];

    opt_number(OPT_T_DURATION, ms, text);
    return xstrdup(text);
}

/* How old an index is when its youngest event has the retention's age. ILM
 * counts from the rollover, all else from when the index was made. */
static char *delete_age(const struct wanted_how *how, enum object_kind kind)
{
    uint64_t ms = how->retention_ms + how->place->span_ms;
    char *text, *json;

    if (how->place->span_ms == 0 && kind == OBJECT_ISM)
        ms += rollover_ms(how->retention_ms);
    text = duration(ms);
    json = quoted(text);
    free(text);
    return json;
}

/* The actions while an index is written to. */
static char *hot_actions(const struct wanted_how *how, enum object_kind kind)
{
    bool rolled = how->place->way != PLACE_DATED;
    char *age = duration(rollover_ms(how->retention_ms)), *json;

    if (kind == OBJECT_ILM)
        json = rolled ? xprintf("{\"rollover\":{\"max_age\":\"%s\","
                                "\"max_size\":\"" ROLLOVER_SIZE "\"}}",
                                age)
                      : xstrdup("{}");
    else
        json = rolled ? xprintf("[{\"rollover\":{\"min_index_age\":\"%s\","
                                "\"min_size\":\"" ROLLOVER_SIZE "\"}}]",
                                age)
                      : xstrdup("[]");
    free(age);
    return json;
}

static bool is_elasticsearch(const struct wanted_how *how)
{
    return how->product->name == PRODUCT_ELASTICSEARCH;
}

/* Of two patterns that fit one name the longer one counts; a server takes none
 * of the same priority. */
static char *priority(const struct place *p)
{
    size_t n = PRIORITY_MIN;

    for (const char *c = p->title; *c != '\0'; c++)
        n += *c != '*';
    return xprintf("%zu", n);
}

/* By which an index finds its policy. One of ISM says itself which are its
 * indices. A server without either refuses the setting. */
static char *template_settings(const struct wanted_how *how)
{
    const struct place *p = how->place;
    struct buf b = { 0 };

    buf_printf(&b, "{");
    if (how->lifecycle && is_elasticsearch(how))
        buf_printf(&b, "\"index.lifecycle.name\":\"%s\"", p->own);
    if (how->lifecycle && p->way == PLACE_ALIAS) {
        buf_printf(&b, "%s",
                   is_elasticsearch(how)
                       ? ",\"index.lifecycle.rollover_alias\":\""
                       : "\"plugins.index_state_management."
                         "rollover_alias\":\"");
        buf_add_json(&b, span(p->name, strlen(p->name)));
        buf_printf(&b, "\"");
    }
    buf_add(&b, "}", 2);
    return b.at;
}

static char *flat_type(const struct wanted_how *how)
{
    char *name = xprintf("templates/flat/%s.json", how->flat);
    struct span text = embedded(name);

    free(name);
    return xstrndup(text.at, text.len);
}

const char *wanted_flat(const struct product *p)
{
    if ((p->can & CAN_FLATTENED) != 0)
        return "elasticsearch";
    return (p->can & CAN_FLAT_OBJECT) != 0 ? "opensearch" : "none";
}

/* ---- the objects ---- */

static const char *file_of(enum wanted_what what, const struct wanted_how *how)
{
    switch (what) {
    case WANTED_EVENT:
        return "templates/event.json";
    case WANTED_SETTINGS:
        return "templates/settings.json";
    case WANTED_POLICY:
        return is_elasticsearch(how) ? "templates/ilm.json"
                                     : "templates/ism.json";
    default:
        return how->place->way == PLACE_STREAM ? "templates/data-stream.json"
                                               : "templates/index.json";
    }
}

static enum object_kind kind_of(enum wanted_what what,
                                const struct wanted_how *how)
{
    if (what == WANTED_POLICY)
        return is_elasticsearch(how) ? OBJECT_ILM : OBJECT_ISM;
    return what == WANTED_TEMPLATE ? OBJECT_INDEX : OBJECT_COMPONENT;
}

static void name_it(struct wanted *w, enum wanted_what what,
                    const struct wanted_how *how)
{
    static const struct {
        const char *title, *path;
    } kinds[] = {
        [OBJECT_COMPONENT] = { "component template", "/_component_template" },
        [OBJECT_INDEX] = { "index template", "/_index_template" },
        [OBJECT_ILM] = { "lifecycle policy", "/_ilm/policy" },
        [OBJECT_ISM] = { "lifecycle policy", "/_plugins/_ism/policies" },
    };

    w->kind = kind_of(what, how);
    w->title = kinds[w->kind].title;
    w->name = xstrdup(what == WANTED_EVENT      ? "tallyman-event"
                      : what == WANTED_SETTINGS ? "tallyman-settings"
                                                : how->place->own);
    w->path = xprintf("%s/%s", kinds[w->kind].path, w->name);
}

/* All but the mark: the hash is of all else. */
static void fill_text(struct wanted *w, enum wanted_what what,
                      const struct wanted_how *how)
{
    const struct fill fills[] = {
        { "$flat", flat_type(how) },
        { "$patterns", xstrdup(how->place->patterns) },
        { "$priority", priority(how->place) },
        { "$settings", template_settings(how) },
        { "$hot", hot_actions(how, w->kind) },
        { "$delete_age", delete_age(how, w->kind) },
        { "$retention", quoted(w->retention) },
    };

    fill_in(embedded(file_of(what, how)), fills, ARRAY_LEN(fills), &w->text);
    for (size_t i = 0; i < ARRAY_LEN(fills); i++)
        free(fills[i].json);
}

/* A policy of Elasticsearch before 7.14 has no place for the mark. */
static void cut_meta(struct buf *text)
{
    static const char begin[] = ",\n    \"_meta\": {";
    char *at = memmem(text->at, text->len, begin, sizeof(begin) - 1);
    char *end = at != NULL
                    ? memchr(at, '}', text->len - (size_t)(at - text->at))
                    : NULL;

    if (end == NULL)
        abort(); /* the file has another form */
    memmove(at, end + 1, text->len - (size_t)(end + 1 - text->at));
    text->len -= (size_t)(end + 1 - at);
}

void wanted_make(struct wanted *w, enum wanted_what what,
                 const struct wanted_how *how)
{
    struct object self;

    *w = (struct wanted){ 0 };
    name_it(w, what, how);
    opt_number(OPT_T_DURATION, how->retention_ms, w->retention);
    fill_text(w, what, how);
    if (w->kind == OBJECT_ILM && (how->product->can & CAN_ILM_META) == 0)
        cut_meta(&w->text);
    if (object_read(w->kind, span(w->text.at, w->text.len), &self) != 0)
        abort(); /* a file of conf/templates is no JSON */
    memcpy(w->hash, self.hash, sizeof(w->hash));
    w->version = w->kind == OBJECT_ISM ? ISM_VERSION : self.mark.version;
}

void wanted_free(struct wanted *w)
{
    free(w->name);
    free(w->path);
    buf_free(&w->text);
    *w = (struct wanted){ 0 };
}

void wanted_body(const struct wanted *w, const char *stored, struct buf *out)
{
    char *description =
        xprintf(OBJECT_DESCRIPTION, w->retention, w->version, w->hash, stored);
    const struct fill mark[] = {
        { "$hash", quoted(w->hash) },
        { "$stored", quoted(stored) },
        { "$description", quoted(description) },
    };

    fill_in(span(w->text.at, w->text.len), mark, ARRAY_LEN(mark), out);
    for (size_t i = 0; i < ARRAY_LEN(mark); i++)
        free(mark[i].json);
    free(description);
}

/* ---- what is there ---- */

uint64_t wanted_retention(const struct object *there)
{
    static const struct opt row = {
        .name = "retention", .type = OPT_T_DURATION, .at = 0, .min = HOUR_MS
    };
    uint64_t ms = 0;
    struct err e;

    if (!there->mark.ours || opt_set(&row, &ms, there->mark.retention, &e) != 0)
        return 0;
    return ms;
}

enum wanted_verdict wanted_judge(const struct wanted *w,
                                 const struct object *there)
{
    const struct object_mark *m;

    if (there == NULL)
        return WANTED_CREATE;
    m = &there->mark;
    if (strcmp(there->hash, w->hash) == 0)
        return WANTED_KEEP;
    if (!m->ours)
        return WANTED_FOREIGN;
    if (strcmp(there->hash, m->stored) != 0)
        return WANTED_CHANGED;
    if (m->version > w->version)
        return WANTED_NEWER;
    return strcmp(m->hash, w->hash) == 0 ? WANTED_KEEP : WANTED_UPDATE;
}
