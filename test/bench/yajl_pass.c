/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yajl_pass - what it costs to run yajl over a log and do nothing else.
 *
 *   yajl_pass [--handle line|reused] [--callbacks none|noop] [--pace N] FILE
 *
 * Reads 256 KiB at a time. "--handle line --callbacks none", the default, is
 * the bare yajl pass that the other figures are compared with. With --pace it
 * takes N bytes a second instead, in twenty bursts, for ten seconds at most.
 * Prints lines, bytes and the CPU seconds of the whole process as JSON.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

enum {
    CHUNK_BYTES = 256 << 10,
    BURSTS_PER_S = 20,
    PACED_BURSTS = 10 * BURSTS_PER_S
};

struct pass {
    bool reused;
    const yajl_callbacks *callbacks;
    yajl_handle handle; /* when reused */
    size_t chunk;       /* bytes to read at a time */
    unsigned bursts;    /* still to do, when at a pace; 0: as fast as it goes */
    uint64_t lines, bytes;
};

static int on_nothing(void *ctx)
{
    (void)ctx;
    return 1;
}

static int on_boolean(void *ctx, int v)
{
    (void)ctx;
    (void)v;
    return 1;
}

static int on_number(void *ctx, const char *s, size_t n)
{
    (void)ctx;
    (void)s;
    (void)n;
    return 1;
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
    (void)ctx;
    (void)s;
    (void)n;
    return 1;
}

static const yajl_callbacks noop = {
    .yajl_null = on_nothing,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_nothing,
    .yajl_map_key = on_string,
    .yajl_end_map = on_nothing,
    .yajl_start_array = on_nothing,
    .yajl_end_array = on_nothing,
};

static void check(yajl_handle h, yajl_status status, uint64_t line)
{
    if (status != yajl_status_ok)
        errx(1, "line %" PRIu64 ": %s", line,
             (char *)yajl_get_error(h, 0, NULL, 0));
}

static void parse_line(struct pass *p, const char *s, size_t n)
{
    yajl_handle h = p->handle;

    p->lines++;
    if (!p->reused && !(h = yajl_alloc(p->callbacks, NULL, NULL)))
        errx(1, "out of memory");
    check(h, yajl_parse(h, (const unsigned char *)s, n), p->lines);
    if (!p->reused) {
        check(h, yajl_complete_parse(h), p->lines);
        yajl_free(h);
    }
}

/* Parses the whole lines of [s, s + n); returns how many bytes they have. */
static size_t parse_lines(struct pass *p, const char *s, size_t n)
{
    const char *at = s, *end = s + n, *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
        parse_line(p, at, (size_t)(newline + 1 - at));
        at = newline + 1;
    }
    return (size_t)(at - s);
}

/* Waits for the next burst; false after the last. */
static bool wait_burst(struct pass *p)
{
    struct timespec t = { 0, 1000000000 / BURSTS_PER_S };

    if (p->bursts == 0)
        return true;
    nanosleep(&t, NULL);
    return --p->bursts > 0;
}

static void parse_file(struct pass *p, int fd)
{
    size_t cap = 2 * CHUNK_BYTES, len = 0, used;
    char *buf = malloc(cap);
    ssize_t got;

    if (!buf)
        errx(1, "out of memory");
    while ((got = read(fd, buf + len, p->chunk)) > 0) {
        p->bytes += (size_t)got;
        len += (size_t)got;
        used = parse_lines(p, buf, len);
        len -= used;
        memmove(buf, buf + used, len);
        if (cap - len < CHUNK_BYTES && !(buf = realloc(buf, cap *= 2)))
            errx(1, "out of memory");
        if (!wait_burst(p))
            break;
    }
    if (got < 0)
        err(1, "read");
    free(buf);
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void set_pace(struct pass *p, size_t bytes_per_s)
{
    p->chunk = bytes_per_s / BURSTS_PER_S;
    p->bursts = PACED_BURSTS;
    if (p->chunk == 0 || p->chunk > CHUNK_BYTES)
        errx(2, "the pace is out of bounds");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "handle", required_argument, NULL, 'h' },
        { "callbacks", required_argument, NULL, 'c' },
        { "pace", required_argument, NULL, 'p' },
        { NULL, 0, NULL, 0 },
    };
    struct pass p = { .chunk = CHUNK_BYTES };
    int c, fd;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h')
            p.reused = strcmp(optarg, "reused") == 0;
        else if (c == 'c')
            p.callbacks = strcmp(optarg, "noop") == 0 ? &noop : NULL;
        else if (c == 'p')
            set_pace(&p, strtoul(optarg, NULL, 10));
        else
            return 2;
    }
    if (optind + 1 != argc)
        errx(2, "usage: yajl_pass [--handle line|reused] "
                "[--callbacks none|noop] [--pace N] FILE");
    if ((fd = open(argv[optind], O_RDONLY | O_CLOEXEC)) < 0)
        err(1, "%s", argv[optind]);
    if (p.reused) {
        p.handle = yajl_alloc(p.callbacks, NULL, NULL);
        yajl_config(p.handle, yajl_allow_multiple_values, 1);
    }
    parse_file(&p, fd);
    printf("{\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"cpu_s\":%.3f,"
           "\"cpu_s_per_gb\":%.3f}\n",
           p.lines, p.bytes, cpu_seconds(),
           cpu_seconds() / ((double)p.bytes / 1e9));
    return 0;
}
