/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink - a search server that only counts.
 *
 *   sink [--port N] [--delay MS]
 *
 * Prints "port N" when it listens; GET /stats, and SIGTERM at its end, print
 * what came in.
 */
#include <err.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bulk_server.h"

static int signal_fd(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "delay", required_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 },
    };
    struct bulk_server_conf conf = { .port = 0 };
    struct bulk_server *s;
    struct pollfd fds[2];
    char json[1024];
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            conf.port = (uint16_t)atoi(optarg);
        else if (c == 'd')
            conf.delay_ms = atoi(optarg);
        else
            errx(2, "usage: sink [--port N] [--delay MS]");
    }
    s = bulk_server_open(&conf);
    fds[0] = (struct pollfd){ signal_fd(), POLLIN, 0 };
    fds[1] = (struct pollfd){ bulk_server_fd(s), POLLIN, 0 };
    printf("port %u\n", bulk_server_port(s));
    fflush(stdout);
    while (poll(fds, 2, -1) >= 0 && !fds[0].revents)
        bulk_server_turn(s);
    bulk_stats_json(bulk_server_stats(s), json, sizeof(json));
    puts(json);
    bulk_server_close(s);
    return 0;
}
