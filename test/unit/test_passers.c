/* SPDX-License-Identifier: Apache-2.0 */
/* What inotify tells of names, and which files came and went by it. */
#include "agent/trail/passers.h"

#include "test/unit/unit.h"

static struct passers *p;

static void tell(uint32_t what, const char *name, uint32_t cookie)
{
    static _Alignas(struct inotify_event) char room[512];
    struct inotify_event *ev = (void *)room;

    ev->mask = what;
    ev->cookie = cookie;
    ev->len = (uint32_t)strlen(name) + 1;
    memcpy(ev->name, name, ev->len);
    passers_note(p, ev);
}

static void come(const char *name)
{
    tell(IN_CREATE, name, 0);
}

static void go(const char *name)
{
    tell(IN_DELETE, name, 0);
}

static void move(const char *from, const char *to)
{
    static uint32_t cookie;

    cookie++;
    tell(IN_MOVED_FROM, from, cookie);
    tell(IN_MOVED_TO, to, cookie);
}

static void begin(void)
{
    p = passers_new("audit.log");
    EQ(PASSED_UNKNOWN, passers_take(p)); /* what was before */
}

static void expect(enum passed_by what)
{
    EQ(what, passers_take(p));
    EQ(PASSED_NONE, passers_take(p));
    passers_free(p);
}

TEST(what_is_only_renamed_has_not_gone)
{
    begin();
    move("audit.log", "audit.log.1");
    come("audit.log");
    move("audit.log.1", "audit.log.2");
    move("audit.log", "audit.log.1");
    come("audit.log");
    expect(PASSED_NONE);
}

TEST(what_a_look_has_seen_may_go)
{
    begin();
    come("audit.log");
    EQ(PASSED_NONE, passers_take(p));
    move("audit.log", "audit.log.1");
    go("audit.log.1");
    expect(PASSED_NONE);
}

TEST(what_came_and_went_has_passed_by)
{
    begin();
    come("audit.log");
    go("audit.log");
    expect(PASSED_SOME);
}

TEST(what_came_is_followed_through_its_names)
{
    begin();
    come("audit.log");
    move("audit.log", "audit.log.1");
    come("audit.log");
    move("audit.log.1", "audit.log.2");
    move("audit.log", "audit.log.1");
    go("audit.log.2");
    expect(PASSED_SOME);
}

TEST(what_another_is_renamed_over_has_gone)
{
    begin();
    come("audit.log.1");
    move("audit.log", "audit.log.1");
    expect(PASSED_SOME);
}

TEST(what_is_renamed_to_a_name_of_no_log_has_gone)
{
    begin();
    come("audit.log");
    move("audit.log", "audit.log.sent");
    expect(PASSED_SOME);
}

TEST(what_is_renamed_out_of_sight_and_back_has_not_gone)
{
    begin();
    come("audit.log");
    move("audit.log", "audit.log.tmp");
    come("audit.log.tmp.gz");
    go("audit.log.tmp");
    move("audit.log.tmp.gz", "audit.log.1.gz");
    expect(PASSED_NONE);
}

TEST(what_is_renamed_from_a_name_of_no_log_has_come)
{
    begin();
    move("audit.log.tmp", "audit.log.1");
    go("audit.log.1");
    expect(PASSED_SOME);
}

TEST(what_is_compressed_has_gone_once_both_forms_have)
{
    begin();
    come("audit.log.1");
    come("audit.log.1.gz");
    go("audit.log.1");
    move("audit.log.1.gz", "audit.log.2.gz");
    EQ(PASSED_NONE, passers_take(p));
    come("audit.log.1");
    come("audit.log.1.gz");
    go("audit.log.1");
    move("audit.log.1.gz", "audit.log.2.gz");
    go("audit.log.2.gz");
    expect(PASSED_SOME);
}

TEST(a_gz_that_was_given_up_half_made_is_no_loss)
{
    begin();
    come("audit.log.1");
    come("audit.log.1.gz");
    go("audit.log.1.gz");
    expect(PASSED_NONE);
}

TEST(the_gz_of_what_a_look_has_seen_is_no_file_of_its_own)
{
    begin();
    come("audit.log.1.gz");
    go("audit.log.1");
    go("audit.log.1.gz");
    expect(PASSED_NONE);
}

TEST(other_names_and_directories_do_not_matter)
{
    begin();
    come("audit.log.tmp");
    go("audit.log.tmp");
    come("audit-policy.yaml");
    go("audit-policy.yaml");
    tell(IN_CREATE | IN_ISDIR, "audit.log.1", 0);
    tell(IN_DELETE | IN_ISDIR, "audit.log.1", 0);
    expect(PASSED_NONE);
}

TEST(where_not_all_was_told_nobody_knows)
{
    begin();
    come("audit.log");
    passers_lose_track(p);
    go("audit.log");
    expect(PASSED_UNKNOWN);
}

TEST(what_is_known_to_have_gone_weighs_more)
{
    begin();
    come("audit.log");
    go("audit.log");
    passers_lose_track(p);
    expect(PASSED_SOME);
}

TEST(who_has_too_many_to_follow_says_so)
{
    char name[32];

    begin();
    for (unsigned i = 1; i < 5000; i++) {
        snprintf(name, sizeof(name), "audit.log.%u", i);
        come(name);
    }
    expect(PASSED_UNKNOWN);
}
