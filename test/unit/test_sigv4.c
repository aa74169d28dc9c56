/* SPDX-License-Identifier: Apache-2.0 */
/* AWS's own published vectors (aws-sig-v4-test-suite). */
#include "outputs/elasticsearch/sigv4.h"

#include "agent/base/clock.h"
#include "test/unit/unit.h"

#define DATE  "20150830T123600Z"
#define SCOPE "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
#define SESSION                                                                \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKW" \
    "HGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4" \
    "IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE" \
    "8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj" \
    "c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct sigv4_keys keys = {
    "us-east-1", "service", "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
};

static const struct sigv4_header plain[] = {
    { "host", "example.amazonaws.com" },
    { "x-amz-date", DATE },
};

static const struct sigv4_header form[] = {
    { "content-type", "application/x-www-form-urlencoded" },
    { "host", "example.amazonaws.com" },
    { "x-amz-date", DATE },
};

static const struct sigv4_header session[] = {
    { "host", "example.amazonaws.com" },
    { "x-amz-date", DATE },
    { "x-amz-security-token", SESSION },
};

static char *text_of(struct buf *b)
{
    buf_add(b, "", 1);
    return b->at;
}

TEST(the_published_vectors_are_signed_as_published)
{
    static const struct {
        const char *name, *method, *path, *query, *body;
        const struct sigv4_header *headers;
        size_t n;
        const char *names, *signature;
    } rows[] = {
        { "get-vanilla", "GET", "/", "", "", plain, 2, "host;x-amz-date",
          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-unreserved", "GET",
          "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
          "", "", plain, 2, "host;x-amz-date",
          "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
        { "get-vanilla-query-order-key-case", "GET", "/",
          "Param2=value2&Param1=value1", "", plain, 2, "host;x-amz-date",
          "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "get-vanilla-query-order-value", "GET", "/",
          "Param1=value2&Param1=value1", "", plain, 2, "host;x-amz-date",
          "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694" },
        { "get-vanilla-utf8-query", "GET", "/", "\xe1\x88\xb4=bar", "", plain,
          2, "host;x-amz-date",
          "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
        { "the same, encoded", "GET", "/", "%E1%88%b4=bar", "", plain, 2,
          "host;x-amz-date",
          "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
        { "post-x-www-form-urlencoded", "POST", "/", "", "Param1=value1", form,
          3, "content-type;host;x-amz-date",
          "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
        { "post-sts-header-after", "POST", "/", "", "", session, 3,
          "host;x-amz-date;x-amz-security-token",
          "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char hash[SHA256_HEX_SIZE];
        struct sigv4_request q = {
            .method = rows[i].method,
            .path = span(rows[i].path, strlen(rows[i].path)),
            .query = span(rows[i].query, strlen(rows[i].query)),
            .headers = rows[i].headers,
            .nheaders = rows[i].n,
            .body_hash = hash,
            .date = DATE,
        };
        struct buf have = { 0 };
        char *want = xprintf("AWS4-HMAC-SHA256 Credential=" SCOPE
                             ", SignedHeaders=%s, Signature=%s",
                             rows[i].names, rows[i].signature);

        sigv4_hash(span(rows[i].body, strlen(rows[i].body)), hash);
        sigv4_sign(&keys, &q, &have);
        if (strcmp(want, text_of(&have)) != 0)
            FAIL("%s:\n  %s, not\n  %s", rows[i].name, have.at, want);
        buf_free(&have);
        free(want);
    }
}

/* The second and third line of the canonical request. */
TEST(path_and_query_are_encoded_as_aws_does)
{
    static const struct {
        const char *path, *query, *want;
    } rows[] = {
        { "", "", "GET\n/\n\n" },
        { "/a%2Fb", "", "GET\n/a%252Fb\n\n" },
        { "/a*b", "", "GET\n/a%2Ab\n\n" },
        { "/_bulk", "filter_path=took,items.*.status&timeout=45s",
          "GET\n/_bulk\nfilter_path=took%2Citems.%2A.status&timeout=45s\n" },
        { "/", "a=10&a=9", "GET\n/\na=10&a=9\n" },
        { "/", "x=a.b&x=a%2Fb", "GET\n/\nx=a%2Fb&x=a.b\n" },
        { "/", "a=1&a=1", "GET\n/\na=1&a=1\n" },
        { "/", "q=a+b", "GET\n/\nq=a%2Bb\n" },
        { "/", "b&a=1", "GET\n/\na=1&b=\n" },
        { "/", "a=1=2", "GET\n/\na=1%3D2\n" },
        { "/", "a=%&b=%2&c=%2g&d=%41", "GET\n/\na=%25&b=%252&c=%252g&d=A\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sigv4_request q = {
            .method = "GET",
            .path = span(rows[i].path, strlen(rows[i].path)),
            .query = span(rows[i].query, strlen(rows[i].query)),
            .headers = plain,
            .nheaders = 2,
            .body_hash = "",
            .date = DATE,
        };
        struct buf have = { 0 };

        sigv4_canonical(&q, &have);
        if (strncmp(rows[i].want, text_of(&have), strlen(rows[i].want)) != 0)
            FAIL("%s, not\n%s", have.at, rows[i].want);
        buf_free(&have);
    }
}

TEST(a_date_is_of_the_basic_form)
{
    char date[SIGV4_DATE_SIZE];

    sigv4_date(clock_parse(SPAN("2015-08-30T12:36:00.999Z")), date);
    EQ_STR(DATE, date);
}
