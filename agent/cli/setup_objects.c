/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_objects - asks the cluster for each object, and makes those that are
 * missing or old.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/cli/setup_run.h"
#include "agent/setup/embedded.h"

static const char changed[] =
    "somebody changed it since tallyman made it; --force overwrites that";
static const char foreign[] =
    "it is there, and tallyman did not make it; --force overwrites it";
static const char newer[] = "a newer tallyman made it; --force overwrites it";

/* What a user has to be allowed, by the product's own names. */
static const struct {
    const char *elasticsearch, *opensearch;
} privileges[] = {
    [OBJECT_COMPONENT] = { "cluster privilege manage_index_templates",
                           "action group cluster_manage_index_templates" },
    [OBJECT_INDEX] = { "cluster privilege manage_index_templates",
                       "action group cluster_manage_index_templates" },
    [OBJECT_ILM] = { "cluster privilege manage_ilm", "" },
    [OBJECT_ISM] = { "", "cluster permission "
                         "cluster:admin/opendistro/ism/policy/*" },
};

static struct span answer_of(const struct ask *a)
{
    return span(a->request.answer.at, a->request.answer.len);
}

static bool says(const struct ask *a, const char *text)
{
    struct span s = answer_of(a);

    return s.len > 0 && memmem(s.at, s.len, text, strlen(text)) != NULL;
}

/* Whether the last answer says that the server has no such API: 405 and 410
 * do; older ones take it for an index. */
static bool is_lacking(const struct ask *a)
{
    if (a->status == 405 || a->status == 410)
        return true;
    return (a->status == 400 || a->status == 404) &&
           (says(a, "no handler found for uri") ||
            says(a, "api_not_available_exception") ||
            says(a, "no such index [_"));
}

static bool is_elasticsearch(const struct setup *s)
{
    return s->ask.product.name == PRODUCT_ELASTICSEARCH;
}

static bool is_ok(unsigned status)
{
    return status >= 200 && status < 300;
}

/* ---- one object ---- */

/* `needed`: what it takes to be allowed. */
static void tell_error(struct setup *s, const char *title, const char *name,
                       const char *needed)
{
    bool forbidden = s->ask.status == 403;

    setup_step(s, title, name, SETUP_FAILED, "%s%s%s%s", s->ask.why,
               forbidden ? " (it takes the " : "", forbidden ? needed : "",
               forbidden ? ")" : "");
}

static void fail(struct setup *s, const struct wanted *w)
{
    if (s->ask.status == 400 && says(&s->ask, "unknown field [data_stream]")) {
        setup_step(s, w->title, w->name, SETUP_FAILED,
                   "this server has no data streams: use an index");
        return;
    }
    tell_error(s, w->title, w->name,
               is_elasticsearch(s) ? privileges[w->kind].elasticsearch
                                   : privileges[w->kind].opensearch);
}

static void lacking(struct setup *s, const struct wanted *w)
{
    bool is_policy = w->kind == OBJECT_ILM || w->kind == OBJECT_ISM;

    if (is_policy)
        s->no_lifecycle = true;
    if (!is_policy)
        setup_step(s, w->title, w->name, SETUP_FAILED,
                   "this server is too old: index templates came with "
                   "Elasticsearch 7.8");
    else if (s->ask.product.serverless)
        setup_step(s, w->title, w->name, SETUP_SKIPPED,
                   "a serverless project keeps data by a setting of the "
                   "data stream");
    else
        setup_step(s, w->title, w->name, SETUP_SKIPPED,
                   "this server has no %s: old indices stay until somebody "
                   "deletes them",
                   is_elasticsearch(s) ? "ILM (/_ilm)"
                                       : "ISM (/_plugins/_ism)");
}

/* Fills `there`. 0, ERR_MISSING where the cluster has none, or ERR_IO, which
 * has been told. */
static int look(struct setup *s, const struct wanted *w, struct object *there)
{
    struct ask *a = &s->ask;
    unsigned status = ask(a, HTTP_GET, w->path, NULL);
    int rc;

    if (is_lacking(a)) {
        lacking(s, w);
        return ERR_IO;
    }
    if (status == 404)
        return ERR_MISSING;
    if (status != 200) {
        fail(s, w);
        return ERR_IO;
    }
    rc = object_read(w->kind, answer_of(a), there);
    if (rc == 0)
        return 0;
    setup_step(s, w->title, w->name, SETUP_FAILED,
               "the answer to GET %s cannot be read: %s", w->path,
               err_text(rc));
    return ERR_IO;
}

/* `there`: NULL where there is none. ISM changes a policy only for those who
 * know its present form; a template that is new must be. */
static bool put(struct setup *s, const struct wanted *w, const char *stored,
                const struct object *there)
{
    bool is_policy = w->kind == OBJECT_ILM || w->kind == OBJECT_ISM;
    struct buf body = { 0 };
    char *path;

    if (w->kind == OBJECT_ISM && there != NULL)
        path = xprintf("%s?if_seq_no=%" PRIu64 "&if_primary_term=%" PRIu64,
                       w->path, there->seq_no, there->primary_term);
    else
        path = xprintf("%s%s", w->path,
                       there == NULL && !is_policy ? "?create=true" : "");
    wanted_body(w, stored, &body);
    ask(&s->ask, HTTP_PUT, path, &(struct span){ body.at, body.len });
    buf_free(&body);
    free(path);
    return is_ok(s->ask.status);
}

/* Writes it, and where the server gives it back in a form that we do not know,
 * notes that form in the mark. */
static void write_it(struct setup *s, const struct wanted *w,
                     const struct object *there, const char *why)
{
    enum setup_outcome outcome = there == NULL ? SETUP_CREATED : SETUP_UPDATED;
    struct object now;
    int rc = 0;

    if (!s->dry_run) {
        if (!put(s, w, w->hash, there)) {
            fail(s, w);
            return;
        }
        rc = look(s, w, &now);
        if (rc == ERR_IO)
            return; /* told */
        if (rc == 0 && strcmp(now.hash, w->hash) != 0 &&
            !put(s, w, now.hash, &now)) {
            fail(s, w);
            return;
        }
    }
    setup_step(s, w->title, w->name, outcome, "%s", why);
}

static void judge(struct setup *s, const struct wanted *w,
                  const struct object *there, const char *note)
{
    static const char *const reasons[] = {
        [WANTED_CHANGED] = changed,
        [WANTED_FOREIGN] = foreign,
        [WANTED_NEWER] = newer,
    };
    enum wanted_verdict verdict = wanted_judge(w, there);

    if (verdict == WANTED_KEEP)
        setup_step(s, w->title, w->name, SETUP_UNCHANGED, "%s", note);
    else if (verdict == WANTED_CREATE || verdict == WANTED_UPDATE)
        write_it(s, w, there, note);
    else if (s->force)
        write_it(s, w, there, "by --force");
    else
        setup_step(s, w->title, w->name, SETUP_REFUSED, "%s", reasons[verdict]);
}

/* ---- all of them ---- */

/* The type of fields whose keys clients choose; some servers come without the
 * module. */
static const char *probe_flat(struct setup *s)
{
    const char *flat = wanted_flat(&s->ask.product);
    char *name = xprintf("templates/flat/%s.json", flat);
    struct span type = embedded(name);
    struct buf body = { 0 };

    buf_printf(&body,
               "{\"index_patterns\":[\"tallyman-probe-*\"],\"template\":{"
               "\"mappings\":{\"properties\":{\"probe\":%.*s}}}}",
               (int)type.len, type.at);
    ask(&s->ask, HTTP_POST, "/_index_template/_simulate",
        &(struct span){ body.at, body.len });
    if (says(&s->ask, "No handler for type"))
        flat = "none";
    buf_free(&body);
    free(name);
    return flat;
}

static void object(struct setup *s, enum wanted_what what,
                   struct wanted_how *how)
{
    static const char not_found[] =
        "without a flat type here, what is in bodies and annotations is kept "
        "and not found";
    bool worse = what == WANTED_EVENT && strcmp(how->flat, "none") == 0;
    struct object there;
    struct wanted w;
    int rc;

    wanted_make(&w, what, how);
    rc = look(s, &w, &there);
    if (rc == 0 && what == WANTED_POLICY && s->retention_ms == 0 &&
        wanted_retention(&there) > 0) {
        how->retention_ms = wanted_retention(&there);
        wanted_free(&w);
        wanted_make(&w, what, how);
    }
    if (rc == 0 || rc == ERR_MISSING)
        judge(s, &w, rc == 0 ? &there : NULL, worse ? not_found : "");
    wanted_free(&w);
}

/* ---- what events are written to ---- */

static char *path_of(const char *before, const char *name, const char *after)
{
    struct buf b = { 0 };

    buf_printf(&b, "%s", before);
    place_add_url(&b, name);
    buf_printf(&b, "%s", after);
    buf_add(&b, "", 1);
    return b.at;
}

static void data_stream(struct setup *s)
{
    static const char title[] = "data stream";
    const char *name = s->place.name;
    char *path = path_of("/_data_stream/", name, "");
    unsigned status = ask(&s->ask, HTTP_GET, path, NULL);

    if (is_lacking(&s->ask))
        setup_step(s, title, name, SETUP_SKIPPED,
                   "this server has no /_data_stream: it is made with the "
                   "first event");
    else if (status == 200)
        setup_step(s, title, name, SETUP_UNCHANGED, "%s", "");
    else if (status == 404 &&
             (s->dry_run || is_ok(ask(&s->ask, HTTP_PUT, path, NULL))))
        setup_step(s, title, name, SETUP_CREATED, "%s", "");
    else
        tell_error(s, title, name,
                   is_elasticsearch(s)
                       ? "index privilege create_index"
                       : "permissions indices:admin/data_stream/get and "
                         "/create");
    free(path);
}

/* An alias needs a first index behind it. */
static bool make_alias(struct setup *s)
{
    const char *name = s->place.name;
    char *path = path_of("/", name, "-000001");
    struct buf body = { 0 };

    buf_printf(&body, "{\"aliases\":{\"");
    buf_add_json(&body, span(name, strlen(name)));
    buf_printf(&body, "\":{\"is_write_index\":true}}}");
    ask(&s->ask, HTTP_PUT, path, &(struct span){ body.at, body.len });
    buf_free(&body);
    free(path);
    return is_ok(s->ask.status);
}

static void alias(struct setup *s)
{
    static const char title[] = "write alias";
    const char *name = s->place.name;
    char *path = path_of("/_alias/", name, "");
    char *index = path_of("/", name, "");

    if (ask(&s->ask, HTTP_GET, path, NULL) == 200)
        setup_step(s, title, name, SETUP_UNCHANGED, "%s", "");
    else if (s->ask.status == 404 && ask(&s->ask, HTTP_GET, index, NULL) == 200)
        setup_step(s, title, name, SETUP_SKIPPED,
                   "it is an index and no alias: it will never be rolled over "
                   "or deleted");
    else if (s->ask.status == 404 && (s->dry_run || make_alias(s)))
        setup_step(s, title, name, SETUP_CREATED, "%s", "");
    else
        tell_error(s, title, name,
                   is_elasticsearch(s) ? "index privilege manage"
                                       : "action group manage");
    free(path);
    free(index);
}

void setup_objects(struct setup *s)
{
    struct wanted_how how = {
        .place = &s->place,
        .product = &s->ask.product,
        .retention_ms =
            s->retention_ms > 0 ? s->retention_ms : WANTED_RETENTION_DEFAULT,
    };

    how.flat = probe_flat(s);
    for (enum wanted_what what = 0; what < WANTED_N; what++) {
        how.lifecycle = !s->no_lifecycle;
        object(s, what, &how);
    }
    if (s->steps[s->nsteps - 1].outcome == SETUP_FAILED)
        return; /* without its template it would be made wrong */
    if (s->place.way == PLACE_STREAM)
        data_stream(s);
    else if (s->place.way == PLACE_ALIAS)
        alias(s);
}
