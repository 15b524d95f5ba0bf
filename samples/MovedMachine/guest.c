/* A guest that notices what a move does to it. Every 10 ms it fills WRITTEN_PER_TICK pages of its memory with what only that page has at that moment, checks
   some others from end to end, and prints "TICK tsc T wrong W checked C": how often it has ticked, its processor's clock in millions, pages that were
   not as they must be, and rounds of checks over all of its memory. It boots by multiboot: qemu-system-x86_64 -kernel.

   gcc -m32 -O2 -ffreestanding -fno-pie -fno-pic -fno-stack-protector -fno-toplevel-reorder -mno-sse -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000 */
#include <stdint.h>

#ifndef WRITTEN_PER_TICK
#define WRITTEN_PER_TICK 16
#endif
enum { CHECKED_PER_TICK = 128, WORDS = 1024, FIRST_PAGE = 4 << 20 >> 12, TICKS_PER_SECOND = 100 };

/* The multiboot header, the entry, and what the timer calls: it only counts. */
__asm__(".text\n"
        ".align 4\n.long 0x1badb002, 0, -0x1badb002\n"
        ".globl _start\n_start: mov $stack + 16384, %esp\npush %ebx\ncall run\n"
        "timer: push %eax\nincl ticks\nmov $0x20, %al\nout %al, $0x20\npop %eax\niret\n");
extern char timer[];
char stack[16384];
volatile uint32_t ticks;

static uint32_t pages, wrong, checked;

static void out(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }

static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *text)
{
    for (; *text; text++) {
        while (!(in(0x3fd) & 0x20))
            continue;
        out(0x3f8, *text);
    }
}

static void print_number(uint32_t number)
{
    char digits[11], *first = digits + 10;
    *first = 0;
    do
        *--first = '0' + number % 10;
    while (number /= 10);
    print(first);
}

/* Pages are written round after round; which round has reached a page last follows from how many were written so far. */
static uint32_t rounds_of(uint32_t page, uint32_t written) { return written / pages + (page < written % pages); }

static uint32_t *words_of(uint32_t page) { return (uint32_t *)((FIRST_PAGE + page) << 12); }

static uint32_t first_word(uint32_t page, uint32_t round) { return page * 2654435761u ^ round * 40503u; }

static void fill(uint32_t page, uint32_t round)
{
    uint32_t *words = words_of(page), word = first_word(page, round);
    for (int i = 0; i < WORDS; i++, word += 0x9e3779b9)
        words[i] = word;
}

static void check(uint32_t page, uint32_t round)
{
    uint32_t *words = words_of(page), word = first_word(page, round), different = 0;
    for (int i = 0; i < WORDS; i++, word += 0x9e3779b9)
        different |= words[i] ^ word;
    wrong += different != 0;
}

/* Segments of our own, an entry for the timer's interrupt alone, and a timer that ticks. */
static void start_timer(void)
{
    static uint64_t segments[] = { 0, 0x00cf9a000000ffff, 0x00cf92000000ffff }, gates[33];
    struct __attribute__((packed)) { uint16_t limit; uint32_t address; }
        segment_table = { sizeof segments - 1, (uint32_t)segments }, gate_table = { sizeof gates - 1, (uint32_t)gates };
    uint32_t handler = (uint32_t)timer;
    gates[32] = (uint64_t)(handler & 0xffff0000) << 32 | 0x8e0000000000 | 8 << 16 | (handler & 0xffff);
    __asm__ volatile("lgdt %0\nlidt %1\nljmp $8, $1f\n1: mov %2, %%ds\nmov %2, %%es\nmov %2, %%ss" ::"m"(segment_table), "m"(gate_table), "r"(16) : "memory");
    const uint8_t controller[][2] = { { 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 4 }, { 0xa1, 2 }, { 0x21, 1 }, { 0xa1, 1 }, { 0x21, 0xfe }, { 0xa1, 0xff } };
    for (unsigned i = 0; i < sizeof controller / 2; i++)
        out(controller[i][0], controller[i][1]);
    uint32_t divisor = 1193182 / TICKS_PER_SECOND;
    out(0x43, 0x34);
    out(0x40, divisor & 0xff);
    out(0x40, divisor >> 8);
}

__attribute__((noreturn)) void run(const uint32_t *multiboot)
{
    pages = (1024 + multiboot[2]) / 4 - FIRST_PAGE;
    for (uint32_t page = 0; page < pages; page++)
        fill(page, 0);
    start_timer();
    for (uint32_t tick = 1, written = 0, cursor = 0;; tick++) {
        __asm__ volatile("cli");
        for (uint32_t seen = ticks; ticks == seen;)
            __asm__ volatile("sti\nhlt\ncli");
        for (int i = 0; i < WRITTEN_PER_TICK; i++, written++)
            fill(written % pages, written / pages + 1);
        for (int i = 0; i < CHECKED_PER_TICK; i++) {
            check(cursor, rounds_of(cursor, written));
            if (++cursor == pages)
                cursor = 0, checked++;
        }
        uint32_t clock_low, clock_high;
        __asm__ volatile("rdtsc" : "=a"(clock_low), "=d"(clock_high));
        print_number(tick);
        print(" tsc ");
        print_number(clock_high << 12 | clock_low >> 20);
        print(" wrong ");
        print_number(wrong);
        print(" checked ");
        print_number(checked);
        print("\n");
    }
}
