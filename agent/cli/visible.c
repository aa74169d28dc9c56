/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/visible.h"

#include <stdlib.h>

#define LENIENT "ignore_unavailable=true&allow_no_indices=true"

char *visible_name(const char *target)
{
    char *name = xmalloc(strlen(target) + 1), *to = name;

    for (const char *p = target; *p != '\0'; p++) {
        if (*p != '%')
            *to++ = *p;
        else if (p++, to == name || to[-1] != '*')
            *to++ = '*';
    }
    *to = '\0';
    return name;
}

bool visible_refresh(struct ask *a, const char *target)
{
    char *name = visible_name(target);
    char *path = xprintf("/%s/_refresh?" LENIENT
                         "&filter_path=_shards.failed,error,status",
                         name);
    unsigned status = ask(a, HTTP_POST, path, NULL);

    free(path);
    free(name);
    return status == 200;
}

void visible_now(const struct conf_output *o)
{
    struct ask a;

    if (strcmp(o->ops->name, "elasticsearch") != 0 ||
        ask_open(&a, o->conf, NULL) != 0)
        return;
    (void)visible_refresh(&a, elasticsearch_target(o->conf));
    ask_close(&a);
}
