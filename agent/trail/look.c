/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - holds the chain against the disk.
 *
 * Three things must never happen: that a file comes into the chain before one
 * that was written earlier and was missed, that a file is taken for another
 * because it got its inode, and that the text of one file comes into the chain
 * twice because there are two forms of it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/trail/gunzip.h"
#include "agent/trail/known.h"
#include "agent/trail/loss.h"

/* A file that is empty, or a .gz that nothing can be made of, may still be in
 * the making for so long. */
#define YOUNG_MS 5000

static void adopt(struct chain *c, struct file *f, struct entry *e)
{
    log_debug(c->who, "%s holds what %s held", e->path, f->path);
    e->file = f;
    f->sibling = e->sibling;
    name_set(f, form_of(e), e->path, &e->st);
    if (f->fd >= 0 || f->passed ||
        (form_of(e) == FORM_GZ && f->names[FORM_PLAIN].seen))
        return; /* a .gz beside its file may be half of it */
    file_take_fd(f, form_of(e), entry_take_fd(e));
    if (f->cut != NULL)
        log_info(c->who, "what was in it is read on in its copy %s", e->path);
    file_end_cut(f);
}

/* A file of which nothing was known: behind all that were known. */
static void enter(struct chain *c, struct file *live, struct entry *e,
                  bool is_blank)
{
    struct file *f = chain_add(c, live);

    log_debug(c->who, "%s is new", e->path);
    e->file = f;
    e->is_new = true;
    f->sibling = e->sibling;
    f->is_blank = is_blank;
    name_set(f, form_of(e), e->path, &e->st);
    if (e->fd >= 0) {
        file_take_fd(f, form_of(e), entry_take_fd(e));
        return;
    }
    f->id.dev = e->st.st_dev;
    f->id.ino = e->st.st_ino;
    file_open(f); /* says why it cannot */
}

/* Whether there is nothing in it yet to know it by. What was empty when we
 * started is entered all the same: it is older than the log, and would come
 * behind that later. */
static bool is_premature(const struct chain *c, const struct entry *e,
                         const struct head *h)
{
    int64_t age_ms = clock_wall_us() / 1000 - e->st.st_mtim.tv_sec * 1000;

    if (h->len > 0 ||
        (!e->sibling.is_gz && (!c->was_scanned || e->st.st_size > 0)))
        return false;
    return age_ms > -YOUNG_MS && age_ms < YOUNG_MS;
}

/* Whether a .gz does not tell yet what it is made of; one of half a line alone
 * does once it is whole. */
static bool is_begun(const struct entry *e, const struct head *h)
{
    uint32_t size;

    return e->sibling.is_gz && !h->is_whole &&
           (h->len == 0 || !gunzip_size(e->fd, &size) || size != h->len);
}

/* The file that the path names, if it is known. */
static struct file *known_live(const struct chain *c, const struct live *l)
{
    if (!l->is_there)
        return NULL;
    return known_by_name(c, FORM_PLAIN, c->path, &l->st, l->fd,
                         l->has_head ? &l->head : NULL);
}

/* A name that no known file has. `*live` is the file that the path names, if it
 * is known: another one, if that is found to be cut just now. */
static void see_unknown(struct chain *c, const struct live *l,
                        struct file **live, struct entry *e)
{
    struct file *f = NULL;
    struct head h = { 0 };

    if (e->fd < 0 || head_read(e->fd, e->sibling.is_gz, &h, NULL) != 0) {
        enter(c, *live, e, false);
        return;
    }
    if (is_begun(e, &h))
        f = known_plain_of(c, e); /* it is being compressed */
    if (f != NULL) {
        e->file = f;
        name_set(f, FORM_GZ, e->path, &e->st);
        return;
    }
    if (is_premature(c, e, &h)) {
        c->is_unsettled = true;
        return;
    }
    if (*live != NULL)
        file_update_head(*live); /* by which a cut is noticed from now on */
    if (known_is_copy(c, l, e, &h)) {
        log_debug(c->who, "%s is a copy of what is read as well", e->path);
        return;
    }
    f = known_by_text(c, *live, e, &h);
    if (f != NULL) {
        adopt(c, f, e);
    } else if (chain_check_live(c)) { /* cut just now: this may be its copy */
        *live = known_live(c, l);
        see_unknown(c, l, live, e);
    } else if (l->fd >= 0 && live_was_cut(l, l->fd)) {
        c->is_unsettled = true; /* before we had it open: look again, then */
    } else {
        enter(c, *live, e, h.len == 0 && !e->sibling.is_gz);
    }
}

static void see_known(struct chain *c, struct entry *e)
{
    struct file *f = known_by_name(c, form_of(e), e->path, &e->st, e->fd, NULL);

    if (f == NULL)
        return;
    e->file = f;
    f->sibling = e->sibling;
    name_set(f, form_of(e), e->path, &e->st);
}

/* One that was empty when it came and has text now. */
static struct file *find_filled(const struct chain *c)
{
    struct file *f = c->oldest;
    struct head h;

    while (f != NULL && !(f->is_blank && f->fd >= 0 &&
                          head_read(f->fd, false, &h, NULL) == 0 && h.len > 0))
        f = f->next;
    return f;
}

static struct entry *find_entry(const struct listing *list,
                                const struct file *f)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].file == f && form_of(&list->at[i]) == FORM_PLAIN)
            return &list->at[i];
    }
    return NULL;
}

/* It may be the copy of another, which was being made when it came, whether it
 * still has a name or not. If it is none, its text comes where it was. */
static void see_filled(struct chain *c, struct listing *list,
                       struct file **live, struct file *f)
{
    struct entry *e = find_entry(list, f);
    struct entry nameless = { .path = f->path, .sibling = f->sibling };

    nameless.sibling.is_gz = false;
    if (e == NULL)
        e = &nameless;
    e->fd = f->fd;
    e->file = NULL;
    f->fd = -1;
    (void)fstat(e->fd, &e->st);
    chain_void(c, f);
    see_unknown(c, &list->live, live, e);
    if (e->is_new && f->next != e->file)
        chain_move(c, e->file, f->next);
    e->is_new = false;
    if (e == &nameless && e->file != NULL)
        name_clear(&e->file->names[FORM_PLAIN]);
    if (e == &nameless && e->fd >= 0)
        close(e->fd);
}

/* ---- the live file ---- */

/* What the path names goes to the end of the chain. */
static void see_live(struct chain *c, struct live *l, struct file *f)
{
    if (f != c->live || f == NULL)
        c->live_end = (struct live_end){ 0 };
    c->live = NULL;
    if (!l->is_there)
        return;
    if (f == NULL) {
        f = chain_add(c, NULL);
    } else if (f->next != NULL) {
        chain_move(c, f, NULL); /* it has become the newest one again */
    }
    name_set(f, FORM_PLAIN, c->path, &l->st);
    f->sibling.kind = SIBLING_NONE;
    f->passed = f->is_blank = false;
    if (f->fd < 0 && l->fd >= 0) {
        file_take_fd(f, FORM_PLAIN, l->fd);
        l->fd = -1;
    }
    c->live = f;
}

/* ---- after a look ---- */

static void clear_unseen(struct chain *c, struct file *f)
{
    const struct name *gz = &f->names[FORM_GZ];
    bool was_named = f->is_named;

    f->is_named = false;
    for (int i = 0; i < NFORMS; i++) {
        struct name *n = &f->names[i];

        if (n->path != NULL && !n->seen)
            name_clear(n);
        f->is_named |= n->path != NULL;
    }
    if (gz->path != NULL && f->names[FORM_PLAIN].path == NULL &&
        strcmp(f->path, gz->path) != 0) {
        free(f->path);
        f->path = xstrdup(gz->path);
    }
    if (was_named && f->next == NULL && file_is_deleted(f))
        log_warn(c->who,
                 "%s was deleted; what its writer still holds open is read on",
                 f->path);
}

static void end_scan(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (!c->is_blind)
            clear_unseen(c, f);
        if (f->fd < 0 && !f->passed && f->loss == LOSS_NONE)
            file_open(f);
        file_update_head(f);
        loss_note(c, f);
        if (f->cut != NULL && f->cut->is_listed)
            file_end_cut(f);
        c->is_unsettled |= !f->passed && f->fd < 0 && f->loss == LOSS_NONE;
        if (f->fd >= 0)
            f->might_grow = !chain_is_final(f);
        if (f != c->live && !f->passed && !f->is_blank)
            pins_add(&c->pins, f);
    }
    loss_bound_held(c);
    chain_drop_passed(c);
}

/* ---- the look ---- */

static void unsee(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        for (int i = 0; i < NFORMS; i++)
            f->names[i].seen = false;
    }
}

/* What was empty when it was last seen may have another form by now. */
static void learn_heads(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next)
        file_update_head(f);
}

struct pin_seer {
    struct chain *chain;
    const struct live *now; /* what the path names: no pin keeps that */
    struct file *live;      /* the same, if it is known */
};

/* A pin that is all there is of a file, for the roll was not saved any more:
 * behind all that are known, among its like by age. */
static struct file *enter_pin(const struct pin_seer *see, const struct stat *st)
{
    struct chain *c = see->chain;
    struct file *f = c->oldest;
    struct stat other;

    while (f != NULL && f != see->live &&
           !(f->is_bare_pin && fstat(f->fd, &other) == 0 &&
             clock_is_before(st->st_mtim, other.st_mtim)))
        f = f->next;
    f = chain_add(c, f);
    f->is_bare_pin = true;
    f->path = xprintf("%s/?", c->dir);
    f->sibling.kind = SIBLING_TIMED;
    return f;
}

static void see_pin(void *arg, bool is_gz, int fd)
{
    enum form form = is_gz ? FORM_GZ : FORM_PLAIN;
    const struct pin_seer *see = arg;
    struct chain *c = see->chain;
    struct stat st = { 0 };
    struct file *f;

    if (fstat(fd, &st) != 0) {
        close(fd);
        return;
    }
    if (see->now->is_there && same_inode(&st, &see->now->st)) {
        close(fd); /* what is written in place needs no pin */
        pins_remove_inode(&c->pins, &st, is_gz);
        return;
    }
    f = known_by_pin(c, form, &st, fd);
    if (f == NULL)
        f = enter_pin(see, &st);
    if (!f->passed && (f->fd < 0 || f->form == FORM_GZ))
        file_take_fd(f, form, fd);
    else
        close(fd);
    f->pinned = !f->passed && f->fd >= 0 && f->form == form &&
                identity_has_inode(&f->id, &st);
    if (!f->pinned)
        pins_remove_inode(&c->pins, &st, is_gz);
}

/* What a new file comes before: the log. One without text, which may be found
 * long after it was rotated, before a log that was deleted under its writer as
 * well: that would be left for it. */
static struct file *place_of(const struct chain *c, const struct file *f,
                             struct file *live)
{
    struct file *place = live;

    if (live != NULL || f->id.head_len > 0)
        return live;
    for (struct file *g = c->oldest; g != NULL; g = g->next) {
        if (g != f && g->fd >= 0 && g->sibling.kind == SIBLING_NONE)
            place = g;
    }
    return place;
}

/* Whether it was the log, and was cut, since the last look: so nobody has begun to
 * read it. */
static bool is_fresh_copy(const struct file *f)
{
    return f != NULL && f->is_copy && f->number > f->chain->seen_number;
}

static bool has_entry(const struct listing *list, const struct file *f)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].file == f)
            return true;
    }
    return false;
}

/*
 * Files that were known keep their places; new ones come behind them, in the
 * order of their names. So a clock that was set back does not put a new file
 * before one that was read. Only where nothing is remembered do names alone
 * decide.
 * What the log held that was there when the directory was listed, `was`, may be in
 * a copy by now: what is older than that comes before it, too.
 */
static void order_new(struct chain *c, struct listing *list, struct file *was,
                      struct file *live)
{
    struct file *place = live;

    if (is_fresh_copy(was) && !has_entry(list, was))
        place = was;
    for (size_t i = list->n; i-- > 0;) { /* plain or not, by age */
        struct file *f = list->at[i].file, *before;

        if (list->at[i].is_new) {
            before = place_of(c, f, place);
            chain_move(c, f, before);
            place = before == place ? f : place;
        } else if (is_fresh_copy(f)) {
            place = f;
        }
    }
}

/* Plain files first: a .gz is one of them, where it can be. */
static void take_listing(struct chain *c, struct listing *list)
{
    struct live *l = &list->live;
    struct file *live, *was, *filled;

    for (size_t i = 0; i < list->n; i++) {
        c->is_lumberjack |= list->at[i].sibling.kind == SIBLING_TIMED;
        see_known(c, &list->at[i]);
    }
    was = live = known_live(c, l);
    while ((filled = find_filled(c)) != NULL)
        see_filled(c, list, &live, filled);
    for (int form = 0; form < NFORMS; form++) {
        for (size_t i = 0; i < list->n; i++) {
            if (list->at[i].file != NULL || (int)form_of(&list->at[i]) != form)
                continue;
            see_unknown(c, l, &live, &list->at[i]);
        }
    }
    if (!c->was_scanned) {
        struct pin_seer see = { c, l, live };

        pins_each(&c->pins, see_pin, &see);
    }
    order_new(c, list, was, live);
    see_live(c, l, live);
}

/* Where the files are, once links are followed. */
static void find_place(struct chain *c)
{
    char *real = realpath(c->path, NULL);
    const char *path = real != NULL ? real : c->path;
    const char *slash = strrchr(path, '/');

    if (real == NULL && c->dir != NULL)
        return; /* gone for now: it was here */
    free(c->dir);
    free(c->base);
    c->dir =
        slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
    c->base = xstrdup(slash + 1);
    free(real);
}

/* Whether a copy is looked for that this listing could not have yet. */
static bool has_new_cut(const struct chain *c)
{
    for (const struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->cut != NULL)
            return true;
    }
    return false;
}

static void look_for_cut(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->cut != NULL)
            f->cut->is_listed = true;
    }
}

/* Whether the log was cut since the directory was listed. A copy of it, passed
 * over as one of what is read as well, is then the only one of its text; that
 * does not show by a log which nobody knew before. */
static bool was_cut_since(const struct chain *c, const struct live *l)
{
    return c->live != NULL && c->live->fd >= 0 &&
           identity_has_inode(&c->live->id, &l->st) &&
           live_was_cut(l, c->live->fd);
}

/* Whether to look again at once. */
static bool scan(struct chain *c)
{
    struct listing list;
    bool again;

    find_place(c);
    look_for_cut(c);
    if (!listing_read(c, &list)) {
        c->dir_mtime = (struct timespec){ 0 };
        return false;
    }
    c->is_unsettled = false;
    if (!c->is_blind)
        unsee(c);
    learn_heads(c);
    take_listing(c, &list);
    end_scan(c);
    c->was_scanned = true;
    again = was_cut_since(c, &list.live);
    listing_free(&list);
    (void)chain_check_live(c);
    again = again || has_new_cut(c);
    if (!again)
        loss_note_passers(
            c); /* by then each file has its name, if it has one */
    return again;
}

/* Whether one that was empty when it came has something in it now: that does not
 * show by the directory. */
static bool is_one_filled(const struct chain *c)
{
    struct stat st;

    for (const struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->is_blank && !f->passed && f->fd >= 0 &&
            (fstat(f->fd, &st) != 0 || st.st_size > 0))
            return true;
    }
    return false;
}

/* Whether the disk is as it was at the last scan. */
static bool is_unchanged(const struct chain *c)
{
    struct stat st;

    if (c->dir_mtime.tv_sec == 0 || c->is_unsettled || stat(c->dir, &st) != 0 ||
        st.st_ino != c->dir_ino || !clock_is_same(st.st_mtim, c->dir_mtime) ||
        is_one_filled(c))
        return false;
    if (stat(c->path, &st) != 0 || !S_ISREG(st.st_mode))
        return c->live == NULL;
    return c->live != NULL && identity_has_inode(&c->live->id, &st);
}

void chain_look(struct chain *c)
{
    enum passed_by passed = PASSED_NONE;

    if (chain_check_live(c))
        return; /* it has looked */
    /* Before the directory is listed: what comes from now on is there then, or is
     * asked for by the next look. */
    if (c->passed_by != NULL)
        passed = c->passed_by(c->arg);
    if (is_unchanged(c))
        return;
    if (c->passed < passed)
        c->passed = passed;
    c->is_looking = true;
    while (scan(c))
        ;
    c->is_looking = false;
    c->seen_number = c->number;
    if (c->has_changed) /* whoever is told sees it in order */
        chain_changed(c, c->is_urgent);
}
