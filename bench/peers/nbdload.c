// A load generator for NBD servers that is cheaper than any of them: one thread, one connection, a window of `depth` requests,
// every reply that waits in the socket taken with one recv and answered with new requests in one send. fio's nbd engine spends about
// 9 us of its own on each request and so hides the differences between servers; this one spends about 1 us.
// usage: nbdload SOCKET read|write BLOCK_SIZE DEPTH SECONDS   prints one line of JSON.
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct request { uint32_t magic; uint16_t flags, command; uint64_t cookie, offset; uint32_t length; } __attribute__((packed));
struct reply { uint32_t magic, error; uint64_t cookie; } __attribute__((packed));

static void fail(const char *what) { fprintf(stderr, "nbdload: %s: %s\n", what, strerror(errno)); exit(1); }

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

static void take(int fd, void *to, size_t count)
{
    for (char *p = to; count > 0;) {
        ssize_t n = recv(fd, p, count, 0);
        if (n <= 0) fail("recv");
        p += n; count -= n;
    }
}

static void give(int fd, const void *from, size_t count)
{
    for (const char *p = from; count > 0;) {
        ssize_t n = send(fd, p, count, MSG_NOSIGNAL);
        if (n < 0) fail("send");
        p += n; count -= n;
    }
}

static int compare(const void *a, const void *b) { float x = *(const float *)a, y = *(const float *)b; return x < y ? -1 : x > y; }

static uint64_t state = 88172645463325252ull;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }

int main(int argc, char **argv)
{
    if (argc != 6) { fprintf(stderr, "usage: nbdload SOCKET read|write BLOCK_SIZE DEPTH SECONDS\n"); return 2; }
    int is_write = strcmp(argv[2], "write") == 0;
    uint32_t block = atoi(argv[3]), depth = atoi(argv[4]);
    double seconds = atof(argv[5]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");

    // Fixed newstyle, then EXPORT_NAME of the default export without the padding.
    char hello[18]; take(fd, hello, sizeof hello);
    uint32_t client_flags = htobe32(3); give(fd, &client_flags, 4);
    struct { uint64_t magic; uint32_t option, length; } __attribute__((packed)) option = { htobe64(0x49484156454F5054ull), htobe32(1), 0 };
    give(fd, &option, sizeof option);
    struct { uint64_t size; uint16_t flags; } __attribute__((packed)) export; take(fd, &export, sizeof export);
    uint64_t blocks = be64toh(export.size) / block;

    size_t reply_size = sizeof(struct reply) + (is_write ? 0 : block), request_size = sizeof(struct request) + (is_write ? block : 0);
    size_t in_size = reply_size * depth, have = 0, samples = 0, sample_limit = 1 << 22;
    char *in = malloc(in_size), *out = malloc(request_size * depth);
    double *started = calloc(depth, sizeof *started);
    float *latency = malloc(sample_limit * sizeof *latency);
    for (size_t i = 0; i < request_size * depth; i++) out[i] = (char)next();

    uint64_t done = 0;
    uint32_t ready[depth], ready_count = depth;
    for (uint32_t i = 0; i < depth; i++) ready[i] = i;
    double start = now(), end = start + seconds, at = start;
    uint32_t in_flight = 0;
    for (;;) {
        if (at < end && ready_count > 0) {
            for (uint32_t i = 0; i < ready_count; i++) {
                struct request r = { htobe32(0x25609513), 0, htobe16(is_write), ready[i], htobe64(next() % blocks * block), htobe32(block) };
                memcpy(out + i * request_size, &r, sizeof r);
                started[ready[i]] = at;
            }
            give(fd, out, request_size * ready_count);
            in_flight += ready_count; ready_count = 0;
        }
        if (in_flight == 0) break;
        ssize_t n = recv(fd, in + have, in_size - have, 0);
        if (n <= 0) fail("recv");
        have += n; at = now();
        if (at >= end) ready_count = 0;
        size_t used = 0;
        for (; have - used >= reply_size; used += reply_size, done++, in_flight--) {
            struct reply *r = (struct reply *)(in + used);
            if (r->magic != htobe32(0x67446698) || r->error != 0 || r->cookie >= depth) { errno = EPROTO; fail("reply"); }
            if (samples < sample_limit) latency[samples++] = (float)(at - started[r->cookie]);
            ready[ready_count++] = (uint32_t)r->cookie;
        }
        memmove(in, in + used, have -= used);
    }
    double elapsed = now() - start;
    struct rusage usage; getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    qsort(latency, samples, sizeof *latency, compare);
    printf("{\"operations\":%lu,\"seconds\":%.6f,\"clientCpuSeconds\":%.6f,\"p50\":%.9f,\"p99\":%.9f}\n",
           done, elapsed, cpu, latency[samples / 2], latency[samples * 99 / 100]);
    return 0;
}
