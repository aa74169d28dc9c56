/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/embedded.h"

#include <stdlib.h>

struct span embedded(const char *name)
{
    for (const struct embedded *f = embedded_files; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0)
            return f->text;
    }
    abort();
}
