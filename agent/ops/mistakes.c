/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/mistakes.h"
#include "agent/base/show.h"

#include <stdarg.h>
#include <stdlib.h>

#define SHOWN_MAX 100 /* nobody reads more, and a file can hold many */

struct one {
    struct spot at;
    size_t order; /* sorting keeps it among those of one spot */
    char *text;
};

struct mistakes {
    char *file;
    struct one shown[SHOWN_MAX];
    size_t n; /* found; only the first SHOWN_MAX are kept */
};

struct spot spot_at(struct span text, size_t offset)
{
    struct spot at = { 1, 1 };
    size_t n;

    for (size_t i = 0; i < offset && i < text.len; i += n) {
        n = utf8_len(span(text.at + i, text.len - i));
        n = n > 0 ? n : 1;
        at.column++;
        if (text.at[i] == '\n')
            at = (struct spot){ at.line + 1, 1 };
    }
    return at;
}

struct mistakes *mistakes_new(const char *file)
{
    struct mistakes *m = xcalloc(1, sizeof(*m));

    m->file = xstrdup(file);
    return m;
}

static size_t kept(const struct mistakes *m)
{
    return m->n < SHOWN_MAX ? m->n : SHOWN_MAX;
}

void mistakes_free(struct mistakes *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < kept(m); i++)
        free(m->shown[i].text);
    free(m->file);
    free(m);
}

void mistake(struct mistakes *m, struct spot at, const char *where,
             const char *format, ...)
{
    struct one *one;
    va_list args;
    char *text;

    if (m->n++ >= SHOWN_MAX)
        return;
    one = &m->shown[m->n - 1];
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    one->at = at;
    one->order = m->n;
    one->text = where != NULL ? xprintf("%s: %s", where, text) : xstrdup(text);
    free(text);
}

size_t mistakes_count(const struct mistakes *m)
{
    return m->n;
}

static int by_spot(const void *left, const void *right)
{
    const struct one *a = left, *b = right;

    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.column != b->at.column)
        return a->at.column < b->at.column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void print_escaped(const char *text, FILE *out)
{
    struct buf shown = { 0 };

    show_add(&shown, span(text, strlen(text)));
    fwrite(shown.at, 1, shown.len, out);
    buf_free(&shown);
}

void mistakes_print(struct mistakes *m, FILE *out)
{
    qsort(m->shown, kept(m), sizeof(m->shown[0]), by_spot);
    for (size_t i = 0; i < kept(m); i++) {
        const struct one *one = &m->shown[i];

        print_escaped(m->file, out);
        if (one->at.line > 0)
            fprintf(out, ":%u:%u", one->at.line, one->at.column);
        fputs(": ", out);
        print_escaped(one->text, out);
        fputc('\n', out);
    }
    if (m->n > kept(m)) {
        print_escaped(m->file, out);
        fprintf(out, ": %zu more mistakes are not shown\n", m->n - kept(m));
    }
}

/* The bytes of `text` that go into `room`, no character being torn. */
static size_t whole_characters(const char *text, size_t room)
{
    size_t len = strlen(text), used = 0, n;

    while (used < len) {
        n = utf8_len(span(text + used, len - used));
        n = n > 0 ? n : 1;
        if (used + n > room)
            break;
        used += n;
    }
    return used;
}

const char *mistake_quote(const char *text, char quote[QUOTE_SIZE])
{
    static const char cut[] = "...";
    const char *scheme = strstr(text, "://");
    const char *at = scheme != NULL ? strrchr(scheme, '@') : NULL;
    size_t room = QUOTE_SIZE - sizeof(cut);
    char *masked = NULL;
    size_t n;

    if (at != NULL)
        masked = xprintf("%.*s***%s", (int)(scheme + 3 - text), text, at);
    if (masked != NULL)
        text = masked;
    n = whole_characters(text, room);
    memcpy(quote, text, n);
    strcpy(quote + n, text[n] != '\0' ? cut : "");
    free(masked);
    return quote;
}
