/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/expand.h"

#include <ctype.h>
#include <stdlib.h>

#include "agent/base/secret.h"

static bool is_name(const char *name)
{
    if (isdigit((unsigned char)*name))
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    }
    return *name != '\0';
}

static int add_variable(const char *name, struct buf *out, struct err *e)
{
    const char *value = getenv(name);

    if (value == NULL)
        return err_set(e, ERR_CONFIG, "${%.60s} is not set in the environment",
                       name);
    buf_add(out, value, strlen(value));
    return 0;
}

static int add_file(const char *path, struct buf *out, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    if (*path != '/')
        return err_set(e, ERR_CONFIG,
                       "the path in ${file:%.200s} is not absolute", path);
    rc = secret_read_file(path, &text, e);
    if (rc == 0)
        buf_add(out, text.at, text.len);
    if (text.at != NULL)
        explicit_bzero(text.at, text.cap);
    buf_free(&text);
    return rc;
}

/* What stands between the braces. A text that is neither form is not shown:
 * it may be part of a password. */
static int add_reference(const char *inner, struct buf *out, struct err *e)
{
    if (strncmp(inner, "file:", 5) == 0)
        return add_file(inner + 5, out, e);
    if (is_name(inner))
        return add_variable(inner, out, e);
    return err_set(e, ERR_CONFIG,
                   "'${' begins neither ${VARIABLE} nor "
                   "${file:/path}; write $$ for a dollar");
}

int expand(const char *text, struct buf *out, struct err *e)
{
    int rc = 0;

    while (rc == 0 && *text != '\0') {
        if (strncmp(text, "$$", 2) == 0) {
            buf_add(out, "$", 1);
            text += 2;
        } else if (strncmp(text, "${", 2) == 0) {
            const char *end = strchr(text, '}');
            char *inner;

            if (end == NULL)
                return err_set(e, ERR_CONFIG,
                               "'${' without a '}'; write $$ for a dollar");
            inner = xstrndup(text + 2, (size_t)(end - text) - 2);
            rc = add_reference(inner, out, e);
            free(inner);
            text = end + 1;
        } else {
            buf_add(out, text++, 1);
        }
    }
    buf_add(out, "", 1);
    return rc;
}

char *expand_file_of(const char *text)
{
    size_t len = strlen(text);

    if (strncmp(text, "${file:", 7) != 0 || strchr(text, '}') != text + len - 1)
        return NULL;
    return xstrndup(text + 7, len - 8);
}
