/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/action.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define US_PER_HOUR INT64_C(3600000000)

struct action {
    char *index;
    struct sha256 *hash;
    int64_t hour;    /* for which `head` was made */
    struct buf head; /* the line up to the id: the same for an hour */
};

struct action *action_new(const char *index)
{
    struct action *a = xcalloc(1, sizeof(*a));

    a->index = xstrdup(index);
    a->hash = sha256_new();
    a->hour = INT64_MIN;
    return a;
}

void action_free(struct action *a)
{
    if (a == NULL)
        return;
    sha256_free(a->hash);
    buf_free(&a->head);
    free(a->index);
    free(a);
}

/* Lower case and no characters that a URL, a path or a wildcard would read:
 * the rules of Elasticsearch and OpenSearch for index names. */
const char *action_check_index(const char *index)
{
    size_t len = 0;

    if (index[0] == '\0')
        return "is empty";
    if (strchr("-_+.", index[0]) != NULL)
        return "may not begin with - _ + or .";
    for (const char *p = index; *p != '\0'; p++) {
        len++;
        if (*p == '%') {
            p++;
            len += *p == 'Y' ? 3 : 1;
            if (*p == '\0' || strchr("YmdH", *p) == NULL)
                return "may hold %Y %m %d %H and no other %";
        } else if (*p >= 'A' && *p <= 'Z') {
            return "must be lower case";
        } else if ((unsigned char)*p <= ' ' ||
                   strchr("\\/*?\"<>|,#:", *p) != NULL) {
            return "may not hold spaces or any of \\ / * ? \" < > | , # :";
        }
    }
    return len <= ACTION_INDEX_MAX ? NULL : "is longer than 255 bytes";
}

/* All that is the same for the events of one hour. */
static void make_head(struct action *a)
{
    char index[ACTION_INDEX_MAX + 32]; /* years may have more digits */
    time_t seconds = (time_t)(a->hour * 3600);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(index, sizeof(index), a->index, &tm) == 0)
        abort(); /* its length was checked */
    a->head.len = 0;
    buf_printf(&a->head, "{\"create\":{\"_index\":\"");
    buf_add_json(&a->head, span(index, strlen(index)));
    buf_printf(&a->head, "\",\"_id\":\"");
}

static void add_id(struct action *a, const struct event *ev, char *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char base64url[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t ms = ev->time_us > 0 ? (uint64_t)ev->time_us / 1000 : 0;
    unsigned char hash[SHA256_SIZE];

    for (int i = 11; i >= 0; i--, ms >>= 4)
        out[i] = hex[ms & 15];
    out += 12;
    sha256_start(a->hash);
    sha256_add(a->hash, ev->identity.at, ev->identity.len);
    sha256_end(a->hash, hash);
    for (int i = 0; i < 15; i += 3) {
        unsigned v =
            (unsigned)hash[i] << 16 | (unsigned)hash[i + 1] << 8 | hash[i + 2];

        *out++ = base64url[v >> 18];
        *out++ = base64url[v >> 12 & 63];
        *out++ = base64url[v >> 6 & 63];
        *out++ = base64url[v & 63];
    }
    *out++ = base64url[hash[15] >> 2];
    *out++ = base64url[(hash[15] & 3) << 4 | hash[16] >> 4];
}

/* Whether it could be one of ours: it came from a file. */
static bool is_id(struct span id)
{
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < id.len; i++) {
        if (memchr(all, id.at[i], sizeof(all) - 1) == NULL)
            return false;
    }
    return id.len == ACTION_ID_LEN;
}

void action_add(struct action *a, const struct event *ev, struct buf *out)
{
    static const char tail[] = "\"}}\n";
    int64_t t = ev->time_us;
    int64_t hour = (t >= 0 ? t : t - (US_PER_HOUR - 1)) / US_PER_HOUR;

    if (hour != a->hour) {
        a->hour = hour;
        make_head(a);
    }
    buf_room(out, a->head.len + ACTION_ID_LEN + sizeof(tail));
    buf_add(out, a->head.at, a->head.len);
    if (is_id(ev->id))
        memcpy(out->at + out->len, ev->id.at, ACTION_ID_LEN);
    else
        add_id(a, ev, out->at + out->len);
    out->len += ACTION_ID_LEN;
    buf_add(out, tail, sizeof(tail) - 1);
}

struct span action_id(struct span line)
{
    static const char key[] = "\",\"_id\":\"";
    const char *at = memmem(line.at, line.len, key, sizeof(key) - 1);
    const char *end = line.at + line.len;

    if (at == NULL || end - at < (long)(sizeof(key) - 1 + ACTION_ID_LEN))
        return span(NULL, 0);
    return span(at + sizeof(key) - 1, ACTION_ID_LEN);
}

struct span action_place(struct span line)
{
    static const char head[] = "{\"create\":";
    size_t n = sizeof(head) - 1;

    if (line.len < n + 2)
        return span(NULL, 0);
    return span(line.at + n, line.len - n - 2); /* "}" and the newline */
}

struct span action_index(struct span line)
{
    static const char head[] = "{\"create\":{\"_index\":\"";
    size_t n = sizeof(head) - 1;
    const char *end =
        line.len > n ? memchr(line.at + n, '"', line.len - n) : NULL;

    return end != NULL ? span(line.at + n, (size_t)(end - line.at) - n)
                       : SPAN("");
}
