/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/roll.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/sealed.h"

#define TITLE "tallyman roll 1"
/* Behind the word for the state of a file. */
#define LACKING ",lacking"

/* The words for what is lost, and how: it is told of by the same words after a
 * restart. One that was deleted shows by that it is not found. */
static const char *const losses[] = {
    [LOSS_TRUNCATED] = "cut",
    [LOSS_GIVEN_UP] = "given-up",
};

static const char *state_of(struct file *f)
{
    if (f->passed)
        return "read";
    if (f->loss < ARRAY_LEN(losses) && losses[f->loss] != NULL)
        return losses[f->loss];
    if (f->fd >= 0)
        f->might_grow = !chain_is_final(f);
    return f == f->chain->live || f->might_grow ? "live" : "rotated";
}

static bool parse_state(struct file *f, struct span word)
{
    size_t mark = strlen(LACKING);

    f->leaves_gap = word.len > mark &&
                    memcmp(word.at + word.len - mark, LACKING, mark) == 0;
    word.len -= f->leaves_gap ? mark : 0;
    for (size_t i = 0; i < ARRAY_LEN(losses); i++) {
        if (losses[i] != NULL && span_is(word, losses[i])) {
            f->loss = (enum loss)i;
            return true;
        }
    }
    f->passed = span_is(word, "read");
    f->might_grow = span_is(word, "live");
    return f->passed || f->might_grow || span_is(word, "rotated");
}

void roll_print(struct chain *c, struct buf *out)
{
    out->len = 0;
    buf_printf(out, TITLE "\n");
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        char entered[CLOCK_TEXT_SIZE];
        uint64_t size;

        f->is_rolled = f->id.head_len > 0;
        if (!f->is_rolled)
            continue;
        buf_printf(out, "file ");
        identity_print(&f->id, out);
        if (file_text_size(f, &size))
            buf_printf(out, " %" PRIu64, size);
        else
            buf_printf(out, " -");
        clock_format(entered, f->entered_us, 6);
        buf_printf(out, " %s", entered);
        buf_printf(out, " %s%s %.*s\n", state_of(f),
                   f->leaves_gap && !f->passed ? LACKING : "",
                   (int)strcspn(f->path, "\n"), f->path);
    }
    sealed_end(out);
}

/* The word at `*at`, which moves behind it and the space that follows. */
static struct span next_word(const char **at)
{
    struct span word = span(*at, strcspn(*at, " "));

    *at += word.len + ((*at)[word.len] == ' ');
    return word;
}

static bool parse_size(struct file *f, struct span word)
{
    char *end;

    f->has_text_size = !span_is(word, "-");
    if (!f->has_text_size)
        return true;
    errno = 0;
    f->text_size = strtoull(word.at, &end, 10);
    return *word.at >= '0' && *word.at <= '9' && errno == 0 &&
           end == word.at + word.len;
}

static bool parse_file(struct chain *c, const char *text)
{
    struct identity id;
    struct span size, entered, state;
    struct file *f;
    int n = 0;

    if (!identity_parse(&id, text, &n) || text[n] != ' ')
        return false;
    text += n + 1;
    size = next_word(&text);
    entered = next_word(&text);
    state = next_word(&text);
    if (*text == '\0' || clock_parse(entered) == CLOCK_NO_TIME)
        return false;
    f = chain_add(c, NULL);
    f->id = id;
    f->entered_us = clock_parse(entered);
    f->path = xstrdup(text);
    f->remembered = true;
    f->is_named = true; /* until a listing shows that it is not */
    return parse_size(f, size) && parse_state(f, state);
}

int roll_parse(struct chain *c, struct span text, struct err *e)
{
    int rc = sealed_open(&text, TITLE, e);
    struct span line;

    while (rc == 0 && text.len > 0) {
        char *one;

        if (!sealed_take(&text, "file", &line))
            return err_set(e, ERR_DAMAGED, "a line is not understood");
        one = xstrndup(line.at, line.len);
        if (!parse_file(c, one))
            rc = err_set(e, ERR_DAMAGED, "a line is not understood");
        free(one);
    }
    return rc;
}
