/* Remote bytes as memory of a C program: farspan uffd-agent answers its page faults. docs/wire/uffd-agent.md says what goes over the socket.

   gcc -O2 -pthread -o uffd-client uffd-client.c && ./uffd-client /tmp/agent.sock [OFFSET TEXT] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELLO = 1, MAP = 2, FLUSH = 3, CLOSE = 6, ENDED = 7, MAGIC = 0x61755346 /* FSua, on a little-endian machine */ };
struct header { uint32_t magic; uint16_t message, status; uint32_t id, length; };
struct welcome { uint16_t version, unused; uint32_t read_only; uint64_t length, most; uint32_t chunk, page; };
struct mapping { uint64_t address, offset, length; uint32_t writable, unused; };

static int agent, faults, file;
static volatile int closing;

static void die(const char *what) { perror(what); exit(1); }

/* Sends a request, with two descriptors or none, and waits for its reply. */
static void ask(int message, void *body, size_t length, const int *descriptors, void *reply, size_t room)
{
    struct header header = { MAGIC, message, 0, 1, length };
    struct iovec parts[] = { { &header, sizeof header }, { body, length } };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
    struct msghdr sent = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = descriptors ? sizeof control : 0 };
    if (descriptors) {
        *CMSG_FIRSTHDR(&sent) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&sent)), descriptors, 2 * sizeof(int));
    }
    char answer[513] = { 0 };
    if (sendmsg(agent, &sent, MSG_NOSIGNAL) != (ssize_t)(sizeof header + length) || recv(agent, &header, sizeof header, MSG_WAITALL) != sizeof header
        || header.length > 512 || (header.length && recv(agent, answer, header.length, MSG_WAITALL) != (ssize_t)header.length))
        die("talking to the agent");
    if (header.status || header.message == ENDED)
        exit((fprintf(stderr, "the agent says: %s\n", answer), 1));
    memcpy(reply, answer, room);
}

/* The agent's end: without this, touches of what is absent would wait for ever. With no bytes left in the file they end in SIGBUS, and never read zeroes. */
static void *watch(void *unused)
{
    for (struct pollfd hangup = { agent, 0, 0 }; poll(&hangup, 1, -1) < 0 && errno == EINTR;)
        continue;
    if (!closing && ftruncate(file, 0) == 0)
        close(faults);
    return unused;
}

int main(int count, char **arguments)
{
    struct sockaddr_un address = { AF_UNIX, "" };
    if (count != 2 && count != 4)
        return fprintf(stderr, "usage: %s SOCKET [OFFSET TEXT]\n", arguments[0]), 2;
    strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
    agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(agent, (void *)&address, sizeof address))
        die(arguments[1]);
    uint16_t versions[4] = { 1, 1 };
    struct welcome welcome;
    ask(HELLO, versions, sizeof versions, 0, &welcome, sizeof welcome);

    /* The memory: a file that the agent gets too. No child may have it, and no core dump: both would touch what is absent. */
    size_t whole = (welcome.length + welcome.page - 1) / welcome.page * welcome.page;
    file = memfd_create("region", MFD_CLOEXEC);
    faults = syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY: needs no privilege */);
    if (file < 0 || faults < 0 || ftruncate(file, whole))
        die("making the memory");
    uint8_t *bytes = mmap(0, whole, PROT_READ | (welcome.read_only ? 0 : PROT_WRITE), MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED || madvise(bytes, whole, MADV_DONTFORK) || madvise(bytes, whole, MADV_DONTDUMP))
        die("mapping the memory");
    struct mapping mapping = { (uintptr_t)bytes, 0, welcome.length, !welcome.read_only, 0 };
    ask(MAP, &mapping, sizeof mapping, (int[]){ faults, file }, 0, 0);
    pthread_t watcher;
    pthread_create(&watcher, 0, watch, 0);

    /* From here on it is memory like any other. */
    if (count == 4) {
        memcpy(bytes + strtoull(arguments[2], 0, 0), arguments[3], strlen(arguments[3]));
        ask(FLUSH, 0, 0, 0, 0, 0);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < welcome.length; i++)
        sum = sum * 31 + bytes[i];
    printf("%llu bytes, sum %016llx\n", (unsigned long long)welcome.length, (unsigned long long)sum);
    closing = 1;
    ask(CLOSE, 0, 0, 0, 0, 0);
    return 0;
}
