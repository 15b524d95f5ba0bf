// First touch of pages of a mapped file, in random order, without the kernel's read-ahead: what one page fault costs.
// usage: faultload FILE PAGES   prints one line of JSON (seconds).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) { fprintf(stderr, "faultload: %s: %s\n", what, strerror(errno)); exit(1); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static int compare(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

int main(int argc, char **argv)
{
    if (argc != 3) { fprintf(stderr, "usage: faultload FILE PAGES\n"); return 2; }
    size_t count = strtoull(argv[2], 0, 10);
    int fd = open(argv[1], O_RDWR);
    if (fd < 0) fail("open");
    struct stat st; if (fstat(fd, &st)) fail("fstat");
    size_t pages = st.st_size / 4096;
    if (fsync(fd)) fail("fsync");
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    volatile char *map = mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) fail("mmap");
    if (madvise((void *)map, st.st_size, MADV_RANDOM)) fail("madvise");
    double *took = malloc(count * sizeof *took);
    uint64_t state = 88172645463325252ull, sum = 0;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13; state ^= state >> 7; state ^= state << 17;
        size_t page = state % pages;
        double start = now();
        sum += map[page * 4096];
        took[i] = now() - start;
    }
    qsort(took, count, sizeof *took, compare);
    printf("{\"p50\":%.9f,\"p99\":%.9f,\"sum\":%lu}\n", took[count / 2], took[count * 99 / 100], sum);
    return 0;
}
