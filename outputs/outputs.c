/* SPDX-License-Identifier: Apache-2.0 */
/* The list of outputs, by hand: a new one is a file and two lines here. */
#include "outputs/output.h"

extern const struct output_ops output_elasticsearch;
extern const struct output_ops output_file;
extern const struct output_ops output_stdout;

const struct output_ops *const outputs[] = {
    &output_elasticsearch,
    &output_file,
    &output_stdout,
    NULL,
};

const char *const output_names[] = {
    "elasticsearch",
    "file",
    "stdout",
    NULL,
};

const struct output_ops *outputs_find(const char *name)
{
    for (size_t i = 0; outputs[i] != NULL; i++) {
        if (strcmp(outputs[i]->name, name) == 0)
            return outputs[i];
    }
    return NULL;
}
