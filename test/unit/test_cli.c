/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

#include <unistd.h>

#include "test/unit/unit.h"

static const char *hosts, *conf;
static bool quiet, has_hosts;
static struct cli_rest rest;
static char said[2048];

static const struct cli_flag flags[] = {
    { "-c", &conf, NULL },
    { "--hosts", &hosts, &has_hosts },
    { "--quiet", NULL, &quiet },
    { NULL, NULL, NULL },
};

/* Parses what follows the command; keeps what is said on standard error. */
static int parse_into(struct cli_rest *into, char **words)
{
    char *argv[16] = { "ship" };
    int argc = 1, rc, saved = dup(STDERR_FILENO);
    FILE *tmp = tmpfile();
    size_t n;

    OK(tmp != NULL && saved >= 0);
    while (words[argc - 1] != NULL) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    OK(dup2(fileno(tmp), STDERR_FILENO) >= 0);
    rc = cli_parse(argc, argv, flags, into);
    fflush(stderr);
    OK(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(tmp);
    n = fread(said, 1, sizeof(said) - 1, tmp);
    said[n] = '\0';
    fclose(tmp);
    return rc;
}

#define PARSE(...) parse_into(&rest, (char *[]){ __VA_ARGS__, NULL })

TEST(flags_stand_anywhere_and_values_either_way)
{
    char a[] = "a", b[] = "b", eq[] = "--hosts=http://h", c[] = "-c",
         file[] = "x.yaml", q[] = "--quiet";

    EQ(EXIT_OK, PARSE(a, eq, c, file, b, q));
    EQ_STR("http://h", hosts);
    EQ_STR("x.yaml", conf);
    OK(quiet && has_hosts);
    EQ(2, rest.n);
    EQ_STR("a", rest.at[0]);
    EQ_STR("b", rest.at[1]);
    EQ_STR("", said);
}

TEST(two_dashes_end_the_flags_and_one_is_no_flag)
{
    char dash[] = "-", end[] = "--", flag[] = "--quiet";

    EQ(EXIT_OK, PARSE(dash, end, flag));
    EQ(2, rest.n);
    EQ_STR("-", rest.at[0]);
    EQ_STR("--quiet", rest.at[1]);
    OK(!quiet);
}

TEST(an_unknown_flag_is_told_with_the_nearest)
{
    char flag[] = "--host";

    EQ(EXIT_USAGE, PARSE(flag));
    EQ_STR("tallyman ship: unknown option '--host', did you mean '--hosts'?\n"
           "Try 'tallyman ship --help'.\n",
           said);
}

TEST(a_flag_without_its_value_is_told)
{
    char flag[] = "--hosts", quiet_3[] = "--quiet=3";

    EQ(EXIT_USAGE, PARSE(flag));
    HAS(said, "--hosts needs a value");
    EQ(EXIT_USAGE, PARSE(quiet_3));
    HAS(said, "--quiet takes no value");
}

TEST(an_argument_where_none_belongs_is_told_and_shown_safely)
{
    char word[] = "\x1b[31mred";

    EQ(EXIT_USAGE, parse_into(NULL, (char *[]){ word, NULL }));
    HAS(said, "takes no argument, but there is '\\x1b[31mred'");
}
