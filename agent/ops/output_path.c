/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/output_path.h"

#include <stdlib.h>

#define TRAIL "{trail}"

static const struct opt *path_row(const struct conf_output *o)
{
    const struct opt *row;

    if (o->ops == NULL)
        return NULL;
    row = opt_find(o->ops->opts, SPAN("path"));
    return row != NULL && row->type == OPT_T_PATH ? row : NULL;
}

static char **path_in(const struct opt *row, void *conf)
{
    return (char **)((char *)conf + row->at);
}

const char *output_path(const struct conf_output *o)
{
    const struct opt *row = path_row(o);

    return row != NULL ? *path_in(row, o->conf) : NULL;
}

bool output_path_names_trail(const char *path)
{
    return strstr(path, TRAIL) != NULL;
}

char *output_path_for(const char *path, const char *trail)
{
    struct buf out = { 0 };
    const char *at;

    for (; (at = strstr(path, TRAIL)) != NULL; path = at + strlen(TRAIL)) {
        buf_add(&out, path, (size_t)(at - path));
        buf_add(&out, trail, strlen(trail));
    }
    buf_add(&out, path, strlen(path) + 1);
    return out.at;
}

void *output_conf_for(const struct conf_output *o, const char *trail)
{
    const char *path = output_path(o);
    void *conf;

    if (path == NULL || !output_path_names_trail(path))
        return o->conf;
    conf = xmalloc(o->ops->conf_size);
    memcpy(conf, o->conf, o->ops->conf_size);
    *path_in(path_row(o), conf) = output_path_for(path, trail);
    return conf;
}

void output_conf_free(const struct conf_output *o, void *conf)
{
    if (conf == NULL || conf == o->conf)
        return;
    free(*path_in(path_row(o), conf));
    free(conf);
}
