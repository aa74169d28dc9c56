/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup - makes a cluster ready for an output's events: templates, lifecycle
 * policy, data stream, dashboards. Run again it changes what has to be changed,
 * and nothing that somebody else did.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/show.h"
#include "agent/cli/setup_run.h"
#include "agent/cli/target.h"
#include "outputs/elasticsearch/hosts.h"

#define DAY_MS UINT64_C(86400000)

struct setup_args {
    struct target_args target;
    const char *retention;
    uint64_t retention_ms;
    const char *dashboards;
    bool dry_run, force, json;
};

/* ---- what came of it ---- */

static const char *word_of(const struct setup *s, enum setup_outcome outcome)
{
    static const char *const words[] = {
        [SETUP_CREATED] = "created",     [SETUP_UPDATED] = "updated",
        [SETUP_UNCHANGED] = "unchanged", [SETUP_SKIPPED] = "skipped",
        [SETUP_REFUSED] = "refused",     [SETUP_FAILED] = "failed",
    };

    if (s->dry_run && outcome == SETUP_CREATED)
        return "would create";
    if (s->dry_run && outcome == SETUP_UPDATED)
        return "would update";
    return words[outcome];
}

/* Of the longest name, so that the outcomes stand below each other. */
static int name_width(const struct setup *s)
{
    size_t width = strlen("tallyman-settings"), own = strlen(s->place.own);

    return (int)(own > width ? own : width);
}

static void print_step(const struct setup *s, const struct setup_step *step)
{
    struct buf shown = { 0 };

    show_add(&shown, span(step->name, strlen(step->name)));
    printf("%-18s  %-*.*s  %s%s%s\n", step->title, name_width(s),
           (int)shown.len, shown.at, word_of(s, step->outcome),
           step->why[0] != '\0' ? ": " : "", step->why);
    fflush(stdout); /* the next one may take its time */
    buf_free(&shown);
}

void setup_step(struct setup *s, const char *title, const char *name,
                enum setup_outcome outcome, const char *format, ...)
{
    struct setup_step *step = &s->steps[s->nsteps];
    va_list args;

    if (s->nsteps == SETUP_STEPS_MAX)
        abort();
    s->nsteps++;
    va_start(args, format);
    if (vasprintf(&step->why, format, args) < 0)
        abort();
    va_end(args);
    step->title = title;
    step->name = xstrdup(name);
    step->outcome = outcome;
    if (!s->json)
        print_step(s, step);
}

static size_t count(const struct setup *s, enum setup_outcome outcome)
{
    size_t n = 0;

    for (size_t i = 0; i < s->nsteps; i++)
        n += s->steps[i].outcome == outcome;
    return n;
}

static void print_end(const struct setup *s)
{
    size_t changes = count(s, SETUP_CREATED) + count(s, SETUP_UPDATED);
    size_t left = count(s, SETUP_REFUSED) + count(s, SETUP_FAILED);

    if (left > 0)
        printf("%zu not done\n", left);
    else if (changes == 0)
        puts("nothing to do");
    else if (s->dry_run)
        puts("dry run: nothing was changed");
    else
        puts("done");
}

static void add_member(struct buf *b, const char *before, const char *name,
                       const char *value)
{
    buf_printf(b, "%s\"%s\":\"", before, name);
    buf_add_json(b, span(value, strlen(value)));
    buf_printf(b, "\"");
}

static void print_json(const struct setup *s)
{
    struct buf b = { 0 };

    add_member(&b, "{", "product", product_title(&s->ask.product));
    add_member(&b, ",", "version", s->ask.product.version);
    add_member(&b, ",", "target", elasticsearch_target(s->settings));
    buf_printf(&b, ",\"dry_run\":%s,\"steps\":[",
               s->dry_run ? "true" : "false");
    for (size_t i = 0; i < s->nsteps; i++) {
        const struct setup_step *step = &s->steps[i];

        add_member(&b, i > 0 ? ",{" : "{", "what", step->title);
        add_member(&b, ",", "name", step->name);
        add_member(&b, ",", "outcome", word_of(s, step->outcome));
        add_member(&b, ",", "why", step->why);
        buf_printf(&b, "}");
    }
    buf_printf(&b, "]}\n");
    fwrite(b.at, 1, b.len, stdout);
    buf_free(&b);
}

/* ---- what is asked for ---- */

static int read_retention(struct setup_args *args)
{
    static const struct opt row = OPT_DURATION(
        struct setup_args, retention_ms, .min = DAY_MS, .max = 36500 * DAY_MS);
    struct err e = { 0 };

    if (args->retention == NULL ||
        opt_set(&row, args, args->retention, &e) == 0)
        return EXIT_OK;
    return cli_misuse("setup", "--retention: '%s' %s", args->retention, e.text);
}

static int check_dashboards(const char *where)
{
    const char *wrong = NULL;

    if (where != NULL && strstr(where, "://") != NULL)
        wrong = hosts_check_url(where);
    if (wrong == NULL)
        return EXIT_OK;
    /* Not the URL itself: what is wrong may be that it has a password. */
    return cli_misuse("setup", "--dashboards: the URL %s", wrong);
}

/* Both are what the server says of itself. */
static void print_product(const struct setup *s)
{
    const struct product *p = &s->ask.product;
    struct buf shown = { 0 };

    if (p->version[0] != '\0') {
        buf_printf(&shown, " ");
        show_add(&shown, span(p->version, strlen(p->version)));
    }
    if (p->cluster[0] != '\0') {
        buf_printf(&shown, ", cluster ");
        show_add(&shown, span(p->cluster, strlen(p->cluster)));
    }
    printf("%s%.*s\n", product_title(p), (int)shown.len,
           shown.at != NULL ? shown.at : "");
    buf_free(&shown);
}

static int work(struct setup *s)
{
    if (ask_product(&s->ask) != 0) {
        fprintf(stderr, "tallyman setup: %s\n", s->ask.why);
        return EXIT_FAILED;
    }
    if (!s->json)
        print_product(s);
    setup_objects(s);
    setup_dashboards(s);
    if (s->json)
        print_json(s);
    else
        print_end(s);
    return count(s, SETUP_REFUSED) + count(s, SETUP_FAILED) > 0 ? EXIT_FAILED
                                                                : EXIT_OK;
}

static int run(const struct setup_args *args, const struct target *t)
{
    struct setup s = {
        .settings = t->output->conf,
        .dry_run = args->dry_run,
        .force = args->force,
        .json = args->json,
        .retention_ms = args->retention_ms,
        .dashboards = args->dashboards,
    };
    struct err e = { 0 };
    int rc = EXIT_FAILED;

    if (place_of(s.settings, &s.place, &e) != 0) {
        fprintf(stderr, "tallyman setup: %s\n", e.text);
        return EXIT_CONFIG;
    }
    if (ask_open(&s.ask, s.settings, &e) == 0)
        rc = work(&s);
    else
        fprintf(stderr, "tallyman setup: %s\n", e.text);
    ask_close(&s.ask);
    for (size_t i = 0; i < s.nsteps; i++) {
        free(s.steps[i].name);
        free(s.steps[i].why);
    }
    place_free(&s.place);
    return cli_flush("setup") != EXIT_OK ? EXIT_FAILED : rc;
}

static int setup(int argc, char **argv)
{
    struct setup_args args = { 0 };
    const struct cli_flag flags[] = {
        TARGET_FLAGS(&args.target),
        { "--retention", &args.retention, NULL },
        { "--dashboards", &args.dashboards, NULL },
        { "--dry-run", NULL, &args.dry_run },
        { "--force", NULL, &args.force },
        { "--json", NULL, &args.json },
        { NULL, NULL, NULL },
    };
    struct target t;
    int rc = cli_parse(argc, argv, flags, NULL);

    if (rc == EXIT_OK)
        rc = read_retention(&args);
    if (rc == EXIT_OK)
        rc = check_dashboards(args.dashboards);
    if (rc == EXIT_OK)
        rc = target_open(&t, "setup", &args.target, "elasticsearch");
    if (rc != EXIT_OK)
        return rc;
    rc = run(&args, &t);
    target_close(&t);
    return rc;
}

extern const struct command command_setup;

const struct command command_setup = {
    .name = "setup",
    .help = "make a cluster ready: templates, lifecycle, dashboards",
    .usage =
        " [-c FILE] [--output NAME] [OPTION...]\n"
        "       tallyman setup --hosts URL[,URL...] [OPTION...]\n\n"
        "Makes what an output of type elasticsearch needs in its cluster: "
        "component\ntemplates and an index template for its index or data "
        "stream, a lifecycle policy\n(ILM of Elasticsearch, ISM of "
        "OpenSearch), the data stream itself, dashboards.\nRun again it "
        "updates what is its own and leaves what somebody changed.\n\n"
        "  -c FILE            the configuration; default\n"
        "                     " CLI_DEFAULT_CONF "\n"
        "  --output NAME      which output, where there are several\n"
        "  --hosts URL,...    a cluster, with every option at its default, "
        "instead\n"
        "  --retention TIME   how long an event is kept at least, as 90d; "
        "default 365d,\n"
        "                     or what an earlier setup was told\n"
        "  --dashboards WHERE Kibana or OpenSearch Dashboards, by URL; or a "
        "file to write\n"
        "                     them to, to be imported by hand\n"
        "  --dry-run          only say what would be done\n"
        "  --force            overwrite what somebody changed, or a newer "
        "tallyman made\n"
        "  --json             report as one JSON object\n\n"
        "Exit codes: 0 done, or nothing to do; what a server does not have is "
        "skipped.\n1 something failed or was refused, 2 wrong command line, 3 "
        "wrong configuration.\n",
    .run = setup,
};
