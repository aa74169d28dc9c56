/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/credentials.h"

#include <unistd.h>

#include "agent/base/clock.h"
#include "test/unit/unit.h"

static struct elasticsearch_settings settings;
static struct buf lines;
static char path[300];

static void add(void *arg, const char *line)
{
    OK(arg == &lines);
    buf_printf(&lines, "%s\n", line);
}

static const char *headers_of(const struct credentials *c, const char *url)
{
    const struct credentials_request q = {
        "POST", url, SPAN("x"), clock_parse(SPAN("2026-11-28T15:45:00Z"))
    };

    lines.len = 0;
    credentials_headers(c, &q, add, &lines);
    buf_add(&lines, "", 1);
    lines.len--;
    return lines.at;
}

static void write_file(const char *text)
{
    char fresh[310];
    FILE *f;

    snprintf(path, sizeof(path), "%s/secret", unit_dir());
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    f = fopen(fresh, "w");
    OK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    OK(rename(fresh, path) == 0);
}

static void done(struct credentials *c)
{
    credentials_free(c);
    opt_free(elasticsearch_opts, &settings);
    buf_free(&lines);
}

TEST(each_way_in_has_its_header)
{
    struct credentials *c = credentials_new(&settings, "t");

    EQ_STR("", headers_of(c, "http://a"));
    credentials_free(c);
    secret_set(&settings.username, "Aladdin");
    secret_set(&settings.password, "open sesame");
    c = credentials_new(&settings, "t");
    EQ_STR("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\n",
           headers_of(c, "http://a"));
    credentials_free(c);
    secret_free(&settings.username);
    secret_free(&settings.password);
    secret_set(&settings.api_key, "aWQ6a2V5");
    c = credentials_new(&settings, "t");
    EQ_STR("Authorization: ApiKey aWQ6a2V5\n", headers_of(c, "http://a"));
    OK(!credentials_sign(c));
    credentials_free(c);
    secret_free(&settings.api_key);
    secret_set(&settings.bearer_token, "ey.J.x");
    c = credentials_new(&settings, "t");
    EQ_STR("Authorization: Bearer ey.J.x\n", headers_of(c, "http://a"));
    done(c);
}

TEST(a_signature_is_of_one_request)
{
    struct credentials *c;
    char *first;

    settings.aws.region = xstrdup("eu-central-1");
    settings.aws.service = AWS_AOSS;
    secret_set(&settings.aws.access_key_id, "AKID");
    secret_set(&settings.aws.secret_access_key, "geheim");
    secret_set(&settings.aws.session_token, "token");
    c = credentials_new(&settings, "t");
    OK(credentials_sign(c));
    first = xstrdup(headers_of(c, "https://a:443/_bulk?x=y"));
    HAS(first, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261128/"
               "eu-central-1/aoss/aws4_request, SignedHeaders=host;"
               "x-amz-content-sha256;x-amz-date;x-amz-security-token, ");
    HAS(first, "\nx-amz-content-sha256: 2d711642b726b04401627ca9fbac32f5"
               "c8530fb1903cc4db02258717921a4881\n"); /* of "x" */
    HAS(first, "\nx-amz-date: 20261128T154500Z\n");
    HAS(first, "\nx-amz-security-token: token\n");
    OK(strstr(first, "geheim") == NULL);
    /* A port that goes without saying is not in the Host header. */
    EQ_STR(first, headers_of(c, "https://a/_bulk?x=y"));
    OK(strcmp(first, headers_of(c, "https://a:9200/_bulk?x=y")) != 0);
    OK(strcmp(first, headers_of(c, "https://a/_bulk?x=z")) != 0);
    free(first);
    done(c);
}

TEST(keys_of_aws_come_from_the_environment_together)
{
    struct credentials *c;

    OK(setenv("AWS_ACCESS_KEY_ID", "ENVID", 1) == 0);
    OK(setenv("AWS_SECRET_ACCESS_KEY", "envkey", 1) == 0);
    OK(setenv("AWS_SESSION_TOKEN", "envtoken", 1) == 0);
    settings.aws.region = xstrdup("eu-central-1");
    c = credentials_new(&settings, "t");
    HAS(headers_of(c, "https://a/"), "Credential=ENVID/");
    HAS(headers_of(c, "https://a/"), "x-amz-security-token: envtoken\n");
    credentials_free(c);
    /* The session is not that of this key. */
    secret_set(&settings.aws.access_key_id, "AKID");
    secret_set(&settings.aws.secret_access_key, "key");
    c = credentials_new(&settings, "t");
    HAS(headers_of(c, "https://a/"), "Credential=AKID/");
    OK(strstr(headers_of(c, "https://a/"), "envtoken") == NULL);
    done(c);
}

TEST(a_file_is_looked_at_once_a_second_and_after_a_refusal)
{
    struct credentials *c;
    unsigned version;

    write_file("one\n");
    secret_set_file(&settings.bearer_token, "one", path);
    c = credentials_new(&settings, "t");
    credentials_look(c, 10000);
    version = credentials_version(c);
    write_file("two\n");
    credentials_look(c, 10999);
    EQ(version, credentials_version(c));
    HAS(headers_of(c, "http://a"), "Bearer one\n");
    credentials_look(c, 11000);
    EQ(version + 1, credentials_version(c));
    HAS(headers_of(c, "http://a"), "Bearer two\n");
    write_file("three\n");
    credentials_refused(c);
    credentials_look(c, 11001);
    HAS(headers_of(c, "http://a"), "Bearer three\n");
    credentials_look(c, 20000);
    EQ(version + 2, credentials_version(c));
    done(c);
}

TEST(a_value_that_cannot_be_used_leaves_the_one_before)
{
    struct credentials *c;
    uint64_t now = 1000;

    write_file("one\n");
    secret_set_file(&settings.api_key, "one", path);
    c = credentials_new(&settings, "t");
    credentials_look(c, now);
    write_file("two\r\nX-Evil: 1\n");
    credentials_look(c, now += 1000);
    EQ_STR("Authorization: ApiKey one\n", headers_of(c, "http://a"));
    OK(unlink(path) == 0);
    credentials_look(c, now += 1000);
    EQ_STR("Authorization: ApiKey one\n", headers_of(c, "http://a"));
    write_file("four");
    credentials_look(c, now += 1000);
    EQ_STR("Authorization: ApiKey four\n", headers_of(c, "http://a"));
    done(c);
}

TEST(a_secret_that_comes_back_is_not_shown)
{
    struct credentials *c;
    char text[] = "no: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, open sesame; "
                  "open sesame!";

    secret_set(&settings.username, "Aladdin");
    secret_set(&settings.password, "open sesame");
    c = credentials_new(&settings, "t");
    credentials_hide(c, text);
    EQ_STR("no: Basic ****************************, ***********; "
           "***********!",
           text);
    done(c);
}
