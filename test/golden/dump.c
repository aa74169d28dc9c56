/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump - what the agent finds in the lines of a log, one line of JSON each,
 * for cross_check.py:
 *
 *   {"user":[131,85],"user.username":[143,5],"identity":[47,530],
 *    "time_us":1795453203406123,"id":"..."}      offset and length in bytes
 *   {"refused":"why"}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "outputs/elasticsearch/action.h"
#include "parsers/parser.h"

static const char *const names[EVENT_NFIELDS] = {
#define X(name, key) [EVENT_##name] = key,
    EVENT_FIELDS(X)
#undef X
};

static void add_place(struct buf *out, const struct event *ev, const char *of,
                      const char *name, struct span s)
{
    if (s.at != NULL)
        buf_printf(out, "\"%s%s%s\":[%td,%zu],", of, of[0] != '\0' ? "." : "",
                   name, s.at - ev->line.at, s.len);
}

static void add_places(struct buf *out, const struct event *ev)
{
#define X(name, key) add_place(out, ev, "", key, ev->field[EVENT_##name]);
    EVENT_FIELDS(X)
#undef X
#define X(of, name, key) \
    add_place(out, ev, names[EVENT_##of], key, ev->field[EVENT_##of##_##name]);
    EVENT_MEMBERS(X)
#undef X
    add_place(out, ev, "", "body", ev->body);
    add_place(out, ev, "", "identity", ev->identity);
}

static void add_event(struct buf *out, struct action *action,
                      const struct event *ev)
{
    struct buf line = { 0 };
    struct span id;

    add_places(out, ev);
    if (ev->time_us == CLOCK_NO_TIME) {
        buf_printf(out, "\"time_us\":null");
        return;
    }
    action_add(action, ev, &line);
    id = action_id(span(line.at, line.len));
    buf_printf(out, "\"time_us\":%" PRId64 ",\"id\":\"%.*s\"", ev->time_us,
               (int)id.len, id.at);
    buf_free(&line);
}

static int dump(const char *path)
{
    struct parser *p = parsers[0]->open();
    struct action *action = action_new("x");
    FILE *f = fopen(path, "rb");
    struct buf out = { 0 };
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    if (f == NULL) {
        perror(path);
        return 1;
    }
    while ((n = getline(&line, &room, f)) > 0) {
        struct event ev;

        n -= line[n - 1] == '\n';
        out.len = 0;
        if (parsers[0]->run(p, span(line, (size_t)n), &ev) == 0)
            add_event(&out, action, &ev);
        else
            buf_printf(&out, "\"refused\":\"%s\"", parsers[0]->why(p));
        printf("{%.*s}\n", (int)out.len, out.at);
    }
    fclose(f);
    free(line);
    buf_free(&out);
    action_free(action);
    parsers[0]->close(p);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = argc < 2;

    for (int i = 1; i < argc; i++)
        rc |= dump(argv[i]);
    return rc;
}
