/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/lane/dead.h"
#include "agent/ops/buried.h"
#include "test/unit/unit.h"

static struct buf out;

static struct span id_in(const struct dead_letter *d)
{
    out.len = 0;
    dead_print(d, &out);
    return buried_id(span(out.at, out.len));
}

static struct dead_letter letter(const char *document, const char *id)
{
    return (struct dead_letter){
        .kind = "refused",
        .reason = "it says ,\"id\":\"no\"",
        .trail = "audit",
        .output = "search",
        .file = "/var/log/audit.log",
        .id = span(id, strlen(id)),
        .document = span(document, strlen(document)),
    };
}

TEST(the_id_of_a_record_is_found)
{
    struct dead_letter d = letter("{\"a\":1,\"id\":\"theirs\"}", "ours");

    EQ_SPAN(SPAN("ours"), id_in(&d));
    buf_free(&out);
}

/* A client could write one into its document. */
TEST(an_id_within_the_document_is_none)
{
    struct dead_letter d = letter("{\"a\":1,\"id\":\"theirs\"}", "");

    EQ(0, id_in(&d).len);
    d.document = SPAN("");
    d.line = SPAN("x,\"id\":\"theirs\",\"document\":");
    EQ(0, id_in(&d).len);
    EQ(0, buried_id(SPAN("{\"time\":\"...\",\"id\":\"")).len);
    buf_free(&out);
}

TEST(all_files_of_an_output_are_read_and_none_is_no_fault)
{
    char *dir = xprintf("%s/dead", unit_dir());
    char *path = xprintf("%s/search.ndjson", dir);
    struct dead_letter d = letter("{}", "first");
    struct idset *ids = idset_new(BURIED_MOST);
    struct err e = { 0 };
    FILE *f;

    EQ(0, buried_read(ids, unit_dir(), "search", &e));
    EQ(0, mkdir(dir, 0700));
    f = fopen(path, "w");
    (void)id_in(&d);
    fwrite(out.at, 1, out.len, f);
    d.id = SPAN("second");
    (void)id_in(&d);
    fwrite(out.at, 1, out.len, f);
    fclose(f);
    EQ(0, buried_read(ids, unit_dir(), "search", &e));
    OK(idset_has(ids, SPAN("first")) && idset_has(ids, SPAN("second")));
    OK(!idset_has(ids, SPAN("third")));
    idset_free(ids);
    buf_free(&out);
    free(path);
    free(dir);
}
