/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_print - the option tables as a commented configuration file. A line
 * that begins with '#' and no space is an option that is not set.
 */
#include "agent/ops/conf_parts.h"

#define WIDTH 78

/* `text` as comment lines. */
static void print_words(FILE *out, int indent, const char *text)
{
    int column = 0;

    while (*text != '\0') {
        int len = (int)strcspn(text, " ");

        if (column > 0 && column + 1 + len > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            column = fprintf(out, "%*s# %.*s", indent, "", len, text);
        else
            column += fprintf(out, " %.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* What a value looks like: "a size, 64KiB to 1GiB; required". */
static void print_form(FILE *out, int indent, const struct opt *row)
{
    static const char *const forms[] = {
        [OPT_T_STRING] = "text",
        [OPT_T_PATH] = "an absolute path",
        [OPT_T_SECRET] = "a secret",
        [OPT_T_BYTES] = "a size",
        [OPT_T_DURATION] = "a duration",
        [OPT_T_COUNT] = "a number",
        [OPT_T_CHOICE] = "",
        [OPT_T_LIST] = "a list of text",
        [OPT_T_GROUP] = "a mapping",
    };
    struct buf text = { 0 };
    char bounds[OPT_BOUNDS_SIZE] = "";

    buf_printf(&text, "(%s", forms[row->type]);
    if (row->type == OPT_T_CHOICE)
        opt_choices(row->choices, &text);
    if (row->type == OPT_T_BYTES || row->type == OPT_T_DURATION ||
        row->type == OPT_T_COUNT)
        opt_bounds(row, bounds);
    if (row->dash)
        buf_printf(&text, ", or -");
    buf_printf(&text, "%s%s%s)", bounds[0] != '\0' ? ", " : "", bounds,
               row->required ? "; required" : "");
    print_words(out, indent, text.at);
    buf_free(&text);
}

static const char *example_of(const struct opt *row)
{
    if (row->def != NULL)
        return row->def;
    switch (row->type) {
    case OPT_T_PATH:
        return "/PATH";
    case OPT_T_SECRET:
        return "${file:/PATH}";
    case OPT_T_LIST:
        return "[TEXT]";
    case OPT_T_CHOICE:
        return row->choices[0];
    default:
        return "TEXT";
    }
}

static void print_table(FILE *out, int indent, const struct opt *table)
{
    for (; table->name != NULL; table++) {
        bool set = table->def != NULL || table->required;

        if (table->help != NULL)
            print_words(out, indent, table->help);
        print_form(out, indent, table);
        fprintf(out, "%*s%s%s:", indent, "", set ? "" : "#", table->name);
        if (table->type != OPT_T_GROUP) {
            fprintf(out, " %s\n", example_of(table));
            continue;
        }
        fputc('\n', out);
        for (const struct opt *row = table->group; row->name != NULL; row++)
            fprintf(out, "%*s#%s: %s\n", indent + 2, "", row->name,
                    example_of(row));
    }
}

static void print_output(FILE *out, const struct output_ops *ops)
{
    fputc('\n', out);
    print_words(out, 2, ops->help);
    fprintf(out, "  %s:\n    type: %s\n", ops->name, ops->name);
    print_table(out, 4, ops->opts);
}

void conf_print_options(FILE *out)
{
    print_words(out, 0,
                "Every option of tallyman, with its default. A line that "
                "begins with '#' and no space is an option without one.");
    print_words(out, 0,
                "In any value ${VAR} and ${file:/path} are replaced, and $$ "
                "is a dollar sign.");
    fputc('\n', out);
    print_table(out, 0, agent_opts);
    fputs("\n# The logs to read, by names of your choice.\ntrails:\n", out);
    fputs("  name:\n", out);
    print_table(out, 4, trail_opts);
    fputs("\n# Where they go, by names of your choice.\noutputs:\n", out);
    for (size_t i = 0; outputs[i] != NULL; i++) {
        print_output(out, outputs[i]);
        if (i > 0)
            continue;
        fputc('\n', out);
        print_words(out, 4, "The rest is the same for outputs of every type.");
        print_table(out, 4, lane_opts);
    }
}
