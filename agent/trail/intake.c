/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/intake.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/trail/chain.h"
#include "agent/trail/spool.h"

#define NAME "<stdin>"
/* How far the slowest reader may be behind, beside the line it is at. */
#define BEHIND_MAX (64 * MIB)

struct intake {
    struct intake_env env;
    struct chain *chain;
    struct spool *spool;
    struct place *places;
};

static struct file *add_file(struct chain *c)
{
    struct file *f = chain_add(c, NULL);

    f->path = xstrdup(NAME);
    f->is_spool = true;
    return f;
}

static void on_spool(void *arg)
{
    struct intake *in = arg;
    struct chain *c = in->chain;

    if (spool_has_ended(in->spool) && c->live != NULL) {
        c->live = NULL;
        add_file(c)->is_end = true;
    }
    in->env.more(in->env.arg);
}

/* A descriptor of the chain's own, for it closes what is read to its end. */
static int add_live(struct intake *in, struct err *e)
{
    int fd = fcntl(spool_fd(in->spool), F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return err_set(e, ERR_IO, "standard input cannot be used: %m");
    in->chain->live = add_file(in->chain);
    file_take_fd(in->chain->live, FORM_PLAIN, fd);
    return 0;
}

struct intake *intake_open(const struct intake_env *env, struct chain *c,
                           struct err *e)
{
    struct intake *in = xcalloc(1, sizeof(*in));

    in->env = *env;
    in->chain = c;
    in->spool = spool_open(env->loop, env->state, env->max_line + BEHIND_MAX,
                           on_spool, in, e);
    if (in->spool == NULL || add_live(in, e) != 0) {
        intake_close(in);
        return NULL;
    }
    if (isatty(STDIN_FILENO))
        log_info(env->who, "standard input is a terminal: what is typed is "
                           "read, a line at a time; Ctrl-D ends it");
    return in;
}

void intake_stop(struct intake *in)
{
    if (in != NULL)
        spool_end(in->spool);
}

void intake_close(struct intake *in)
{
    if (in == NULL)
        return;
    spool_close(in->spool);
    free(in);
}

/* ---- its readers ---- */

static void give_back(struct intake *in)
{
    const struct place *p = in->places;
    uint64_t least;

    if (p == NULL)
        return;
    for (least = p->offset; p != NULL; p = p->next)
        least = p->offset < least ? p->offset : least;
    spool_passed(in->spool, least);
}

void intake_join(struct intake *in, struct place *p)
{
    if (in == NULL)
        return;
    p->offset = 0;
    p->next = in->places;
    in->places = p;
}

void intake_leave(struct intake *in, struct place *p)
{
    struct place **at;

    if (in == NULL)
        return;
    for (at = &in->places; *at != NULL && *at != p;)
        at = &(*at)->next;
    if (*at == NULL)
        return; /* it has left before */
    *at = p->next;
    give_back(in);
}

void intake_passed(struct intake *in, struct place *p, uint64_t offset)
{
    if (in == NULL || offset <= p->offset)
        return;
    p->offset = offset;
    give_back(in);
}
