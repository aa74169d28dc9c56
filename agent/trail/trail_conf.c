/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/trail_conf.h"

#include "agent/trail/match.h"
#include "parsers/parser.h"

static const char *const starts[] = { "beginning", "end", NULL };

/* Named after kube-apiserver's --audit-log-maxsize, -maxbackup and -maxage. */
static const struct opt retention_opts[] = {
    OPT_BYTES(struct retention_conf, max_size, .def = "0",
              .help = "A file of this size is rotated."),
    OPT_COUNT(struct retention_conf, max_backups, .def = "0", .max = 1000000,
              .help = "Of more rotated files the oldest are deleted."),
    OPT_DURATION(struct retention_conf, max_age, .def = "0",
                 .help = "Older rotated files are deleted."),
    OPT_END
};

static const char *check_path(const char *path)
{
    if (path[strlen(path) - 1] == '/')
        return "is a directory; it must be a file";
    return match_is_pattern(path) ? match_mistake(path) : NULL;
}

bool trail_is_pattern(const struct trail_conf *conf)
{
    return match_is_pattern(conf->path);
}

bool trail_is_stdin(const struct trail_conf *conf)
{
    return strcmp(conf->path, "-") == 0;
}

const struct opt trail_opts[] = {
    OPT_PATH(struct trail_conf, path, .required = true, .dash = true,
             .check = check_path,
             .help = "The live log file. Its rotated siblings are found by "
                     "its name. With wildcards (* ? [...]) each live file "
                     "that matches, now or later, is a trail of its own; \"-\" "
                     "is standard input, without a checkpoint."),
    OPT_COUNT(struct trail_conf, max_matches, .def = "1000", .min = 1,
              .max = 100000,
              .help = "Most files that a path with wildcards may find; the "
                      "others are not read, which is said."),
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
    OPT_DURATION(
        struct trail_conf, quiet, .def = "5s", .min = 10, .max = 3600000,
        .help = "How long a file that was renamed must not have grown, "
                "once the next one holds something, before it is "
                "taken to be finished; what kube-apiserver renames "
                "is finished at once."),
    OPT_GROUP(struct trail_conf, retention, struct retention_conf,
              retention_opts,
              .help = "What the API server was told to keep; by this we say "
                      "how long what is not delivered yet will stay. 0: not "
                      "known."),
    OPT_BYTES(struct trail_conf, pin_max_bytes, .def = "1GiB",
              .help = "Most bytes of rotated files that are kept from being "
                      "deleted for outputs that have not read them yet; 0: "
                      "none."),
    OPT_END
};
