/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/sealed.h"
#include "agent/lane/checkpoint.h"

#define TITLE     "tallyman files 1"
#define FILES_MAX (64 * MIB)

/* ---- its name ---- */

#define NAME_CHARS 16

/* What says where the output leads. A secret never does. */
static void add_options(struct buf *out, const struct opt *row,
                        const void *conf)
{
    for (; row->name != NULL; row++) {
        const void *at = (const char *)conf + row->at;
        const struct opt_list *list = at;

        if (row->type == OPT_T_GROUP)
            add_options(out, row->group, at);
        if ((row->type == OPT_T_STRING || row->type == OPT_T_PATH) &&
            *(char *const *)at != NULL)
            buf_printf(out, "%s=%s\n", row->name, *(char *const *)at);
        for (size_t i = 0; row->type == OPT_T_LIST && i < list->n; i++)
            buf_printf(out, "%s=%s\n", row->name, list->at[i]);
    }
}

char *resume_name(const struct conf_output *output, char *const *paths,
                  size_t n)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    struct buf text = { 0 };

    buf_printf(&text, "%s %s\n", output->ops->name, output->name);
    add_options(&text, output->ops->opts, output->conf);
    for (size_t i = 0; i < n; i++) {
        char *real = realpath(paths[i], NULL);

        buf_printf(&text, "%s\n", real != NULL ? real : paths[i]);
        free(real);
    }
    sha256_of(span(text.at, text.len), hash);
    sha256_hex(hash, hex);
    buf_free(&text);
    return xstrndup(hex, NAME_CHARS);
}

/* ---- the directory ---- */

int resume_open(struct resume *r, const char *path, const char *trail,
                const char *output, struct err *e)
{
    int rc = file_make_dirs(path, e);

    *r = (struct resume){ .state = { -1, -1 } };
    if (rc == 0)
        rc = state_open(&r->state, path, e);
    if (rc != 0)
        return rc;
    r->path = xstrdup(path);
    r->checkpoint = xprintf("%s.%s.checkpoint", trail, output);
    r->files = xprintf("%s.%s.files", trail, output);
    r->lost = xprintf("%s.%s.lost", trail, output);
    r->has_lost = faccessat(r->state.dir, r->lost, F_OK, 0) == 0;
    return 0;
}

void resume_close(struct resume *r)
{
    state_close(&r->state);
    free(r->path);
    free(r->checkpoint);
    free(r->files);
    free(r->lost);
    *r = (struct resume){ .state = { -1, -1 } };
}

static void remove_file(struct resume *r, const char *name, const char *suffix)
{
    char *full = xprintf("%s%s", name, suffix);

    if (unlinkat(r->state.dir, full, 0) != 0 && errno != ENOENT)
        log_warn("state", "cannot remove %s/%s: %m", r->path, full);
    free(full);
}

static void remove_files(struct resume *r)
{
    static const char *const suffixes[] = { "", ".prev", ".new" };

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        remove_file(r, r->checkpoint, suffixes[i]);
        remove_file(r, r->files, suffixes[i]);
    }
    remove_file(r, r->lost, "");
    r->has_lost = false;
}

void resume_forget(struct resume *r)
{
    remove_files(r);
    remove_file(r, "lock", "");
    (void)rmdir(r->path); /* not where there are dead letters */
}

void resume_note_lost(struct resume *r)
{
    int fd;

    if (r->has_lost)
        return;
    fd = openat(r->state.dir, r->lost, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else
        log_warn("state", "cannot make %s/%s: %m", r->path, r->lost);
    r->has_lost = true;
}

/* ---- what the files were ---- */

/* Whether a file was read to its end is known by these: its head and size. */
static void print_file(struct file *f, struct buf *out)
{
    const struct identity *id = file_identity(f);
    char head[SHA256_HEX_SIZE];
    const char *path = file_path(f);
    uint64_t size = 0;

    (void)file_text_size(f, &size);
    sha256_hex(id->head, head);
    buf_printf(out, "file %" PRIu64 " %s %.*s\n", size, head,
               (int)strcspn(path, "\n"), path);
}

static void print_files(const struct trail *t, const struct file *until,
                        struct buf *out)
{
    struct file *f = trail_oldest(t);

    out->len = 0;
    buf_printf(out, "%s\n", TITLE);
    for (; f != NULL && f != until && !file_is_end(f); f = trail_after(f))
        print_file(f, out);
}

/* Whether those before `until` are what they were when it was noted. */
static bool are_same(struct resume *r, const struct trail *t,
                     const struct file *until)
{
    struct buf was = { 0 }, now = { 0 };
    struct span text;
    bool same;

    print_files(t, until, &now);
    same = file_read(r->state.dir, r->files, FILES_MAX, &was, NULL) == 0;
    text = span(was.at, was.len);
    same = same && sealed_open(&text, TITLE, NULL) == 0 && was.len >= now.len &&
           memcmp(was.at, now.at, now.len) == 0;
    buf_free(&was);
    buf_free(&now);
    return same;
}

static int note_files(struct resume *r, const struct trail *t, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    print_files(t, NULL, &text);
    sealed_end(&text);
    rc = file_replace(r->state.dir, r->files, span(text.at, text.len), e);
    buf_free(&text);
    return rc;
}

int resume_check(struct resume *r, const struct trail *t, bool *goes_on,
                 struct err *e)
{
    struct checkpoint c = { 0 };
    bool fell_back;
    const struct file *f = NULL;
    int rc = checkpoint_load(&c, r->state.dir, r->checkpoint, &fell_back, e);

    if (rc == ERR_IO)
        return rc;
    if (rc == 0)
        f = trail_find(t, &c.id);
    *goes_on = f != NULL && are_same(r, t, f);
    if (rc == ERR_DAMAGED)
        log_warn("state", "%s; all is sent again", e->text);
    else if (rc == 0 && !*goes_on)
        log_warn("state", "the files are not what they were when this was "
                          "stopped; all is sent again");
    checkpoint_free(&c);
    if (!*goes_on)
        remove_files(r);
    return note_files(r, t, e);
}
