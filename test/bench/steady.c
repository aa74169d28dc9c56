/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steady - writes events to a log at an even rate, receives them again as
 * bulk requests, and says how long each took.
 *
 *   steady --log FILE [--rate N] [--seconds N] [--warmup N] [--delay MS]
 *
 * Prints "port N" and waits for a line on its standard input, so that the
 * agent can be started in between. One write(2) an event; its time runs from
 * the end of that write to the arrival of the last byte of the request that
 * holds it. One thread does both, so the two ends share a clock and no lock.
 * The first `warmup` events are left out of the figures.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bulk_server.h"
#include "event.h"

enum {
    LAST_WAIT_MS = 10000
};

struct steady {
    struct bulk_server *server;
    struct event_gen *gen;
    int log_fd, timer_fd;
    uint64_t rate, total, warmup;
    uint64_t written, arrived, repeated,
        late;                      /* late: ticks that were missed */
    int64_t *written_ns, *took_ns; /* by event; took_ns is 0 until it came */
};

static void on_request(void *ctx, int64_t arrived_ns, const char *body,
                       size_t len)
{
    static const char key[] = "\"auditID\":\"";
    enum {
        TAIL_AT = sizeof(key) - 1 + 24
    }; /* last 12 digits of a uuid */
    struct steady *s = ctx;
    const char *at = body, *end = body + len;

    while ((at = memmem(at, (size_t)(end - at), key, sizeof(key) - 1))) {
        uint64_t n = strtoull(at + TAIL_AT, NULL, 16);
        int64_t took;

        at += TAIL_AT;
        if (n >= s->written)
            errx(1, "event %" PRIu64 " came before it was written", n);
        took = arrived_ns - s->written_ns[n];
        if (s->took_ns[n])
            s->repeated++;
        else
            s->arrived++;
        s->took_ns[n] = took > 0 ? took : 1;
    }
}

static void write_event(struct steady *s)
{
    size_t len;
    const char *line = event_steady(s->gen, s->written, &len);

    if (write(s->log_fd, line, len) != (ssize_t)len)
        err(1, "write");
    s->written_ns[s->written++] = now_ns();
}

static void start_timer(struct steady *s)
{
    int64_t first = now_ns() + 10000000;
    long every = 1000000000L / (long)s->rate;
    struct itimerspec t = {
        .it_value = { first / 1000000000, first % 1000000000 },
        .it_interval = { every / 1000000000, every % 1000000000 },
    };

    if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
        err(1, "timerfd_settime");
}

static void stop_timer(struct steady *s)
{
    timerfd_settime(s->timer_fd, 0, &(struct itimerspec){ 0 }, NULL);
}

static void on_tick(struct steady *s)
{
    uint64_t ticks;

    if (read(s->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
        return;
    s->late += ticks - 1;
    while (ticks-- > 0 && s->written < s->total)
        write_event(s);
    if (s->written == s->total)
        stop_timer(s);
}

static void wait_for_go(struct bulk_server *server)
{
    struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 },
                             { bulk_server_fd(server), POLLIN, 0 } };
    char byte;

    while (poll(fds, 2, -1) >= 0 && !fds[0].revents)
        bulk_server_turn(server);
    if (read(STDIN_FILENO, &byte, 1) != 1)
        errx(1, "nobody said go");
}

static void run(struct steady *s)
{
    struct pollfd fds[2] = { { s->timer_fd, POLLIN, 0 },
                             { bulk_server_fd(s->server), POLLIN, 0 } };

    start_timer(s);
    while (s->arrived < s->total) {
        if (poll(fds, 2, LAST_WAIT_MS) <= 0)
            return; /* what is missing shows in the report */
        if (fds[0].revents)
            on_tick(s);
        if (fds[1].revents)
            bulk_server_turn(s->server);
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void report(struct steady *s)
{
    uint64_t n = 0;
    int64_t *v = s->took_ns;

    for (uint64_t i = s->warmup; i < s->total; i++) {
        if (v[i])
            v[n++] = v[i];
    }
    if (n == 0)
        errx(1, "nothing arrived");
    qsort(v, n, sizeof(*v), by_size);
    printf("{\"written\":%" PRIu64 ",\"missing\":%" PRIu64
           ",\"repeated\":%" PRIu64 ",\"late_ticks\":%" PRIu64
           ",\"requests\":%" PRIu64 ",\"p50_ms\":%.3f,\"p99_ms\":%.3f"
           ",\"max_ms\":%.3f}\n",
           s->written, s->total - s->arrived, s->repeated, s->late,
           bulk_server_stats(s->server)->requests, (double)v[n / 2] / 1e6,
           (double)v[n * 99 / 100] / 1e6, (double)v[n - 1] / 1e6);
}

static uint64_t to_number(const char *text)
{
    char *end;
    uint64_t v = strtoull(text, &end, 10);

    if (*end || end == text)
        errx(2, "not a number: %s", text);
    return v;
}

static const char *parse_options(struct steady *s, uint64_t *seconds,
                                 struct bulk_server_conf *conf, int argc,
                                 char **argv)
{
    static const struct option options[] = {
        { "log", required_argument, NULL, 'l' },
        { "rate", required_argument, NULL, 'r' },
        { "seconds", required_argument, NULL, 's' },
        { "warmup", required_argument, NULL, 'w' },
        { "delay", required_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 },
    };
    const char *path = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            path = optarg;
            break;
        case 'r':
            s->rate = to_number(optarg);
            break;
        case 's':
            *seconds = to_number(optarg);
            break;
        case 'w':
            s->warmup = to_number(optarg);
            break;
        case 'd':
            conf->delay_ms = (int)to_number(optarg);
            break;
        default:
            exit(2);
        }
    }
    return path;
}

int main(int argc, char **argv)
{
    struct steady s = { .rate = 1000 };
    struct bulk_server_conf conf = { .keep_body = true,
                                     .on_request = on_request,
                                     .ctx = &s };
    uint64_t seconds = 20;
    const char *path = parse_options(&s, &seconds, &conf, argc, argv);

    if (!path || s.rate == 0 || seconds == 0)
        errx(2, "usage: steady --log FILE [--rate N] [--seconds N] "
                "[--warmup N] [--delay MS]");
    s.total = s.rate * seconds + s.warmup;
    s.written_ns = calloc(s.total, sizeof(int64_t));
    s.took_ns = calloc(s.total, sizeof(int64_t));
    if (!s.written_ns || !s.took_ns)
        errx(1, "out of memory");
    s.gen = event_gen_new(1);
    s.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    s.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s.log_fd < 0 || s.timer_fd < 0)
        err(1, "%s", path);
    s.server = bulk_server_open(&conf);
    printf("port %u\n", bulk_server_port(s.server));
    fflush(stdout);
    wait_for_go(s.server);
    run(&s);
    report(&s);
    event_gen_free(s.gen);
    return 0;
}
