/* reader.c: see reader.h. Memory is bounded by the longest line a caller allows, plus one block. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { BLOCK = 1 << 17 };

hither_status ht_reader_open(ht_reader *r, const char *path, hither_error *err) {
    *r = (ht_reader){.name = path, .fd = STDIN_FILENO, .wake_fd = -1};
    if (!strcmp(path, "-"))
        r->name = "standard input";
    else if ((r->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return ht_fail_errno(err, errno, "cannot open %s", path);
    struct stat info;
    if (fstat(r->fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        ht_reader_close(r);
        return ht_fail(err, HITHER_INVALID, "%s is a folder, not a file", path);
    }
    if (fstat(r->fd, &info) == 0 && S_ISREG(info.st_mode))
        r->size = (uint64_t)info.st_size;
    r->data = ht_alloc(BLOCK);
    if (!r->data) {
        ht_reader_close(r);
        return ht_fail_nomem(err, BLOCK, "reading a file");
    }
    r->capacity = BLOCK;
    return HITHER_OK;
}

void ht_reader_memory(ht_reader *r, const char *name, const void *data, size_t bytes) {
    union {
        const void *in;
        char *out;
    } borrowed = {data ? data : ""}; /* never written to: a borrowed buffer is not refilled */
    *r = (ht_reader){.name = name,
                     .fd = -1,
                     .wake_fd = -1,
                     .size = bytes,
                     .data = borrowed.out,
                     .end = bytes,
                     .capacity = bytes,
                     .borrowed = true,
                     .finished = true};
}

void ht_reader_close(ht_reader *r) {
    if (r->fd > STDIN_FILENO)
        close(r->fd);
    if (!r->borrowed)
        ht_release(r->data);
    *r = (ht_reader){.fd = -1, .wake_fd = -1, .finished = true};
}

static hither_status wait_for_input(ht_reader *r, hither_error *err) {
    struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN}, {.fd = r->wake_fd, .events = POLLIN}};
    while (poll(fds, r->wake_fd >= 0 ? 2 : 1, -1) < 0)
        if (errno != EINTR)
            return ht_fail_errno(err, errno, "cannot wait for %s", r->name);
    if (r->wake_fd >= 0 && fds[1].revents)
        return ht_fail(err, HITHER_INTERRUPTED, "interrupted");
    return HITHER_OK;
}

/* Reads what is there into the free end of the buffer, making room for at least one byte. */
static hither_status refill(ht_reader *r, hither_error *err) {
    if (r->finished)
        return HITHER_OK;
    if (r->begin > 0 && (r->begin == r->end || r->capacity - r->end < BLOCK / 2)) {
        memmove(r->data, r->data + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->end == r->capacity) {
        size_t capacity;
        if (!ht_add_size(r->capacity, r->capacity > BLOCK ? r->capacity : BLOCK, &capacity))
            return ht_fail(err, HITHER_TOO_LARGE, "%s has too long a line", r->name);
        char *data = ht_resize(r->data, capacity);
        if (!data)
            return ht_fail_nomem(err, capacity, "reading a line");
        r->data = data;
        r->capacity = capacity;
    }
    for (;;) {
        HT_TRY(wait_for_input(r, err));
        ssize_t n = read(r->fd, r->data + r->end, r->capacity - r->end);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return ht_fail_errno(err, errno, "cannot read %s", r->name);
        r->finished = n == 0;
        r->end += (size_t)n;
        return HITHER_OK;
    }
}

static void consume(ht_reader *r, size_t bytes) {
    r->begin += bytes;
    r->consumed += bytes;
}

hither_status ht_reader_skip_bom(ht_reader *r, hither_error *err) {
    while (r->end - r->begin < 3 && !r->finished) {
        HT_TRY(refill(r, err));
        if (r->end > r->begin && (unsigned char)r->data[r->begin] != 0xef)
            return HITHER_OK;
    }
    if (r->end - r->begin >= 3 && !memcmp(r->data + r->begin, "\xef\xbb\xbf", 3))
        consume(r, 3);
    return HITHER_OK;
}

/* Reads and forgets up to the end of the line. */
static hither_status drop_line(ht_reader *r, ht_line *line, hither_error *err) {
    for (;;) {
        char *from = r->data + r->begin;
        char *stop = memchr(from, '\n', r->end - r->begin);
        size_t n = stop ? (size_t)(stop - from) : r->end - r->begin;
        line->dropped += n;
        consume(r, stop ? n + 1 : n);
        line->complete = stop != NULL;
        if (stop || r->finished)
            return HITHER_OK;
        HT_TRY(refill(r, err));
    }
}

/* Keeps the first `max` bytes aside while the rest of the line flows past, then puts them before what is unread. */
static hither_status cut_line(ht_reader *r, size_t max, ht_line *line, hither_error *err) {
    if (r->borrowed) {
        line->data = r->data + r->begin;
        line->bytes = max;
        consume(r, max);
        return drop_line(r, line, err);
    }
    char *kept = ht_memdup(r->data + r->begin, max);
    if (!kept)
        return ht_fail_nomem(err, max, "reading a line");
    consume(r, max);
    hither_status status = drop_line(r, line, err);
    if (status == HITHER_OK && r->begin < max) {
        size_t rest = r->end - r->begin, room = max + rest;
        char *data = room > r->capacity ? ht_resize(r->data, room) : r->data;
        if (!data) {
            ht_release(kept);
            return ht_fail_nomem(err, room, "reading a line");
        }
        r->data = data;
        r->capacity = room > r->capacity ? room : r->capacity;
        memmove(r->data + max, r->data + r->begin, rest);
        r->begin = max;
        r->end = max + rest;
    }
    if (status == HITHER_OK) {
        line->data = memcpy(r->data + r->begin - max, kept, max);
        line->bytes = max;
    }
    ht_release(kept);
    return status;
}

hither_status ht_reader_line(ht_reader *r, size_t max, bool cut, ht_line *line, bool *end, hither_error *err) {
    size_t looked = 0;
    *line = (ht_line){0};
    *end = false;
    for (;;) {
        size_t have = r->end - r->begin;
        const char *from = r->data + r->begin;
        const char *stop = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
        size_t n = stop ? (size_t)(stop - from) : have;
        /* one byte more may be a carriage return, which does not count */
        if (n > max + 1 || (n == max + 1 && (stop || r->finished) && from[n - 1] != '\r')) {
            if (!cut)
                return ht_fail(err, HITHER_TOO_LARGE, "the line is longer than %zu bytes", max);
            return cut_line(r, max, line, err);
        }
        if (stop || r->finished) {
            *end = !stop && have == 0;
            *line = (ht_line){.data = from, .bytes = n, .complete = stop != NULL};
            consume(r, stop ? n + 1 : n);
            if (line->bytes && from[line->bytes - 1] == '\r')
                line->bytes--;
            return HITHER_OK;
        }
        looked = have;
        HT_TRY(refill(r, err));
    }
}

bool ht_reader_has_line(const ht_reader *r) {
    return (r->end > r->begin && memchr(r->data + r->begin, '\n', r->end - r->begin)) ||
           (r->finished && r->end > r->begin);
}

hither_status ht_reader_take(ht_reader *r, void *out, size_t bytes, size_t *got, hither_error *err) {
    size_t done = 0;
    while (done < bytes) {
        size_t n = ht_min_size(bytes - done, r->end - r->begin);
        if (n) {
            memcpy((char *)out + done, r->data + r->begin, n);
            consume(r, n);
            done += n;
        } else if (r->finished) {
            break;
        } else {
            HT_TRY(refill(r, err));
        }
    }
    *got = done;
    return HITHER_OK;
}

int ht_reader_refill_byte(ht_reader *r, hither_status *status, hither_error *err) {
    *status = HITHER_OK;
    while (r->begin == r->end && !r->finished)
        if ((*status = refill(r, err)) != HITHER_OK)
            return -1;
    if (r->begin == r->end)
        return -1;
    r->consumed++;
    return (unsigned char)r->data[r->begin++];
}
