/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume - a state directory of one job that ends: where files that were given
 * are gone on with after a stop.
 *
 *   DIR/lock, TRAIL.OUTPUT.checkpoint   as an agent's
 *   DIR/TRAIL.OUTPUT.files              what the files were
 *   DIR/TRAIL.OUTPUT.lost               is there once something was lost
 *
 * A checkpoint in one file says that those before it were read to their ends.
 * So it is worth nothing once one of them is another file, or has grown: then
 * it is forgotten, and all begins anew, which repeats events but loses none.
 */
#ifndef TALLYMAN_RESUME_H
#define TALLYMAN_RESUME_H

#include "agent/ops/conf.h"
#include "agent/ops/state.h"
#include "agent/trail/trail.h"

struct resume {
    struct state state;
    char *path;
    char *checkpoint; /* names in it */
    char *files;
    char *lost;
    bool has_lost;
};

/* A name for the place of these files on their way to that output: another one
 * for other files, another order or another destination; to be freed. */
char *resume_name(const struct conf_output *output, char *const *paths,
                  size_t n);

/* Makes the directory, and those it is in, if need be, and locks it. ERR_BUSY
 * and ERR_IO as state_open(); resume_close() then does nothing. */
int resume_open(struct resume *r, const char *path, const char *trail,
                const char *output, struct err *e) MUST_CHECK;
/* NULL-safe only after resume_open(). */
void resume_close(struct resume *r);

/* Whether to go on from the checkpoint that is there; else there is none any
 * more. Notes what the files are now. ERR_IO. */
int resume_check(struct resume *r, const struct trail *t, bool *goes_on,
                 struct err *e) MUST_CHECK;
/* Something of the files is lost; remembered until resume_forget(). */
void resume_note_lost(struct resume *r);
/* All is done: removes all but dead letters, the directory too where it can
 * be. */
void resume_forget(struct resume *r);

#endif
