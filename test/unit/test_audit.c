/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "test/unit/unit.h"

static const struct parser_ops *ops;
static struct parser *p;
static struct event ev;

/* ---- how often memory is asked for ---- */

static unsigned long allocations;

#ifdef __SANITIZE_ADDRESS__
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifdef HAS_SANITIZER
int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void *, size_t),
    void (*on_free)(const volatile void *));

static void count_one(const volatile void *at, size_t n)
{
    (void)at;
    (void)n;
    allocations++;
}

static void count_none(const volatile void *at)
{
    (void)at;
}

static void count_allocations(void)
{
    OK(__sanitizer_install_malloc_and_free_hooks(count_one, count_none) > 0);
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
    allocations++;
    return __libc_calloc(n, each);
}

void *realloc(void *at, size_t n)
{
    allocations++;
    return __libc_realloc(at, n);
}

static void count_allocations(void)
{
}
#endif

/* ---- lines ---- */

static void start(void)
{
    for (size_t i = 0; parsers[i] != NULL; i++) {
        if (strcmp(parser_names[i], "audit") == 0)
            ops = parsers[i];
    }
    OK(ops != NULL);
    p = ops->open();
}

static void stop(void)
{
    ops->close(p);
}

static int run(struct span line)
{
    return ops->run(p, line, &ev);
}

static int run_text(const char *line)
{
    return run(span(line, strlen(line)));
}

static void has(enum event_field field, const char *want)
{
    OK(ev.field[field].at != NULL);
    EQ_SPAN(span(want, strlen(want)), ev.field[field]);
}

static struct buf file;

static void load(const char *path)
{
    FILE *f = fopen(path, "rb");

    file.len = 0;
    if (f == NULL)
        FAIL("%s: %m", path);
    while (!feof(f))
        file.len += fread(buf_room(&file, 65536), 1, 65536, f);
    fclose(f);
}

/* The line from `*at` on, which moves behind it. */
static struct span next_line(size_t *at)
{
    const char *from = file.at + *at;
    const char *end = memchr(from, '\n', file.len - *at);

    OK(end != NULL);
    *at = (size_t)(end - file.at) + 1;
    return span(from, (size_t)(end - from));
}

static const char event[] =
    "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":"
    "\"RequestResponse\",\"auditID\":\"5a0ff3f8\",\"stage\":"
    "\"ResponseComplete\",\"requestURI\":\"/api/v1/namespaces/shop/pods/"
    "web/exec?command=sh\",\"verb\":\"create\",\"user\":{\"username\":\"jai\","
    "\"uid\":\"7\",\"groups\":[\"dev\",\"a\\nb\"],\"extra\":{\"groups\":"
    "[\"no\"]}},\"sourceIPs\":[\"127.0.0.1\"],\"userAgent\":\"k\\\"x\","
    "\"objectRef\":{\"resource\":\"pods\",\"namespace\":\"shop\",\"name\":"
    "\"web\",\"uid\":\"1\",\"apiGroup\":\"apps\",\"apiVersion\":\"v1\","
    "\"resourceVersion\":\"3\",\"subresource\":\"exec\"},\"responseStatus\":"
    "{\"metadata\":{\"code\":1},\"status\":\"Failure\",\"message\":\"no\","
    "\"code\":403},\"requestObject\":[{\"op\":\"add\"}],\"responseObject\":"
    "{\"level\":{\"level\":1},\"user\":{\"username\":\"no\"}},"
    "\"requestReceivedTimestamp\":\"2026-11-23T17:00:03.406123Z\","
    "\"stageTimestamp\":\"2026-11-23T17:00:04.000001Z\",\"annotations\":"
    "{\"authorization.k8s.io/decision\":\"forbid\"}}";

TEST(every_field_is_found_exactly)
{
    start();
    EQ(0, run_text(event));
    has(EVENT_API_VERSION, "\"audit.k8s.io/v1\"");
    has(EVENT_LEVEL, "\"RequestResponse\"");
    has(EVENT_AUDIT_ID, "\"5a0ff3f8\"");
    has(EVENT_STAGE, "\"ResponseComplete\"");
    has(EVENT_REQUEST_URI,
        "\"/api/v1/namespaces/shop/pods/web/exec?command=sh\"");
    has(EVENT_VERB, "\"create\"");
    has(EVENT_USER, "{\"username\":\"jai\",\"uid\":\"7\",\"groups\":[\"dev\","
                    "\"a\\nb\"],\"extra\":{\"groups\":[\"no\"]}}");
    has(EVENT_USER_USERNAME, "\"jai\"");
    has(EVENT_USER_GROUPS, "[\"dev\",\"a\\nb\"]");
    has(EVENT_OBJECT_REF_RESOURCE, "\"pods\"");
    has(EVENT_OBJECT_REF_NAMESPACE, "\"shop\"");
    has(EVENT_OBJECT_REF_NAME, "\"web\"");
    has(EVENT_OBJECT_REF_API_GROUP, "\"apps\"");
    has(EVENT_OBJECT_REF_SUBRESOURCE, "\"exec\"");
    has(EVENT_RESPONSE_STATUS_CODE, "403");
    has(EVENT_REQUEST_OBJECT, "[{\"op\":\"add\"}]");
    has(EVENT_RESPONSE_OBJECT,
        "{\"level\":{\"level\":1},\"user\":{\"username\":\"no\"}}");
    has(EVENT_RECEIVED_TIMESTAMP, "\"2026-11-23T17:00:03.406123Z\"");
    has(EVENT_STAGE_TIMESTAMP, "\"2026-11-23T17:00:04.000001Z\"");
    has(EVENT_ANNOTATIONS, "{\"authorization.k8s.io/decision\":\"forbid\"}");
    OK(ev.field[EVENT_TIMESTAMP].at == NULL);
    OK(ev.field[EVENT_LEGACY_TIMESTAMP].at == NULL);
    EQ_SPAN(span(event, strlen(event)), ev.body);
    EQ_SPAN(span(event + 47, strlen(event) - 47), ev.identity);
    EQ(0, memcmp(ev.identity.at, "\"level\":", 8));
    EQ(INT64_C(1795453204000001), ev.time_us);
    stop();
}

TEST(events_of_all_versions_and_of_a_webhook_are_taken)
{
    start();
    EQ(0, run_text("{\"apiVersion\":\"audit.k8s.io/v1beta1\",\"level\":\"\","
                   "\"auditID\":\"\",\"stage\":\"\"}"));
    EQ(0, run_text("{\"apiVersion\":\"audit.k8s.io/v1alpha1\",\"level\":\"\","
                   "\"auditID\":\"\",\"stage\":\"\",\"timestamp\":"
                   "\"1970-01-01T00:00:01Z\"}"));
    EQ(1000000, ev.time_us);
    EQ(0, run_text("{\"level\":\"\",\"auditID\":\"\",\"stage\":\"\"}"));
    EQ(CLOCK_NO_TIME, ev.time_us);
    stop();
}

TEST(another_object_is_no_event)
{
    static const struct {
        const char *line;
        const char *why;
    } bad[] = {
        { "{}", "level" },
        { "{\"level\":\"info\",\"msg\":\"x\"}", "auditID" },
        { "{\"level\":\"x\",\"auditID\":\"x\"}", "stage" },
        { "{\"stage\":\"x\",\"auditID\":\"x\"}", "level" },
        { "{\"apiVersion\":\"v1\",\"level\":\"\",\"auditID\":\"\","
          "\"stage\":\"\"}",
          "apiVersion" },
        { "{\"apiVersion\":null,\"level\":\"\",\"auditID\":\"\","
          "\"stage\":\"\"}",
          "apiVersion" },
        { "{\"apiVersion\":\"audit.k8s.iox/v1\",\"level\":\"\","
          "\"auditID\":\"\",\"stage\":\"\"}",
          "apiVersion" },
        { "{\"items\":[{\"level\":\"\",\"auditID\":\"\",\"stage\":\"\"}]}",
          "level" },
    };

    start();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EQ(ERR_FORMAT, run_text(bad[i].line));
        HAS(ops->why(p), bad[i].why);
    }
    EQ(0, run_text(event));
    OK(ops->why(p) == NULL || strlen(ops->why(p)) > 0);
    stop();
}

TEST(the_stage_has_the_time_then_the_request)
{
    start();
    EQ(0, run_text("{\"level\":1,\"auditID\":2,\"stage\":3,\"timestamp\":"
                   "\"1970-01-01T00:00:03Z\",\"requestReceivedTimestamp\":"
                   "\"1970-01-01T00:00:02Z\",\"stageTimestamp\":"
                   "\"1970-01-01T00:00:01Z\"}"));
    EQ(1000000, ev.time_us);
    EQ(0, run_text("{\"level\":1,\"auditID\":2,\"stage\":3,\"timestamp\":"
                   "\"1970-01-01T00:00:03Z\",\"requestReceivedTimestamp\":"
                   "\"1970-01-01T00:00:02Z\",\"stageTimestamp\":null}"));
    EQ(2000000, ev.time_us);
    EQ(0, run_text("{\"level\":1,\"auditID\":2,\"stage\":3,"
                   "\"stageTimestamp\":\"yesterday\"}"));
    EQ(CLOCK_NO_TIME, ev.time_us);
    EQ(0, run_text("{\"level\":1,\"auditID\":2,\"stage\":3,"
                   "\"stageTimestamp\":\"1970-01-01T00:00:0\\u0031Z\"}"));
    EQ(CLOCK_NO_TIME, ev.time_us);
    EQ(0, run_text("{\"level\":1,\"auditID\":2,\"stage\":3,"
                   "\"stageTimestamp\":1700000000}"));
    EQ(CLOCK_NO_TIME, ev.time_us);
    stop();
}

TEST(a_line_cut_at_any_byte_is_refused_and_the_next_one_is_not)
{
    struct span line;
    size_t at = 0;

    start();
    load("test/samples/tutorial.log");
    line = next_line(&at);
    for (size_t n = 0; n < line.len; n++) {
        if (run(span(line.at, n)) != ERR_FORMAT)
            FAIL("taken when cut to %zu bytes", n);
        OK(strlen(ops->why(p)) > 0);
        if (run(line) != 0)
            FAIL("refused after a cut to %zu bytes: %s", n, ops->why(p));
        EQ(line.len, ev.body.len);
        EQ(0, memcmp(ev.field[EVENT_LEVEL].at, "\"Metadata\"", 10));
    }
    buf_free(&file);
    stop();
}

/* The end of one line that was lost takes the beginning of the next along. */
TEST(a_torn_line_glued_to_a_whole_one_is_refused)
{
    struct span line;
    struct buf glued = { 0 };
    size_t at = 0;

    start();
    load("test/samples/tutorial.log");
    line = next_line(&at);
    for (size_t n = 1; n < line.len; n += 3) {
        glued.len = 0;
        buf_add(&glued, line.at, n);
        buf_add_span(&glued, line);
        OK(run(span(glued.at, glued.len)) != 0);
        EQ(0, run(line));
    }
    buf_free(&glued);
    buf_free(&file);
    stop();
}

static unsigned read_all(const char *path)
{
    unsigned n = 0;

    load(path);
    for (size_t at = 0; at < file.len; n++) {
        struct span line = next_line(&at);

        if (run(line) != 0)
            FAIL("%s:%u: %s", path, n + 1, ops->why(p));
        OK(ev.body.at == line.at && ev.body.len == line.len);
        OK(ev.time_us != CLOCK_NO_TIME);
        EQ(0, memcmp(ev.identity.at, "\"level\":\"", 9));
        OK(ev.identity.at + ev.identity.len == line.at + line.len);
    }
    return n;
}

TEST(every_line_of_the_samples_is_an_event)
{
    start();
    EQ(1577, read_all("test/samples/tutorial.log"));
    EQ(666, read_all("test/samples/wide.log"));
    buf_free(&file);
    stop();
}

TEST(no_memory_is_asked_for_once_warmed_up)
{
    unsigned long before;

    start();
    count_allocations();
    load("test/samples/wide.log");
    before = allocations;
    free(xmalloc(1));
    OK(allocations > before);
    for (int round = 0; round < 3; round++) {
        before = allocations;
        for (size_t at = 0; at < file.len;) {
            if (run(next_line(&at)) != 0)
                FAIL("%s", ops->why(p));
        }
        if (round > 0)
            EQ(0, allocations - before);
    }
    buf_free(&file);
    stop();
}

TEST(instances_do_not_touch_each_other)
{
    struct parser *other;
    struct event second;

    start();
    other = ops->open();
    EQ(0, run_text(event));
    EQ(ERR_FORMAT, ops->run(other, SPAN("{\"level\":"), &second));
    has(EVENT_VERB, "\"create\"");
    EQ(0, run_text(event));
    EQ(0, ops->run(other, span(event, strlen(event)), &second));
    ops->close(other);
    stop();
}
