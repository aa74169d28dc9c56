/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/cli/verify_report.h"
#include "agent/cli/visible.h"
#include "test/unit/unit.h"

static struct verify v;
static struct verify_range range;
static struct product product;
static struct verify_report r;
static struct buf out;

#define LINE(id) "{\"create\":{\"_index\":\"i-1\",\"_id\":\"" id "\"}}\n"
#define ID       "01a20959b3ce3c_14gvTPqaQCzgAl11goB"

static struct verify_place missing[] = {
    { 1, "/var/log/a\x1b[2J.log", 7, 1795453203406123, (char *)LINE(ID) },
    { 2, "/var/log/b.log", 99, 1795453203406124, (char *)LINE(ID) },
};

/* Five thousand events of a second, all there. */
static void start(void)
{
    v = (struct verify){ .first_us = 1795453203406123,
                         .last_us = 1795453204406123 };
    v.count = (struct verify_counts){ .lines = 5000,
                                      .events = 5000,
                                      .present = 5000 };
    range = (struct verify_range){ .is_known = true, .documents = 5000 };
    product = (struct product){ .name = PRODUCT_OPENSEARCH };
    snprintf(product.version, sizeof(product.version), "3.8.0");
    r = (struct verify_report){ &v, &range, &product, "i-%d", 1, false };
}

static void lose_two(void)
{
    v.count.present -= 2;
    v.count.missing = 2;
    v.missing = missing;
    v.nmissing = 2;
}

static const char *text(void)
{
    out.len = 0;
    verify_report_text(&r, &out);
    buf_add(&out, "", 1);
    return out.at;
}

static const char *json(void)
{
    out.len = 0;
    verify_report_json(&r, &out);
    buf_add(&out, "", 1);
    return out.at;
}

TEST(a_complete_index_is_told_of_in_a_few_rows)
{
    start();
    EQ_STR("index           i-%d, OpenSearch 3.8.0\n"
           "time            2026-11-23T17:00:03.406Z to "
           "2026-11-23T17:00:04.406Z\n"
           "events                   5000\n"
           "present                  5000\n"
           "missing                     0\n"
           "complete: every event is in the index\n",
           text());
    r.grouped = true;
    HAS(text(), "events                  5,000\n");
    buf_free(&out);
}

TEST(missing_events_are_named_up_to_a_number)
{
    start();
    lose_two();
    HAS(text(), "missing                     2\n");
    HAS(text(), "missing: /var/log/a\\x1b[2J.log offset 7 time "
                "2026-11-23T17:00:03.406123Z id " ID "\n"
                "missing: and 1 more\n"
                "not complete: 2 of 5000 events are not in the index\n");
    r.show = 2;
    HAS(text(), "id " ID "\nmissing: /var/log/b.log offset 99 ");
    r.show = 0;
    OK(strstr(text(), "missing: ") == NULL);
    buf_free(&out);
}

TEST(what_else_keeps_it_from_being_complete_is_said)
{
    start();
    v.count.twice = 3;
    HAS(text(), "stored twice                3");
    HAS(text(), "every event is in the index, but 3 more than once\n");
    start();
    v.count.unread = 1;
    HAS(text(), "not complete: not all of the log could be read\n");
    start();
    v.count = (struct verify_counts){ .lines = 9, .quarantined = 9 };
    HAS(text(), "not complete: there is no event in it\n");
    start();
    v.count.present = 0;
    v.count.missing = 5000;
    v.lacks_index = true;
    HAS(text(), "which is not there at all\n");
    buf_free(&out);
}

TEST(what_the_index_has_more_is_no_fault)
{
    start();
    range.extra = 12;
    range.gaps = 2;
    HAS(text(), "more                       12  other documents");
    HAS(text(), "gap records                 2  ");
    HAS(text(), "\ncomplete: ");
    range.is_known = false;
    snprintf(range.why, sizeof(range.why), "h answered 403 \x1b[2J");
    HAS(text(), "more                  unknown  h answered 403 \\x1b[2J\n");
    HAS(text(), "\ncomplete: ");
    buf_free(&out);
}

TEST(json_has_all_of_it)
{
    start();
    lose_two();
    HAS(json(), "{\"complete\":false,\"index\":\"i-%d\",\"product\":"
                "\"OpenSearch\",\"version\":\"3.8.0\",\"events\":5000,"
                "\"present\":4998,\"missing\":2,");
    HAS(json(), "\"documents_in_range\":5000,\"extra\":0,\"gap_records\":0,");
    HAS(json(), "\"first_missing\":[{\"offset\":7,\"file\":"
                "\"/var/log/a\\u001b[2J.log\",\"time\":"
                "\"2026-11-23T17:00:03.406123Z\",\"place\":{\"_index\":"
                "\"i-1\",\"_id\":\"" ID "\"}}]}\n");
    range.is_known = false;
    HAS(json(), "\"documents_in_range\":null,\"extra\":null,");
    buf_free(&out);
}

static void name_is(const char *want, const char *target)
{
    char *name = visible_name(target);

    EQ_STR(want, name);
    free(name);
}

TEST(all_indices_of_a_pattern_have_one_name)
{
    name_is("auditing-*.*.*", "auditing-%Y.%m.%d");
    name_is("a-*", "a-%Y%m%d%H");
    name_is("*-a", "%Y-a");
    name_is("audit", "audit");
}
