/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_run - what the parts of `tallyman setup` share: what was asked for, and
 * what came of each step.
 */
#ifndef TALLYMAN_SETUP_RUN_H
#define TALLYMAN_SETUP_RUN_H

#include "agent/cli/ask.h"
#include "agent/setup/wanted.h"

enum setup_outcome {
    SETUP_CREATED, /* or would be, in a dry run */
    SETUP_UPDATED, /* likewise */
    SETUP_UNCHANGED,
    SETUP_SKIPPED, /* cannot be had here; no failure */
    SETUP_REFUSED, /* somebody changed it, or it is not ours */
    SETUP_FAILED
};

struct setup_step {
    const char *title; /* "index template" */
    char *name;
    enum setup_outcome outcome;
    char *why; /* "" where there is nothing to say */
};

#define SETUP_STEPS_MAX 8

struct setup {
    /* as asked for */
    const struct elasticsearch_settings *settings;
    struct place place;
    bool dry_run, force, json;
    uint64_t retention_ms;  /* 0: as it is, else the default */
    const char *dashboards; /* a URL, a file, or NULL */

    struct ask ask;
    bool no_lifecycle; /* the server knows of none */
    struct setup_step steps[SETUP_STEPS_MAX];
    size_t nsteps;
};

/* Tells of a step, at once where it is for people. `format` says why. */
void setup_step(struct setup *s, const char *title, const char *name,
                enum setup_outcome outcome, const char *format, ...)
    PRINTF(5, 6);

/* Templates, lifecycle policy, data stream or alias. */
void setup_objects(struct setup *s);
void setup_dashboards(struct setup *s);

#endif
