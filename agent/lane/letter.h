/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter - a record of the dead letters read again: what dead_print() made, or
 * somebody edited, as the event it was before.
 *
 * The parser here takes records for lines: it hands on the event inside to the
 * parser of the trail it came from. A document keeps the id it had, for rules
 * have changed its bytes: so it is stored once, whichever way it came.
 */
#ifndef TALLYMAN_LETTER_H
#define TALLYMAN_LETTER_H

#include "agent/base/sha256.h"
#include "agent/lane/dead.h"
#include "parsers/parser.h"

struct letter {
    struct dead_letter is; /* its texts are valid until the next one is read */
    struct span text;      /* the document or the line, whichever there is */
    bool is_whole;         /* else only its head was kept */
    unsigned char hash[SHA256_SIZE]; /* of the whole, as the record says */
};

struct letter_reader;

struct letter_reader *letter_reader_new(void);
void letter_reader_free(struct letter_reader *r);
/* ERR_FORMAT: no such record; letter_why() says why. `record` is borrowed as
 * long as `l` is used. */
int letter_read(struct letter_reader *r, struct span record,
                struct letter *l) MUST_CHECK;
const char *letter_why(const struct letter_reader *r);

/* The parser (index into parsers[]) for lines of that trail. */
typedef unsigned letter_parser_of(void *arg, const char *trail);

/* For a lane, with letter_parser: `open` is this. */
struct parser *letter_parser_new(letter_parser_of *parser_of, void *arg);
extern const struct parser_ops letter_parser;

/*
 * The record of a letter that was not taken again: `d` as the lane has it,
 * `record` as it was. Where it came from stays, what is wrong with it is new.
 */
void letter_print_again(struct letter_reader *r, const struct dead_letter *d,
                        struct span record, struct buf *out);

#endif
