/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded - the files of conf/ that the program carries: templates and
 * dashboards. conf/embed.cmake makes the table when the program is built.
 */
#ifndef TALLYMAN_EMBEDDED_H
#define TALLYMAN_EMBEDDED_H

#include "agent/base/bytes.h"

struct embedded {
    const char *name; /* below conf/: "templates/event.json" */
    struct span text;
};

/* Ends with a NULL name. */
extern const struct embedded embedded_files[];

/* A name that is not there is a bug, and aborts. */
struct span embedded(const char *name);

#endif
