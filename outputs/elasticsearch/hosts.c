/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/hosts.h"

#include <stdlib.h>

#define DOWN_MIN_MS 500
#define DOWN_MAX_MS 30000

struct hosts {
    struct host *list;
    size_t n;
    size_t next;
};

const char *hosts_check_url(const char *url)
{
    size_t scheme = strncmp(url, "http://", 7) == 0    ? 7
                    : strncmp(url, "https://", 8) == 0 ? 8
                                                       : 0;

    if (scheme == 0)
        return "must begin with http:// or https://";
    if (url[scheme] == '\0' || url[scheme] == '/' || url[scheme] == ':')
        return "names no host";
    if (strchr(url + scheme, '@') != NULL)
        return "may not hold credentials: use username and password";
    if (strpbrk(url, "?# \t\r\n") != NULL)
        return "may not hold ? # or spaces";
    return NULL;
}

struct hosts *hosts_new(const struct opt_list *urls)
{
    struct hosts *h = xcalloc(1, sizeof(*h));

    h->n = urls->n;
    h->list = xcalloc(h->n, sizeof(*h->list));
    for (size_t i = 0; i < h->n; i++) {
        size_t len = strlen(urls->at[i]);

        while (len > 0 && urls->at[i][len - 1] == '/')
            len--;
        h->list[i].url = xstrndup(urls->at[i], len);
        h->list[i].name = xstrdup(urls->at[i]);
    }
    return h;
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->n; i++) {
        free(h->list[i].url);
        free(h->list[i].name);
    }
    free(h->list);
    free(h);
}

struct host *hosts_next(struct hosts *h, uint64_t now_ms)
{
    struct host *soonest = NULL;

    for (size_t i = 0; i < h->n; i++) {
        struct host *host = &h->list[(h->next + i) % h->n];

        if (host->down_until_ms <= now_ms) {
            h->next = (h->next + i + 1) % h->n;
            return host;
        }
        if (soonest == NULL || host->down_until_ms < soonest->down_until_ms)
            soonest = host;
    }
    return soonest;
}

void host_failed(struct host *host, uint64_t now_ms)
{
    uint64_t down = DOWN_MIN_MS;

    for (unsigned i = 0; i < host->failures && down < DOWN_MAX_MS; i++)
        down *= 2;
    host->failures++;
    host->down_until_ms = now_ms + (down < DOWN_MAX_MS ? down : DOWN_MAX_MS);
}

void host_works(struct host *host)
{
    host->failures = 0;
    host->down_until_ms = 0;
}
