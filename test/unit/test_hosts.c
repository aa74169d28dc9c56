/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/hosts.h"
#include "test/unit/unit.h"

static char *urls[] = { "http://a:9200", "http://b:9200/", "https://c//" };

static struct hosts *open_hosts(size_t n)
{
    struct opt_list list = { urls, n };

    return hosts_new(&list, NULL);
}

static void next_is(struct hosts *h, uint64_t now, const char *name)
{
    EQ_STR(name, hosts_take(h, now)->name);
}

TEST(a_url_ends_without_a_slash)
{
    struct hosts *h = open_hosts(3);

    EQ_STR("http://a:9200", hosts_take(h, 1)->url);
    EQ_STR("http://b:9200", hosts_take(h, 1)->url);
    EQ_STR("https://c", hosts_take(h, 1)->url);
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
    struct host *a = hosts_take(h, 1000);
    uint64_t back;

    host_failed(a, 1000);
    back = a->down_until_ms;
    OK(back > 1250 && back <= 1500);
    next_is(h, 1000, urls[1]);
    next_is(h, 1000, urls[2]);
    next_is(h, back - 1, urls[1]);
    next_is(h, back - 1, urls[2]);
    next_is(h, back, urls[0]);
    hosts_free(h);
}

/* Half of the time is chance: hosts that failed together do not come back
 * together. */
TEST(one_that_fails_again_is_passed_over_for_longer)
{
    struct hosts *h = open_hosts(1);
    struct host *a = hosts_take(h, 0);
    uint64_t most = 500, sum = 0;

    for (int i = 0; i < 100; i++) {
        uint64_t down;

        host_failed(a, 1000000);
        down = a->down_until_ms - 1000000;
        OK(down > most / 2 && down <= most);
        sum += most >= 30000 ? down : 0;
        most = most * 2 < 30000 ? most * 2 : 30000;
    }
    OK(sum > 94 * 18000 && sum < 94 * 27000);
    EQ(100, a->failures);
    host_works(a);
    EQ(0, a->failures);
    EQ(0, a->down_until_ms);
    host_failed(a, 1000000);
    OK(a->down_until_ms - 1000000 <= 500);
    hosts_free(h);
}

TEST(where_none_is_up_the_one_that_is_soonest_is_taken)
{
    struct hosts *h = open_hosts(3);
    struct host *host[3];

    for (int i = 0; i < 3; i++)
        host[i] = hosts_take(h, 0);
    host[0]->down_until_ms = 5000;
    host[1]->down_until_ms = 4500;
    host[2]->down_until_ms = 6000;
    next_is(h, 4100, urls[1]);
    next_is(h, 4100, urls[1]);
    host[1]->down_until_ms = 6100;
    next_is(h, 4100, urls[0]);
    hosts_free(h);
}

TEST(a_single_host_is_always_taken)
{
    struct hosts *h = open_hosts(1);

    for (uint64_t now = 0; now < 100; now++) {
        struct host *host = hosts_take(h, now);

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

/* ---- nodes that were found ---- */

static size_t find(struct hosts *h, char *a, char *b)
{
    char *at[] = { a, b };
    struct opt_list list = { at, a == NULL ? 0 : b == NULL ? 1 : 2 };

    return hosts_found(h, &list);
}

TEST(nodes_that_were_found_go_first)
{
    struct hosts *h = open_hosts(2);

    EQ(2, find(h, "10.0.0.1:9200", "10.0.0.2:9200"));
    for (int round = 0; round < 3; round++) {
        next_is(h, 1000, "http://10.0.0.1:9200");
        next_is(h, 1000, "http://10.0.0.2:9200");
    }
    hosts_free(h);
}

TEST(the_configured_hosts_are_taken_when_no_node_is_up)
{
    struct hosts *h = open_hosts(2);
    struct host *node[2];

    find(h, "10.0.0.1:9200", "10.0.0.2:9200");
    for (int i = 0; i < 2; i++)
        node[i] = hosts_take(h, 1000);
    host_failed(node[0], 1000);
    next_is(h, 1000, "http://10.0.0.2:9200");
    host_failed(node[1], 1000);
    next_is(h, 1000, urls[0]);
    next_is(h, 1000, urls[1]);
    next_is(h, 9000, "http://10.0.0.1:9200");
    hosts_free(h);
}

TEST(a_node_that_left_is_dropped_and_one_that_stays_keeps_its_health)
{
    struct hosts *h = open_hosts(1);
    struct host *node;

    find(h, "10.0.0.1:9200", "10.0.0.2:9200");
    node = hosts_take(h, 1000);
    EQ_STR("http://10.0.0.1:9200", node->url);
    host_failed(node, 1000);
    EQ(0, find(h, "10.0.0.1:9200", NULL));
    EQ(1, node->failures);
    next_is(h, 1000, urls[0]);
    next_is(h, 9000, "http://10.0.0.1:9200");
    EQ(0, find(h, NULL, NULL));
    next_is(h, 9000, urls[0]);
    hosts_free(h);
}

/* A request to it is under way. */
TEST(a_node_that_left_stays_until_it_is_given_back)
{
    struct hosts *h = open_hosts(1);
    struct host *node;

    find(h, "10.0.0.1:9200", NULL);
    node = hosts_take(h, 1000);
    find(h, NULL, NULL);
    find(h, "10.0.0.3:9200", NULL);
    EQ_STR("http://10.0.0.1:9200", node->name);
    hosts_give(node);
    find(h, NULL, NULL);
    hosts_free(h);
}

TEST(the_nodes_are_bounded)
{
    char names[HOSTS_FOUND_MAX + 9][24];
    char *at[HOSTS_FOUND_MAX + 9];
    struct opt_list list = { at, ARRAY_LEN(at) };
    struct hosts *h = open_hosts(1);

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu:9200", i);
        at[i] = names[i];
    }
    EQ(HOSTS_FOUND_MAX, hosts_found(h, &list));
    EQ(0, hosts_found(h, &list));
    hosts_free(h);
}

/* ---- a name of the certificate's ---- */

TEST(the_server_name_takes_the_hosts_place_in_the_url)
{
    static const struct {
        char *url;
        const char *asked;
        const char *connect_to;
    } rows[] = {
        { "https://10.0.0.1:9200", "https://es.local:9200", "::10.0.0.1:9200" },
        { "https://es-0/", "https://es.local", "::es-0:" },
        { "https://[::1]:9200/x", "https://es.local:9200/x", "::[::1]:9200" },
        { "https://[::1]", "https://es.local", "::[::1]:" },
        { "http://10.0.0.1:9200", "http://10.0.0.1:9200", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct opt_list list = { (char **)&rows[i].url, 1 };
        struct hosts *h = hosts_new(&list, "es.local");
        struct host *host = hosts_take(h, 1);

        EQ_STR(rows[i].asked, host->url);
        EQ_STR(rows[i].url, host->name);
        if (rows[i].connect_to == NULL)
            OK(host->connect_to == NULL);
        else
            EQ_STR(rows[i].connect_to, host->connect_to);
        hosts_free(h);
    }
}
