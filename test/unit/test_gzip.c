/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/gzip.h"
#include "test/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct gzip *z;
static struct buf plain, packed, again;

static void random_bytes(size_t n)
{
    uint64_t seed = n + 1;

    plain.len = 0;
    buf_room(&plain, n);
    for (size_t i = 0; i < n; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        plain.at[i] = (char)(seed >> 56);
    }
    plain.len = n;
}

static void text(size_t n)
{
    plain.len = 0;
    for (unsigned i = 0; plain.len < n; i++)
        buf_printf(&plain, "{\"level\":\"Metadata\",\"auditID\":\"%u\"}\n", i);
    plain.len = n;
}

static void round_trip(void)
{
    packed.len = again.len = 0;
    gzip_pack(z, span(plain.at, plain.len), &packed);
    OK(packed.len >= 18);
    EQ(0x1f, (unsigned char)packed.at[0]);
    EQ(0x8b, (unsigned char)packed.at[1]);
    gzip_unpack(z, span(packed.at, packed.len), plain.len, &again);
    EQ(plain.len, again.len);
    OK(plain.len == 0 || memcmp(plain.at, again.at, plain.len) == 0);
}

static void start(void)
{
    z = gzip_new();
}

static void stop(void)
{
    gzip_free(z);
    buf_free(&plain);
    buf_free(&packed);
    buf_free(&again);
}

TEST(what_is_packed_is_unpacked)
{
    static const size_t sizes[] = {
        1, 2, 100, 4095, 4096, 65535, 65536, 1000000
    };

    start();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        text(sizes[i]);
        round_trip();
        random_bytes(sizes[i]);
        round_trip();
    }
    stop();
}

TEST(ten_mib_come_back_and_shrink)
{
    start();
    text(10 * MIB);
    round_trip();
    OK(packed.len < plain.len / 4);
    stop();
}

TEST(what_cannot_shrink_comes_back)
{
    start();
    random_bytes(10 * MIB);
    round_trip();
    OK(packed.len < plain.len + plain.len / 100);
    stop();
}

TEST(nothing_is_packed_too)
{
    start();
    plain.len = 0;
    round_trip();
    buf_add(&again, "x", 1);
    gzip_unpack(z, span(packed.at, packed.len), 0, &again);
    EQ_SPAN(SPAN("x"), span(again.at, again.len));
    stop();
}

TEST(members_are_appended)
{
    size_t first;

    start();
    text(1000);
    gzip_pack(z, span(plain.at, plain.len), &packed);
    first = packed.len;
    gzip_pack(z, span(plain.at, plain.len), &packed);
    EQ(2 * first, packed.len);
    EQ(0, memcmp(packed.at, packed.at + first, first));
    buf_add(&again, "before", 6);
    gzip_unpack(z, span(packed.at + first, first), 1000, &again);
    EQ(1006, again.len);
    EQ(0, memcmp(again.at, "before", 6));
    EQ(0, memcmp(again.at + 6, plain.at, 1000));
    stop();
}

/* The program that everybody has reads it as well. */
TEST(gzip_itself_reads_it)
{
    char path[128], command[256];
    FILE *f;

    if (system("gzip --version >/dev/null 2>&1") != 0) {
        fprintf(stderr, "skipped: no gzip here\n");
        return;
    }
    start();
    text(300000);
    round_trip();
    snprintf(path, sizeof(path), "%s/x.gz", unit_dir());
    f = fopen(path, "wb");
    EQ(packed.len, fwrite(packed.at, 1, packed.len, f));
    fclose(f);
    snprintf(command, sizeof(command), "gzip -dc %s", path);
    f = popen(command, "r");
    again.len = fread(buf_room(&again, 400000), 1, 400000, f);
    EQ(0, pclose(f));
    EQ_SPAN(span(plain.at, plain.len), span(again.at, again.len));
    stop();
}

static bool aborts(size_t len)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct rlimit none = { 0, 0 };

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        gzip_unpack(z, span(packed.at, packed.len), len, &again);
        _exit(0);
    }
    EQ(pid, waitpid(pid, &status, 0));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(a_wrong_length_aborts)
{
    start();
    text(1000);
    round_trip();
    OK(!aborts(1000));
    OK(aborts(1001));
    packed.len /= 2;
    OK(aborts(1000));
    stop();
}

TEST(damaged_bytes_abort)
{
    start();
    text(1000);
    round_trip();
    for (size_t i = 10; i + 8 < packed.len; i += 16) {
        packed.at[i] ^= 4;
        if (!aborts(1000))
            FAIL("byte %zu of %zu was changed, unnoticed", i, packed.len);
        packed.at[i] ^= 4;
    }
    stop();
}
