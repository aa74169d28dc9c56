/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"

#define WHO "standard input"

#define PIECE    (64 * KIB)
#define BUDGET   (256 * KIB) /* what is read in one turn of the loop */
#define PUNCH    MIB         /* what is given back at once */
#define AGAIN_MS 1000        /* after a failure */
#define NAME     "stdin.spool"

struct spool {
    int in;         /* what is read */
    bool own;       /* it is ours alone, and never blocks */
    int epoll;      /* to wait for one that is not; or -1 */
    bool has_poll;  /* else it never makes us wait: a file */
    bool listening; /* to `poll`, or `idle` */
    uv_poll_t poll;
    uv_idle_t idle;
    uv_timer_t again;
    unsigned handles;

    int fd;
    uint64_t size;    /* of what is in the file */
    uint64_t passed;  /* by all lanes */
    uint64_t punched; /* given back, up to here */
    uint64_t limit;
    bool cannot_punch;

    char piece[PIECE]; /* what was read last */
    size_t len;        /* of it */
    size_t written;    /* of that */
    bool failing;      /* read or write; it was said */
    bool ended;

    void (*hint)(void *arg);
    void *arg;
};

/* ---- the file ---- */

/* Without a name from the start, where the file system can do that. */
static int open_file(int dir, struct err *e)
{
    int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    unlinkat(dir, NAME, 0); /* a crash may have left it */
    fd = openat(dir, NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO,
                       "cannot make a file for standard input in the state "
                       "directory: %m");
    if (unlinkat(dir, NAME, 0) != 0)
        log_warn(WHO, "cannot unlink %s in the state directory: %m", NAME);
    return fd;
}

static void fail(struct spool *s, const char *what, const char *then)
{
    if (!s->failing)
        log_error(WHO, "cannot %s: %m; %s", what, then);
    s->failing = true;
}

static void recover(struct spool *s)
{
    if (s->failing)
        log_info(WHO, "it is read again");
    s->failing = false;
}

/* Whether all of the piece is in the file. */
static bool write_piece(struct spool *s)
{
    if (s->len == 0)
        return true;
    while (s->written < s->len) {
        ssize_t n = pwrite(s->fd, s->piece + s->written, s->len - s->written,
                           (off_t)s->size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0) {
            fail(s, "write what came into the state directory",
                 "its writer has to wait, nothing is lost");
            return false;
        }
        s->written += (size_t)n;
        s->size += (uint64_t)n;
    }
    s->len = s->written = 0;
    recover(s);
    return true;
}

/* ---- the input ---- */

static bool is_ready(const struct spool *s)
{
    struct pollfd p = { .fd = s->in, .events = POLLIN };

    return s->own || !s->has_poll || poll(&p, 1, 0) == 1;
}

static void end(struct spool *s)
{
    s->ended = true;
    log_info(WHO, "its end was reached");
}

/* Whether there is a piece now, and may be more. */
static bool read_piece(struct spool *s, size_t most)
{
    ssize_t n;

    do {
        errno = EAGAIN;
        n = -1;
        if (is_ready(s))
            n = read(s->in, s->piece, most < PIECE ? most : PIECE);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno == EAGAIN)
        recover(s);
    if (n > 0)
        s->len = (size_t)n;
    else if (n == 0 || (errno == EIO && isatty(s->in)))
        end(s); /* a terminal that has gone */
    else if (errno != EAGAIN)
        fail(s, "read it", "trying again");
    return n > 0;
}

static uint64_t room(const struct spool *s)
{
    uint64_t unread = s->size - s->passed;

    return unread < s->limit ? s->limit - unread : 0;
}

static void on_input(struct spool *s);

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct spool *s = handle->data;

    (void)events;
    if (status < 0)
        s->listening = false; /* libuv has stopped it; read() says why */
    on_input(s);
}

static void on_idle(uv_idle_t *handle)
{
    on_input(handle->data);
}

static void on_again(uv_timer_t *timer)
{
    on_input(timer->data);
}

static void listen_to(struct spool *s, bool on)
{
    if (s->listening == on)
        return;
    s->listening = on;
    if (!s->has_poll && on)
        uv_idle_start(&s->idle, on_idle);
    else if (!s->has_poll)
        uv_idle_stop(&s->idle);
    else if (on)
        uv_poll_start(&s->poll, UV_READABLE, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* What is waited for next. */
static void arrange(struct spool *s)
{
    listen_to(s, !s->ended && !s->failing && room(s) > 0);
    if (s->failing && !s->ended)
        uv_timer_start(&s->again, on_again, AGAIN_MS, 0);
    else
        uv_timer_stop(&s->again);
}

/* From the input into the file, as much as one turn may. */
static void on_input(struct spool *s)
{
    uint64_t before = s->size;
    bool more = write_piece(s);

    while (more && room(s) > 0 && s->size - before < BUDGET)
        more = read_piece(s, room(s)) && write_piece(s);
    arrange(s);
    if (s->size > before || s->ended)
        s->hint(s->arg);
}

void spool_end(struct spool *s)
{
    if (s->ended)
        return;
    if (!write_piece(s))
        log_error(WHO,
                  "%zu bytes that were read could not be written down, "
                  "and are lost",
                  s->len - s->written);
    s->ended = true;
    arrange(s);
    log_info(WHO, "it is read no more");
    s->hint(s->arg);
}

/* ---- room ---- */

static void punch(struct spool *s)
{
    uint64_t to = s->passed - s->passed % PUNCH;

    if (to <= s->punched || s->cannot_punch)
        return;
    if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)s->punched, (off_t)(to - s->punched)) == 0) {
        s->punched = to;
        return;
    }
    if (errno == EINTR || errno == ENOSPC)
        return; /* the next piece tries again */
    s->cannot_punch = true;
    log_warn(WHO, "the state directory's file system gives no room back: %m; "
                  "all that comes stays there until the agent ends");
}

void spool_passed(struct spool *s, uint64_t offset)
{
    assert(offset <= s->size);
    if (offset <= s->passed)
        return;
    s->passed = offset;
    punch(s);
    arrange(s);
}

/* ---- life ---- */

/* The same pipe or terminal by a description of our own. A file must keep the
 * shared one: its offset is the shell's as well. */
static int open_own(const struct stat *st)
{
    if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return -1;
    return open("/proc/self/fd/0",
                O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int open_input(struct spool *s, struct err *e)
{
    struct stat st;

    if (fstat(STDIN_FILENO, &st) != 0)
        return err_set(e, ERR_IO, "standard input cannot be used: %m");
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "standard input is a directory");
    if ((fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return err_set(e, ERR_IO, "standard input is not open for reading");
    s->in = open_own(&st);
    s->own = s->in >= 0;
    if (!s->own)
        s->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (s->in < 0)
        return err_set(e, ERR_IO, "standard input cannot be used: %m");
    return 0;
}

/* libuv would set O_NONBLOCK on a descriptor that is not ours alone; it may do
 * so on an epoll of our own that has it. */
static int wait_by_epoll(struct spool *s)
{
    struct epoll_event ev = { .events = EPOLLIN };

    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->in, &ev) == 0)
        return s->epoll;
    return -1; /* a file, which cannot be waited for and need not be */
}

static void init_handles(struct spool *s, uv_loop_t *loop)
{
    int fd = s->own ? s->in : wait_by_epoll(s);

    s->has_poll = fd >= 0 && uv_poll_init(loop, &s->poll, fd) == 0;
    uv_idle_init(loop, &s->idle);
    uv_timer_init(loop, &s->again);
    s->poll.data = s->idle.data = s->again.data = s;
    s->handles = s->has_poll ? 3 : 2;
}

static void spool_free(struct spool *s)
{
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->in >= 0)
        close(s->in);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

struct spool *spool_open(uv_loop_t *loop, int state_dir, uint64_t limit,
                         void (*hint)(void *arg), void *arg, struct err *e)
{
    struct spool *s = xcalloc(1, sizeof(*s));

    s->in = s->epoll = s->fd = -1;
    s->limit = limit;
    s->hint = hint;
    s->arg = arg;
    /* In this order: were there no standard input, the file would be it. */
    if (open_input(s, e) == 0)
        s->fd = open_file(state_dir, e);
    if (s->fd < 0) {
        spool_free(s);
        return NULL;
    }
    init_handles(s, loop);
    arrange(s);
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    struct spool *s = handle->data;

    if (--s->handles == 0)
        spool_free(s);
}

void spool_close(struct spool *s)
{
    if (s == NULL)
        return;
    uv_close((uv_handle_t *)&s->idle, on_closed);
    uv_close((uv_handle_t *)&s->again, on_closed);
    if (s->has_poll)
        uv_close((uv_handle_t *)&s->poll, on_closed);
}

/* ---- asking ---- */

int spool_fd(const struct spool *s)
{
    return s->fd;
}

bool spool_has_ended(const struct spool *s)
{
    return s->ended;
}
