/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/secret.h"

#include <fcntl.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"

static void wipe(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static bool is_printable(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == '\x7f')
            return false;
    }
    return true;
}

void secret_set(struct secret *s, const char *value)
{
    char *fresh = xstrdup(value);

    secret_free(s);
    s->value = fresh;
}

void secret_set_file(struct secret *s, const char *value, const char *path)
{
    secret_set(s, value);
    s->file = xstrdup(path); /* `seen` is empty: it may have changed since */
}

void secret_copy(struct secret *to, const struct secret *from)
{
    secret_free(to);
    if (from->value != NULL)
        to->value = xstrdup(from->value);
    if (from->file != NULL)
        to->file = xstrdup(from->file);
    to->seen = from->seen;
}

void secret_free(struct secret *s)
{
    wipe(&s->value);
    free(s->file);
    *s = (struct secret){ 0 };
}

/* An editor ends a file with a newline; the secret does not have it. */
static void trim_newline(struct buf *b)
{
    if (b->len == 0 || b->at[b->len - 1] != '\n')
        return;
    b->len--;
    if (b->len > 0 && b->at[b->len - 1] == '\r')
        b->len--;
}

int secret_read_file(const char *path, struct buf *out, struct err *e)
{
    if (file_read(AT_FDCWD, path, SECRET_FILE_MAX, out, e) != 0)
        return ERR_CONFIG;
    if (out->len > 0 && memchr(out->at, '\0', out->len) != NULL)
        return err_set(e, ERR_CONFIG, "%.400s holds a NUL byte", path);
    trim_newline(out);
    buf_add(out, "", 1);
    out->len--;
    return 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && clock_is_same(a->st_mtim, b->st_mtim);
}

int secret_refresh(struct secret *s, bool *changed, struct err *e)
{
    struct buf text = { 0 };
    struct stat now;
    int rc;

    *changed = false;
    if (s->file == NULL)
        return 0;
    if (stat(s->file, &now) != 0)
        return err_set(e, ERR_CONFIG, "cannot look at %s: %m", s->file);
    if (is_same_file(&now, &s->seen))
        return 0;
    rc = secret_read_file(s->file, &text, e);
    if (rc == 0 && text.len == 0)
        rc = err_set(e, ERR_CONFIG, "%s is empty", s->file);
    if (rc == 0 && !is_printable(text.at))
        rc = err_set(e, ERR_CONFIG, "%s holds a control character", s->file);
    if (rc == 0) {
        *changed = strcmp(text.at, s->value) != 0;
        wipe(&s->value);
        s->value = xstrdup(text.at);
        s->seen = now;
    }
    if (text.at != NULL)
        explicit_bzero(text.at, text.cap);
    buf_free(&text);
    return rc;
}
