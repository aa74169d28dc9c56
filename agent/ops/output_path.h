/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output_path - the file an output writes, one for each trail where its path
 * holds {trail}.
 */
#ifndef TALLYMAN_OUTPUT_PATH_H
#define TALLYMAN_OUTPUT_PATH_H

#include "agent/ops/conf.h"

/* As configured; NULL where the output writes no file. */
const char *output_path(const struct conf_output *o);
bool output_path_names_trail(const char *path);
/* With the trail's name in it; to be freed. */
char *output_path_for(const char *path, const char *trail);

/* The output's settings for the lane of that trail: the output's own, or a copy
 * with another path. Lives no longer than the output's own. */
void *output_conf_for(const struct conf_output *o, const char *trail);
void output_conf_free(const struct conf_output *o, void *conf);

#endif
