/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands, by hand: a new one is a file and two lines here. */
#include "agent/cli/cli.h"

extern const struct command command_check;
extern const struct command command_replay;
extern const struct command command_run;
extern const struct command command_setup;
extern const struct command command_ship;
extern const struct command command_verify;

const struct command *const commands[] = {
    &command_run,   &command_check,  &command_ship, &command_replay,
    &command_setup, &command_verify, NULL,
};
