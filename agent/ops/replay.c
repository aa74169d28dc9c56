/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/lane/letter.h"

#define NAME "replay"
/* A record is a little longer than its line, of which the longest has 1 GiB. */
#define RECORD_MAX (1025 * MIB)
#define PIECE      (64 * KIB)

struct replay {
    const struct replay_env *env;
    struct dead_files files;
    struct letter_reader *reader;
};

/* ---- how a line is read ---- */

/* Those that a pattern found are called after it: NAME@... */
static bool is_of(const char *trail, const char *name)
{
    size_t len = strlen(name);

    return strncmp(trail, name, len) == 0 &&
           (trail[len] == '\0' || trail[len] == '@');
}

static unsigned parser_of(void *arg, const char *trail)
{
    const struct replay *r = arg;
    const struct conf *c = r->env->conf;

    for (size_t i = 0; i < c->ntrails; i++) {
        if (is_of(trail, c->trails[i].name))
            return c->trails[i].conf.parser;
    }
    return r->env->parser;
}

/* ---- what is not taken again ---- */

/* The line at `offset` of a file, without its newline. */
static int read_record(const char *path, uint64_t offset, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *newline = NULL;
    ssize_t n = fd >= 0 ? 1 : -1;

    while (newline == NULL && n > 0 && out->len < RECORD_MAX) {
        char *at = buf_room(out, PIECE);

        n = file_pread(fd, at, PIECE, offset + out->len);
        if (n <= 0)
            break;
        newline = memchr(at, '\n', (size_t)n);
        out->len += newline != NULL ? (size_t)(newline - at) : (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return n < 0 ? ERR_IO : 0;
}

static void print_dead(void *arg, const struct dead_letter *d, struct buf *out)
{
    struct replay *r = arg;
    struct buf record = { 0 };

    if (read_record(d->file, d->offset, &record) == 0)
        letter_print_again(r->reader, d, span(record.at, record.len), out);
    else
        dead_print(d, out); /* better from here than not at all */
    buf_free(&record);
}

/* ---- the files ---- */

/* Of all there are, those that nobody adds to, and that hold something. */
static void choose(struct replay *r)
{
    struct dead_files *f = &r->files;
    char *current = xprintf("/dead/%s.ndjson", r->env->output->name);
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        char *path = f->paths[i];
        struct stat st;

        if (strcmp(strrchr(path, '/'), strrchr(current, '/')) != 0 &&
            (stat(path, &st) != 0 || st.st_size > 0 || unlink(path) != 0))
            f->paths[n++] = path;
        else
            free(path);
    }
    f->n = n;
    free(current);
}

static int set_aside(struct replay *r, int state, struct err *e)
{
    int rc = dead_set_aside(state, r->env->output->name, e);

    if (rc == 0)
        rc = dead_list(r->env->state_dir, r->env->output->name, &r->files, e);
    if (rc == 0)
        choose(r);
    return rc;
}

static void on_done(void *arg)
{
    struct replay *r = arg;

    for (size_t i = 0; i < r->files.n; i++) {
        if (unlink(r->files.paths[i]) != 0)
            log_warn(NAME, "cannot delete %s, which was sent: %m",
                     r->files.paths[i]);
    }
}

/* ---- all of it ---- */

static void on_tick(void *arg, const struct ship_view *v)
{
    const struct replay *r = arg;

    if (r->env->tick != NULL)
        r->env->tick(r->env->arg, v);
}

static void ship(struct replay *r, int state, struct ship_result *result)
{
    const struct replay_env *env = r->env;
    char *parent = xprintf("%s/%s", env->state_dir, NAME);
    char *place = xprintf("%s/%s", parent, env->output->name);
    struct trail_conf trail = { .max_line = RECORD_MAX };
    struct ship_env ship_env = {
        .trail = NAME,
        .trail_conf = &trail,
        .output = env->output,
        .paths = r->files.paths,
        .n = r->files.n,
        .place = place,
        .dead = state,
        .give_up_ms = env->give_up_ms,
        .drain_ms = env->conf->agent.drain_timeout,
        .parser_ops = &letter_parser,
        .parser = letter_parser_new(parser_of, r),
        .print_dead = print_dead,
        .tick = on_tick,
        .done = on_done,
        .cut_short = env->cut_short,
        .arg = r,
    };

    r->reader = letter_reader_new();
    ship_run(&ship_env, result);
    letter_reader_free(r->reader);
    (void)rmdir(parent); /* not where another output's is in it */
    free(place);
    free(parent);
}

bool replay_run(const struct replay_env *env, struct ship_result *result)
{
    struct replay r = { .env = env };
    int state = open(env->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    bool any;

    *result = (struct ship_result){ 0 };
    if (state < 0 && errno == ENOENT)
        return false;
    if (state < 0)
        rc =
            err_set(&result->err, ERR_IO, "cannot open %s: %m", env->state_dir);
    else
        rc = set_aside(&r, state, &result->err);
    any = rc != 0 || r.files.n > 0;
    if (rc != 0)
        result->end = SHIP_STATE;
    else if (any)
        ship(&r, state, result);
    dead_files_free(&r.files);
    if (state >= 0)
        close(state);
    return any;
}

/* ---- how many, and why ---- */

/* Of a refusal the type, of another reason all but its numbers. */
static void set_reason(struct replay_reason *to, const struct dead_letter *d)
{
    const char *from = d->reason;
    size_t len = strlen(from), n = 0;

    snprintf(to->kind, sizeof(to->kind), "%s", d->kind);
    to->status = d->status;
    if (d->status != 0)
        len = (size_t)(strchrnul(from, ':') - from);
    for (size_t i = 0; i < len && n + 1 < sizeof(to->text); i++) {
        bool digit = from[i] >= '0' && from[i] <= '9';

        if (digit && n > 0 && to->text[n - 1] == '#')
            continue;
        to->text[n++] = digit ? '#' : from[i];
    }
    to->text[n] = '\0';
}

static void count_letter(struct replay_count *c, const struct dead_letter *d)
{
    struct replay_reason reason = { .count = 1 };

    set_reason(&reason, d);
    for (size_t i = 0; i < c->n; i++) {
        struct replay_reason *have = &c->reasons[i];

        if (strcmp(have->kind, reason.kind) == 0 &&
            have->status == reason.status &&
            strcmp(have->text, reason.text) == 0) {
            have->count++;
            return;
        }
    }
    if (c->n < REPLAY_REASONS)
        c->reasons[c->n++] = reason;
    else
        c->others++;
}

static int count_file(const char *path, struct letter_reader *reader,
                      struct replay_count *count, struct err *e)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int rc = 0;

    if (f == NULL && errno == ENOENT)
        return 0; /* sent meanwhile, or set aside under another name */
    if (f == NULL)
        return err_set(e, ERR_IO, "cannot open %s: %m", path);
    while ((len = getline(&line, &cap, f)) > 0 && line[len - 1] == '\n') {
        struct letter l;

        count->letters++;
        if (letter_read(reader, span(line, (size_t)len - 1), &l) == 0)
            count_letter(count, &l.is);
        else
            count->broken++;
    }
    if (ferror(f))
        rc = err_set(e, ERR_IO, "cannot read %s: %m", path);
    free(line);
    fclose(f);
    return rc;
}

int replay_count(const char *state_dir, const char *output,
                 struct replay_count *count, struct err *e)
{
    struct letter_reader *reader = letter_reader_new();
    struct dead_files files;
    int rc = dead_list(state_dir, output, &files, e);

    *count = (struct replay_count){ 0 };
    for (size_t i = 0; i < files.n && rc == 0; i++)
        rc = count_file(files.paths[i], reader, count, e);
    dead_files_free(&files);
    letter_reader_free(reader);
    return rc;
}
