/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen - writes an audit log: always the same one for the same options.
 *
 *   gen [--seed N] [--bytes N | --mib N | --lines N] [-o FILE]
 *
 * Stops after the line that reaches the number of bytes. With -o it prints
 * what it wrote as JSON. The events themselves are event.c's.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event.h"

enum {
    OUT_BYTES = 1 << 20
};

struct out {
    int fd;
    size_t len;
    char bytes[OUT_BYTES];
};

static void out_write(struct out *o, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = write(o->fd, p, n);

        if (did < 0)
            err(1, "write");
        p += did;
        n -= (size_t)did;
    }
}

static void out_flush(struct out *o)
{
    out_write(o, o->bytes, o->len);
    o->len = 0;
}

static void out_add(struct out *o, const char *p, size_t n)
{
    if (o->len + n > OUT_BYTES)
        out_flush(o);
    if (n > OUT_BYTES) {
        out_write(o, p, n);
        return;
    }
    memcpy(o->bytes + o->len, p, n);
    o->len += n;
}

static uint64_t to_number(const char *text)
{
    char *end;
    uint64_t v = strtoull(text, &end, 10);

    if (*end || end == text)
        errx(2, "not a number: %s", text);
    return v;
}

static void usage(void)
{
    fprintf(stderr, "usage: gen [--seed N] [--bytes N | --mib N | --lines N] "
                    "[-o FILE]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },
        { "bytes", required_argument, NULL, 'b' },
        { "mib", required_argument, NULL, 'm' },
        { "lines", required_argument, NULL, 'l' },
        { NULL, 0, NULL, 0 },
    };
    static struct out o = { .fd = STDOUT_FILENO };
    uint64_t seed = 1, max_bytes = 0, max_lines = UINT64_MAX;
    uint64_t bytes = 0, lines = 0;
    struct event_gen *g;
    int c;

    while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        switch (c) {
        case 's':
            seed = to_number(optarg);
            break;
        case 'b':
            max_bytes = to_number(optarg);
            break;
        case 'm':
            max_bytes = to_number(optarg) << 20;
            break;
        case 'l':
            max_lines = to_number(optarg);
            break;
        case 'o':
            o.fd = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            if (o.fd < 0)
                err(1, "%s", optarg);
            break;
        default:
            usage();
        }
    }
    if (optind != argc || (!max_bytes && max_lines == UINT64_MAX))
        usage();
    if (!max_bytes)
        max_bytes = UINT64_MAX;
    for (g = event_gen_new(seed); bytes < max_bytes && lines < max_lines;) {
        size_t len;
        const char *line = event_next(g, &len);

        out_add(&o, line, len);
        bytes += len;
        lines++;
    }
    out_flush(&o);
    event_gen_free(g);
    if (o.fd != STDOUT_FILENO)
        printf("{\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n", lines, bytes);
    return 0;
}
