/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/ask.h"
#include "outputs/elasticsearch/hosts.h"
#include "test/unit/unit.h"

#define ASKED 2000

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/* Answers whatever comes, at once, until nothing comes any more. */
static void serve(int listener)
{
    char request[4096];

    for (;;) {
        int fd = accept(listener, NULL, NULL);

        while (fd >= 0 && read(fd, request, sizeof(request)) > 0) {
            if (write(fd, answer, sizeof(answer) - 1) < 0)
                break;
        }
        close(fd);
    }
}

static pid_t start_server(unsigned *port)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    socklen_t len = sizeof(to);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EQ(0, bind(fd, (struct sockaddr *)&to, sizeof(to)));
    EQ(0, listen(fd, 8));
    EQ(0, getsockname(fd, (struct sockaddr *)&to, &len));
    *port = ntohs(to.sin_port);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd);
    }
    close(fd);
    return pid;
}

/* The answer may be there before the loop has gone to sleep for it. */
TEST(an_answer_that_comes_at_once_is_not_slept_over)
{
    struct elasticsearch_settings s = { 0 };
    struct err e = { 0 };
    struct ask a;
    unsigned port = 0;
    pid_t server = start_server(&port);
    char *url = xprintf("http://127.0.0.1:%u", port);

    opt_defaults(elasticsearch_opts, &s);
    EQ(0, opt_add(opt_find(elasticsearch_opts, SPAN("hosts")), &s, url, &e));
    EQ(0, ask_open(&a, &s, &e));
    for (int i = 0; i < ASKED; i++)
        EQ(200, ask(&a, HTTP_GET, "/", NULL));
    ask_close(&a);
    opt_free(elasticsearch_opts, &s);
    kill(server, SIGKILL);
    EQ(server, waitpid(server, NULL, 0));
    free(url);
}
