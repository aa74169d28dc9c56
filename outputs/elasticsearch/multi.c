/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/multi.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/bytes.h"

/* Most buffers of a body sent in a row before others get their turn. */
#define UPLOADS_AT_ONCE 16

/*
 * A socket of curl's, watched for it. That of a connection stays watched for
 * reading from one request to the next: to go in and out of epoll for each costs
 * more than to be told once that an idle connection was closed.
 */
struct sock {
    uv_poll_t poll;
    struct multi *multi;
    struct sock *next;
    curl_socket_t fd;
    bool is_connection; /* ours until it is closed; else curl's own business */
    int events;         /* what curl waits for; 0: nothing now */
    int watched;        /* what libuv waits for */
};

struct multi {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_prepare_t soon; /* a timer of 0 ms, without a turn of the loop for it */
    bool is_soon;      /* it runs */
    CURLM *curl;
    struct sock *socks;
    unsigned busy;    /* easy handles under way */
    unsigned handles; /* open libuv handles */
    void (*ended)(CURL *easy, CURLcode code);
    void (*closed)(void *arg); /* set: closing */
    void *arg;
};

static void must(bool ok)
{
    if (!ok)
        abort(); /* out of memory, or a wrong option */
}

/* ---- what has ended ---- */

/* Not from within curl: here handles may be added and removed. */
static void collect(struct multi *m)
{
    CURLMsg *msg;
    int left;

    while (m->closed == NULL &&
           (msg = curl_multi_info_read(m->curl, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE)
            m->ended(msg->easy_handle, msg->data.result);
    }
}

static void act(struct multi *m, curl_socket_t fd, int events)
{
    int running;

    if (m->closed != NULL)
        return;
    must(curl_multi_socket_action(m->curl, fd, events, &running) == CURLM_OK);
    collect(m);
}

/* ---- sockets ---- */

/* One of our libuv handles is closed; after the last, all goes. */
static void release(struct multi *m)
{
    void (*closed)(void *) = m->closed;
    void *arg = m->arg;

    if (--m->handles > 0)
        return;
    free(m);
    closed(arg);
}

static void on_sock_closed(uv_handle_t *handle)
{
    struct sock *k = handle->data;
    struct multi *m = k->multi;

    free(k);
    release(m);
}

static void on_ready(uv_poll_t *handle, int status, int events);

static void watch_sock(struct sock *k, int events)
{
    if (k->watched == events)
        return;
    k->watched = events;
    if (events != 0)
        uv_poll_start(&k->poll, events, on_ready);
    else
        uv_poll_stop(&k->poll);
}

/*
 * Whether curl has more to send and it can go at once: curl sends one buffer a
 * call. While several are under way, the server is slow to answer and each turn
 * of the loop that a body waits is lost. One alone keeps the pace at which the
 * next is made, which costs both sides less.
 */
static bool takes_more(const struct sock *k)
{
    struct pollfd p = { .fd = k->fd, .events = POLLOUT };

    return k->multi->busy > 1 && (k->events & UV_WRITABLE) != 0 &&
           poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct sock *k = handle->data;
    int flags = 0;

    if (k->events == 0) { /* closed, most likely: curl sees at its next use */
        watch_sock(k, 0);
        return;
    }
    if (status < 0) /* curl reads, and sees what it is */
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(k->multi, k->fd, flags);
    for (int i = 1; i < UPLOADS_AT_ONCE && takes_more(k); i++)
        act(k->multi, k->fd, CURL_CSELECT_OUT);
}

static struct sock *find_sock(const struct multi *m, curl_socket_t fd)
{
    struct sock *k = m->socks;

    while (k != NULL && k->fd != fd)
        k = k->next;
    return k;
}

static void drop_sock(struct sock *k)
{
    struct sock **at = &k->multi->socks;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    k->events = 0;
    watch_sock(k, 0);
    uv_close((uv_handle_t *)&k->poll, on_sock_closed);
}

static struct sock *new_sock(struct multi *m, curl_socket_t fd)
{
    struct sock *k = xcalloc(1, sizeof(*k));

    k->multi = m;
    k->fd = fd;
    k->next = m->socks;
    m->socks = k;
    must(uv_poll_init_socket(m->loop, &k->poll, fd) == 0);
    k->poll.data = k;
    m->handles++;
    return k;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    new_sock(arg, fd)->is_connection = true;
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    struct sock *k = find_sock(arg, fd);

    if (k != NULL)
        drop_sock(k);
    return close(fd);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *sockp)
{
    static const int wants[] = {
        [CURL_POLL_IN] = UV_READABLE,
        [CURL_POLL_OUT] = UV_WRITABLE,
        [CURL_POLL_INOUT] = UV_READABLE | UV_WRITABLE,
        [CURL_POLL_REMOVE] = 0,
    };
    struct multi *m = arg;
    struct sock *k = find_sock(m, fd);

    (void)easy;
    (void)sockp;
    if (k == NULL && what == CURL_POLL_REMOVE)
        return 0;
    if (k == NULL)
        k = new_sock(m, fd);
    k->events = wants[what];
    if (what != CURL_POLL_REMOVE)
        watch_sock(k, k->events);
    else if (!k->is_connection)
        drop_sock(k);
    else if (k->watched != 0)
        watch_sock(k, UV_READABLE);
    return 0;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_soon(uv_prepare_t *soon)
{
    struct multi *m = soon->data;

    uv_prepare_stop(soon);
    m->is_soon = true;
    act(m, CURL_SOCKET_TIMEOUT, 0);
    m->is_soon = false;
}

/* -1 stops the timer; 0 means soon, and never from in here. What is asked for
 * while the loop prepares to sleep would be too late to keep it awake. */
static int on_timeout(CURLM *curl, long ms, void *arg)
{
    struct multi *m = arg;

    (void)curl;
    if (m->closed != NULL)
        return 0;
    uv_prepare_stop(&m->soon);
    uv_timer_stop(&m->timer);
    if (ms == 0 && !m->is_soon)
        uv_prepare_start(&m->soon, on_soon);
    else if (ms >= 0)
        uv_timer_start(&m->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

/* ---- what the others see ---- */

struct multi *multi_open(uv_loop_t *loop, unsigned connections,
                         void (*ended)(CURL *easy, CURLcode code))
{
    struct multi *m = xcalloc(1, sizeof(*m));

    m->loop = loop;
    m->ended = ended;
    m->curl = curl_multi_init();
    must(m->curl != NULL);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)connections);
    uv_timer_init(loop, &m->timer);
    uv_prepare_init(loop, &m->soon);
    m->timer.data = m->soon.data = m;
    m->handles = 2;
    return m;
}

void multi_adopt(struct multi *m, CURL *easy)
{
    must(curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, m) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) ==
             CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) ==
             CURLE_OK);
}

void multi_add(struct multi *m, CURL *easy)
{
    m->busy++;
    must(curl_multi_add_handle(m->curl, easy) == CURLM_OK);
}

void multi_remove(struct multi *m, CURL *easy)
{
    m->busy--;
    must(curl_multi_remove_handle(m->curl, easy) == CURLM_OK);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void multi_close(struct multi *m, void (*closed)(void *arg), void *arg)
{
    m->closed = closed;
    m->arg = arg;
    curl_multi_cleanup(m->curl);
    uv_close((uv_handle_t *)&m->timer, on_handle_closed);
    uv_close((uv_handle_t *)&m->soon, on_handle_closed);
}
