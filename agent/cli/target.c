/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/target.h"

#include <stdlib.h>

/* What is wrong may be that it has a password. */
static int misuse_url(const char *command, const char *url, const struct err *e)
{
    const char *at = strrchr(url, '@');

    return cli_misuse(command, "--hosts: '%s%s' %s", at != NULL ? "***" : "",
                      at != NULL ? at : url, e->text);
}

/* An output of nothing but hosts, as a configuration would have it. */
static struct conf *conf_of_hosts(const char *command, const char *hosts)
{
    const struct output_ops *ops = outputs_find("elasticsearch");
    struct conf *c = conf_new_output("search", ops);
    const struct opt *row = opt_find(ops->opts, SPAN("hosts"));
    char *list = xstrdup(hosts), *next = list, *url;
    struct err e = { 0 };
    int rc = 0;

    while (rc == 0 && (url = strsep(&next, ",")) != NULL) {
        rc = opt_add(row, c->outputs[0].conf, url, &e);
        if (rc != 0)
            (void)misuse_url(command, url, &e);
    }
    free(list);
    if (rc == 0)
        return c;
    conf_free(c);
    return NULL;
}

static bool will_do(const struct conf_output *o, const char *type)
{
    return type == NULL || strcmp(o->ops->name, type) == 0;
}

/* The output of that name, or without one the only one that will do. */
static const struct conf_output *choose(const struct conf *c,
                                        const char *command, const char *name,
                                        const char *type)
{
    const char **names = xcalloc(c->noutputs + 1, sizeof(*names)), *nearest;
    const struct conf_output *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < c->noutputs; i++) {
        const struct conf_output *o = &c->outputs[i];

        if (!will_do(o, type))
            continue;
        names[n++] = o->name;
        if (name == NULL || strcmp(o->name, name) == 0)
            found = o;
    }
    nearest = name != NULL ? opt_nearest(names, name) : NULL;
    if (n == 0)
        cli_misuse(command, "no output in the configuration is of type %s",
                   type != NULL ? type : "any");
    else if (name == NULL && n > 1)
        cli_misuse(command, "several outputs would do: choose with --output");
    else if (found == NULL)
        cli_misuse(command, "no output%s%s is called '%s'%s%s%s",
                   type != NULL ? " of type " : "", type != NULL ? type : "",
                   name, nearest != NULL ? ", did you mean '" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    if (name == NULL && n > 1)
        found = NULL;
    free(names);
    return found;
}

int target_open(struct target *t, const char *command,
                const struct target_args *args, const char *type)
{
    const char *path = args->conf != NULL ? args->conf : CLI_DEFAULT_CONF;

    *t = (struct target){ 0 };
    if (args->hosts != NULL && (args->output != NULL || args->conf != NULL))
        return cli_misuse(command, "--hosts goes without -c and --output");
    if (args->hosts != NULL) {
        t->conf = conf_of_hosts(command, args->hosts);
        if (t->conf == NULL)
            return EXIT_USAGE;
        t->output = &t->conf->outputs[0];
        return EXIT_OK;
    }
    t->conf = conf_read(path, stderr);
    if (t->conf == NULL)
        return EXIT_CONFIG;
    t->output = choose(t->conf, command, args->output, type);
    if (t->output != NULL)
        return EXIT_OK;
    target_close(t);
    return EXIT_USAGE;
}

int target_open_all(struct target *t, const char *command,
                    const struct target_args *args)
{
    const char *path = args->conf != NULL ? args->conf : CLI_DEFAULT_CONF;

    if (args->hosts != NULL || args->output != NULL)
        return target_open(t, command, args, NULL);
    *t = (struct target){ .conf = conf_read(path, stderr) };
    return t->conf != NULL ? EXIT_OK : EXIT_CONFIG;
}

void target_close(struct target *t)
{
    conf_free(t->conf);
    *t = (struct target){ 0 };
}
