/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/lane/checkpoint.h"
#include "agent/ops/resume.h"
#include "test/unit/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct trail_conf conf = { .path = "", .max_line = MIB };
static char *paths[3];
static char *dir;
static uv_loop_t loop;
static struct trail *t;
static struct resume place;
static bool goes_on;

static void start(void)
{
    struct err e = { 0 };

    EQ(0, uv_loop_init(&loop));
    t = trail_open_files(&loop, "ship", &conf, paths, 3, &e);
    if (t == NULL)
        FAIL("%s", e.text);
    if (resume_open(&place, dir, "ship", "search", &e) != 0 ||
        resume_check(&place, t, &goes_on, &e) != 0)
        FAIL("%s", e.text);
}

/* As a lane would: at that offset of the n-th file. */
static void save(unsigned n, uint64_t offset)
{
    struct checkpoint c = { .last_us = CLOCK_NO_TIME };
    struct file *f = trail_oldest(t);
    struct buf text = { 0 };

    while (n-- > 0)
        f = trail_after(f);
    checkpoint_take(&c, f, offset);
    checkpoint_print(&c, &text);
    EQ(0, file_replace(place.state.dir, place.checkpoint,
                       span(text.at, text.len), NULL));
    checkpoint_free(&c);
    buf_free(&text);
}

static void stop(void)
{
    resume_close(&place);
    trail_close(t);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
}

static void restart(void)
{
    stop();
    start();
}

static bool is_there(const char *name)
{
    return faccessat(place.state.dir, name, F_OK, 0) == 0;
}

static void begin(void)
{
    logs_prepare();
    logs_add("a", "a1\na2\n");
    logs_add("b", "b1\nb2\n");
    logs_add("c", "c1\nc2\n");
    paths[0] = xstrdup(logs_path("a"));
    paths[1] = xstrdup(logs_path("b"));
    paths[2] = xstrdup(logs_path("c"));
    dir = xprintf("%s/state/deep/down", unit_dir());
    start();
}

TEST(the_first_time_it_begins_at_the_start)
{
    struct stat st;

    begin();
    OK(!goes_on);
    OK(is_there("lock") && is_there("ship.search.files"));
    EQ(0, stat(dir, &st));
    EQ(0700, st.st_mode & 07777);
    stop();
}

TEST(it_goes_on_in_the_same_files)
{
    begin();
    save(1, 3);
    restart();
    OK(goes_on);
    OK(is_there("ship.search.checkpoint"));
    restart();
    OK(goes_on);
    stop();
}

TEST(a_file_before_the_place_that_has_grown_begins_anew)
{
    begin();
    save(1, 3);
    logs_add("a", "a3\n");
    restart();
    OK(!goes_on);
    OK(!is_there("ship.search.checkpoint"));
    restart();
    OK(!goes_on);
    stop();
}

TEST(another_file_before_the_place_begins_anew)
{
    begin();
    save(2, 0);
    logs_delete("b");
    logs_add("b", "B1\nb2\n");
    restart();
    OK(!goes_on);
    stop();
}

TEST(what_comes_after_the_place_may_change)
{
    begin();
    save(1, 3);
    logs_add("b", "b3\n");
    logs_delete("c");
    logs_add("c", "other\n");
    restart();
    OK(goes_on);
    stop();
}

TEST(the_file_at_the_place_may_not_be_another)
{
    begin();
    save(1, 3);
    logs_delete("b");
    logs_add("b", "B1\nb2\n");
    restart();
    OK(!goes_on);
    stop();
}

TEST(damaged_memories_begin_anew)
{
    char *path = xprintf("%s/ship.search.checkpoint", dir);

    begin();
    save(1, 3);
    free(path);
    path = xprintf("%s/ship.search.checkpoint", dir);
    EQ(0, truncate(path, 20));
    restart();
    OK(!goes_on);
    save(1, 3);
    free(path);
    path = xprintf("%s/ship.search.files", dir);
    EQ(0, truncate(path, 20));
    restart();
    OK(!goes_on);
    free(path);
    stop();
}

TEST(it_is_held_by_one_at_a_time)
{
    struct resume other;
    struct err e = { 0 };

    begin();
    EQ(ERR_BUSY, resume_open(&other, dir, "ship", "search", &e));
    HAS(e.text, "in use by another tallyman, process ");
    resume_close(&other);
    stop();
}

TEST(what_is_done_leaves_nothing)
{
    begin();
    save(1, 3);
    save(2, 3);
    resume_note_lost(&place);
    resume_forget(&place);
    stop();
    EQ(-1, access(dir, F_OK));
}

TEST(dead_letters_stay)
{
    begin();
    save(1, 3);
    EQ(0, mkdirat(place.state.dir, "dead", 0700));
    resume_forget(&place);
    OK(is_there("dead"));
    OK(!is_there("lock") && !is_there("ship.search.checkpoint") &&
       !is_there("ship.search.files"));
    stop();
}

TEST(a_loss_is_remembered_until_it_begins_anew)
{
    begin();
    OK(!place.has_lost);
    save(1, 3);
    resume_note_lost(&place);
    restart();
    OK(goes_on && place.has_lost);
    logs_add("a", "a3\n");
    restart();
    OK(!goes_on && !place.has_lost);
    stop();
}

TEST(a_place_has_a_name_for_its_files_and_its_output)
{
    const struct output_ops *ops = outputs_find("elasticsearch");
    struct conf *one = conf_new_output("search", ops);
    struct conf *two = conf_new_output("search", ops);
    const struct opt *hosts = opt_find(ops->opts, SPAN("hosts"));
    const struct opt *key = opt_find(ops->opts, SPAN("api_key"));
    struct err e;
    char *name, *other;

    logs_prepare();
    logs_add("a", "a\n");
    logs_add("b", "b\n");
    paths[0] = xstrdup(logs_path("a"));
    paths[1] = xstrdup(logs_path("b"));
    EQ(0, opt_add(hosts, one->outputs[0].conf, "http://one:9200", &e));
    EQ(0, opt_add(hosts, two->outputs[0].conf, "http://one:9200", &e));
    name = resume_name(&one->outputs[0], paths, 2);
    EQ(16, strlen(name));
    if (key != NULL) /* a secret does not matter */
        EQ(0, opt_set(key, two->outputs[0].conf, "c2VjcmV0", &e));
    other = resume_name(&two->outputs[0], paths, 2);
    EQ_STR(name, other);
    free(other);
    other = resume_name(&one->outputs[0], paths, 1);
    OK(strcmp(name, other) != 0);
    free(other);
    paths[2] = paths[0];
    other = resume_name(&one->outputs[0], paths + 1, 2);
    OK(strcmp(name, other) != 0); /* another order */
    free(other);
    EQ(0, opt_add(hosts, two->outputs[0].conf, "http://two:9200", &e));
    other = resume_name(&two->outputs[0], paths, 2);
    OK(strcmp(name, other) != 0);
    free(other);
    free(name);
    conf_free(one);
    conf_free(two);
}
