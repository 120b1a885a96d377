/*
 * bench_segment.c: ways to bring a batch of vectors to the disk, durably: what a segment's write and sync cost. Prints
 * MB/s of each way by batch size, ways taking turns so that a noisy disk troubles all alike. Argument: a folder.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, ROUNDS = 5, DEPTH = 8, AHEAD = 64 << 20 };

static char *data;

static void must(bool ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- a ring of its own, without a library */

typedef struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring;

static bool ring_open(ring *r) {
    struct io_uring_params p = {0};
    r->fd = (int)syscall(__NR_io_uring_setup, DEPTH, &p);
    if (r->fd < 0)
        return false;
    char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
    char *cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_CQ_RING);
    r->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                   r->fd, IORING_OFF_SQES);
    must(sq != MAP_FAILED && cq != MAP_FAILED && r->sqes != MAP_FAILED, "mapping the ring");
    r->sq_tail = (unsigned *)(sq + p.sq_off.tail);
    r->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
    r->sq_array = (unsigned *)(sq + p.sq_off.array);
    r->cq_head = (unsigned *)(cq + p.cq_off.head);
    r->cq_tail = (unsigned *)(cq + p.cq_off.tail);
    r->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
    r->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
    return true;
}

static void ring_write(ring *r, int fd, size_t bytes) {
    size_t begun = 0, done = 0;
    while (done < bytes) {
        unsigned tail = *r->sq_tail, fresh = 0;
        while (begun < bytes && begun - done < (size_t)DEPTH * PIECE) {
            unsigned at = tail & *r->sq_mask;
            r->sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_WRITE,
                                                .fd = fd,
                                                .addr = (uint64_t)(uintptr_t)(data + begun),
                                                .len = PIECE,
                                                .off = begun};
            r->sq_array[at] = at;
            tail++, fresh++, begun += PIECE;
        }
        __atomic_store_n(r->sq_tail, tail, __ATOMIC_RELEASE);
        must(syscall(__NR_io_uring_enter, r->fd, fresh, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0, "io_uring_enter");
        unsigned head = *r->cq_head;
        for (; head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE); head++, done += PIECE)
            must(r->cqes[head & *r->cq_mask].res == PIECE, "a write through the ring");
        __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    }
}

/* ---- the ways */

typedef enum way { BUFFERED, RESERVED, STARTED, DIRECT, RING, WAYS } way;
static const char *const names[WAYS] = {"buffered", "buffered, space reserved", "the same, writing back at once",
                                        "O_DIRECT, space reserved", "the same, io_uring"};

static double run(const char *folder, way how, size_t bytes, ring *r) {
    char path[400];
    snprintf(path, sizeof path, "%s/segment-bench", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | (how >= DIRECT ? O_DIRECT : 0), 0600);
    must(fd >= 0, path);
    must(ftruncate(fd, 1 << 30) == 0, "ftruncate");
    must(fdatasync(fd) == 0, "fdatasync");
    double began = now();
    for (size_t at = 0; how >= RESERVED && at < bytes; at += AHEAD)
        must(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)at, AHEAD) == 0, "fallocate");
    if (how == RING)
        ring_write(r, fd, bytes);
    for (size_t at = 0; how != RING && at < bytes; at += PIECE) {
        must(pwrite(fd, data + at, PIECE, (off_t)at) == PIECE, "pwrite");
        if (how == STARTED)
            must(sync_file_range(fd, (off_t)at, PIECE, SYNC_FILE_RANGE_WRITE) == 0, "sync_file_range");
    }
    must(fdatasync(fd) == 0, "fdatasync");
    double taken = now() - began;
    close(fd);
    unlink(path);
    return taken;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    const size_t sizes[] = {1, 6, 60, 240};
    const char *folder = argc > 1 ? argv[1] : ".";
    ring r = {.fd = -1};
    bool have_ring = ring_open(&r);
    data = mmap(NULL, sizes[3] * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(data != MAP_FAILED, "memory");
    memset(data, 7, sizes[3] * PIECE);
    printf("MB/s at the median of %d\n%-34s", ROUNDS, "way");
    for (size_t s = 0; s < 4; s++)
        printf("%8zu MiB", sizes[s]);
    double taken[WAYS][4][ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t s = 0; s < 4; s++)
            for (way how = 0; how < WAYS; how++)
                taken[how][s][round] = how == RING && !have_ring ? 1e9 : run(folder, how, sizes[s] * PIECE, &r);
    for (way how = 0; how < WAYS; how++) {
        printf("\n%-34s", names[how]);
        for (size_t s = 0; s < 4; s++) {
            qsort(taken[how][s], ROUNDS, sizeof(double), by_value);
            printf("%12.0f", (double)(sizes[s] * PIECE) / taken[how][s][ROUNDS / 2] / 1e6);
        }
    }
    printf("\n");
    return 0;
}
