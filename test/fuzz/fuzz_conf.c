/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_conf - any bytes as a configuration file: it is refused with a reason,
 * or what comes out is whole.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/ops/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Devices may block or be somebody's terminal; the files of a machine are not
 * what is tested. */
static bool names_a_file(struct span text)
{
    return text.len > 0 && memmem(text.at, text.len, "file:/", 6) != NULL &&
           memmem(text.at, text.len, "file:/nope}", 11) == NULL;
}

/* One line for each mistake, and nothing a terminal would act on. */
static void check_said(const char *said, size_t len)
{
    assert(len > 0 && said[len - 1] == '\n');
    for (size_t i = 0; i < len; i++)
        assert(((unsigned char)said[i] >= 0x20 && said[i] != 0x7f) ||
               said[i] == '\n');
    assert(span_is_utf8(span(said, len)));
}

static void check_conf(const struct conf *c)
{
    assert(c->ntrails > 0 && c->noutputs > 0);
    assert(c->agent.state_dir[0] == '/');
    for (size_t i = 0; i < c->ntrails; i++) {
        assert(c->trails[i].name[0] != '\0');
        assert(c->trails[i].conf.path[0] == '/' ||
               trail_is_stdin(&c->trails[i].conf));
    }
    for (size_t i = 0; i < c->noutputs; i++) {
        const struct conf_output *o = &c->outputs[i];

        assert(o->ops != NULL && o->conf != NULL);
        assert(o->lane.memory >= o->lane.batch_bytes);
        assert(o->lane.backoff_max >= o->lane.backoff_min);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span((const char *)data, size);
    char *said = NULL;
    struct conf *c;
    FILE *errors;
    size_t len;

    if (names_a_file(text))
        return 0;
    errors = open_memstream(&said, &len);
    assert(errors != NULL);
    c = conf_parse("fuzz.yaml", text, errors);
    fclose(errors);
    if (c == NULL)
        check_said(said, len);
    else
        check_conf(c);
    conf_free(c);
    free(said);
    return 0;
}
