/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/opt.h"

#include "test/unit/unit.h"

struct inner {
    char *path;
};

struct settings {
    uint64_t size;
    uint64_t pause;
    uint64_t count;
    unsigned colour;
    char *name;
    char *file;
    char *source;
    struct secret key;
    struct opt_list hosts;
    struct inner deep;
};

static const char *const colours[] = { "red", "green", "blue", NULL };

static const char *no_spaces(const char *value)
{
    return strchr(value, ' ') != NULL ? "has a space" : NULL;
}

static const struct opt inner_opts[] = {
    OPT_PATH(struct inner, path, .def = "/deep"), OPT_END
};

static const struct opt opts[] = {
    OPT_BYTES(struct settings, size, .def = "2MiB", .min = 64 * KIB,
              .max = 1024 * MIB),
    OPT_DURATION(struct settings, pause, .def = "50ms", .max = 60000),
    OPT_COUNT(struct settings, count, .def = "7"),
    OPT_CHOICE(struct settings, colour, .def = "green", .choices = colours),
    OPT_STRING(struct settings, name, .check = no_spaces),
    OPT_PATH(struct settings, file),
    OPT_PATH(struct settings, source, .dash = true),
    OPT_SECRET(struct settings, key),
    OPT_LIST(struct settings, hosts, .check = no_spaces),
    OPT_GROUP(struct settings, deep, struct inner, inner_opts),
    OPT_END
};

static const struct opt *row(const char *name)
{
    const struct opt *r = opt_find(opts, span(name, strlen(name)));

    OK(r != NULL);
    return r;
}

/* What opt_set() says of a value, or "" where it takes it. */
static const char *said(const char *name, const char *value)
{
    static struct err e;
    struct settings s = { 0 };
    int rc = opt_set(row(name), &s, value, &e);

    if (rc == 0)
        e.text[0] = '\0';
    opt_free(opts, &s);
    return e.text;
}

static uint64_t number(const char *name, const char *value)
{
    struct settings s = { 0 };
    const struct opt *r = row(name);

    EQ_STR("", said(name, value));
    OK(opt_set(r, &s, value, NULL) == 0);
    return *(uint64_t *)((char *)&s + r->at);
}

TEST(opt_defaults_are_as_typed)
{
    struct settings s = { 0 };

    opt_defaults(opts, &s);
    EQ(2 * MIB, s.size);
    EQ(50, s.pause);
    EQ(7, s.count);
    EQ(1, s.colour);
    OK(s.name == NULL && s.key.value == NULL);
    EQ(0, s.hosts.n);
    EQ_STR("/deep", s.deep.path);
    opt_free(opts, &s);
}

TEST(opt_free_leaves_nothing_behind)
{
    struct settings s = { 0 };

    OK(opt_set(row("key"), &s, "secret", NULL) == 0);
    OK(opt_set(row("key"), &s, "another", NULL) == 0);
    OK(opt_add(row("hosts"), &s, "a", NULL) == 0);
    OK(opt_add(row("hosts"), &s, "b", NULL) == 0);
    EQ(2, s.hosts.n);
    EQ_STR("b", s.hosts.at[1]);
    opt_free(opts, &s);
    OK(s.key.value == NULL && s.hosts.at == NULL && s.deep.path == NULL);
    opt_free(opts, &s);
}

TEST(opt_sizes_have_binary_units)
{
    EQ(65536, number("size", "65536"));
    EQ(65536, number("size", "64KiB"));
    EQ(3 * MIB, number("size", "3MiB"));
    EQ(1024 * MIB, number("size", "1GiB"));
    HAS(said("size", "64MB"), "is not a size, such as");
    HAS(said("size", "64MB"), "did you mean '64MiB'?");
    HAS(said("size", "64 MiB"), "did you mean '64MiB'?");
    HAS(said("size", "64m"), "did you mean '64MiB'?");
    HAS(said("size", "1.5GiB"), "is not a size");
    HAS(said("size", "-1"), "is not a size");
    HAS(said("size", "+1"), "is not a size");
    HAS(said("size", "0x10"), "is not a size");
    HAS(said("size", " 64KiB"), "is not a size");
    HAS(said("size", "MiB"), "is not a size");
}

TEST(opt_durations_have_units)
{
    EQ(0, number("pause", "0"));
    EQ(50, number("pause", "50ms"));
    EQ(1000, number("pause", "1s"));
    EQ(60000, number("pause", "1m"));
    EQ_STR("has no unit: ms, s, m, h or d", said("pause", "5"));
    HAS(said("pause", "5sec"), "did you mean '5s'?");
    HAS(said("pause", "5msec"), "did you mean '5ms'?");
    HAS(said("pause", "5S"), "did you mean '5s'?");
    HAS(said("pause", "1.5s"), "is not a duration, such as 50ms");
    HAS(said("pause", "5 days"), "did you mean '5d'?");
    HAS(said("pause", "5w"), "is not a duration");
    HAS(said("pause", "1d"), "is out of bounds: 0 to 1m");
}

TEST(opt_bounds_are_shown_as_typed)
{
    EQ_STR("is out of bounds: 64KiB to 1GiB", said("size", "65535"));
    EQ_STR("is out of bounds: 64KiB to 1GiB", said("size", "1048577KiB"));
    EQ_STR("is out of bounds: 0 to 1m", said("pause", "2m"));
}

TEST(opt_numbers_do_not_wrap)
{
    EQ(0xffffffffffffffff, number("count", "18446744073709551615"));
    EQ_STR("is too large a number", said("count", "18446744073709551616"));
    HAS(said("size", "18446744073709551616"), "out of bounds");
    HAS(said("size", "17179869185GiB"), "out of bounds");
    HAS(said("size", "99999999999999999999XB"), "is not a size");
    EQ_STR("is not a whole number", said("count", "a"));
}

TEST(opt_numbers_print_in_the_largest_unit)
{
    char text[OPT_NUMBER_SIZE];

    opt_number(OPT_T_BYTES, 64 * MIB, text);
    EQ_STR("64MiB", text);
    opt_number(OPT_T_BYTES, MIB + 1, text);
    EQ_STR("1048577", text);
    opt_number(OPT_T_DURATION, 90000, text);
    EQ_STR("90s", text);
    opt_number(OPT_T_DURATION, 7 * 86400000, text);
    EQ_STR("7d", text);
    opt_number(OPT_T_DURATION, 25 * 3600000, text);
    EQ_STR("25h", text);
    opt_number(OPT_T_DURATION, 0, text);
    EQ_STR("0", text);
}

TEST(opt_choices_are_listed)
{
    EQ_STR("", said("colour", "blue"));
    EQ_STR("is not red, green or blue; did you mean 'blue'?",
           said("colour", "Blue"));
    EQ_STR("is not red, green or blue", said("colour", "mauve"));
}

TEST(opt_texts_are_checked)
{
    EQ_STR("", said("file", "/a"));
    EQ_STR("is not an absolute path", said("file", "a"));
    EQ_STR("is not an absolute path", said("file", "-"));
    EQ_STR("", said("source", "-"));
    EQ_STR("is not an absolute path", said("source", "--"));
    EQ_STR("has a space", said("name", "a b"));
    EQ_STR("is empty", said("name", ""));
    EQ_STR("is empty", said("key", ""));
    HAS(said("key", "a\nb"), "control character");
    HAS(said("name", "a\x7f"), "control character");
}

TEST(opt_keeps_its_value_when_the_new_one_is_wrong)
{
    struct settings s = { 0 };

    OK(opt_set(row("file"), &s, "/right", NULL) == 0);
    OK(opt_set(row("file"), &s, "wrong", NULL) != 0);
    EQ_STR("/right", s.file);
    opt_free(opts, &s);
}

TEST(opt_says_nothing_of_a_secret)
{
    OK(strstr(said("key", "hunter2\n"), "hunter2") == NULL);
}

TEST(opt_nearest_is_near)
{
    static const char *const names[] = {
        "batch_bytes", "batch_events", "username", "tls", "index", "hosts", NULL
    };

    EQ_STR("batch_bytes", opt_nearest(names, "batchBytes"));
    EQ_STR("batch_bytes", opt_nearest(names, "batch-bytes"));
    EQ_STR("index", opt_nearest(names, "idnex"));
    EQ_STR("hosts", opt_nearest(names, "host"));
    EQ_STR("username", opt_nearest(names, "user"));
    EQ_STR("tls", opt_nearest(names, "tsl"));
    OK(opt_nearest(names, "zebra") == NULL);
    OK(opt_nearest(names, "") == NULL);
    OK(opt_nearest(names, "x") == NULL);
}

TEST(opt_nearest_gives_up_on_long_names)
{
    static const char *const names[] = { "index", NULL };
    char name[500];

    memset(name, 'i', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    OK(opt_nearest(names, name) == NULL);
}
