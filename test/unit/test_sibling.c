/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/sibling.h"
#include "test/unit/unit.h"

static void is(const char *live, const char *name, enum sibling_kind kind,
               bool gz)
{
    struct sibling s = sibling_of(live, name);

    if (s.kind != kind || s.is_gz != gz)
        FAIL("%s of %s is of kind %d%s, not %d%s", name, live, s.kind,
             s.is_gz ? " (gz)" : "", kind, gz ? " (gz)" : "");
}

static void is_none(const char *live, const char *name)
{
    is(live, name, SIBLING_NONE, false);
}

static void in_order(const char *older, const char *newer)
{
    struct sibling a = sibling_of("audit.log", older);
    struct sibling b = sibling_of("audit.log", newer);

    OK(a.kind != SIBLING_NONE && b.kind != SIBLING_NONE);
    OK(sibling_compare(&a, &b) < 0);
    OK(sibling_compare(&b, &a) > 0);
    EQ(0, sibling_compare(&a, &a));
}

TEST(names_of_the_api_server_are_timed)
{
    is("audit.log", "audit-2026-11-23T03-09-58.015.log", SIBLING_TIMED, false);
    is("audit.log", "audit-2026-11-23T03-09-58.015.log.gz", SIBLING_TIMED,
       true);
    is("kube.audit.log", "kube.audit-2026-11-23T03-09-58.015.log",
       SIBLING_TIMED, false);
    is(".log", "-2026-11-23T03-09-58.015.log", SIBLING_TIMED, false);
}

TEST(names_of_logrotate_are_numbered_or_dated)
{
    is("audit.log", "audit.log.1", SIBLING_NUMBERED, false);
    is("audit.log", "audit.log.0", SIBLING_NUMBERED, false);
    is("audit.log", "audit.log.12.gz", SIBLING_NUMBERED, true);
    is("audit.log", "audit.log.999999", SIBLING_NUMBERED, false);
    is("audit.log", "audit.log-20261123", SIBLING_DATED, false);
    is("audit.log", "audit.log-20261123.gz", SIBLING_DATED, true);
    is("audit.log", "audit.log-20261123-1763900000", SIBLING_DATED, false);
    is("audit.log", "audit.log-20261123-1763900000.gz", SIBLING_DATED, true);
}

TEST(a_date_may_have_many_forms)
{
    static const char *const dates[] = {
        "-2026112303",        "-202611230309",     "-20261123030958",
        "-2026-11-23",        "-2026-11-23-03",    "-2026-11-23T03-09-58",
        "-2026-11-23_030958", "-20261123-03",      "-20261123-030958",
        "-20261123T0309",     "-20261123-1",       "-2026-11-23-1763900000",
        "-1763900000",        ".20261123",         ".2026-11-23",
        "_20261123",          "_2026-11-23-03-09",
    };
    char name[80];

    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        snprintf(name, sizeof(name), "audit.log%s", dates[i]);
        is("audit.log", name, SIBLING_DATED, false);
        snprintf(name, sizeof(name), "audit.log%s.gz", dates[i]);
        is("audit.log", name, SIBLING_DATED, true);
        snprintf(name, sizeof(name), "audit%s.log", dates[i]);
        is("audit.log", name, SIBLING_DATED, false);
        snprintf(name, sizeof(name), "audit%s.log.gz", dates[i]);
        is("audit.log", name, SIBLING_DATED, true);
        snprintf(name, sizeof(name), "audit%s", dates[i]);
        is("audit", name, SIBLING_DATED, false);
    }
}

TEST(logrotate_may_keep_the_extension_at_the_end)
{
    is("audit.log", "audit.1.log", SIBLING_NUMBERED, false);
    is("audit.log", "audit.12.log.gz", SIBLING_NUMBERED, true);
    is("kube.audit.log", "kube.audit.3.log", SIBLING_NUMBERED, false);
    is("audit.log", "audit-20261123.log", SIBLING_DATED, false);
    is_none("kube.audit.log", "kube.3.audit.log");
}

TEST(a_path_without_extension_has_siblings_too)
{
    is("audit", "audit-2026-11-23T03-09-58.015", SIBLING_TIMED, false);
    is("audit", "audit-2026-11-23T03-09-58.015.gz", SIBLING_TIMED, true);
    is("audit", "audit.1", SIBLING_NUMBERED, false);
    is("audit", "audit-20261123", SIBLING_DATED, false);
    is_none("audit", "audit-2026-11-23T03-09-58.015.log");
    is_none("audit", "audit.log");
}

TEST(other_files_of_the_directory_are_no_siblings)
{
    static const char *const others[] = {
        "audit.log",
        "audit.log.gz",
        "audit-policy.yaml",
        "audit.log.swp",
        ".audit.log.swp",
        "audit.log~",
        "audit.log.bak",
        "audit.log.old",
        "audit.log.1.bak",
        "audit.log.1~",
        "audit.log.",
        "audit.log.gz.1",
        "audit.log.-1",
        "audit.log.+1",
        "audit.log. 1",
        "audit.log.1a",
        "audit.log.1.1",
        "audit.log.1234567",
        "audit.log1",
        "audit.1",
        "audit-2026.log",
        "audit.log-20261323",
        "audit.log-20261132",
        "audit.log-12345678",
        "audit.log-2026-11-2",
        "audit.log-2026-1123",
        "audit.log--20261123",
        "audit.log-20261123.1",
        "audit.log-0999999999",
        "audit.log.1.log",
        "audit-1.log",
        "audit.1234567.log",
        "audit.1.txt",
        "audit1.log",
        "audit-20261123",
        "audit-20261123.txt",
        "audit-20261123x.log",
        "audit-.log",
        "other-audit.log",
        "other-2026-11-23T03-09-58.015.log",
        "audit2-2026-11-23T03-09-58.015.log",
        "audit-extra-2026-11-23T03-09-58.015.log",
        "audit-2026-11-23T03-09-58.015",
        "audit-2026-11-23T03-09-58.015.txt",
        "audit-2026-11-23T03-09-58.015.log.1",
        "audit-2026-11-23T03-09-58.015.log.gz.gz",
        "audit-2026-11-23T03-09-58.015.log.swp",
        "audit-2026-11-23T03-09-58.015.log.gz.tmp",
        "audit-2026-11-23T03-09-58.15.log",
        "audit-2026-11-23T03-09-58.0155.log",
        "audit-2026-11-23T03:09:58.015.log",
        "audit-2026-11-23t03-09-58.015.log",
        "audit--026-11-23T03-09-58.015.log",
        "audit_2026-11-23T03-09-58.015.log",
        "audit.log-2026112",
        "audit.log-202611233",
        "audit.log-20261123-",
        "audit.log-20261123-x",
        "audit.log-20261123-17639000000000000000",
        "audit.log-20261123-1763900000.bak",
        "audit.lo",
        "audit",
        ".",
        "..",
        "",
        ".gz",
        "-2026-11-23T03-09-58.015.log",
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        is_none("audit.log", others[i]);
}

TEST(digits_are_ascii_digits)
{
    is_none("audit.log", "audit.log.\xd9\xa1");
    is_none("audit.log", "audit.log.1\xff");
    is_none("audit.log", "audit-2026-11-23T03-09-5\xb8.015.log");
}

TEST(timed_names_are_ordered_by_time)
{
    in_order("audit-2026-11-23T03-09-58.015.log",
             "audit-2026-11-23T03-09-58.016.log");
    in_order("audit-2025-12-31T23-59-59.999.log",
             "audit-2026-01-01T00-00-00.000.log");
    in_order("audit-2026-09-30T03-09-58.015.log",
             "audit-2026-10-01T03-09-58.015.log.gz");
}

TEST(the_higher_the_number_the_older)
{
    in_order("audit.log.2", "audit.log.1");
    in_order("audit.log.10", "audit.log.9");
    in_order("audit.log.100.gz", "audit.log.99");
    in_order("audit.log.999999", "audit.log.100000");
    in_order("audit.log.1", "audit.log.0");
}

TEST(dated_names_are_ordered_by_date_then_number)
{
    in_order("audit.log-20261122", "audit.log-20261123");
    in_order("audit.log-20261123-1763900000", "audit.log-20261123-1763900001");
    in_order("audit.log-20261123", "audit.log-20261123-1763900000");
    in_order("audit.log-20251231.gz", "audit.log-20260101");
}

TEST(dated_names_are_ordered_in_every_form)
{
    in_order("audit.log-2026112303", "audit.log-2026112304.gz");
    in_order("audit.log-2026112323", "audit.log-2026112400");
    in_order("audit.log-2026-09-30", "audit.log-2026-10-01");
    in_order("audit.log-2026-11-23", "audit.log-20261124");
    in_order("audit-20261122.log.gz", "audit-20261123.log");
    in_order("audit-20261122.log", "audit.log-20261123");
    in_order("audit.log-20261123", "audit.log-20261123-1");
    in_order("audit.log-20261123-1", "audit.log-20261123-2");
    in_order("audit.log-20261123-9", "audit.log-20261123-10");
    in_order("audit.log-20261123-999999999", "audit.log-20261123-1763900000");
    in_order("audit.log-1763900000", "audit.log-1763900001");
    in_order("audit.log-1763900000", "audit.log-20261123");
    in_order("audit.2.log", "audit.1.log.gz");
    in_order("audit.10.log.gz", "audit.log.9");
    in_order("audit-20261123.log", "audit.9.log");
}

static void looks(const char *name, bool rotated)
{
    if (sibling_is_rotated_name(name) != rotated)
        FAIL("%s is %staken for a rotated file", name, rotated ? "not " : "");
}

TEST(a_rotated_name_is_known_without_its_live_one)
{
    static const char *const rotated[] = {
        "audit-2026-11-23T03-09-58.015.log",
        "audit-2026-11-23T03-09-58.015.log.gz",
        "audit-2026-11-23T03-09-58.015",
        "audit.log.1",
        "audit.log.12.gz",
        "audit.1.log",
        "audit.1",
        "audit.log-20261123",
        "audit.log-2026112303",
        "audit.log-20261123-1763900000",
        "audit.log-1763900000",
        "audit-20261123.log",
        "audit-2026-11-23.log.gz",
        "node-10.0.0.1-20261123.log",
        "10.0.0.1.log.1",
        "audit.log.gz",
        "audit.log.2.xz",
        "audit.log.zst",
    };
    static const char *const live[] = {
        "audit.log",
        "audit",
        "audit-1.log",
        "10.0.0.1",
        "10.0.0.1.log",
        "app-9.6.log",
        "v1.29.log",
        "node-12345678",
        "audit2.log",
        ".1",
        "1",
        "20261123",
        "-20261123",
        "audit-2026.log",
        "audit.log.bak",
        "",
        ".",
        "node-20261399.log",
        "pod_9f86d081.log",
    };

    for (size_t i = 0; i < ARRAY_LEN(rotated); i++)
        looks(rotated[i], true);
    for (size_t i = 0; i < ARRAY_LEN(live); i++)
        looks(live[i], false);
}

static void live_of(const char *name, const char *want)
{
    char *live = sibling_live_of_numbered(name);

    if (want == NULL)
        OK(live == NULL);
    else
        EQ_STR(want, live);
    free(live);
}

TEST(a_numbered_name_says_what_its_live_one_is_called)
{
    live_of("10.0.0.1", "10.0.0");
    live_of("10.0.0.1.log", "10.0.0.log");
    live_of("app-9.6.log", "app-9.log");
    live_of("audit.log.3", "audit.log");
    live_of("audit.log", NULL);
    live_of("audit", NULL);
    live_of(".1", NULL);
    live_of("", NULL);
}
