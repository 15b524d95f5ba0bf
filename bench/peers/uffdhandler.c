// A minimal handler of userfaults: one thread that touches memory, one that reads the faults and answers each with the chunk around it, from
// memory or by one NBD read over a Unix socket. Nothing is fetched ahead, unless a third thread is asked to fill the memory in order.
// usage: uffdhandler fault  SOURCE CHUNK COUNT    touches one page in each of COUNT chunks, in random order
//        uffdhandler read   SOURCE CHUNK LENGTH   copies LENGTH bytes out, from the first to the last, 128 KiB at a time
//        uffdhandler ahead  SOURCE CHUNK LENGTH   the same, while another thread fills the memory in the same order
//        uffdhandler limited SOURCE CHUNK LENGTH  the same as read, with at most a quarter of it here: the oldest chunk is dropped for each that comes
//        uffdhandler write  SOURCE CHUNK COUNT    writes to each of COUNT pages that are here and write-protected; a fault unprotects a chunk
// SOURCE is "local", or the socket of an NBD server.   prints one line of JSON (seconds; "first" from before the mapping on).
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define BATCH 16

static void fail(const char *what) { fprintf(stderr, "uffdhandler: %s: %s\n", what, strerror(errno)); exit(1); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static int compare(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

static int faults, connection = -1;
static char *region, *source;
static size_t chunk, length, limit;
static pthread_mutex_t line = PTHREAD_MUTEX_INITIALIZER;

static void take(void *to, size_t count)
{
    for (char *p = to; count > 0;) {
        ssize_t n = recv(connection, p, count, 0);
        if (n <= 0) fail("recv");
        p += n; count -= n;
    }
}

static void give(const void *from, size_t count) { if (send(connection, from, count, MSG_NOSIGNAL) != (ssize_t)count) fail("send"); }

// Fixed newstyle, then EXPORT_NAME of the default export without the padding.
static void dial(const char *path)
{
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(connection, (struct sockaddr *)&address, sizeof address)) fail("connect");
    char hello[18]; take(hello, sizeof hello);
    uint32_t flags = htobe32(3); give(&flags, 4);
    struct { uint64_t magic; uint32_t option, length; } __attribute__((packed)) option = { htobe64(0x49484156454F5054ull), htobe32(1), 0 };
    give(&option, sizeof option);
    struct { uint64_t size; uint16_t flags; } __attribute__((packed)) export; take(&export, sizeof export);
    if (be64toh(export.size) < length) { errno = ENOSPC; fail("the export"); }
}

// The bytes of a chunk: where they lie here, or after a round trip where they were received.
static char *bytes_of(size_t offset, char *buffer)
{
    if (connection < 0) return source + offset;
    struct { uint32_t magic; uint16_t flags, command; uint64_t cookie, offset; uint32_t length; } __attribute__((packed))
        request = { htobe32(0x25609513), 0, 0, 0, htobe64(offset), htobe32(chunk) };
    struct { uint32_t magic, error; uint64_t cookie; } __attribute__((packed)) reply;
    pthread_mutex_lock(&line);
    give(&request, sizeof request);
    take(&reply, sizeof reply);
    if (reply.magic != htobe32(0x67446698) || reply.error != 0) { errno = EPROTO; fail("reply"); }
    take(buffer, chunk);
    pthread_mutex_unlock(&line);
    return buffer;
}

static void *buffer_of_a_chunk(void)
{
    void *buffer = aligned_alloc(PAGE, chunk);
    memset(buffer, 1, chunk);
    return buffer;
}

static void answer(size_t offset, char *buffer, uint64_t mode)
{
    struct uffdio_copy copy = { (uintptr_t)region + offset, (uintptr_t)bytes_of(offset, buffer), chunk, mode, 0 };
    while (ioctl(faults, UFFDIO_COPY, &copy)) {
        if (errno == EEXIST) {
            struct uffdio_range range = { copy.dst, copy.len };
            if (ioctl(faults, UFFDIO_WAKE, &range)) fail("UFFDIO_WAKE");
            return;
        }
        if (errno != EAGAIN) fail("UFFDIO_COPY");
        size_t done = copy.copy > 0 ? copy.copy : 0;
        copy.dst += done; copy.src += done; copy.len -= done;
    }
}

static void drop_oldest(size_t *arrived, size_t count, size_t offset)
{
    size_t room = limit / chunk, *place = arrived + count % room;
    if (count >= room && madvise(region + *place, chunk, MADV_DONTNEED)) fail("madvise");
    *place = offset;
}

static void *handle(void *unused)
{
    (void)unused;
    char *buffer = buffer_of_a_chunk();
    size_t *arrived = limit ? calloc(limit / chunk, sizeof *arrived) : 0, count = 0;
    for (;;) {
        struct uffd_msg messages[BATCH];
        ssize_t n = read(faults, messages, sizeof messages);
        if (n < 0 && errno != EINTR) fail("read");
        for (ssize_t i = 0; i < n / (ssize_t)sizeof *messages; i++) {
            size_t offset = (messages[i].arg.pagefault.address - (uintptr_t)region) & ~(chunk - 1);
            if (messages[i].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
                struct uffdio_writeprotect unprotect = { { (uintptr_t)region + offset, chunk }, 0 };
                if (ioctl(faults, UFFDIO_WRITEPROTECT, &unprotect)) fail("UFFDIO_WRITEPROTECT");
            } else {
                if (limit) drop_oldest(arrived, count++, offset);
                answer(offset, buffer, 0);
            }
        }
    }
    return 0;
}

static void *fill(void *unused)
{
    (void)unused;
    char *buffer = buffer_of_a_chunk();
    for (size_t offset = 0; offset < length; offset += chunk) answer(offset, buffer, 0);
    return 0;
}

static void *map(size_t bytes)
{
    void *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("mmap");
    return p;
}

static void open_region(void)
{
    faults = syscall(SYS_userfaultfd, O_CLOEXEC);
    if (faults < 0) fail("userfaultfd");
    struct uffdio_api api = { UFFD_API, UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0 };
    if (ioctl(faults, UFFDIO_API, &api)) fail("UFFDIO_API");
    region = map(length);
    madvise(region, length, MADV_NOHUGEPAGE);
    struct uffdio_register registration = { { (uintptr_t)region, length }, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP, 0 };
    if (ioctl(faults, UFFDIO_REGISTER, &registration)) fail("UFFDIO_REGISTER");
}

static pthread_t start(void *(*body)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, 0, body, 0)) fail("pthread_create");
    return thread;
}

// One touch each of places in random order.
static void touch(size_t count, size_t step, int is_write, double started)
{
    double *took = malloc(count * sizeof *took), begun, total;
    size_t *order = malloc(count * sizeof *order);
    uint64_t state = 88172645463325252ull, sum = 0;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13; state ^= state >> 7; state ^= state << 17;
        size_t j = state % (i + 1);
        order[i] = order[j]; order[j] = i;
        took[i] = 0;
    }
    begun = now();
    for (size_t i = 0; i < count; i++) {
        volatile char *at = region + order[i] * step;
        double before = now();
        if (is_write) *at = 1; else sum += *at;
        took[i] = now() - before;
    }
    total = now() - begun;
    double first = begun - started + took[0];
    qsort(took, count, sizeof *took, compare);
    printf("{\"mean\":%.9f,\"first\":%.9f,\"p50\":%.9f,\"p99\":%.9f,\"sum\":%lu}\n", total / count, first, took[count / 2], took[count * 99 / 100], sum);
}

static void copy_out(void)
{
    enum { Piece = 128 << 10 };
    char *piece = malloc(Piece);
    memset(piece, 1, Piece);
    double begun = now();
    for (size_t at = 0; at < length; at += Piece) { memcpy(piece, region + at, Piece); __asm__ volatile("" : : "r"(piece) : "memory"); }
    printf("{\"seconds\":%.9f,\"length\":%zu}\n", now() - begun, length);
}

int main(int argc, char **argv)
{
    if (argc != 5) { fprintf(stderr, "usage: uffdhandler fault|read|ahead|limited|write local|SOCKET CHUNK COUNT|LENGTH\n"); return 2; }
    const char *what = argv[1];
    int is_fault = !strcmp(what, "fault"), is_write = !strcmp(what, "write"), is_ahead = !strcmp(what, "ahead");
    chunk = strtoull(argv[3], 0, 10);
    size_t count = strtoull(argv[4], 0, 10);
    length = is_fault ? count * chunk : is_write ? (count * PAGE + chunk - 1) & ~(chunk - 1) : count;
    if (!strcmp(what, "limited")) limit = length / 4;
    if (strcmp(argv[2], "local")) dial(argv[2]);
    else { source = map(length); memset(source, 1, length); }
    double started = now();
    open_region();
    if (is_write) {
        char *buffer = buffer_of_a_chunk();
        for (size_t offset = 0; offset < length; offset += chunk) answer(offset, buffer, UFFDIO_COPY_MODE_WP);
    }
    start(handle);
    pthread_t filler = 0;
    if (is_ahead) filler = start(fill);
    if (is_fault) touch(count, chunk, 0, started);
    else if (is_write) touch(count, PAGE, 1, started);
    else copy_out();
    if (is_ahead) pthread_join(filler, 0);
    return 0;
}
