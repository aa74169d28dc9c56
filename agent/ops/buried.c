/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/buried.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/lane/dead.h"

static const char *find(struct span in, const char *text)
{
    return memmem(in.at, in.len, text, strlen(text));
}

/* It stands before the document, in which a client may have an "id", too; in
 * the texts before it quotes are escaped. */
struct span buried_id(struct span record)
{
    static const char key[] = ",\"id\":\"";
    const char *document = find(record, ",\"document\":");
    const char *id, *end;

    if (document == NULL)
        return SPAN("");
    record.len = (size_t)(document - record.at);
    id = find(record, key);
    if (id == NULL)
        return SPAN("");
    id += sizeof(key) - 1;
    end = memchr(id, '"', (size_t)(document - id));
    return end != NULL ? span(id, (size_t)(end - id)) : SPAN("");
}

static int read_file(struct idset *ids, const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int rc = 0;

    if (f == NULL)
        return err_set(e, ERR_IO, "cannot open %s: %m", path);
    while ((n = getline(&line, &room, f)) > 0) {
        struct span id = buried_id(span(line, (size_t)n));

        if (id.len > 0)
            (void)idset_add(ids, id);
    }
    if (ferror(f))
        rc = err_set(e, ERR_IO, "cannot read %s: %m", path);
    free(line);
    fclose(f);
    return rc;
}

int buried_read(struct idset *ids, const char *state_dir, const char *output,
                struct err *e)
{
    struct dead_files files = { 0 };
    int rc = dead_list(state_dir, output, &files, e);

    for (size_t i = 0; i < files.n && rc == 0; i++)
        rc = read_file(ids, files.paths[i], e);
    dead_files_free(&files);
    return rc == ERR_MISSING ? 0 : rc;
}
