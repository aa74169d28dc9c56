/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdout - events as JSON lines on standard output.
 *
 * Never blocks the loop, and never changes the flags of a descriptor that it
 * shares with a shell or with standard error: a pipe or terminal is opened anew
 * for us alone; of others small pieces are written once poll() says that there
 * is room, asked again by a timer. A reader that stops reading stops this
 * output's lanes, nothing else.
 *
 * There is one standard output but an instance for each lane: they take turns,
 * and a turn ends between two lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outputs/line.h"
#include "outputs/output.h"

/* What is written in one turn of the loop. */
#define BUDGET   (256 * KIB)
#define AGAIN_MS 20

struct stdout_conf {
    unsigned format;
};

struct output {
    int fd;
    bool own;         /* fd is ours alone, and never blocks */
    uv_poll_t poll;   /* when it is our own */
    uv_timer_t again; /* when it is not */
    uv_idle_t idle;
    unsigned handles;
    struct send *send;   /* under way, or NULL */
    struct span left;    /* of it */
    size_t torn;         /* bytes of the next event that are out already */
    struct output *next; /* of those that wait for their turn */
    bool waits;
    void (*closed)(void *arg);
    void *arg;
};

/* Whose turn it is, if anybody's, and who comes then. */
static struct output *turn;
static struct output *queue;
static struct output nobody;

static const char *const formats[] = { "json", NULL };

static const struct opt stdout_opts[] = {
    OPT_CHOICE(struct stdout_conf, format, .def = "json", .choices = formats,
               .help = "json: the event as the API server wrote it, one a "
                       "line."),
    OPT_END
};

/* The same pipe or terminal by a description of our own. A file must keep the
 * shared one: its offset is the shell's as well. */
static int open_own(bool *own)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDOUT_FILENO, &st) == 0 &&
        (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        fd = open("/proc/self/fd/1",
                  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    *own = fd >= 0;
    return fd >= 0 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static struct output *stdout_open(const struct output_env *env,
                                  const void *conf, struct err *e)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    struct output *o;

    (void)conf;
    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
        err_set(e, ERR_IO, "standard output is not open for writing");
        return NULL;
    }
    o = xcalloc(1, sizeof(*o));
    o->fd = open_own(&o->own);
    if (o->fd < 0) {
        err_set(e, ERR_IO, "standard output cannot be used: %m");
        free(o);
        return NULL;
    }
    uv_idle_init(env->loop, &o->idle);
    uv_timer_init(env->loop, &o->again);
    o->idle.data = o->again.data = o->poll.data = o;
    o->handles = 2;
    /* What cannot be polled, such as /dev/null, never makes us wait. */
    if (o->own)
        o->own = uv_poll_init(env->loop, &o->poll, o->fd) == 0;
    o->handles += o->own;
    return o;
}

static void on_idle(uv_idle_t *idle);

/* Whether some of an event is out, but not all. */
static bool is_torn(const struct output *o)
{
    if (o->torn > 0 || o->send == NULL || turn != o)
        return o->torn > 0;
    return o->left.at > batch_bytes_of(o->send->batch, o->send->first, 1).at &&
           o->left.at[-1] != '\n';
}

static bool take_turn(struct output *o)
{
    struct output **at = &queue;

    if (turn == NULL)
        turn = o;
    if (turn == o || o->waits)
        return turn == o;
    while (*at != NULL)
        at = &(*at)->next;
    *at = o;
    o->next = NULL;
    o->waits = true;
    return false;
}

/* The next one gets it at once, or who comes first would. */
static void give_turn(struct output *o)
{
    if (turn != o)
        return;
    turn = queue;
    if (turn == NULL)
        return;
    queue = turn->next;
    turn->waits = false;
    uv_idle_start(&turn->idle, on_idle);
}

static void leave_queue(struct output *o)
{
    struct output **at = &queue;

    while (*at != NULL && *at != o)
        at = &(*at)->next;
    if (*at != NULL)
        *at = o->next;
    o->waits = false;
}

static void answer(struct output *o, const struct answer *a)
{
    struct send *s = o->send;

    o->send = NULL;
    uv_idle_stop(&o->idle);
    if (o->torn == 0)
        give_turn(o);
    s->answered(s, a);
}

/* Events that are out whole are delivered; of the next one some bytes may be,
 * and those are not written again. */
static void settle_written(struct output *o)
{
    struct send *s = o->send;
    struct span all = batch_bytes_of(s->batch, s->first, s->count);
    size_t out = all.len - o->left.len;
    uint32_t i = s->first;

    while (i < s->first + s->count && s->batch->items[i].len <= out)
        out -= s->batch->items[i++].len;
    line_verdicts(s->batch, s->first, i - s->first, VERDICT_DELIVERED);
    o->torn = out;
}

static void answer_error(struct output *o, int error)
{
    char why[128];
    struct answer a = { .status = (unsigned)error, .why = why };

    a.kind = error == EPIPE ? ANSWER_GONE : ANSWER_ITEMS;
    if (error != EPIPE)
        settle_written(o); /* what is torn is finished before others write */
    snprintf(why, sizeof(why), "standard output: %s",
             error == EPIPE ? "its reader has gone" : strerror(error));
    answer(o, &a);
}

/* Whether a write of up to `*n` bytes will not block; may make it fewer. */
static bool has_room(const struct output *o, size_t *n)
{
    struct pollfd p = { .fd = o->fd, .events = POLLOUT };

    if (o->own)
        return true;
    *n = *n < PIPE_BUF ? *n : PIPE_BUF;
    return poll(&p, 1, 0) == 1;
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct output *o = poll->data;

    (void)status; /* the write will say what is wrong */
    (void)events;
    uv_poll_stop(&o->poll);
    uv_idle_start(&o->idle, on_idle);
}

static void on_again(uv_timer_t *timer)
{
    struct output *o = timer->data;

    uv_idle_start(&o->idle, on_idle);
}

static void wait_for_room(struct output *o)
{
    uv_idle_stop(&o->idle);
    if (o->own)
        uv_poll_start(&o->poll, UV_WRITABLE | UV_DISCONNECT, on_writable);
    else
        uv_timer_start(&o->again, on_again, AGAIN_MS, 0);
}

static void on_idle(uv_idle_t *idle)
{
    struct output *o = idle->data;
    size_t budget = BUDGET;

    if (!take_turn(o)) {
        uv_idle_stop(&o->idle);
        return;
    }
    while (o->left.len > 0 && budget > 0) {
        size_t n = o->left.len < budget ? o->left.len : budget;
        ssize_t w = -1;

        errno = EAGAIN;
        if (has_room(o, &n))
            w = write(o->fd, o->left.at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) {
            wait_for_room(o);
            return;
        }
        if (w < 0) {
            answer_error(o, errno);
            return;
        }
        o->left.at += w;
        o->left.len -= (size_t)w;
        budget -= (size_t)w;
    }
    if (o->left.len > 0)
        return; /* the next turn goes on */
    line_verdicts(o->send->batch, o->send->first, o->send->count,
                  VERDICT_DELIVERED);
    answer(o, &(struct answer){ .kind = ANSWER_ITEMS });
}

static void stdout_send(struct output *o, struct send *s)
{
    o->send = s;
    o->left = batch_bytes_of(s->batch, s->first, s->count);
    o->left.at += o->torn;
    o->left.len -= o->torn;
    o->torn = 0; /* our turn it is until all is out */
    uv_idle_start(&o->idle, on_idle);
}

static void on_closed(uv_handle_t *handle)
{
    struct output *o = handle->data;
    void (*closed)(void *) = o->closed;
    void *arg = o->arg;

    if (--o->handles > 0)
        return;
    close(o->fd);
    free(o);
    closed(arg);
}

static void stdout_close(struct output *o, void (*closed)(void *arg), void *arg)
{
    o->closed = closed;
    o->arg = arg;
    uv_idle_stop(&o->idle);
    leave_queue(o);
    if (is_torn(o))
        turn = &nobody; /* better a torn last line than one in another's */
    give_turn(o);
    uv_close((uv_handle_t *)&o->idle, on_closed);
    uv_close((uv_handle_t *)&o->again, on_closed);
    if (o->own)
        uv_close((uv_handle_t *)&o->poll, on_closed);
}

extern const struct output_ops output_stdout;

const struct output_ops output_stdout = {
    .name = "stdout",
    .help = "Write each event to standard output, one a line.",
    .opts = stdout_opts,
    .conf_size = sizeof(struct stdout_conf),
    .max_in_flight = 1,
    .shape = SHAPE_BYTES,
    .open = stdout_open,
    .encode = line_encode,
    .send = stdout_send,
    .close = stdout_close,
};
