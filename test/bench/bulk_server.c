/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_server - see bulk_server.h.
 *
 * A connection goes HEAD -> BODY -> (WAIT) -> ANSWER -> HEAD. While it waits
 * it is in `waiting`, oldest first; the delay is the same for all, so the
 * first one is always the next one due and one timer does.
 */
#include "bulk_server.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "bulk_answer.h"

enum {
    READ_BYTES = 256 << 10,
    HEAD_BYTES = 16 << 10,
    TURN_EVENTS = 64,
};

enum conn_state {
    IN_HEAD,
    IN_BODY,
    IN_WAIT,
    IN_ANSWER
};

struct conn {
    struct bulk_server *server;
    int fd;
    enum conn_state state;
    bool bulk, gzip, broken, close_after, wants_write;
    unsigned parts;
    int64_t arrived_ns;
    size_t body_len, body_got;
    int wakes_at; /* bytes */
    uint64_t newlines;
    size_t head_len;
    char head[HEAD_BYTES + 1];
    struct inflate_state *inflate; /* made at the first gzip body */
    char *body;                    /* when bodies are kept */
    size_t kept, kept_cap;
    char reply_head[2048]; /* status line, headers and any short body */
    size_t reply_head_len, sent;
    uint64_t reply_items;
    TAILQ_ENTRY(conn) link; /* in server->waiting, state IN_WAIT */
};

TAILQ_HEAD(conn_list, conn);

struct bulk_server {
    struct bulk_server_conf conf;
    struct bulk_stats stats;
    int epoll_fd, listen_fd, timer_fd;
    uint16_t port;
    struct conn_list waiting;
    char in[READ_BYTES], plain[READ_BYTES];
};

int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void watch(struct bulk_server *s, int fd, void *tag)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = tag };

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        err(1, "epoll_ctl");
}

static void want_write(struct conn *c, bool wanted)
{
    struct epoll_event e = { .events = wanted ? EPOLLOUT : EPOLLIN,
                             .data.ptr = c };

    if (c->wants_write != wanted)
        epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->wants_write = wanted;
}

static void conn_free(struct conn *c)
{
    if (c->state == IN_WAIT)
        TAILQ_REMOVE(&c->server->waiting, c, link);
    if (c->bulk && (c->state == IN_WAIT || c->state == IN_ANSWER))
        c->server->stats.open_requests--;
    close(c->fd);
    free(c->inflate);
    free(c->body);
    free(c);
}

static void arm_timer(struct bulk_server *s)
{
    struct conn *c = TAILQ_FIRST(&s->waiting);
    struct itimerspec t = { .it_value = { 0, 0 } };

    if (c) {
        int64_t due = c->arrived_ns + (int64_t)s->conf.delay_ms * 1000000;

        t.it_value.tv_sec = due / 1000000000;
        t.it_value.tv_nsec = due % 1000000000;
    }
    timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static uint64_t count_newlines(const char *p, size_t n)
{
    const char *end = p + n;
    uint64_t count = 0;

    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        count++;
        p++;
    }
    return count;
}

static void take_plain(struct conn *c, const char *p, size_t n)
{
    c->newlines += count_newlines(p, n);
    c->server->stats.plain_bytes += n;
    if (!c->server->conf.keep_body)
        return;
    if (c->kept_cap - c->kept < n) {
        c->kept_cap = 2 * (c->kept + n);
        c->body = realloc(c->body, c->kept_cap);
        if (!c->body)
            abort();
    }
    memcpy(c->body + c->kept, p, n);
    c->kept += n;
}

static void take_gzip(struct conn *c, char *p, size_t n)
{
    struct inflate_state *z = c->inflate;
    struct bulk_server *s = c->server;

    z->next_in = (uint8_t *)p;
    z->avail_in = (uint32_t)n;
    do {
        if (z->block_state == ISAL_BLOCK_FINISH && z->avail_in) {
            c->broken = true; /* bytes after the end */
            return;
        }
        z->next_out = (uint8_t *)s->plain;
        z->avail_out = READ_BYTES;
        if (isal_inflate(z) != ISAL_DECOMP_OK) {
            c->broken = true;
            return;
        }
        take_plain(c, s->plain, READ_BYTES - z->avail_out);
    } while (z->avail_in || z->avail_out == 0);
}

static void start_gzip(struct conn *c)
{
    if (!c->inflate && !(c->inflate = malloc(sizeof(*c->inflate))))
        abort();
    isal_inflate_init(c->inflate);
    c->inflate->crc_flag = ISAL_GZIP;
}

/* Answers with a status and a short body; `fault` also ends the connection. */
static void reply(struct conn *c, const char *status, const char *json,
                  bool fault)
{
    if (fault) {
        c->server->stats.faults++;
        c->close_after = true;
    }
    c->sent = 0;
    c->reply_head_len = (size_t)snprintf(
        c->reply_head, sizeof(c->reply_head),
        "HTTP/1.1 %s\r\nX-elastic-product: Elasticsearch\r\n"
        "content-type: application/json\r\ncontent-length: %zu\r\n%s\r\n%s",
        status, strlen(json), fault ? "connection: close\r\n" : "", json);
    c->state = IN_ANSWER;
}

static void reply_bulk(struct conn *c)
{
    struct answer a;

    c->reply_items = c->newlines / 2;
    answer_make(&a, c->parts, c->reply_items, c->server->conf.delay_ms);
    c->sent = 0;
    c->reply_head_len = (size_t)snprintf(
        c->reply_head, sizeof(c->reply_head),
        "HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\n"
        "content-type: application/json\r\ncontent-length: %zu\r\n\r\n",
        a.head_len + a.items_len + a.tail_len);
    c->state = IN_ANSWER;
}

static void rewind_head(struct conn *c)
{
    if (c->bulk)
        c->server->stats.open_requests--;
    c->bulk = false;
    c->head_len = 0;
    c->state = IN_HEAD;
}

/* Sends what is left of the answer. False: the connection is gone. */
static bool send_answer(struct conn *c)
{
    struct answer a = { .head_len = 0 };
    size_t skip = c->sent, total = 0;
    struct iovec v[4];
    ssize_t did;

    if (c->bulk)
        answer_make(&a, c->parts, c->reply_items, c->server->conf.delay_ms);
    v[0] = (struct iovec){ c->reply_head, c->reply_head_len };
    v[1] = (struct iovec){ a.head, a.head_len };
    v[2] = (struct iovec){ (char *)(uintptr_t)a.items, a.items_len };
    v[3] = (struct iovec){ (char *)(uintptr_t)a.tail, a.tail_len };
    for (int i = 0; i < 4; i++) {
        size_t cut = skip < v[i].iov_len ? skip : v[i].iov_len;

        total += v[i].iov_len;
        v[i].iov_base = (char *)v[i].iov_base + cut;
        v[i].iov_len -= cut;
        skip -= cut;
    }
    did = sendmsg(c->fd, &(struct msghdr){ .msg_iov = v, .msg_iovlen = 4 },
                  MSG_NOSIGNAL | MSG_DONTWAIT);
    if (did < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    if (did > 0)
        c->sent += (size_t)did;
    want_write(c, c->sent < total);
    if (c->sent < total)
        return true;
    if (c->close_after)
        return false;
    rewind_head(c);
    return true;
}

static void count_request(struct conn *c)
{
    struct bulk_stats *st = &c->server->stats;

    st->requests++;
    st->gzip_requests += c->gzip;
    st->events += c->newlines / 2;
    st->last_ns = c->arrived_ns;
    if (!st->first_ns)
        st->first_ns = c->arrived_ns;
    if (++st->open_requests > st->max_open_requests)
        st->max_open_requests = st->open_requests;
}

/* The whole body is here. */
static bool end_body(struct conn *c)
{
    struct bulk_server *s = c->server;

    if (c->gzip && c->inflate->block_state != ISAL_BLOCK_FINISH)
        c->broken = true;
    if (!c->bulk || c->broken || c->newlines % 2 != 0) {
        c->bulk = false;
        reply(c, "400 Bad Request",
              "{\"error\":{\"type\":\"parse_exception\",\"reason\":\"not a "
              "bulk body\"},\"status\":400}",
              true);
        return send_answer(c);
    }
    count_request(c);
    if (s->conf.on_request)
        s->conf.on_request(s->conf.ctx, c->arrived_ns, c->body, c->kept);
    if (s->conf.delay_ms == 0) {
        reply_bulk(c);
        return send_answer(c);
    }
    c->state = IN_WAIT;
    TAILQ_INSERT_TAIL(&s->waiting, c, link);
    if (TAILQ_FIRST(&s->waiting) == c)
        arm_timer(s);
    return true;
}

static bool take_body(struct conn *c, char *p, size_t n)
{
    if (n > c->body_len - c->body_got)
        return false; /* pipelining: no client of ours does it */
    c->body_got += n;
    c->server->stats.wire_bytes += n;
    if (c->body_got == c->body_len)
        c->arrived_ns = now_ns();
    if (c->gzip && !c->broken)
        take_gzip(c, p, n);
    else if (!c->gzip)
        take_plain(c, p, n);
    return c->body_got < c->body_len || end_body(c);
}

/* The value of the header, or NULL; `name` is "\r\nname:". */
static const char *header(const struct conn *c, const char *name)
{
    const char *at = strcasestr(c->head, name);

    return at ? at + strlen(name) : NULL;
}

static bool reply_get(struct conn *c)
{
    char json[1024];

    if (strncmp(c->head, "GET /stats ", 11) == 0) {
        bulk_stats_json(&c->server->stats, json, sizeof(json));
        reply(c, "200 OK", json, false);
    } else if (strncmp(c->head, "GET / ", 6) == 0) {
        reply(c, "200 OK",
              "{\"name\":\"sink\",\"cluster_name\":\"bench\",\"version\":{"
              "\"number\":\"9.5.3\",\"build_flavor\":\"default\","
              "\"lucene_version\":\"10.4.0\","
              "\"minimum_wire_compatibility_version\":\"8.19.0\"},"
              "\"tagline\":\"You Know, for Search\"}",
              false);
    } else {
        reply(c, "404 Not Found", "{\"status\":404}", false);
    }
    return send_answer(c);
}

/* The head is whole; `end` is where the body begins. */
static bool end_head(struct conn *c)
{
    const char *length = header(c, "\r\ncontent-length:");
    const char *coding = header(c, "\r\ncontent-encoding:");
    char *query = strpbrk(c->head, "\r");

    if (header(c, "\r\ntransfer-encoding:")) {
        reply(c, "411 Length Required", "{\"status\":411}", true);
        return send_answer(c);
    }
    c->body_len = length ? strtoul(length, NULL, 10) : 0;
    c->body_got = c->newlines = c->kept = 0;
    c->broken = false;
    if (c->body_len == 0)
        return reply_get(c);
    c->gzip =
        coding && strncasecmp(coding + strspn(coding, " "), "gzip", 4) == 0;
    if (c->gzip)
        start_gzip(c);
    *query = '\0';
    c->bulk = strstr(c->head, "_bulk") != NULL;
    c->parts = answer_parts(c->head);
    *query = '\r';
    if (header(c, "\r\nexpect:"))
        (void)!write(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    c->state = IN_BODY;
    return true;
}

static bool take_head(struct conn *c, char *p, size_t n)
{
    size_t had = c->head_len,
           some = n < HEAD_BYTES - had ? n : HEAD_BYTES - had;
    char *end;
    size_t used;

    memcpy(c->head + had, p, some);
    c->head_len += some;
    c->head[c->head_len] = '\0';
    end = strstr(c->head + (had > 3 ? had - 3 : 0), "\r\n\r\n");
    if (!end)
        return c->head_len < HEAD_BYTES;
    end[2] = '\0';
    used = (size_t)(end + 4 - c->head) - had;
    if (!end_head(c))
        return false;
    if (used == n)
        return true;
    return c->state == IN_BODY && take_body(c, p + used, n - used);
}

/*
 * To be woken for a whole buffer of a body, or its rest. On loopback a wake-up is
 * made within the sender's send(), and on its account: no network does that, and
 * on a virtual machine whose other core is idle it costs more than the copy.
 */
static void sleep_for_body(struct conn *c)
{
    size_t left = c->state == IN_BODY ? c->body_len - c->body_got : 1;
    int bytes = left < READ_BYTES ? (int)left : READ_BYTES;

    if (bytes != c->wakes_at)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
    c->wakes_at = bytes;
}

static bool take(struct conn *c, size_t got)
{
    struct bulk_server *s = c->server;

    switch (c->state) {
    case IN_HEAD:
        return take_head(c, s->in, got);
    case IN_BODY:
        return take_body(c, s->in, got);
    default:
        return false; /* it may not speak before its answer */
    }
}

static bool conn_read(struct conn *c)
{
    ssize_t got = recv(c->fd, c->server->in, READ_BYTES, MSG_DONTWAIT);

    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    if (!take(c, (size_t)got))
        return false;
    sleep_for_body(c);
    return true;
}

static void on_accept(struct bulk_server *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct conn *c;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (!(c = calloc(1, sizeof(*c))))
        abort();
    c->server = s;
    c->fd = fd;
    s->stats.connections++;
    watch(s, fd, c);
}

static void on_timer(struct bulk_server *s)
{
    int64_t delay = (int64_t)s->conf.delay_ms * 1000000;
    uint64_t fired;
    struct conn *c;

    (void)!read(s->timer_fd, &fired, sizeof(fired));
    while ((c = TAILQ_FIRST(&s->waiting)) &&
           c->arrived_ns + delay <= now_ns()) {
        TAILQ_REMOVE(&s->waiting, c, link);
        reply_bulk(c);
        if (!send_answer(c))
            conn_free(c);
    }
    arm_timer(s);
}

void bulk_server_turn(struct bulk_server *s)
{
    struct epoll_event events[TURN_EVENTS];
    int n = epoll_wait(s->epoll_fd, events, TURN_EVENTS, 0);
    bool timer = false;

    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;

        if (events[i].data.ptr == s)
            on_accept(s);
        else if (events[i].data.ptr == &s->timer_fd)
            timer = true; /* last: it may free a connection of this turn */
        else if (!(c->wants_write ? send_answer(c) : conn_read(c)))
            conn_free(c);
    }
    if (timer)
        on_timer(s);
}

struct bulk_server *bulk_server_open(const struct bulk_server_conf *conf)
{
    struct bulk_server *s = calloc(1, sizeof(*s));
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons(conf->port) };
    socklen_t len = sizeof(at);

    if (!s)
        abort();
    s->conf = *conf;
    TAILQ_INIT(&s->waiting);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s->listen_fd =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 },
               sizeof(int));
    if (bind(s->listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(s->listen_fd, 128) < 0 ||
        getsockname(s->listen_fd, (struct sockaddr *)&at, &len) < 0)
        err(1, "cannot listen on 127.0.0.1:%u", conf->port);
    s->port = ntohs(at.sin_port);
    watch(s, s->listen_fd, s);
    watch(s, s->timer_fd, &s->timer_fd);
    return s;
}

void bulk_server_close(struct bulk_server *s)
{
    /* Connections end with the process. */
    close(s->listen_fd);
    close(s->timer_fd);
    close(s->epoll_fd);
    free(s);
}

uint16_t bulk_server_port(const struct bulk_server *s)
{
    return s->port;
}

int bulk_server_fd(const struct bulk_server *s)
{
    return s->epoll_fd;
}

const struct bulk_stats *bulk_server_stats(const struct bulk_server *s)
{
    return &s->stats;
}

int bulk_stats_json(const struct bulk_stats *st, char *to, size_t size)
{
    return snprintf(to, size,
                    "{\"requests\":%" PRIu64 ",\"gzip_requests\":%" PRIu64
                    ",\"events\":%" PRIu64 ",\"faults\":%" PRIu64
                    ",\"wire_bytes\":%" PRIu64 ",\"plain_bytes\":%" PRIu64
                    ",\"connections\":%" PRIu64
                    ",\"max_open_requests\":%" PRIu64 ",\"first_ns\":%" PRId64
                    ",\"last_ns\":%" PRId64 "}",
                    st->requests, st->gzip_requests, st->events, st->faults,
                    st->wire_bytes, st->plain_bytes, st->connections,
                    st->max_open_requests, st->first_ns, st->last_ns);
}
