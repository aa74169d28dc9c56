/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/trail/roll.h"
#include "agent/trail/watch.h"

struct trail_conf logs_conf;
struct trail *logs_trail;
struct cursor logs_cursor;
struct checkpoint logs_place;
bool logs_has_place;
const char *logs_state;

static uv_loop_t loop;
static struct watcher *watcher;
static int state;
static char dir[96], state_dir[96], live[128];

/* ---- the directory ---- */

void logs_prepare(void)
{
    snprintf(dir, sizeof(dir), "%s/log", unit_dir());
    snprintf(state_dir, sizeof(state_dir), "%s/state", unit_dir());
    snprintf(live, sizeof(live), "%s/audit.log", dir);
    logs_state = state_dir;
    EQ(0, mkdir(dir, 0755));
    EQ(0, mkdir(state_dir, 0755));
    EQ(0, chmod(unit_dir(), 0755));
    logs_conf = (struct trail_conf){ .path = live,
                                     .max_line = MIB,
                                     .poll = 1000,
                                     .quiet = 3600000,
                                     .pin_max_bytes = 1024 * MIB };
    logs_has_place = false;
    logs_place = (struct checkpoint){ .last_us = CLOCK_NO_TIME };
}

const char *logs_path(const char *name)
{
    static char text[4][256];
    static unsigned n;
    char *at = text[n++ % 4];

    if (name[0] == '/')
        return name;
    snprintf(at, 256, "%s/%s", dir, name);
    return at;
}

void logs_add_span(const char *name, struct span text)
{
    int fd = open(logs_path(name), O_CREAT | O_WRONLY | O_APPEND, 0644);

    OK(fd >= 0);
    EQ(text.len, write(fd, text.at, text.len));
    close(fd);
}

void logs_add(const char *name, const char *text)
{
    logs_add_span(name, span(text, strlen(text)));
}

void logs_move(const char *from, const char *to)
{
    EQ(0, rename(logs_path(from), logs_path(to)));
}

void logs_delete(const char *name)
{
    EQ(0, unlink(logs_path(name)));
}

void logs_cut(const char *name, uint64_t size)
{
    EQ(0, truncate(logs_path(name), (off_t)size));
}

void logs_load(const char *name, struct buf *text)
{
    int fd = open(logs_path(name), O_RDONLY);
    ssize_t n;

    OK(fd >= 0);
    do {
        buf_room(text, 65536);
        n = read(fd, text->at + text->len, 65536);
        OK(n >= 0);
        text->len += (size_t)n;
    } while (n > 0);
    close(fd);
}

void logs_zip(const char *name, const char *to)
{
    struct buf text = { 0 }, out = { 0 };
    struct isal_zstream z;

    logs_load(name, &text);
    buf_room(&out, 2 * text.len + 1024);
    isal_deflate_stateless_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.next_in = (uint8_t *)text.at;
    z.avail_in = (uint32_t)text.len;
    z.next_out = (uint8_t *)out.at;
    z.avail_out = (uint32_t)out.cap;
    z.end_of_stream = 1;
    EQ(COMP_OK, isal_deflate_stateless(&z));
    logs_add_span(to, span(out.at, z.total_out));
    buf_free(&text);
    buf_free(&out);
}

void logs_copy(const char *name, const char *to)
{
    struct buf text = { 0 };

    logs_load(name, &text);
    logs_add_span(to, span(text.at, text.len));
    buf_free(&text);
}

static const struct timespec old[2] = { { .tv_sec = 1000000000 },
                                        { .tv_sec = 1000000000 } };

void logs_age(const char *name)
{
    EQ(0, utimensat(AT_FDCWD, logs_path(name), old, 0));
}

void logs_age_dir(void)
{
    EQ(0, utimensat(AT_FDCWD, dir, old, 0));
}

uint64_t logs_inode(const char *name)
{
    struct stat st;

    EQ(0, stat(logs_path(name), &st));
    return st.st_ino;
}

/* ---- the state directory ---- */

void logs_prepare_state(void)
{
    logs_state = state_dir;
}

/* How many files a directory has. */
static unsigned each_file(const char *path, bool remove)
{
    struct dirent *entry;
    unsigned n = 0;
    DIR *d = opendir(path);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (remove && unlinkat(dirfd(d), entry->d_name, 0) != 0)
            EQ(EISDIR, errno);
    }
    if (d != NULL)
        closedir(d);
    return n;
}

static unsigned each_pin(bool remove)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/audit.pins", state_dir);
    return each_file(path, remove);
}

void logs_prepare_again(void)
{
    each_pin(true);
    each_file(dir, true);
    each_file(state_dir, true);
    logs_has_place = false;
}

unsigned logs_pins(void)
{
    return each_pin(false);
}

void logs_delete_pins(void)
{
    each_pin(true);
}

void logs_run_until_remembered(void)
{
    while (!file_is_remembered(trail_newest(logs_trail)))
        OK(uv_run(&loop, UV_RUN_ONCE) != 0);
}

void logs_print_roll(struct buf *text)
{
    struct file *f = trail_oldest(logs_trail);

    roll_print(f->chain, text);
    for (; f != NULL; f = f->next)
        f->remembered |= f->is_rolled;
}

/* ---- the reader ---- */

void logs_open(void)
{
    EQ(0, uv_loop_init(&loop));
    watcher = watcher_open(&loop);
    state = logs_state != NULL ? open(logs_state, O_RDONLY | O_DIRECTORY) : -1;
    logs_trail = trail_open(watcher, &loop, state, "audit", &logs_conf);
}

void logs_close(void)
{
    trail_close(logs_trail);
    watcher_close(watcher);
    EQ(0, uv_run(&loop, UV_RUN_DEFAULT));
    EQ(0, uv_loop_close(&loop));
    if (state >= 0)
        close(state);
    logs_trail = NULL;
}

void logs_start(void)
{
    struct cursor *c = &logs_cursor;
    struct file *f;

    logs_open();
    cursor_open(c, logs_trail, "lane test");
    if (!logs_has_place) {
        cursor_seek(c, trail_oldest(logs_trail), 0, NULL);
        return;
    }
    f = trail_find(logs_trail, &logs_place.id);
    if (f == NULL)
        f = trail_add_lost(logs_trail, &logs_place.id,
                           span(logs_place.path.at, logs_place.path.len));
    cursor_seek(c, f, logs_place.offset, &logs_place.guard);
}

void logs_stop(void)
{
    struct file *f;
    uint64_t offset = cursor_place(&logs_cursor, &f);

    if (f != NULL && (!logs_has_place || file_identity(f)->head_len > 0)) {
        checkpoint_take(&logs_place, f, offset);
        logs_has_place = true; /* else the place before it is the better one */
    }
    cursor_close(&logs_cursor);
    logs_close();
}

void logs_restart(void)
{
    logs_stop();
    logs_start();
}

void logs_look(void)
{
    trail_forget_hints(logs_trail);
    trail_look_closely(logs_trail);
}

/* ---- what it reads ---- */

bool logs_next(struct cursor *c, struct buf *text)
{
    static const char *const losses[] = { "hole", "deleted", "truncated",
                                          "damaged", "given up" };
    enum cursor_what what;
    struct line line;
    unsigned tries = 0;

    trail_forget_hints(logs_trail); /* the loop would bring them */
    cursor_wake(c);
    do
        what = cursor_next(c, &line);
    while (what == CURSOR_MORE && tries++ < 100000);
    OK(what != CURSOR_MORE);
    if (what == CURSOR_END)
        return false;
    if (what == CURSOR_GAP) {
        buf_printf(text, "gap:%s", losses[c->gap.loss]);
        if (c->gap.has_bytes)
            buf_printf(text, " %" PRIu64, c->gap.bytes);
    } else {
        if (what == CURSOR_TORN)
            buf_add(text, "torn:", 5);
        if (what == CURSOR_LONG)
            buf_add(text, "long:", 5);
        buf_add_span(text, line.bytes);
    }
    buf_add(text, "|", 1);
    return true;
}

const char *logs_read(unsigned n)
{
    static struct buf text;

    text.len = 0;
    for (unsigned i = 0; i < n && logs_next(&logs_cursor, &text); i++)
        ;
    buf_add(&text, "", 1);
    return text.at;
}

const char *logs_rest(void)
{
    return logs_read(100000);
}

static const char *name_of(const struct file *f)
{
    const char *slash = strrchr(f->path, '/');

    return slash != NULL ? slash + 1 : f->path;
}

const char *logs_chain(void)
{
    static struct buf text;

    text.len = 0;
    for (struct file *f = trail_oldest(logs_trail); f != NULL; f = f->next) {
        const char *sign = f->passed ? "()" : f->fd < 0 ? "[]" : "";

        buf_printf(&text, "%s%.1s%s%s", text.len > 0 ? " " : "", sign,
                   name_of(f), sign[0] != '\0' ? sign + 1 : "");
    }
    buf_add(&text, "", 1);
    return text.at;
}

struct file *logs_file(const char *name)
{
    struct file *f = trail_oldest(logs_trail);

    while (f != NULL && strcmp(name_of(f), name) != 0)
        f = f->next;
    if (f == NULL)
        FAIL("%s is not in the chain: %s", name, logs_chain());
    return f;
}

unsigned logs_open_files(void)
{
    DIR *fds = opendir("/proc/self/fd");
    unsigned n = 0;

    OK(fds != NULL);
    while (readdir(fds) != NULL)
        n++;
    closedir(fds);
    return n;
}
