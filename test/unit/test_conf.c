/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/conf.h"

#include <ctype.h>
#include <unistd.h>

#include "agent/ops/expand.h"
#include "agent/ops/tree.h"
#include "test/unit/unit.h"

/* What a reader says of a text; parse() frees the one before. */
static char *said;
static struct conf *conf;

static struct conf *parse_span(struct span text)
{
    size_t size;
    FILE *errors;

    conf_free(conf);
    free(said);
    errors = open_memstream(&said, &size);
    conf = conf_parse("x", text, errors);
    fclose(errors);
    return conf;
}

static struct conf *parse(const char *text)
{
    return parse_span(span(text, strlen(text)));
}

static void done(void)
{
    conf_free(conf);
    free(said);
    conf = NULL;
    said = NULL;
}

#define HEAD                        \
    "state_dir: /s\n"               \
    "trails:\n"                     \
    "  audit: {path: /audit.log}\n" \
    "outputs:\n"

/* `lines` of an output of type elasticsearch; the first is line 8. */
static const char *said_of_search(const char *lines)
{
    char *text = xprintf(HEAD "  search:\n"
                              "    type: elasticsearch\n"
                              "    hosts: [http://a:1]\n"
                              "%s",
                         lines);

    parse(text);
    free(text);
    return said;
}

/* No such text in what was said. */
#define HAS_NOT(text, part) OK(strstr(text, part) == NULL)

static void write_file(const char *name, const char *text, char path[200])
{
    FILE *f;

    snprintf(path, 200, "%s/%s", unit_dir(), name);
    f = fopen(path, "w");
    OK(f != NULL);
    fputs(text, f);
    fclose(f);
}

/* A file of the project, wherever the test runs. */
static char *project_file(const char *name)
{
    char *path = xstrdup(__FILE__), *text, *end = strstr(path, "test/unit/");
    size_t n;
    FILE *f;

    OK(end != NULL);
    *end = '\0';
    text = xprintf("%s%s", path, name);
    f = fopen(text, "r");
    if (f == NULL)
        FAIL("cannot open %s: %m", text);
    free(path);
    free(text);
    text = xcalloc(1, 65536);
    n = fread(text, 1, 65535, f);
    OK(n > 0 && n < 65535);
    fclose(f);
    return text;
}

TEST(conf_fills_what_a_file_says_and_the_defaults)
{
    OK(parse("state_dir: /s\n"
             "drain_timeout: 5s\n"
             "trails:\n"
             "  audit:\n"
             "    path: /audit.log\n"
             "    start: end\n"
             "  more: {path: /more.log, parser: json}\n"
             "outputs:\n"
             "  search:\n"
             "    type: elasticsearch\n"
             "    hosts: http://a:1\n"
             "    trails: [audit]\n"
             "    memory: 1GiB\n"
             "  console: {type: stdout, format: json}\n") != NULL);
    EQ_STR("", said);
    EQ_STR("/s", conf->agent.state_dir);
    EQ(5000, conf->agent.drain_timeout);
    EQ(2, conf->ntrails);
    EQ_STR("audit", conf->trails[0].name);
    EQ(START_END, conf->trails[0].conf.start);
    EQ(0, conf->trails[0].conf.parser);
    EQ(1, conf->trails[1].conf.parser);
    EQ(64 * MIB, conf->trails[1].conf.max_line);
    EQ(2, conf->noutputs);
    EQ_STR("elasticsearch", conf->outputs[0].ops->name);
    EQ(1024 * MIB, conf->outputs[0].lane.memory);
    EQ(50, conf->outputs[0].lane.linger);
    OK(conf_output_wants(&conf->outputs[0], "audit"));
    OK(!conf_output_wants(&conf->outputs[0], "more"));
    OK(conf_output_wants(&conf->outputs[1], "more"));
    done();
}

TEST(conf_takes_json)
{
    OK(parse("{\"state_dir\": \"/s\", \"trails\": {\"a\": {\"path\": \"/a\"}},"
             " \"outputs\": {\"o\": {\"type\": \"stdout\"}}}") != NULL);
    done();
}

TEST(conf_says_all_mistakes_in_the_order_of_the_file)
{
    OK(parse("log_level: inof\n"
             "trails:\n"
             "  a: {path: b}\n"
             "outputs:\n"
             "  o: {type: file}\n"
             "nonsense: 1\n") == NULL);
    EQ_STR("x:1:1: state_dir: is missing; it is required\n"
           "x:1:12: log_level: 'inof' is not error, warn, info or debug; "
           "did you mean 'info'?\n"
           "x:3:13: trails.a.path: 'b' is not an absolute path\n"
           "x:5:3: outputs.o.path: is missing; it is required\n"
           "x:6:1: nonsense: unknown option; the top level has trails, "
           "outputs, state_dir, drain_timeout, log_level\n",
           said);
    done();
}

TEST(conf_knows_whose_option_a_key_is)
{
    HAS(said_of_search("    idnex: x\n"),
        "x:8:5: outputs.search.idnex: unknown option, did you mean 'index'?");
    HAS(said_of_search("    max_size: 5\n"),
        "x:8:5: outputs.search.max_size: 'max_size' is an option of retention and of "
        "file, not of elasticsearch");
    HAS(said_of_search("    poll: 5s\n"), "is an option of a trail, not of");
    HAS(said_of_search("    ca_file: /x\n"), "is an option of tls, not of");
    HAS(said_of_search("    log_level: info\n"), "of the top level, not of");
    HAS(said_of_search("    tls: {ca: /x}\n"),
        "x:8:11: outputs.search.tls.ca: unknown option");
    parse(HEAD "  o: {type: file, path: /x, index: y}\n");
    HAS(said, "'index' is an option of elasticsearch, not of file");
    parse(HEAD "  o: {type: stdout}\nlinger: 5s\n");
    HAS(said, "'linger' is an option of an output, not of the top level");
    done();
}

TEST(conf_says_what_a_value_should_be)
{
    HAS(said_of_search("    memory: [1MiB]\n"),
        "x:8:13: outputs.search.memory: must be a size, such as 64KiB or "
        "2MiB, not a list");
    HAS(said_of_search("    linger: {a: b}\n"),
        "must be a duration, such as 50ms or 1s, not a mapping");
    HAS(said_of_search("    linger: 1\n"), "'1' has no unit: ms, s, m, h or d");
    HAS(said_of_search("    memory: 1TiB\n"),
        "'1TiB' is not a size, such as 500 (bytes), 64KiB, 2MiB or 1GiB");
    HAS(said_of_search("    in_flight: 257\n"),
        "'257' is out of bounds: 1 to 256");
    HAS(said_of_search("    memory: 1KiB\n"), "out of bounds: 64KiB to 16GiB");
    HAS(said_of_search("    tls: /x\n"), "must be a mapping of options");
    HAS(said_of_search("    trails: []\n"), "must have at least one value");
    HAS(said_of_search("    trails: [[audit]]\n"),
        "x:8:14: outputs.search.trails[0]: must be text, not a list");
    done();
}

TEST(conf_takes_no_value_for_a_mistake)
{
    HAS(said_of_search("    index:\n"), ".index: has no value");
    HAS(said_of_search("    index: ~\n"), ".index: has no value");
    HAS(said_of_search("    index: null\n"), ".index: has no value");
    HAS(said_of_search("    index: ''\n"), ".index: the value is empty");
    HAS(said_of_search("    tls:\n"), ".tls: has nothing in it");
    done();
}

TEST(conf_refuses_a_key_that_is_there_twice)
{
    HAS(said_of_search("    index: a\n    linger: 1s\n    index: a\n"),
        "x:10:5: outputs.search.index: is here twice, first in line 8");
    parse("state_dir: /s\nstate_dir: /t\n");
    HAS(said, "x:2:1: state_dir: is here twice, first in line 1");
    parse(HEAD "  o: {type: stdout}\n  o: {type: stdout}\n");
    HAS(said, "x:6:3: outputs.o: is here twice, first in line 5");
    done();
}

TEST(conf_lists_the_types_of_output)
{
    parse(HEAD "  o: {type: elastic, hosts: x, linger: y}\n");
    HAS(said, "x:5:13: outputs.o.type: 'elastic' is not elasticsearch, file "
              "or stdout; did you mean 'elasticsearch'?");
    HAS(said, "outputs.o.linger: 'y' is not a duration");
    HAS_NOT(said, "hosts");
    parse(HEAD "  o: {linger: 1s}\n");
    HAS(said, "x:5:3: outputs.o.type: is missing; it is required: "
              "elasticsearch, file or stdout");
    done();
}

TEST(conf_wants_trails_and_outputs)
{
    parse("state_dir: /s\n");
    HAS(said, "x:1:1: trails: is missing; there must be at least one");
    HAS(said, "x:1:1: outputs: is missing; there must be at least one");
    parse("state_dir: /s\ntrails: {}\noutputs:\n");
    HAS(said, "x:2:1: trails: is empty");
    HAS(said, "x:3:1: outputs: has nothing in it");
    parse("state_dir: /s\ntrails: [a]\noutputs: b\n");
    HAS(said, "x:2:9: trails: must be a mapping of names, not a list");
    HAS(said, "x:3:10: outputs: must be a mapping of names, not text");
    done();
}

TEST(conf_matches_trails_and_outputs)
{
    HAS(said_of_search("    trails: [audit, audti]\n"),
        "x:8:21: outputs.search.trails: no trail is called 'audti', did you "
        "mean 'audit'?");
    parse("state_dir: /s\ntrails: {a: {path: /a}, b: {path: /b}}\n"
          "outputs: {o: {type: stdout, trails: b}}\n");
    HAS(said, "x:2:10: trails.a: no output takes this trail");
    HAS_NOT(said, "trails.b");
    done();
}

TEST(conf_refuses_names_that_make_no_file_names)
{
    parse("state_dir: /s\ntrails: {Audit: {path: /a}, -a: {path: /b}, "
          "'../x': {path: /c}, '': {path: /d}}\n");
    HAS(said, "x:2:10: trails.Audit: a name is a-z, 0-9, _ and -,");
    HAS(said, "trails.-a: a name is");
    HAS(said, "trails.../x: a name is");
    HAS(said, "trails.: a name is");
    done();
}

TEST(conf_takes_what_the_api_server_keeps)
{
    OK(parse("state_dir: /s\n"
             "trails: {a: {path: /a, pin_max_bytes: 0, retention: "
             "{max_size: 100MiB, max_backups: 10, max_age: 30d}}}\n"
             "outputs: {o: {type: stdout}}\n") != NULL);
    EQ(100 * MIB, conf->trails[0].conf.retention.max_size);
    EQ(10, conf->trails[0].conf.retention.max_backups);
    EQ(INT64_C(30) * 86400000, conf->trails[0].conf.retention.max_age);
    EQ(0, conf->trails[0].conf.pin_max_bytes);
    OK(parse(HEAD "  o: {type: stdout}\n") != NULL);
    EQ(0, conf->trails[0].conf.retention.max_backups);
    EQ(1024 * MIB, conf->trails[0].conf.pin_max_bytes);
    parse("state_dir: /s\n"
          "trails:\n"
          "  a:\n"
          "    path: /a\n"
          "    max_age: 30d\n"
          "    retention: {max_age: 30, maxsize: 1, max_backups: 1KiB}\n"
          "    pin_max_bytes: 1GB\n"
          "outputs: {o: {type: stdout}}\n");
    HAS(said, "x:5:5: trails.a.max_age: 'max_age' is an option of retention, "
              "not of a trail");
    HAS(said, "x:6:26: trails.a.retention.max_age: '30' has no unit: ");
    HAS(said, "x:6:30: trails.a.retention.maxsize: unknown option, did you "
              "mean 'max_size'?");
    HAS(said, "trails.a.retention.max_backups: '1KiB' is not a whole number");
    HAS(said, "trails.a.pin_max_bytes: '1GB' is not a size");
    done();
}

TEST(conf_keeps_outputs_from_sharing)
{
    parse(HEAD "  a: {type: stdout}\n  b: {type: stdout}\n");
    HAS(said, "x:6:3: outputs.b: there is one standard output, and output 'a' "
              "has it");
    parse(HEAD "  a: {type: file, path: /x}\n  b: {type: file, path: /x}\n");
    HAS(said, "x:6:19: outputs.b.path: output 'a' writes this file already");
    parse(HEAD "  a: {type: file, path: /audit.log}\n");
    HAS(said, "outputs.a.path: this is the log that trail 'audit' reads");
    parse("state_dir: /s\ntrails: {a: {path: /a}, b: {path: /b}}\n"
          "outputs: {f: {type: file, path: /f}}\n");
    HAS(said, "x:3:27: outputs.f.path: one file takes one trail, not 2; put "
              "{trail} into the path, or give each trail an output");
    done();
}

/* A configuration with these trails and outputs. */
static const char *said_of(const char *trails, const char *outs)
{
    char *text =
        xprintf("state_dir: /s\ntrails:\n%soutputs:\n%s", trails, outs);

    parse(text);
    free(text);
    return said;
}

TEST(conf_gives_each_trail_a_file)
{
    EQ_STR("", said_of("  a: {path: /a}\n  b: {path: /b}\n",
                       "  f: {type: file, path: '/f/{trail}.log'}\n"));
    EQ_STR("", said_of("  a: {path: /log/*.log}\n",
                       "  f: {type: file, path: '/f/{trail}.log'}\n"));
    HAS(said_of("  a: {path: /log/*.log}\n", "  f: {type: file, path: /f}\n"),
        "x:5:19: outputs.f.path: one file takes one trail, and trail 'a' may "
        "be several; put {trail} into the path");
    HAS(said_of("  a: {path: /a}\n",
                "  f: {type: file, path: '/f/{tail}.log'}\n"),
        "outputs.f.path: '/f/{tail}.log' has a placeholder that is not "
        "{trail}");
    HAS(said_of("  a: {path: /a}\n  b: {path: /b}\n",
                "  f: {type: file, path: /f/a}\n"
                "  g: {type: file, path: '/f/{trail}'}\n"),
        "outputs.g.path: output 'f' writes this file already");
    HAS(said_of("  a: {path: /a}\n  b: {path: /b}\n",
                "  f: {type: file, trails: a, path: '/f/{trail}'}\n"
                "  g: {type: file, trails: [a, b], path: '/f/{trail}'}\n"),
        "outputs.g.path: output 'f' writes this file already");
    EQ_STR("", said_of("  a: {path: /a}\n  b: {path: /b}\n",
                       "  f: {type: file, trails: a, path: '/f/{trail}'}\n"
                       "  g: {type: file, trails: b, path: '/f/{trail}'}\n"));
    done();
}

TEST(conf_refuses_to_read_what_it_writes)
{
    HAS(said_of("  a: {path: /log/*.log}\n",
                "  f: {type: file, path: '/log/{trail}.log'}\n"),
        "x:5:19: outputs.f.path: this is a log that trail 'a' reads");
    HAS(said_of("  a: {path: /log/*.log}\n  b: {path: /b}\n",
                "  o: {type: stdout, trails: a}\n"
                "  f: {type: file, trails: b, path: /log/x.log}\n"),
        "outputs.f.path: this is a log that trail 'a' reads");
    HAS(said_of("  a: {path: /log/a}\n",
                "  f: {type: file, path: '/log/{trail}'}\n"),
        "outputs.f.path: this is the log that trail 'a' reads");
    done();
}

TEST(conf_checks_patterns)
{
    EQ_STR("", said_of("  a: {path: '/l*/[a-c]?/x', max_matches: 5}\n",
                       "  o: {type: stdout}\n"));
    EQ(5, conf->trails[0].conf.max_matches);
    OK(trail_is_pattern(&conf->trails[0].conf));
    HAS(said_of("  a: {path: /log/**/x}\n", "  o: {type: stdout}\n"),
        "x:3:13: trails.a.path: '/log/**/x' has '**': a '*' goes through one "
        "directory only");
    HAS(said_of("  a: {path: '/log/[ab'}\n", "  o: {type: stdout}\n"),
        "trails.a.path: '/log/[ab' has a '[' without its ']'");
    HAS(said_of("  a: {path: /log/}\n", "  o: {type: stdout}\n"),
        "trails.a.path: '/log/' is a directory; it must be a file");
    HAS(said_of("  a: {path: '*.log'}\n", "  o: {type: stdout}\n"),
        "trails.a.path: '*.log' is not an absolute path");
    HAS(said_of("  a: {path: /log/*, max_matches: 0}\n",
                "  o: {type: stdout}\n"),
        "trails.a.max_matches: '0' is out of bounds: 1 to 100000");
    HAS(said_of("  a: {path: /log, max_matches: 7}\n", "  o: {type: stdout}\n"),
        "x:3:19: trails.a.max_matches: is for a path with wildcards");
    done();
}

TEST(conf_takes_standard_input_once)
{
    EQ_STR("", said_of("  a: {path: '-', max_line: 1MiB}\n  b: {path: /b}\n",
                       "  o: {type: stdout}\n"));
    OK(trail_is_stdin(&conf->trails[0].conf));
    OK(!trail_is_stdin(&conf->trails[1].conf));
    HAS(said_of("  a: {path: '-'}\n  b: {path: '-'}\n",
                "  o: {type: stdout}\n"),
        "x:4:7: trails.b.path: there is one standard input, and trail 'a' "
        "reads it");
    HAS(said_of("  a: {path: '-', start: end, pin_max_bytes: 0, "
                "retention: {max_age: 1d}}\n",
                "  o: {type: stdout}\n"),
        "x:3:18: trails.a.start: standard input has no checkpoint, and is "
        "read from where it is");
    HAS(said, "x:3:30: trails.a.pin_max_bytes: standard input is never "
              "rotated");
    HAS(said, "trails.a.retention: standard input is never rotated");
    HAS(said_of("  a: {path: '-', poll: 5s, quiet: 1s}\n",
                "  o: {type: stdout}\n"),
        "x:3:18: trails.a.poll: standard input is not looked at");
    HAS(said, "trails.a.quiet: standard input is never rotated");
    HAS(said_of("  a:\n    path: -\n", "  o: {type: stdout}\n"),
        "x:4:11: not YAML: a lone - has to be in quotes, as \"-\"");
    HAS(said_of("  a: {path: './x'}\n", "  o: {type: stdout}\n"),
        "'./x' is not an absolute path");
    HAS(said_of("  a: {path: /a}\n", "  f: {type: file, path: '-'}\n"),
        "'-' is not an absolute path");
    done();
}

TEST(conf_compares_bounds_of_a_lane)
{
    HAS(said_of_search("    memory: 1MiB\n"),
        "x:8:5: outputs.search.memory: 1MiB is less than batch_bytes, which "
        "is 2MiB");
    HAS(said_of_search("    backoff_min: 1m\n"),
        "x:8:5: outputs.search.backoff_max: 30s is less than backoff_min, "
        "which is 1m");
    done();
}

TEST(conf_names_the_place_where_it_is_no_yaml)
{
    parse("a: b\n\tc: d\n");
    EQ_STR("x:2:1: a tab stands here: indent YAML with spaces\n", said);
    parse("a: b\n c: d\n");
    HAS(said, "x:2:3: not YAML: ");
    parse("a: [b\n");
    HAS(said, "not YAML: did not find expected ',' or ']'");
    parse("a: {b: ${C}}\n");
    HAS(said, "x:1:9: not YAML: inside [ ] and { } a value with ${...} has to "
              "be in quotes");
    parse("a: \"\x01\"\n");
    HAS(said, "x:1:5: not YAML: control characters are not allowed");
    done();
}

TEST(conf_wants_one_document_of_text)
{
    parse("");
    EQ_STR("x:1:1: the file is empty\n", said);
    parse("# nothing\n");
    EQ_STR("x:1:1: the file is empty\n", said);
    parse("a: b\n---\nc: d\n");
    EQ_STR("x:2:1: a second document begins here; the configuration is one\n",
           said);
    parse("a: b\nc\xff: d\n");
    EQ_STR("x:2:2: not UTF-8 text\n", said);
    parse_span(SPAN("a: b\nc\0: d\n"));
    EQ_STR("x:2:2: a NUL byte\n", said);
    parse("[a, b]\n");
    EQ_STR("x:1:1: must be a mapping of options, not a list\n", said);
    done();
}

TEST(conf_refuses_a_file_that_is_too_large)
{
    struct buf text = { 0 };

    while (text.len <= MIB)
        buf_printf(&text, "# nothing to see here\n");
    parse_span(span(text.at, text.len));
    EQ_STR("x: larger than 1MiB; this is no configuration\n", said);
    buf_free(&text);
    done();
}

TEST(conf_takes_aliases)
{
    OK(parse("state_dir: &dir /s\n"
             "trails: {a: {path: *dir}}\n"
             "outputs:\n"
             "  a: &o {type: elasticsearch, hosts: [http://a:1]}\n"
             "  b: *o\n") != NULL);
    EQ_STR("/s", conf->trails[0].conf.path);
    EQ_STR("elasticsearch", conf->outputs[1].ops->name);
    done();
}

TEST(conf_bounds_aliases)
{
    parse("a: &a [x, x, x, x, x, x, x, x, x, x]\n"
          "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
          "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
          "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
          "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n");
    HAS(said, "more than 10000 values, aliases counted");
    parse("a: &a {b: *a}\n");
    EQ_STR("x:1:11: an alias inside of what it stands for\n", said);
    parse("a: *hunter2\n");
    HAS(said, "an alias without an anchor before it");
    HAS_NOT(said, "hunter2");
    done();
}

TEST(conf_refuses_depth_tags_and_merge_keys)
{
    parse("a: [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\n");
    HAS(said, "too deep");
    parse("state_dir: !hunter2 /s\n");
    HAS(said, "x:1:12: a YAML tag");
    HAS_NOT(said, "hunter2");
    parse("state_dir: /s\n<<: {log_level: info}\n");
    HAS(said, "x:2:1: merge keys (<<) are not supported");
    parse("? [a]\n: b\n");
    HAS(said, "x:1:3: a name must be text, not a list");
    done();
}

TEST(conf_shows_many_mistakes_but_not_all)
{
    struct buf text = { 0 };

    for (int i = 0; i < 500; i++)
        buf_printf(&text, "k%d: x\n", i);
    parse_span(span(text.at, text.len));
    HAS(said, "x: 403 more mistakes are not shown\n");
    buf_free(&text);
    done();
}

TEST(conf_escapes_what_it_quotes)
{
    parse("state_dir: \"/\\e[31m\\n\xe2\x80\xae\"\n\"k\\e\\n\": x\n");
    HAS(said, "state_dir: '/\\x1b[31m\\x0a\\xe2\\x80\\xae' holds a control");
    HAS(said, "k\\x1b\\x0a: unknown option");
    HAS_NOT(said, "\x1b");
    parse("log_level: 123456789012345678901234567890123456789012345678901234567"
          "89012345678901234567890\n");
    HAS(said, "...' is not");
    done();
}

TEST(conf_shows_no_secret)
{
    HAS(said_of_search("    password: [hunter2]\n"), "must be text");
    HAS_NOT(said, "hunter2");
    HAS(said_of_search("    password: \"hunter2\\n\"\n"), "the value holds");
    HAS_NOT(said, "hunter2");
    HAS(said_of_search("    password: x${hunter2!}\n"), "write $$");
    HAS_NOT(said, "hunter2");
    HAS(said_of_search("    hosts: ftp://me:hunter2@a:1\n"), "hosts");
    HAS_NOT(said, "hunter2");
    setenv("TALLYMAN_TEST_VALUE", "hunter2", 1);
    HAS(said_of_search("    memory: ${TALLYMAN_TEST_VALUE}\n"),
        "'${TALLYMAN_TEST_VALUE}' is not a size");
    HAS_NOT(said, "hunter2");
    done();
}

TEST(conf_expands_values)
{
    char path[200];
    char *text;

    write_file("dir", "/from/file\n", path);
    setenv("TALLYMAN_TEST_VALUE", "/${X}/$$", 1);
    text = xprintf("state_dir: ${file:%s}/x\n"
                   "trails: {a: {path: \"${TALLYMAN_TEST_VALUE}\"}, "
                   "b: {path: '/$$/$x$$$${y}'}}\n"
                   "outputs: {o: {type: stdout}}\n",
                   path);
    OK(parse(text) != NULL);
    EQ_STR("/from/file/x", conf->agent.state_dir);
    EQ_STR("/${X}/$$", conf->trails[0].conf.path);
    EQ_STR("/$/$x$${y}", conf->trails[1].conf.path);
    free(text);
    done();
}

TEST(conf_says_what_it_cannot_expand)
{
    unsetenv("TALLYMAN_TEST_VALUE");
    parse("state_dir: ${TALLYMAN_TEST_VALUE}\nlog_level: ${file:/no/such}\n");
    HAS(said, "x:1:12: state_dir: ${TALLYMAN_TEST_VALUE} is not set in the "
              "environment");
    HAS(said, "x:2:12: log_level: cannot open /no/such: No such file");
    parse("state_dir: ${A\nlog_level: ${A-b}\ndrain_timeout: ${file:x}\n");
    HAS(said, "x:1:12: state_dir: '${' without a '}'");
    HAS(said, "'${' begins neither ${VARIABLE} nor ${file:/path}");
    HAS(said, "the path in ${file:x} is not absolute");
    done();
}

TEST(expand_trims_one_newline_of_a_file)
{
    static const char *const cases[][2] = {
        { "a", "a" },     { "a\n", "a" }, { "a\n\n", "a\n" }, { "a\r\n", "a" },
        { "a\r", "a\r" }, { "\n", "" },   { "", "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 };
        char path[200], text[256];

        write_file("secret", cases[i][0], path);
        snprintf(text, sizeof(text), "${file:%s}", path);
        OK(expand(text, &out, NULL) == 0);
        EQ_STR(cases[i][1], out.at);
        buf_free(&out);
    }
}

TEST(conf_read_says_why_it_cannot)
{
    char path[200], *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);

    OK(conf_read("/no/such/file", errors) == NULL);
    OK(conf_read("/etc", errors) == NULL);
    write_file("conf", HEAD "  o: {type: stdout}\n", path);
    conf = conf_read(path, errors);
    OK(conf != NULL);
    fclose(errors);
    EQ_STR("/no/such/file: cannot be read: No such file or directory\n"
           "/etc: cannot be read: Is a directory\n",
           text);
    free(text);
    done();
}

/* Options that are commented out ("#key") become ones that are not. */
static void uncomment(char *text)
{
    bool margin = true;

    for (; *text != '\0'; text++) {
        if (margin && *text == '#' && isalpha((unsigned char)text[1]))
            memmove(text, text + 1, strlen(text));
        margin = *text == '\n' || (margin && *text == ' ');
    }
}

static void has_row(const struct node *section, const struct opt *row,
                    const char *file)
{
    const struct node *node = node_find(section, row->name);

    if (node == NULL)
        FAIL("%s lacks %s", file, row->name);
    if (row->def != NULL)
        EQ_STR(row->def, node->text);
    if (row->type != OPT_T_GROUP)
        return;
    for (row = row->group; row->name != NULL; row++)
        has_row(node, row, file);
}

static void has_rows(const struct node *section, const struct opt *table,
                     const char *file)
{
    for (; table->name != NULL; table++)
        has_row(section, table, file);
}

/* Every row of the tables is there, with its default. */
static void has_every_option(const struct node *root, const char *file)
{
    const struct node *all = node_find(root, "outputs");
    size_t found = 0;

    has_rows(root, agent_opts, file);
    has_rows(node_find(root, "trails")->values[0], trail_opts, file);
    has_rows(all->values[0], lane_opts, file);
    for (size_t i = 0; outputs[i] != NULL; i++) {
        for (size_t j = 0; j < all->n; j++) {
            const struct node *type = node_find(all->values[j], "type");

            if (strcmp(type->text, outputs[i]->name) != 0)
                continue;
            has_rows(all->values[j], outputs[i]->opts, file);
            found++;
        }
    }
    EQ(all->n, found);
}

static void shows_the_tables(char *text, const char *file)
{
    struct mistakes *m = mistakes_new(file);
    struct tree *tree;

    uncomment(text);
    tree = tree_read(span(text, strlen(text)), m);
    mistakes_print(m, stderr);
    OK(tree != NULL);
    has_every_option(tree_root(tree), file);
    parse(text);
    HAS_NOT(said, "unknown option");
    HAS_NOT(said, "is an option of");
    HAS_NOT(said, "is here twice");
    tree_free(tree);
    mistakes_free(m);
    done();
}

TEST(conf_tallyman_yaml_shows_every_option)
{
    char *text = project_file("conf/tallyman.yaml");

    shows_the_tables(text, "conf/tallyman.yaml");
    free(text);
}

TEST(conf_print_options_shows_every_option)
{
    size_t size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    conf_print_options(out);
    fclose(out);
    shows_the_tables(text, "the options");
    free(text);
}

TEST(conf_examples_are_right)
{
    char *text = project_file("conf/tallyman.yaml");

    parse(text);
    EQ_STR("", said);
    free(text);
    text = project_file("conf/minimal.yaml");
    parse(text);
    EQ_STR("", said);
    free(text);
    text = project_file("conf/tallyman-cluster.yaml");
    parse(text);
    HAS(said, "x:16:15: outputs.search.password: cannot open /etc/tallyman/");
    OK(strchr(said, '\n')[1] == '\0');
    free(text);
    done();
}

/* A name that is in two of the tables an output is read by would be read by
 * the first only. */
TEST(conf_tables_share_no_names)
{
    for (size_t i = 0; outputs[i] != NULL; i++) {
        EQ_STR(output_names[i], outputs[i]->name);
        for (const struct opt *o = outputs[i]->opts; o->name != NULL; o++) {
            OK(opt_find(lane_opts, span(o->name, strlen(o->name))) == NULL);
            OK(strcmp(o->name, "type") != 0);
        }
    }
}

TEST(what_an_elasticsearch_output_cannot_be_is_said)
{
    static const struct {
        const char *lines;
        const char *wrong; /* NULL: nothing */
    } rows[] = {
        { "    username: a\n    password: b\n", NULL },
        { "    username: a\n", "username needs a password" },
        { "    password: b\n", "password needs a username" },
        { "    username: a:b\n    password: c\n",
          "username may not hold a colon" },
        { "    api_key: x\n    bearer_token: y\n", "exclude each other" },
        { "    bearer_token: y\n    username: a\n    password: b\n",
          "exclude each other" },
        { "    api_key: x\n    aws: {region: eu-central-1, access_key_id: a, "
          "secret_access_key: b}\n",
          "exclude each other" },
        { "    bearer_token: \"a\\nb\"\n",
          "bearer_token: the value holds a control character" },
        { "    api_key: \"a\\rb\"\n",
          "api_key: the value holds a control character" },
        { "    aws: {access_key_id: a, secret_access_key: b}\n",
          "aws needs a region" },
        { "    aws: {session_token: a}\n", "aws needs a region" },
        { "    aws: {region: eu-central-1, access_key_id: a}\n",
          "go together" },
        { "    aws: {region: eu-central-1, session_token: a}\n",
          "needs an access_key_id" },
        { "    aws: {region: eu-central-1}\n", "AWS_ACCESS_KEY_ID" },
        { "    aws: {region: Frankfurt}\n", "is no region" },
        { "    aws: {region: eu-central-1, service: s3}\n", "es or aoss" },
        { "    aws: {region: eu-central-1, service: aoss, access_key_id: a, "
          "secret_access_key: b, session_token: c}\n",
          NULL },
        { "    tls: {ca_file: /a, ca_fingerprint: "
          "00112233445566778899aabbccddeeff"
          "00112233445566778899aabbccddeeff}\n",
          "exclude each other" },
        { "    tls: {ca_fingerprint: abc}\n", "is no SHA-256" },
        { "    tls: {cert_file: /a}\n", "needs a key_file" },
        { "    tls: {key_file: /a}\n", "needs a cert_file" },
        { "    tls: {key_password: a}\n", "needs a key_file" },
        { "    tls: {min_version: 1.1}\n", "1.2 or 1.3" },
        { "    tls: {server_name: \"a/b\"}\n", "is no host name" },
        { "    tls: {cert_file: /a, key_file: /b, key_password: c, "
          "server_name: es, min_version: 1.3}\n",
          NULL },
        { "    proxy: proxy:3128\n", "is neither none nor http://" },
        { "    proxy: http://u:p@proxy:3128\n", "may not hold credentials" },
        { "    proxy: http://proxy:3128/x\n", "is neither none nor http://" },
        { "    proxy_username: a\n", "go together" },
        { "    proxy: socks5h://proxy:1080\n    proxy_username: a\n"
          "    proxy_password: b\n",
          NULL },
        { "    unix_socket: run/es.sock\n", "absolute" },
        { "    unix_socket: /run/es.sock\n    proxy: http://p:1\n",
          "exclude each other" },
        { "    unix_socket: /run/es.sock\n    proxy: none\n", NULL },
        { "    unix_socket: /run/es.sock\n    discover: true\n",
          "exclude each other" },
        { "    discover: true\n    discover_interval: 10s\n", NULL },
        { "    discover_interval: 1ms\n", "discover_interval" },
        { "    data_stream: a\n    index: b\n", "exclude each other" },
        { "    data_stream: a\n    require_alias: true\n",
          "a data stream is no alias" },
    };

    unsetenv("AWS_ACCESS_KEY_ID");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        said_of_search(rows[i].lines);
        if (rows[i].wrong == NULL && *said != '\0')
            FAIL("%s: %s", rows[i].lines, said);
        if (rows[i].wrong != NULL && strstr(said, rows[i].wrong) == NULL)
            FAIL("%s: \"%s\", without \"%s\"", rows[i].lines, said,
                 rows[i].wrong);
    }
    done();
}

TEST(keys_of_aws_may_be_those_of_the_environment)
{
    OK(setenv("AWS_ACCESS_KEY_ID", "a", 1) == 0);
    OK(setenv("AWS_SECRET_ACCESS_KEY", "b", 1) == 0);
    EQ_STR("", said_of_search("    aws: {region: eu-central-1}\n"));
    done();
}
