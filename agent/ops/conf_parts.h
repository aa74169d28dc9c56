/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_parts - what the files that make up conf tell each other.
 */
#ifndef TALLYMAN_CONF_PARTS_H
#define TALLYMAN_CONF_PARTS_H

#include "agent/ops/conf.h"
#include "agent/ops/fill.h"

/* The option that decides which table the others are looked up in. */
struct output_type {
    unsigned type; /* index into outputs[] */
};

extern const struct opt type_opts[];
extern const char *const top_others[]; /* "trails" and "outputs" */

/* Callbacks of fill: a key that is no option here. The second is for outputs
 * whose type is not known: an option of any type may be right. */
void conf_unknown(const struct fill *f, const struct node *key);
void conf_unknown_untyped(const struct fill *f, const struct node *key);

/* What the options of one output say together. */
void conf_check_output(const struct conf_output *o, const struct fill *f);
/* What the options of one trail say together. */
void conf_check_trail(const struct conf_trail *t, const struct fill *f);
/* What trails and outputs say together. Allows for halves of them missing. */
void conf_check(const struct conf *c, const struct node *root,
                struct mistakes *m);
/* Of it, what concerns files. */
void conf_check_files(const struct conf *c, const struct node *root,
                      struct mistakes *m);

/* "outputs.NAME.KEY", or without KEY where that is NULL. */
void conf_where(char where[WHERE_SIZE], const char *section, const char *name,
                const char *key);
/* Where a trail or output stands: its option, else its name. */
struct spot conf_spot(const struct node *root, const char *section,
                      const char *name, const char *key);

#endif
