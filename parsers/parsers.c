/* SPDX-License-Identifier: Apache-2.0 */
/* The list of parsers, by hand: a new one is a file and two lines here. */
#include "parsers/parser.h"

extern const struct parser_ops parser_audit;
extern const struct parser_ops parser_json;

const struct parser_ops *const parsers[] = {
    &parser_audit,
    &parser_json,
    NULL,
};

const char *const parser_names[] = {
    "audit",
    "json",
    NULL,
};
