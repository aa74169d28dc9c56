/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

#include <stdio.h>

#include "agent/base/opt.h"

int cli_unknown_flag(const char *command, const char *flag,
                     const char *const *flags)
{
    const char *nearest = opt_nearest(flags, flag);

    fprintf(stderr, "tallyman %s: unknown option '%s'", command, flag);
    if (nearest != NULL)
        fprintf(stderr, ", did you mean '%s'?", nearest);
    fprintf(stderr, "\nTry 'tallyman %s --help'.\n", command);
    return EXIT_USAGE;
}
