/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc_count - counts a program's allocations, from outside.
 *
 *   LD_PRELOAD=malloc_count.so MALLOC_COUNT=FILE program...
 *
 * FILE holds two 64-bit numbers, calls and bytes, kept up to date in place, so
 * the count survives however the program ends. Calls glibc's own functions by
 * their second names; free is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct count {
    _Atomic uint64_t calls, bytes;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *memalign(size_t align, size_t size);

static struct count early; /* before open_count, or where FILE fails */
static struct count *count = &early;

__attribute__((constructor)) static void open_count(void)
{
    const char *path = getenv("MALLOC_COUNT");
    int fd;
    void *map;

    if (!path || (fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return;
    if (ftruncate(fd, sizeof(struct count)) == 0) {
        map = mmap(NULL, sizeof(struct count), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
            count = map;
    }
    close(fd);
}

static void note(size_t bytes)
{
    atomic_fetch_add_explicit(&count->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&count->bytes, bytes, memory_order_relaxed);
}

void *malloc(size_t size)
{
    note(size);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    note(n * size);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    note(size);
    return __libc_realloc(p, size);
}

void *memalign(size_t align, size_t size)
{
    note(size);
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    *p = memalign(align, size);
    return *p ? 0 : ENOMEM;
}
