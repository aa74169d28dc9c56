/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/lane/letter.h"
#include "test/unit/unit.h"

#define EVENT                                                         \
    "\"level\":\"Metadata\",\"auditID\":\"a-1\",\"stage\":\"Panic\"," \
    "\"stageTimestamp\":\"2026-11-23T17:00:03.406123Z\""
#define ID "019ab1ffd3ceAAAAAAAAAAAAAAAAAAAAAA"

static struct letter_reader *reader;
static struct letter l;
static struct buf record;

static struct span printed(const struct dead_letter *d)
{
    record.len = 0;
    dead_print(d, &record);
    return span(record.at, record.len - 1);
}

static struct dead_letter refused(void)
{
    return (struct dead_letter){
        .kind = "refused",
        .reason = "mapper_parsing_exception: \"x\"\n",
        .trail = "audit",
        .output = "search",
        .file = "/var/log/au\tdit.log",
        .offset = UINT64_MAX,
        .length = 17,
        .status = 400,
        .id = SPAN(ID),
        .document = SPAN("{\"@timestamp\":\"x\"," EVENT "}"),
    };
}

static struct dead_letter quarantined(struct span line)
{
    return (struct dead_letter){
        .kind = "quarantined",
        .reason = "not JSON",
        .trail = "other",
        .output = "search",
        .file = "/f",
        .offset = 7,
        .length = line.len,
        .line = line,
    };
}

static void read_it(struct span text)
{
    if (reader == NULL)
        reader = letter_reader_new();
    if (letter_read(reader, text, &l) != 0)
        FAIL("%s", letter_why(reader));
}

static const char *why_not(struct span text)
{
    if (reader == NULL)
        reader = letter_reader_new();
    EQ(ERR_FORMAT, letter_read(reader, text, &l));
    return letter_why(reader);
}

static void cleanup(void)
{
    letter_reader_free(reader);
    reader = NULL;
    buf_free(&record);
}

/* ---- records ---- */

TEST(a_refused_one_is_read_as_it_was_printed)
{
    struct dead_letter d = refused();

    read_it(printed(&d));
    EQ_STR("refused", l.is.kind);
    EQ_STR(d.reason, l.is.reason);
    EQ_STR("audit", l.is.trail);
    EQ_STR(d.file, l.is.file);
    OK(l.is.offset == UINT64_MAX);
    EQ(17, l.is.length);
    EQ(400, l.is.status);
    EQ_SPAN(d.id, l.is.id);
    EQ_SPAN(d.document, l.is.document);
    EQ_SPAN(d.document, l.text);
    OK(l.is_whole && l.is.line.len == 0);
    cleanup();
}

TEST(every_line_comes_back_byte_for_byte)
{
    static const char *const lines[] = {
        "plain",
        "\"quotes\" and \\ and \t\r\b\f",
        "na\xc3\xafve \xf0\x9f\xa6\x80",
        "\xff",
        "\xff\xfe",
        "\xff\xfe\xfd",
        "\xff\xfe\xfd\xfc",
        "\x01\x1f\x7f",
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct span line = span(lines[i], strlen(lines[i]));
        struct dead_letter d = quarantined(line);

        read_it(printed(&d));
        EQ_SPAN(line, l.text);
        EQ_SPAN(line, l.is.line);
        OK(l.is_whole && l.is.document.len == 0);
    }
    struct dead_letter d = quarantined(span("a\0b", 3));
    read_it(printed(&d));
    EQ_SPAN(span("a\0b", 3), l.text);
    OK(l.is_whole);
    cleanup();
}

TEST(a_line_of_which_the_head_was_kept_is_not_whole)
{
    size_t n = 300000;
    char *text = xmalloc(n);
    struct dead_letter d;

    memset(text, 'x', n);
    d = quarantined(span(text, n));
    read_it(printed(&d));
    OK(!l.is_whole);
    EQ(n, l.is.length);
    text[0] = '\xff';
    read_it(printed(&d));
    OK(!l.is_whole);
    free(text);
    cleanup();
}

TEST(a_document_that_was_corrected_by_hand_is_whole)
{
    struct dead_letter d = refused();
    struct span text = printed(&d);
    char *at = memmem(text.at, text.len, "Metadata", 8);

    OK(at != NULL);
    memcpy(at, "Requests", 8);
    read_it(text);
    OK(l.is_whole);
    cleanup();
}

TEST(what_is_no_record_is_told_of)
{
    HAS(why_not(SPAN("")), "not a JSON object");
    HAS(why_not(SPAN("{\"kind\":")), "ends inside");
    HAS(why_not(SPAN("{\"kind\":\"\xff\"}")), "not UTF-8");
    HAS(why_not(SPAN("{\"kind\":\f\"a\"}")), "not strictly JSON");
    HAS(why_not(SPAN("{}")), "kind, reason, trail or file is missing");
    HAS(why_not(SPAN("{\"kind\":\"a\",\"reason\":\"b\",\"trail\":\"c\","
                     "\"file\":\"d\\u0000\"}")),
        "kind, reason, trail or file is missing");
    HAS(why_not(SPAN("{\"kind\":\"a\",\"reason\":\"b\",\"trail\":\"c\","
                     "\"file\":\"d\",\"offset\":-1}")),
        "offset, length or status is no number");
    HAS(why_not(SPAN("{\"kind\":\"a\",\"reason\":\"b\",\"trail\":\"c\","
                     "\"file\":\"d\",\"offset\":1}")),
        "it has no sha256");
    HAS(why_not(SPAN("{\"kind\":\"a\",\"reason\":\"b\",\"trail\":\"c\","
                     "\"file\":\"d\",\"sha256\":\"0000000000000000000000000000"
                     "000000000000000000000000000000000000\"}")),
        "there is no document and no line");
    cleanup();
}

/* ---- as a parser ---- */

static unsigned by_name(void *arg, const char *trail)
{
    (void)arg;
    return strcmp(trail, "other") == 0; /* json, not audit */
}

static struct parser *p;
static struct event ev;

static int run(const struct dead_letter *d)
{
    if (p == NULL)
        p = letter_parser_new(by_name, NULL);
    return letter_parser.run(p, printed(d), &ev);
}

static void done(void)
{
    letter_parser.close(p);
    p = NULL;
    cleanup();
}

TEST(the_event_of_a_refused_one_keeps_its_id)
{
    struct dead_letter d = refused();

    EQ(0, run(&d));
    EQ_SPAN(SPAN(ID), ev.id);
    EQ_SPAN(d.document, ev.body);
    EQ(clock_parse(SPAN("2026-11-23T17:00:03.406123Z")), ev.time_us);
    EQ_SPAN(SPAN(EVENT "}"), ev.identity);
    done();
}

TEST(an_event_without_a_time_has_the_one_it_was_filed_under)
{
    struct dead_letter d = refused();

    d.document = SPAN("{\"@timestamp\":\"2026-01-02T03:04:05.000006Z\","
                      "\"level\":\"x\",\"auditID\":\"a\",\"stage\":\"y\"}");
    EQ(0, run(&d));
    EQ(clock_parse(SPAN("2026-01-02T03:04:05.000006Z")), ev.time_us);
    done();
}

TEST(a_line_is_given_to_the_parser_of_its_trail)
{
    struct dead_letter d = quarantined(SPAN("{\"no\":\"audit event\"}"));

    EQ(0, run(&d));
    EQ_SPAN(d.line, ev.line);
    OK(ev.id.len == 0);
    d.trail = "audit";
    EQ(ERR_FORMAT, run(&d));
    HAS(letter_parser.why(p), "it has no level");
    d.trail = "other";
    EQ(0, run(&d));
    done();
}

TEST(what_is_not_whole_is_no_event)
{
    size_t n = 70000;
    char *text = xmalloc(n);
    struct dead_letter d;

    memset(text, ' ', n);
    memcpy(text, "{}", 2);
    d = quarantined(span(text, n));
    EQ(ERR_FORMAT, run(&d));
    HAS(letter_parser.why(p), "only its head was kept");
    free(text);
    done();
}

/* ---- once more ---- */

static struct buf again;

static void print_again(const struct dead_letter *d)
{
    again.len = 0;
    if (reader == NULL)
        reader = letter_reader_new();
    letter_print_again(reader, d, span(record.at, record.len - 1), &again);
    OK(again.len > 0 && again.at[again.len - 1] == '\n');
}

static const struct dead_letter of_the_lane = {
    .kind = "refused",
    .reason = "a new one",
    .trail = "replay",
    .output = "search",
    .file = "/state/dead/search.ndjson",
    .offset = 12345,
    .length = 3,
    .status = 404,
};

TEST(what_is_refused_again_keeps_where_it_came_from)
{
    struct dead_letter d = refused(), new = of_the_lane;

    new.id = SPAN(ID);
    new.document = SPAN("{\"changed\":true}");
    (void)printed(&d);
    print_again(&new);
    read_it(span(again.at, again.len - 1));
    EQ_STR("refused", l.is.kind);
    EQ_STR("a new one", l.is.reason);
    EQ_STR("audit", l.is.trail);
    EQ_STR(d.file, l.is.file);
    OK(l.is.offset == UINT64_MAX);
    EQ(17, l.is.length);
    EQ(404, l.is.status);
    EQ_SPAN(SPAN(ID), l.is.id);
    EQ_SPAN(new.document, l.text);
    buf_free(&again);
    cleanup();
}

TEST(a_document_that_is_no_event_now_stays_whole)
{
    struct dead_letter d = refused(), new = of_the_lane;

    new.kind = "quarantined";
    new.status = 0;
    (void)printed(&d);
    new.line = span(record.at, record.len - 1);
    print_again(&new);
    read_it(span(again.at, again.len - 1));
    EQ_STR("quarantined", l.is.kind);
    EQ_STR("a new one", l.is.reason);
    EQ(0, l.is.status);
    EQ_SPAN(SPAN(ID), l.is.id);
    EQ_SPAN(d.document, l.is.document);
    buf_free(&again);
    cleanup();
}

TEST(a_line_that_is_still_no_event_is_kept_as_it_was)
{
    struct dead_letter d = quarantined(SPAN("\xffhalf")), new = of_the_lane;

    new.kind = "quarantined";
    (void)printed(&d);
    new.line = span(record.at, record.len - 1);
    print_again(&new);
    read_it(span(again.at, again.len - 1));
    EQ_STR("a new one", l.is.reason);
    EQ_STR("other", l.is.trail);
    EQ_STR("/f", l.is.file);
    EQ_SPAN(SPAN("\xffhalf"), l.text);
    OK(l.is_whole);
    buf_free(&again);
    cleanup();
}

TEST(a_record_of_which_nothing_can_be_made_is_kept)
{
    struct dead_letter new = of_the_lane;

    new.kind = "quarantined";
    buf_printf(&record, "{\"half\n");
    new.line = span(record.at, record.len - 1);
    print_again(&new);
    read_it(span(again.at, again.len - 1));
    EQ_STR("replay", l.is.trail);
    EQ_SPAN(SPAN("{\"half"), l.text);
    buf_free(&again);
    cleanup();
}

TEST(a_head_alone_stays_the_record_it_is)
{
    size_t n = 70000;
    char *text = xmalloc(n);
    struct dead_letter d, new = of_the_lane;

    memset(text, 'x', n);
    d = quarantined(span(text, n));
    new.kind = "quarantined";
    (void)printed(&d);
    new.line = span(record.at, record.len - 1);
    print_again(&new);
    EQ_SPAN(span(record.at, record.len), span(again.at, again.len));
    free(text);
    buf_free(&again);
    cleanup();
}
