/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/trail_conf.h"

#include "parsers/parser.h"

static const char *const starts[] = { "beginning", "end", NULL };

const struct opt trail_opts[] = {
    OPT_PATH(struct trail_conf, path, .required = true,
             .help = "The live log file. Its rotated siblings are found by "
                     "its name."),
    OPT_CHOICE(struct trail_conf, parser, .def = "audit",
               .choices = parser_names, .help = "What a line is."),
    OPT_CHOICE(struct trail_conf, start, .def = "beginning", .choices = starts,
               .help = "Where to begin when there is no checkpoint: at the "
                       "oldest rotated file, or at the end of the live one."),
    OPT_BYTES(struct trail_conf, max_line, .def = "64MiB", .min = 64 * KIB,
              .max = 1024 * MIB,
              .help = "Longer lines are set aside in the dead letters."),
    OPT_DURATION(struct trail_conf, poll, .def = "1s", .min = 100, .max = 60000,
                 .help = "How often the file is looked at even when the "
                         "kernel says nothing."),
    OPT_END
};
