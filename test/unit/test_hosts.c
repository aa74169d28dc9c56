/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/hosts.h"
#include "test/unit/unit.h"

static char *urls[] = { "http://a:9200", "http://b:9200/", "https://c//" };

static struct hosts *open_hosts(size_t n)
{
    struct opt_list list = { urls, n };

    return hosts_new(&list);
}

static void next_is(struct hosts *h, uint64_t now, const char *name)
{
    EQ_STR(name, hosts_next(h, now)->name);
}

TEST(a_url_ends_without_a_slash)
{
    struct hosts *h = open_hosts(3);

    EQ_STR("http://a:9200", hosts_next(h, 1)->url);
    EQ_STR("http://b:9200", hosts_next(h, 1)->url);
    EQ_STR("https://c", hosts_next(h, 1)->url);
    hosts_free(h);
    hosts_free(NULL);
}

TEST(hosts_are_taken_in_turn)
{
    struct hosts *h = open_hosts(3);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            next_is(h, 1000, urls[i]);
    }
    hosts_free(h);
}

TEST(one_that_failed_is_passed_over_for_a_while)
{
    struct hosts *h = open_hosts(3);
    struct host *a = hosts_next(h, 1000);
    uint64_t back;

    host_failed(a, 1000);
    back = a->down_until_ms;
    OK(back > 1000 && back <= 2000);
    next_is(h, 1000, urls[1]);
    next_is(h, 1000, urls[2]);
    next_is(h, back - 1, urls[1]);
    next_is(h, back - 1, urls[2]);
    next_is(h, back, urls[0]);
    hosts_free(h);
}

TEST(one_that_fails_again_is_passed_over_for_longer)
{
    struct hosts *h = open_hosts(1);
    struct host *a = hosts_next(h, 0);
    uint64_t before = 0;

    for (int i = 0; i < 100; i++) {
        uint64_t down;

        host_failed(a, 1000000);
        down = a->down_until_ms - 1000000;
        OK(down >= before && down <= 30000);
        before = down;
    }
    EQ(30000, before);
    EQ(100, a->failures);
    host_works(a);
    EQ(0, a->failures);
    EQ(0, a->down_until_ms);
    host_failed(a, 1000000);
    OK(a->down_until_ms - 1000000 <= 1000);
    hosts_free(h);
}

TEST(where_none_is_up_the_one_that_is_soonest_is_taken)
{
    struct hosts *h = open_hosts(3);
    struct host *host[3];

    for (int i = 0; i < 3; i++)
        host[i] = hosts_next(h, 0);
    host_failed(host[0], 5000);
    host_failed(host[1], 4000);
    host_failed(host[2], 6000);
    EQ_STR(urls[1], hosts_next(h, 4100)->name);
    EQ_STR(urls[1], hosts_next(h, 4100)->name);
    host_failed(host[1], 6100);
    EQ_STR(urls[0], hosts_next(h, 4100)->name);
    hosts_free(h);
}

TEST(a_single_host_is_always_taken)
{
    struct hosts *h = open_hosts(1);

    for (uint64_t now = 0; now < 100; now++) {
        struct host *host = hosts_next(h, now);

        OK(host != NULL);
        host_failed(host, now);
    }
    hosts_free(h);
}

TEST(urls_are_checked)
{
    static const char *const good[] = {
        "http://a",
        "https://a:9200",
        "http://[::1]:9200/",
        "http://a/prefix",
    };
    static const char *const bad[] = {
        "",           "a:9200",       "ftp://a",         "HTTP://a",
        "http:/a",    "http://",      "http:///x",       "http://:9200",
        "http://u@a", "http://u:p@a", "http://a/?x=y",   "http://a/#x",
        "http://a b", "http://a\n",   "http://a/_bulk?",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (hosts_check_url(good[i]) != NULL)
            FAIL("%s: %s", good[i], hosts_check_url(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (hosts_check_url(bad[i]) == NULL)
            FAIL("\"%s\" was taken", bad[i]);
    }
}
