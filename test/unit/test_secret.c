/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/secret.h"

#include <fcntl.h>
#include <unistd.h>

#include "test/unit/unit.h"

static char path[300];

/* Whole and at once, as a mounted Secret is replaced. */
static void write_secret(const char *text)
{
    char fresh[310];
    FILE *f;

    snprintf(path, sizeof(path), "%s/secret", unit_dir());
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    f = fopen(fresh, "w");
    OK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    OK(rename(fresh, path) == 0);
}

static bool refreshed(struct secret *s)
{
    struct err e = { 0 };
    bool changed;

    if (secret_refresh(s, &changed, &e) != 0)
        FAIL("%s", e.text);
    return changed;
}

TEST(a_secret_of_no_file_stays)
{
    struct secret s = { 0 };

    OK(!secret_is_set(&s));
    OK(!refreshed(&s));
    secret_set(&s, "hunter2");
    OK(!refreshed(&s));
    EQ_STR("hunter2", s.value);
    secret_free(&s);
    OK(!secret_is_set(&s));
}

TEST(a_secret_whose_file_is_replaced_is_read_again)
{
    struct secret s = { 0 };

    write_secret("one\n");
    secret_set_file(&s, "one", path);
    OK(!refreshed(&s)); /* read, and the same */
    write_secret("two\r\n");
    OK(refreshed(&s));
    EQ_STR("two", s.value);
    OK(!refreshed(&s));
    write_secret("two");
    OK(!refreshed(&s));
    secret_free(&s);
}

TEST(a_change_right_after_it_was_read_is_seen)
{
    struct secret s = { 0 };

    write_secret("new");
    secret_set_file(&s, "old", path);
    OK(refreshed(&s));
    EQ_STR("new", s.value);
    secret_free(&s);
}

TEST(a_secret_whose_file_is_bad_keeps_its_value)
{
    static const char *const bad[] = { "", "\n" };
    struct secret s = { 0 };
    struct err e = { 0 };
    bool changed;

    write_secret("good");
    secret_set_file(&s, "good", path);
    OK(!refreshed(&s));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_secret(bad[i]);
        OK(secret_refresh(&s, &changed, &e) != 0);
        HAS(e.text, "is empty");
    }
    write_secret("a\r\nX-Evil: b\n");
    OK(secret_refresh(&s, &changed, &e) != 0);
    HAS(e.text, "control character");
    OK(unlink(path) == 0);
    OK(secret_refresh(&s, &changed, &e) != 0);
    HAS(e.text, path);
    EQ_STR("good", s.value);
    write_secret("better");
    OK(refreshed(&s));
    secret_free(&s);
}

TEST(a_copy_is_one_of_its_own)
{
    struct secret s = { 0 }, copy = { 0 };

    write_secret("one");
    secret_set_file(&s, "one", path);
    secret_copy(&copy, &s);
    secret_free(&s);
    EQ_STR("one", copy.value);
    write_secret("two");
    OK(refreshed(&copy));
    EQ_STR("two", copy.value);
    secret_free(&copy);
}
