/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/gap.h"

#include <yajl/yajl_tree.h>

#include "agent/base/clock.h"
#include "agent/trail/chain.h"
#include "test/unit/unit.h"

#define AFTER  INT64_C(1795399987104211) /* 2026-11-23T02:13:07.104211Z */
#define BEFORE INT64_C(1795400395900112) /* 2026-11-23T02:19:55.900112Z */

static struct chain chain = { .who = "trail test" };
static struct file file;
static struct gap gap;
static struct gap_record record;

/* One of which all is known. */
static void prepare(void)
{
    free(file.path);
    file = (struct file){ .chain = &chain, .fd = -1, .entered_us = AFTER + 7 };
    file.path = xstrdup("/var/log/audit.log");
    file.id.head_len = 5;
    for (int i = 0; i < SHA256_SIZE; i++)
        file.id.head[i] = (unsigned char)(i * 9);
    gap = (struct gap){ .loss = LOSS_DELETED,
                        .bytes = 104857,
                        .has_bytes = true };
    record = (struct gap_record){ .gap = &gap,
                                  .trail = "audit",
                                  .file = &file,
                                  .offset = 73441,
                                  .after_us = AFTER,
                                  .before_us = BEFORE };
}

static struct buf out;
static struct event event;
static yajl_val tree;

/* Prints it, and holds it against a parser that is not ours. */
static void print(void)
{
    char why[256], *text;

    event = (struct event){ 0 };
    gap_print(&record, &out, &event);
    OK(span_is_utf8(span(out.at, out.len)));
    for (size_t i = 0; i < out.len; i++) {
        if ((unsigned char)out.at[i] < ' ')
            FAIL("byte %zu is %d", i, out.at[i]);
    }
    text = xstrndup(out.at, out.len);
    yajl_tree_free(tree);
    tree = yajl_tree_parse(text, why, sizeof(why));
    if (tree == NULL)
        FAIL("%s: %s", why, text);
    free(text);
    OK(YAJL_IS_OBJECT(tree));
    EQ_SPAN(span(out.at, out.len), event.line);
    EQ_SPAN(span(out.at, out.len), event.body);
}

static const char *get(const char *key)
{
    const char *path[] = { key, NULL };
    yajl_val v = yajl_tree_get(tree, path, yajl_t_any);

    if (v == NULL)
        return NULL;
    return YAJL_IS_NUMBER(v) ? YAJL_GET_NUMBER(v) : YAJL_GET_STRING(v);
}

static void done(void)
{
    yajl_tree_free(tree);
    tree = NULL;
    free(file.path);
    file.path = NULL;
    buf_free(&out);
}

TEST(a_record_tells_all_that_is_known)
{
    prepare();
    print();
    EQ_SPAN(
        SPAN("{\"kind\":\"Gap\",\"apiVersion\":\"tallyman/v1\","
             "\"level\":\"Gap\",\"trail\":\"audit\",\"reason\":\"Deleted\","
             "\"head\":\"0009121b242d363f48515a636c757e87\","
             "\"offset\":73441,\"after\":\"2026-11-23T02:13:07.104211Z\","
             "\"before\":\"2026-11-23T02:19:55.900112Z\","
             "\"file\":\"/var/log/audit.log\",\"bytes\":104857,"
             "\"message\":\"A log file was deleted before it was read to "
             "its end; others may have come and gone between it and the next "
             "one.\"}"),
        event.line);
    EQ_SPAN(SPAN("\"level\":\"Gap\",\"trail\":\"audit\",\"reason\":\"Deleted\","
                 "\"head\":\"0009121b242d363f48515a636c757e87\","
                 "\"offset\":73441,\"after\":\"2026-11-23T02:13:07.104211Z\","
                 "\"before\":\"2026-11-23T02:19:55.900112Z\""),
            event.identity);
    done();
}

TEST(what_is_not_known_is_left_out)
{
    prepare();
    gap.has_bytes = false;
    record.after_us = record.before_us = CLOCK_NO_TIME;
    print();
    OK(get("after") == NULL && get("before") == NULL && get("bytes") == NULL);
    EQ_STR("73441", get("offset"));
    gap = (struct gap){ .loss = LOSS_DELETED, .has_bytes = true };
    print();
    EQ_STR("0", get("bytes")); /* that is known */
    done();
}

TEST(what_came_behind_a_file_is_not_said_to_be_of_it)
{
    prepare();
    gap = (struct gap){ .loss = LOSS_DELETED, .is_behind = true };
    print();
    EQ_STR("Deleted", get("reason"));
    OK(strstr(get("message"), "was read to its end") != NULL);
    done();
}

TEST(each_loss_has_its_reason)
{
    static const char *const want[] = {
        [LOSS_NONE] = "Hole",           [LOSS_DELETED] = "Deleted",
        [LOSS_TRUNCATED] = "Truncated", [LOSS_DAMAGED] = "Damaged",
        [LOSS_GIVEN_UP] = "GivenUp",
    };
    char *before = xstrdup("");

    prepare();
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const char *message;

        gap.loss = (enum loss)i;
        print();
        EQ_STR(want[i], get("reason"));
        EQ_STR(want[i], gap_reason(&gap));
        message = get("message");
        OK(message != NULL && strlen(message) > 20);
        EQ('.', message[strlen(message) - 1]);
        OK(strcmp(before, message) != 0);
        free(before);
        before = xstrdup(message);
    }
    free(before);
    done();
}

TEST(the_event_is_at_the_time_after_which_it_was_lost)
{
    prepare();
    print();
    OK(event.time_us == AFTER);
    record.after_us = CLOCK_NO_TIME; /* "before" may be known another time */
    print();
    OK(event.time_us == file.entered_us);
    record.after_us = 0;
    print();
    OK(event.time_us == 0);
    EQ_STR("1970-01-01T00:00:00.000000Z", get("after"));
    record.after_us = -1;
    print();
    OK(event.time_us == -1);
    EQ_STR("1969-12-31T23:59:59.999999Z", get("after"));
    done();
}

static struct buf identity(void)
{
    struct buf id = { 0 };

    print();
    OK(event.identity.at > event.line.at &&
       event.identity.at + event.identity.len < event.line.at + event.line.len);
    EQ(0, strncmp("\"level\":\"Gap\",\"trail\":", event.identity.at, 22));
    buf_add_span(&id, event.identity);
    return id;
}

/* What may be known better the next time is no part of it. */
TEST(the_identity_is_the_same_however_often_it_is_found)
{
    struct buf first, again;

    prepare();
    first = identity();
    free(file.path);
    file.path = xstrdup("/var/log/audit-2026-11-23T02-15-00.000.log.gz");
    gap.has_bytes = false;
    file.id.ino = 77;
    again = identity();
    EQ_SPAN(span(first.at, first.len), span(again.at, again.len));
    buf_free(&first);
    buf_free(&again);
    done();
}

static void is_another(struct buf *first)
{
    struct buf other = identity();

    OK(first->len != other.len || memcmp(first->at, other.at, other.len) != 0);
    buf_free(&other);
    prepare();
}

TEST(another_loss_has_another_identity)
{
    struct buf first;

    prepare();
    first = identity();
    record.trail = "audi";
    is_another(&first);
    record.before_us += 1000; /* it has grown */
    is_another(&first);
    gap.loss = LOSS_GIVEN_UP;
    is_another(&first);
    file.id.head[0] ^= 1;
    is_another(&first);
    record.offset++;
    is_another(&first);
    record.after_us++;
    is_another(&first);
    record.after_us = CLOCK_NO_TIME;
    is_another(&first);
    buf_free(&first);
    done();
}

TEST(a_path_may_hold_anything)
{
    static const char hostile[] =
        "/log/\",\"bytes\":1,\"x\":\"\\\" \n\r\t\b\x01\x1f\x7f </script>";

    prepare();
    free(file.path);
    file.path = xstrdup(hostile);
    print();
    EQ_STR(hostile, get("file"));
    EQ_STR("104857", get("bytes"));
    OK(get("x") == NULL);
    EQ_STR("2026-11-23T02:19:55.900112Z", get("before"));
    free(file.path);
    file.path = xstrdup("/log/\xff\xc3(\xed\xa0\x80 \xf0\x9f\xa6\x80.log");
    print();
    HAS(get("file"), "/log/\xef\xbf\xbd\xef\xbf\xbd(");
    HAS(get("file"), " \xf0\x9f\xa6\x80.log");
    done();
}

/* Each of its bytes may become six. */
TEST(a_path_may_be_as_long_as_paths_get)
{
    prepare();
    free(file.path);
    file.path = xcalloc(1, 4096);
    memset(file.path, '\x02', 4095);
    print();
    EQ(4095, strlen(get("file")));
    OK(strcmp(file.path, get("file")) == 0);
    done();
}

TEST(numbers_at_their_limits)
{
    prepare();
    record.offset = gap.bytes = UINT64_MAX;
    record.after_us = INT64_MAX;
    record.before_us = INT64_MIN + 1;
    print();
    EQ_STR("18446744073709551615", get("offset"));
    EQ_STR("18446744073709551615", get("bytes"));
    EQ_STR("9999-12-31T23:59:59.999999Z", get("after"));
    EQ_STR("0000-01-01T00:00:00.000000Z", get("before"));
    done();
}

TEST(a_record_replaces_the_one_before)
{
    struct buf first;

    prepare();
    print();
    first = (struct buf){ 0 };
    buf_add_span(&first, event.line);
    print();
    EQ_SPAN(span(first.at, first.len), event.line);
    buf_free(&first);
    done();
}
