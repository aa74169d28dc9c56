/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/trail/gunzip.h"

/* Nobody compresses for so long without a byte. */
#define GZ_STALE_US (10 * INT64_C(1000000))

/* ---- a file ---- */

static void insert(struct chain *c, struct file *f, struct file *next)
{
    struct file **at = &c->oldest;

    while (*at != next)
        at = &(*at)->next;
    f->next = next;
    *at = f;
}

struct file *chain_add(struct chain *c, struct file *next)
{
    struct file *f = xcalloc(1, sizeof(*f));

    f->chain = c;
    f->fd = -1;
    f->entered_us = clock_wall_us();
    f->number = ++c->number;
    insert(c, f, next);
    return f;
}

void chain_move(struct chain *c, struct file *f, struct file *next)
{
    struct file **at = &c->oldest;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    insert(c, f, next);
}

void chain_changed(struct chain *c, bool urgent)
{
    c->has_changed = c->is_looking;
    c->is_urgent = c->is_looking && (c->is_urgent || urgent);
    if (c->changed != NULL && !c->is_looking)
        c->changed(c->arg, urgent);
}

void file_end_cut(struct file *f)
{
    free(f->cut);
    f->cut = NULL;
}

void file_free(struct file *f)
{
    file_close(f);
    file_end_cut(f);
    for (int i = 0; i < NFORMS; i++)
        free(f->names[i].path);
    free(f->path);
    free(f);
}

void name_clear(struct name *n)
{
    free(n->path);
    *n = (struct name){ 0 };
}

void name_set(struct file *f, enum form form, const char *path,
              const struct stat *st)
{
    struct name *n = &f->names[form];

    if (n->path == NULL || strcmp(n->path, path) != 0) {
        if (n->path != NULL)
            log_debug(f->chain->who, "%s is %s now", n->path, path);
        free(n->path);
        n->path = xstrdup(path);
    }
    if (form == FORM_PLAIN || f->names[FORM_PLAIN].path == NULL) {
        free(f->path);
        f->path = xstrdup(path);
    }
    n->st = *st;
    n->seen = f->is_named = true;
}

void file_close(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->version++;
}

/* Whether what stood there still does. */
static bool end_holds(const struct file *f, const struct live_end *end)
{
    char bytes[IDENTITY_GUARD_MAX];
    struct stat st;

    if (fstat(f->fd, &st) != 0 || (uint64_t)st.st_size < end->at)
        return false;
    return end->len == 0 ||
           (file_pread(f->fd, bytes, end->len, end->at - end->len) ==
                (ssize_t)end->len &&
            memcmp(bytes, end->bytes, end->len) == 0);
}

void file_update_head(struct file *f)
{
    uint32_t before = f->id.head_len;
    struct head h;
    struct stat st;

    if (f->fd < 0 || f->head_is_whole || f->is_blank ||
        fstat(f->fd, &st) != 0 ||
        head_read(f->fd, f->form == FORM_GZ, &h, NULL) != 0)
        return;
    if ((before > 0 && !identity_has_head(&f->id, &h)) ||
        (f == f->chain->live && !end_holds(f, &f->chain->live_end)))
        return; /* it was cut, and is known by what it held */
    identity_set(&f->id, &st, &h);
    f->head_is_whole = h.is_whole;
    if (h.len > before)
        chain_changed(f->chain, true);
}

/* A .gz tells the last 32 bits only, and it may have grown since we knew. */
static void note_size(struct file *f, const struct stat *st)
{
    uint64_t known = f->has_text_size ? f->text_size : 0;
    uint32_t isize;

    if (f->form == FORM_PLAIN)
        f->text_size = (uint64_t)st->st_size;
    else if (gunzip_size(f->fd, &isize) && isize >= (uint32_t)known)
        f->text_size = known + (isize - (uint32_t)known);
    else
        return;
    f->has_text_size = true;
}

void file_take_fd(struct file *f, enum form form, int fd)
{
    struct stat st;

    pins_remove(&f->chain->pins, f); /* it was of what was open */
    file_close(f);
    f->fd = fd;
    f->form = form;
    f->loss = LOSS_NONE;
    if (f->complained)
        log_info(f->chain->who, "%s can be read again", f->path);
    f->complained = false;
    if (fstat(fd, &st) != 0)
        return;
    note_size(f, &st);
    f->id.dev = st.st_dev;
    f->id.ino = st.st_ino;
    file_update_head(f);
}

/* One of its names; -1 where that is another file by now. */
static int open_name(const struct name *n)
{
    int fd = open(n->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_dev != n->st.st_dev ||
                    st.st_ino != n->st.st_ino)) {
        close(fd); /* the next look tells */
        errno = ENOENT;
        return -1;
    }
    return fd;
}

void file_open(struct file *f)
{
    int why = ENOENT;

    for (int form = 0; form < NFORMS && f->fd < 0; form++) {
        const struct name *n = &f->names[form];
        int fd = n->path != NULL ? open_name(n) : -1;

        if (fd >= 0)
            file_take_fd(f, (enum form)form, fd);
        else if (n->path != NULL && errno != ENOENT)
            why = errno;
    }
    if (f->fd < 0 && why != ENOENT && !f->complained)
        log_error(f->chain->who,
                  "cannot open %s: %s; waiting, nothing is skipped", f->path,
                  strerror(why));
    f->complained = f->fd < 0 && why != ENOENT;
}

bool file_is(const struct file *f, const struct identity *id)
{
    bool same_inode = f->id.dev == id->dev && f->id.ino == id->ino;
    struct head h;

    if (f->fd < 0 && f->is_named && f->id.head_len == 0)
        return same_inode; /* never opened yet: it has to do */
    if (id->head_len == 0 || f->id.head_len == 0)
        return same_inode && f->id.head_len == id->head_len;
    if (f->id.head_len == id->head_len)
        return memcmp(f->id.head, id->head, SHA256_SIZE) == 0;
    if (f->fd < 0) /* when last seen it may have been shorter */
        return same_inode && f->might_grow && f->id.head_len < id->head_len;
    return head_read(f->fd, f->form == FORM_GZ, &h, NULL) == 0 &&
           identity_has_head(id, &h);
}

int64_t file_rotated_ms(const struct file *f)
{
    char text[] = "2006-01-02T15:04:05.000Z";
    int64_t us = CLOCK_NO_TIME;
    struct stat st;

    if (f->sibling.kind == SIBLING_TIMED &&
        strlen(f->sibling.key) == strlen("2006-01-02T15-04-05.000")) {
        memcpy(text, f->sibling.key, strlen(f->sibling.key));
        text[13] = text[16] = ':';
        us = clock_parse(span(text, strlen(text)));
    }
    if (us != CLOCK_NO_TIME)
        return us / 1000;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return clock_wall_us() / 1000;
    return st.st_mtim.tv_sec * INT64_C(1000);
}

bool file_is_deleted(const struct file *f)
{
    struct stat st;

    return f->fd >= 0 && !f->is_named && fstat(f->fd, &st) == 0 &&
           st.st_nlink <= f->pinned;
}

uint64_t file_held_bytes(const struct file *f)
{
    struct stat st;

    if (f->fd < 0 || f == f->chain->live || f->next == NULL || f->is_spool ||
        fstat(f->fd, &st) != 0 || st.st_nlink > (nlink_t)f->pinned)
        return 0;
    return (uint64_t)st.st_size;
}

/* ---- who needs it ---- */

struct file *file_ref(struct file *f)
{
    if (f == NULL)
        return NULL;
    f->refs++;
    for (struct file *g = f; g != NULL; g = g->next) {
        if (g->passed && g->fd < 0)
            file_open(g);
        g->passed = false;
    }
    return f;
}

static void let_go(struct file *f)
{
    if (f->passed)
        return;
    f->passed = true;
    f->might_grow = false;
    file_end_cut(f);
    file_update_head(f); /* by which it is known from now on */
    file_close(f);
    pins_remove(&f->chain->pins, f);
    chain_changed(f->chain, false);
}

void chain_drop_passed(struct chain *c)
{
    struct file **at = &c->oldest;

    if (c->holds > 0 || !c->began)
        return;
    while (*at != NULL && (*at)->refs == 0 && *at != c->live) {
        struct file *f = *at;

        let_go(f);
        if (f->is_named) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        file_free(f);
    }
}

void file_unref(struct file *f)
{
    if (f == NULL)
        return;
    if (f->refs == 0)
        abort();
    f->refs--;
    if (f->refs == 0)
        chain_drop_passed(f->chain);
}

/* ---- whether it can still grow ---- */

static bool holds_something(const struct file *f)
{
    struct stat st;

    return f->next != NULL || f->fd < 0 || fstat(f->fd, &st) != 0 ||
           st.st_size > 0;
}

/* Neither by the time it bears nor by our own clock has it grown lately. */
static bool is_quiet(struct file *f)
{
    uint64_t now_ms = clock_mono_ms();
    int64_t age_ms;
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return false;
    age_ms = (clock_wall_us() - clock_us_of(st.st_mtim)) / 1000;
    if (age_ms >= (int64_t)f->chain->quiet_ms)
        return true;
    if (f->grown_ms == 0 || f->grown_to != (uint64_t)st.st_size) {
        f->grown_ms = now_ms;
        f->grown_to = (uint64_t)st.st_size;
    }
    return now_ms - f->grown_ms >= f->chain->quiet_ms;
}

bool chain_is_final(struct file *f)
{
    if (f == f->chain->live || f->next == NULL)
        return false;
    if (f->fd < 0)
        return f->loss != LOSS_NONE; /* else it may yet be opened */
    if (f->chain->is_given || f->sibling.kind == SIBLING_TIMED ||
        f->chain->is_lumberjack || f->is_copy || f->is_spool ||
        f->form == FORM_GZ)
        return true;
    return holds_something(f->next) && is_quiet(f);
}

struct file *chain_after(const struct file *f)
{
    return chain_is_final((struct file *)f) ? f->next : NULL;
}

/* ---- lost and cut ---- */

void chain_lose(struct chain *c, struct file *f, enum loss loss)
{
    if (loss != LOSS_DAMAGED)
        file_close(f);
    f->loss = loss;
    chain_changed(c, loss != LOSS_DAMAGED);
}

void chain_void(struct chain *c, struct file *f)
{
    pins_remove(&c->pins, f);
    for (int i = 0; i < NFORMS; i++)
        name_clear(&f->names[i]);
    f->id = (struct identity){ 0 };
    f->is_named = f->is_blank = false;
    f->is_void = true;
    chain_lose(c, f, LOSS_DELETED);
}

bool chain_is_stale(const struct file *f)
{
    int64_t age_us;
    struct stat st;

    if (f->chain->is_given)
        return true; /* nobody waits for it to be finished */
    if (f->names[FORM_PLAIN].path != NULL || fstat(f->fd, &st) != 0)
        return false;
    age_us = clock_wall_us() - st.st_mtim.tv_sec * INT64_C(1000000);
    return age_us > GZ_STALE_US || age_us < -GZ_STALE_US;
}

static void set_end(struct live_end *end, uint64_t at, struct span before)
{
    size_t n = before.len < sizeof(end->bytes) ? before.len : 0;

    if (n == 0 && before.len > 0) {
        n = sizeof(end->bytes);
        before = span(before.at + before.len - n, n);
    }
    end->at = at;
    end->len = n;
    if (n > 0)
        memcpy(end->bytes, before.at, n);
}

void chain_note_end(struct chain *c, const struct file *f, uint64_t at,
                    struct span before)
{
    if (f == c->live && at > c->live_end.at)
        set_end(&c->live_end, at, before);
    if (f == c->live)
        file_update_head(c->live);
}

/* The live file goes on from its start as a new one. */
static void go_on_anew(struct chain *c, struct file *f)
{
    struct name *n = &f->names[FORM_PLAIN];
    struct file *anew = chain_add(c, f->next);
    bool was_seen = n->seen;
    int fd = f->fd;

    name_set(anew, FORM_PLAIN, n->path != NULL ? n->path : c->path, &n->st);
    anew->names[FORM_PLAIN].seen = was_seen;
    name_clear(n);
    f->is_named = false;
    f->fd = -1;
    f->version++;
    f->id.dev = f->id.ino = 0; /* that is the new one's */
    c->live = anew;
    c->live_end = (struct live_end){ 0 };
    file_take_fd(anew, FORM_PLAIN, fd);
}

void chain_cut(struct chain *c, struct file *f, uint64_t at, struct span before)
{
    bool was_looking = c->is_looking;

    if (f->loss != LOSS_NONE || f->fd < 0)
        return;
    log_warn(c->who,
             "%s was cut, and perhaps written anew, after it was read up to "
             "offset %llu",
             f->path, (unsigned long long)at);
    if (f != c->live) {
        f->has_text_size = false;
        chain_lose(c, f, LOSS_TRUNCATED);
        return;
    }
    f->cut = xcalloc(1, sizeof(*f->cut));
    f->cut->end = c->live_end;
    if (at >= f->cut->end.at || end_holds(f, &f->cut->end))
        set_end(&f->cut->end, at, before); /* else it is of the new text */
    f->text_size = f->cut->end.at; /* not that of what stands there now, and */
    f->might_grow = true;          /* as much as anybody saw of it */
    f->is_copy = true;
    /* What came before it is found by the look: only then is there an order to
     * tell of. */
    c->is_looking = true;
    go_on_anew(c, f);
    c->is_looking = was_looking;
    c->dir_mtime = (struct timespec){ 0 };
    if (!was_looking)
        chain_look(c);
}

/* As far as its head was known it is still the same. */
static bool head_holds(const struct file *f)
{
    struct head h;

    return f->id.head_len == 0 || head_read(f->fd, false, &h, NULL) != 0 ||
           identity_has_head(&f->id, &h);
}

bool chain_check_live(struct chain *c)
{
    struct live_end *end = &c->live_end, now = { 0 };
    struct file *f = c->live;
    struct stat st;
    ssize_t n;

    if (f == NULL || f->is_spool || f->fd < 0 || fstat(f->fd, &st) != 0)
        return false;
    if (!end_holds(f, end) || !head_holds(f)) {
        chain_cut(c, f, end->at, span(end->bytes, end->len));
        return true;
    }
    if ((uint64_t)st.st_size > end->at) {
        now.at = (uint64_t)st.st_size;
        now.len = now.at < sizeof(now.bytes) ? now.at : sizeof(now.bytes);
        n = file_pread(f->fd, now.bytes, now.len, now.at - now.len);
        if (n == (ssize_t)now.len)
            *end = now;
        file_update_head(f);
    }
    if ((uint64_t)st.st_size > f->text_size)
        c->grown += (uint64_t)st.st_size - f->text_size;
    f->text_size = (uint64_t)st.st_size;
    f->has_text_size = true;
    return false;
}
