/* follow.c: see follow.h. Files are asked for news by read and stat: that works on every file system. */
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

void ht_follow_open(ht_follow *f, const char *path) {
    *f = (ht_follow){.path = path, .fd = -1};
    ht_buf_init(&f->line, SIZE_MAX / 2);
    if (!strcmp(path, "-"))
        f->fd = STDIN_FILENO;
}

void ht_follow_close(ht_follow *f) {
    if (f->fd > STDIN_FILENO)
        close(f->fd);
    ht_buf_clear(&f->line);
    f->fd = -1;
}

typedef hither_status line_fn(void *ctx, const ht_line *line, hither_error *err);

static hither_status end_line(ht_follow *f, bool complete, line_fn *line, void *ctx, hither_error *err) {
    HT_TRY(ht_buf_check(&f->line, "a line", err));
    size_t bytes = f->line.size;
    if (bytes > 0 && f->line.data[bytes - 1] == '\r' && f->dropped == 0)
        bytes--;
    const ht_line whole = {f->line.data ? f->line.data : "", bytes, f->dropped, complete};
    hither_status status = line(ctx, &whole, err);
    ht_buf_reset(&f->line);
    f->dropped = 0;
    return status;
}

static hither_status feed(ht_follow *f, const char *data, size_t bytes, size_t max, line_fn *line, void *ctx,
                          hither_error *err) {
    while (bytes > 0) {
        const char *stop = memchr(data, '\n', bytes);
        size_t n = stop ? (size_t)(stop - data) : bytes, room = max - f->line.size, kept = n < room ? n : room;
        ht_buf_put(&f->line, data, kept);
        f->dropped += n - kept;
        if (stop)
            HT_TRY(end_line(f, true, line, ctx, err));
        data += stop ? n + 1 : n;
        bytes -= stop ? n + 1 : n;
    }
    return HITHER_OK;
}

static void open_file(ht_follow *f) {
    struct stat info;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        return;
    if (fstat(f->fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        close(f->fd);
        f->fd = -1;
        return;
    }
    f->device = info.st_dev;
    f->inode = info.st_ino;
    f->offset = 0;
}

/* At the end of what is there: whether the name now means something else, or the file was cut. */
static hither_status look_for_rotation(ht_follow *f, bool *any, line_fn *line, void *ctx, hither_error *err) {
    struct stat named, open;
    if (fstat(f->fd, &open) != 0 || !S_ISREG(open.st_mode))
        return HITHER_OK;
    if (open.st_size < f->offset) {
        ht_buf_reset(&f->line);
        f->dropped = 0;
        f->offset = lseek(f->fd, 0, SEEK_SET);
        *any = true;
        return HITHER_OK;
    }
    if (stat(f->path, &named) != 0 || (named.st_dev == f->device && named.st_ino == f->inode))
        return HITHER_OK; /* moved away with nothing in its place yet: more may come into it */
    if (open.st_size > f->offset)
        return HITHER_OK; /* written to since we read: first to its end */
    close(f->fd);
    f->fd = -1;
    *any = true;
    return f->line.size > 0 ? end_line(f, false, line, ctx, err) : HITHER_OK;
}

hither_status ht_follow_read(ht_follow *f, size_t max, bool *any, line_fn *line, void *ctx, hither_error *err) {
    char block[BLOCK];
    *any = false;
    if (f->ended)
        return HITHER_OK;
    if (f->fd < 0)
        open_file(f);
    if (f->fd < 0)
        return HITHER_OK;
    if (f->fd == STDIN_FILENO) {
        struct pollfd fd = {.fd = f->fd, .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0)
            return HITHER_OK;
    }
    ssize_t n = read(f->fd, block, sizeof block);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return HITHER_OK;
    if (n < 0)
        return ht_fail_errno(err, errno, "cannot read %s", f->path);
    f->offset += n;
    *any = n > 0;
    if (n > 0)
        return feed(f, block, (size_t)n, max, line, ctx, err);
    if (f->fd != STDIN_FILENO)
        return look_for_rotation(f, any, line, ctx, err);
    f->ended = true;
    return f->line.size > 0 ? end_line(f, false, line, ctx, err) : HITHER_OK;
}
