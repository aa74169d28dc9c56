/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/hosts.h"

#include <stdlib.h>

#include "agent/base/backoff.h"

#define DOWN_MIN_MS 500
#define DOWN_MAX_MS 30000

/* Taken in turn. */
struct ring {
    struct host **at;
    size_t n;
    size_t next;
};

struct hosts {
    char *server_name; /* NULL: their own */
    const char *scheme;
    struct ring configured;
    struct ring found;
    struct ring left; /* no nodes any more, but in use when last looked at */
};

static size_t scheme_len(const char *url)
{
    return strncmp(url, "http://", 7) == 0    ? 7
           : strncmp(url, "https://", 8) == 0 ? 8
                                              : 0;
}

const char *hosts_check_url(const char *url)
{
    size_t scheme = scheme_len(url);

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

/* ---- one of them ---- */

/* Where the port begins, with its colon, or the end. */
static const char *port_in(const char *host, size_t len)
{
    const char *end = host + len, *p = end;

    while (p > host && p[-1] >= '0' && p[-1] <= '9')
        p--;
    return p > host && p[-1] == ':' ? p - 1 : end;
}

/* The certificate's name takes the host's place in the URL, so that it is what
 * TLS asks for; the connection goes to where the host is. */
static void rename_host(struct host *host, const char *server_name)
{
    const char *at = host->url + scheme_len(host->url);
    size_t len = strcspn(at, "/");
    const char *port = port_in(at, len);
    char *url;

    host->connect_to =
        xprintf("::%.*s%s", (int)len, at, port == at + len ? ":" : "");
    url = xprintf("https://%s%s", server_name, port); /* with the path */
    free(host->url);
    host->url = url;
}

static struct host *new_host(const char *url, const char *server_name)
{
    struct host *host = xcalloc(1, sizeof(*host));
    size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/')
        len--;
    host->url = xstrndup(url, len);
    host->name = xstrdup(url);
    if (server_name != NULL && strncmp(url, "https:", 6) == 0)
        rename_host(host, server_name);
    return host;
}

static void free_host(struct host *host)
{
    free(host->url);
    free(host->name);
    free(host->connect_to);
    free(host);
}

void hosts_give(struct host *host)
{
    host->users--;
}

void host_failed(struct host *host, uint64_t now_ms)
{
    uint64_t half = DOWN_MIN_MS / 2;

    for (unsigned i = 0; i < host->failures && half < DOWN_MAX_MS / 2; i++)
        half *= 2;
    if (half > DOWN_MAX_MS / 2)
        half = DOWN_MAX_MS / 2;
    host->failures++;
    host->down_until_ms = now_ms + half + backoff_ms(half, half, 0);
}

void host_works(struct host *host)
{
    host->failures = 0;
    host->down_until_ms = 0;
}

/* ---- all of them ---- */

static void add_host(struct ring *r, struct host *host)
{
    r->at = xrealloc(r->at, (r->n + 1) * sizeof(struct host *));
    r->at[r->n++] = host;
}

struct hosts *hosts_new(const struct opt_list *urls, const char *server_name)
{
    struct hosts *h = xcalloc(1, sizeof(*h));

    if (server_name != NULL)
        h->server_name = xstrdup(server_name);
    for (size_t i = 0; i < urls->n; i++)
        add_host(&h->configured, new_host(urls->at[i], server_name));
    h->scheme = scheme_len(urls->at[0]) == 8 ? "https://" : "http://";
    return h;
}

static void free_ring(struct ring *r)
{
    for (size_t i = 0; i < r->n; i++)
        free_host(r->at[i]);
    free(r->at);
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    free_ring(&h->configured);
    free_ring(&h->found);
    free_ring(&h->left);
    free(h->server_name);
    free(h);
}

static struct host *next_up(struct ring *r, uint64_t now_ms)
{
    for (size_t i = 0; i < r->n; i++) {
        struct host *host = r->at[(r->next + i) % r->n];

        if (host->down_until_ms <= now_ms) {
            r->next = (r->next + i + 1) % r->n;
            return host;
        }
    }
    return NULL;
}

static struct host *soonest(const struct ring *r, struct host *best)
{
    for (size_t i = 0; i < r->n; i++) {
        if (best == NULL || r->at[i]->down_until_ms < best->down_until_ms)
            best = r->at[i];
    }
    return best;
}

struct host *hosts_take(struct hosts *h, uint64_t now_ms)
{
    struct host *host = next_up(&h->found, now_ms);

    if (host == NULL)
        host = next_up(&h->configured, now_ms);
    if (host == NULL)
        host = soonest(&h->configured, soonest(&h->found, NULL));
    host->users++;
    return host;
}

/* ---- those that were found ---- */

static struct host *take_out(struct ring *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        struct host *host = r->at[i];

        if (host != NULL && strcmp(host->name, name) == 0) {
            r->at[i] = NULL;
            return host;
        }
    }
    return NULL;
}

/* Frees those of a ring that nobody uses; the others go to `left`. */
static void let_go(struct ring *r, struct ring *left)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i] != NULL && r->at[i]->users > 0)
            add_host(left, r->at[i]);
        else if (r->at[i] != NULL)
            free_host(r->at[i]);
    }
    free(r->at);
}

size_t hosts_found(struct hosts *h, const struct opt_list *addresses)
{
    struct ring now = { 0 }, left = { 0 };
    size_t fresh = 0;

    for (size_t i = 0; i < addresses->n && now.n < HOSTS_FOUND_MAX; i++) {
        char *url = xprintf("%s%s", h->scheme, addresses->at[i]);
        struct host *known = take_out(&h->found, url);

        if (known == NULL && hosts_check_url(url) == NULL) {
            known = new_host(url, h->server_name);
            fresh++;
        }
        if (known != NULL)
            add_host(&now, known);
        free(url);
    }
    let_go(&h->found, &left);
    let_go(&h->left, &left);
    h->found = now;
    h->left = left;
    return fresh;
}
