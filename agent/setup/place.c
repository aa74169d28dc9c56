/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/place.h"

#include <stdlib.h>

#define HOUR_MS UINT64_C(3600000)

void place_add_url(struct buf *out, const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0';
         p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
            strchr("-_.", *p) != NULL)
            buf_add(out, p, 1);
        else
            buf_printf(out, "%%%02X", *p);
    }
}

/* The time that the finest conversion of the pattern goes by. */
static uint64_t span_of(const char *index)
{
    static const struct {
        const char *conversion;
        uint64_t ms;
    } spans[] = {
        { "%H", HOUR_MS },
        { "%d", 24 * HOUR_MS },
        { "%m", 31 * 24 * HOUR_MS },
        { "%Y", 366 * 24 * HOUR_MS },
    };

    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        if (strstr(index, spans[i].conversion) != NULL)
            return spans[i].ms;
    }
    return 0;
}

/* "auditing-%Y.%m.%d" to "auditing-*": from the first conversion to the end of
 * the last. */
static char *pattern_of(const char *index)
{
    const char *first = strchr(index, '%'), *last = strrchr(index, '%');

    return xprintf("%.*s*%s", (int)(first - index), index, last + 2);
}

/* What is left of a pattern's stars and of what would be odd in a URL. */
static char *own_name(const char *pattern)
{
    struct buf b = { 0 };
    char *name;

    for (const char *p = pattern; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
                     strchr("._", *p) != NULL;

        if (plain)
            buf_add(&b, p, 1);
        else if (b.len > 0 && b.at[b.len - 1] != '-')
            buf_add(&b, "-", 1);
    }
    while (b.len > 0 && b.at[b.len - 1] == '-')
        b.len--;
    name = xprintf("tallyman-%.*s", (int)b.len, b.at != NULL ? b.at : "");
    buf_free(&b);
    return name;
}

/* One or two patterns as a JSON list. */
static char *list_of(const char *a, const char *b)
{
    struct buf out = { 0 };

    buf_printf(&out, "[\"");
    buf_add_json(&out, span(a, strlen(a)));
    if (b != NULL) {
        buf_printf(&out, "\",\"");
        buf_add_json(&out, span(b, strlen(b)));
    }
    buf_add(&out, "\"]", 3);
    return out.at;
}

static void undated(const char *name, bool stream, struct place *out)
{
    char *numbered = xprintf("%s-*", name);

    out->way = stream ? PLACE_STREAM : PLACE_ALIAS;
    out->name = xstrdup(name);
    out->title = xstrdup(name);
    out->patterns = list_of(name, stream ? NULL : numbered);
    out->own = own_name(name);
    free(numbered);
}

int place_of(const struct elasticsearch_settings *s, struct place *out,
             struct err *e)
{
    const char *target = elasticsearch_target(s);

    *out = (struct place){ 0 };
    out->span_ms = span_of(target);
    if (out->span_ms == 0) {
        undated(target, s->data_stream != NULL, out);
        return 0;
    }
    out->way = PLACE_DATED;
    out->title = pattern_of(target);
    out->patterns = list_of(out->title, NULL);
    out->own = own_name(out->title);
    if (strcmp(out->title, "*") != 0)
        return 0;
    place_free(out);
    return err_set(e, ERR_CONFIG,
                   "index '%s' is nothing but a date, and a template for it "
                   "would be one for every index: give it a name before the "
                   "date",
                   target);
}

void place_free(struct place *p)
{
    free(p->name);
    free(p->patterns);
    free(p->title);
    free(p->own);
    *p = (struct place){ 0 };
}
