/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_dashboards - the saved objects of conf/dashboards, into Kibana or
 * OpenSearch Dashboards, or into a file.
 *
 * Both change saved objects as they take them in, so that nobody can tell what
 * a person changed. So what is there stays, unless --force says otherwise; the
 * mark in the main dashboard's description tells whether it is the present one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/show.h"
#include "agent/cli/setup_run.h"
#include "agent/setup/embedded.h"
#include "outputs/elasticsearch/hosts.h"

/* As conf/dashboards/generate.py writes them. */
#define MARK    "tallyman dashboards "
#define PATTERN "\"title\":\"auditing-*\""
#define OBJECTS                                                            \
    "{\"objects\":[{\"type\":\"dashboard\",\"id\":\"tallyman-overview\"}," \
    "{\"type\":\"index-pattern\",\"id\":\"tallyman-audit\"}],"             \
    "\"excludeExportDetails\":true}"

static const char title[] = "dashboards", name[] = "tallyman";

static bool is_elasticsearch(const struct setup *s)
{
    return s->ask.product.name == PRODUCT_ELASTICSEARCH;
}

static const char *console_of(const struct setup *s)
{
    return is_elasticsearch(s) ? "Kibana" : "OpenSearch Dashboards";
}

/* "title":"auditing-*" of the place that the events go to. */
static char *index_title(const struct setup *s)
{
    struct buf b = { 0 };

    buf_printf(&b, "\"title\":\"");
    buf_add_json(&b, span(s->place.title, strlen(s->place.title)));
    buf_add(&b, "\"", 2);
    return b.at;
}

/* The saved objects, for this place. */
static void add_objects(const struct setup *s, struct buf *out)
{
    struct span text = embedded(
        is_elasticsearch(s) ? "dashboards/kibana.ndjson"
                            : "dashboards/opensearch-dashboards.ndjson");
    const char *at = memmem(text.at, text.len, PATTERN, sizeof(PATTERN) - 1);
    char *own = index_title(s);
    size_t before;

    if (at == NULL)
        abort(); /* the generator and this do not agree */
    before = (size_t)(at - text.at);
    buf_add(out, text.at, before);
    buf_add(out, own, strlen(own));
    before += sizeof(PATTERN) - 1;
    buf_add(out, text.at + before, text.len - before);
    free(own);
}

/* "tallyman dashboards 0123456789abcdef" */
static struct span mark_of(struct span text)
{
    const char *at = memmem(text.at, text.len, MARK, sizeof(MARK) - 1);
    size_t len = sizeof(MARK) - 1 + OBJECT_HASH_SIZE - 1;

    if (at == NULL || len > text.len - (size_t)(at - text.at))
        return SPAN("");
    return span(at, len);
}

/* ---- into a file ---- */

static void into_file(struct setup *s, const struct buf *objects)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (s->force ? O_TRUNC : O_EXCL);
    int fd;

    if (s->dry_run) {
        setup_step(s, title, name, SETUP_CREATED, "as a file");
        return;
    }
    fd = open(s->dashboards, flags, 0644);
    if (fd < 0 && errno == EEXIST) {
        setup_step(s, title, name, SETUP_REFUSED,
                   "the file is there; --force overwrites it");
    } else if (fd < 0 || file_write_all(fd, objects->at, objects->len) != 0) {
        setup_step(s, title, name, SETUP_FAILED, "the file: %m");
    } else {
        setup_step(s, title, name, SETUP_CREATED,
                   "as a file: import it in %s, under Management, Saved "
                   "Objects",
                   console_of(s));
    }
    if (fd >= 0)
        close(fd);
}

/* ---- into Kibana ---- */

static void failed(struct setup *s, const struct ask *a)
{
    if (a->status == 404)
        setup_step(s, title, name, SETUP_FAILED, "%s: is this the URL of %s?",
                   a->why, console_of(s));
    else if (a->status == 403)
        setup_step(s, title, name, SETUP_FAILED, "%s (it takes %s)", a->why,
                   is_elasticsearch(s)
                       ? "all of Saved Objects Management in that space"
                       : "write access to that tenant");
    else
        setup_step(s, title, name, SETUP_FAILED, "%s", a->why);
}

static struct span answer_of(const struct ask *a)
{
    return span(a->request.answer.at, a->request.answer.len);
}

static bool says(struct span s, const char *text)
{
    return s.len > 0 && memmem(s.at, s.len, text, strlen(text)) != NULL;
}

static void import(struct setup *s, struct ask *a, const struct buf *objects,
                   bool there)
{
    struct buf body = { 0 };

    buf_printf(&body, "--" HTTP_BOUNDARY "\r\nContent-Disposition: form-data; "
                      "name=\"file\"; filename=\"tallyman.ndjson\"\r\n"
                      "Content-Type: application/ndjson\r\n\r\n");
    buf_add(&body, objects->at, objects->len);
    buf_printf(&body, "\r\n--" HTTP_BOUNDARY "--\r\n");
    ask_as(a, HTTP_POST,
           s->force ? "/api/saved_objects/_import?overwrite=true"
                    : "/api/saved_objects/_import?overwrite=false",
           HTTP_CONSOLE_FORM, span(body.at, body.len));
    buf_free(&body);
    if (a->status != 200) {
        failed(s, a);
    } else if (says(answer_of(a), "\"success\":true")) {
        setup_step(s, title, name, there ? SETUP_UPDATED : SETUP_CREATED, "%s",
                   there ? "by --force" : "");
    } else if (says(answer_of(a), "\"conflict\"")) {
        setup_step(s, title, name, SETUP_REFUSED,
                   "some of their parts are there already; --force "
                   "overwrites those");
    } else {
        struct buf shown = { 0 };
        struct span answer = answer_of(a);

        show_add(&shown, span(answer.at, answer.len < 500 ? answer.len : 500));
        setup_step(s, title, name, SETUP_FAILED, "%s said: %.*s", console_of(s),
                   (int)shown.len, shown.at);
        buf_free(&shown);
    }
}

/* Whether the dashboards there are these, for this place. */
static bool is_present(const struct setup *s, struct span answer,
                       const struct buf *objects)
{
    struct span have = mark_of(answer);
    struct span mine = mark_of(span(objects->at, objects->len));
    char *own = index_title(s);
    bool same = have.len == mine.len && have.len > 0 &&
                memcmp(have.at, mine.at, mine.len) == 0 && says(answer, own);

    free(own);
    return same;
}

static void into_console(struct setup *s, struct ask *a,
                         const struct buf *objects)
{
    static const char older[] =
        "there are others of tallyman's, for another index or by another "
        "version; --force overwrites them, with what somebody changed";
    unsigned status = ask_as(a, HTTP_POST, "/api/saved_objects/_export",
                             HTTP_CONSOLE_JSON, SPAN(OBJECTS));

    /* 400: some of them are not there. */
    if (status != 200 && status != 400)
        failed(s, a);
    else if (status == 200 && is_present(s, answer_of(a), objects))
        setup_step(s, title, name, SETUP_UNCHANGED, "%s", "");
    else if (status == 200 && !s->force)
        setup_step(s, title, name, SETUP_REFUSED, "%s", older);
    else if (s->dry_run)
        setup_step(s, title, name,
                   status == 200 ? SETUP_UPDATED : SETUP_CREATED, "%s",
                   status == 200 ? "by --force" : "");
    else
        import(s, a, objects, status == 200);
}

/* It lets in whom the cluster lets in. */
static void ask_console(struct setup *s, const struct buf *objects)
{
    char *url = xstrdup(s->dashboards);
    struct elasticsearch_settings settings = *s->settings;
    struct err e = { 0 };
    struct ask a;

    settings.hosts = (struct opt_list){ &url, 1 };
    /* These are of the cluster's own servers. */
    settings.unix_socket = NULL;
    settings.discover = OPT_FALSE;
    settings.tls.ca_fingerprint = NULL;
    settings.tls.server_name = NULL;
    if (ask_open(&a, &settings, &e) != 0) {
        setup_step(s, title, name, SETUP_FAILED, "%s", e.text);
    } else {
        into_console(s, &a, objects);
        ask_close(&a);
    }
    free(url);
}

void setup_dashboards(struct setup *s)
{
    struct buf objects = { 0 };

    if (s->dashboards == NULL) {
        setup_step(s, title, name, SETUP_SKIPPED,
                   "--dashboards takes the URL of %s, or a file to write "
                   "them to",
                   console_of(s));
        return;
    }
    add_objects(s, &objects);
    if (strstr(s->dashboards, "://") != NULL)
        ask_console(s, &objects);
    else
        into_file(s, &objects);
    buf_free(&objects);
}
