/* sink.c: see sink.h. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output.h"

hither_status ht_sink_open(ht_sink *sink, const char *path, hither_error *err) {
    *sink = (ht_sink){.path = path && strcmp(path, "-") ? path : NULL};
    if (!sink->path)
        return HITHER_OK;
    struct stat info;
    const bool special = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    if (!special) {
        size_t bytes = strlen(path) + 32;
        sink->temporary = ht_alloc(bytes);
        if (!sink->temporary)
            return ht_fail_nomem(err, bytes, "a file name");
        snprintf(sink->temporary, bytes, "%s.%ld.part", path, (long)getpid());
    }
    int fd = open(special ? path : sink->temporary, O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_EXCL), 0666);
    if (fd < 0) {
        hither_status status = ht_fail_errno(err, errno, "cannot write %s", path);
        ht_release(sink->temporary);
        *sink = (ht_sink){0};
        return status;
    }
    sink->file = fdopen(fd, "wb");
    if (sink->file)
        return HITHER_OK;
    close(fd);
    ht_sink_close(sink);
    return ht_fail_nomem(err, BUFSIZ, "a file");
}

static hither_status failed(const ht_sink *sink, hither_error *err) {
    return ht_fail_errno(err, errno ? errno : EIO, "cannot write %s", sink->path);
}

hither_status ht_sink_buf(ht_sink *sink, ht_buf *buf, hither_error *err) {
    HT_TRY(ht_buf_check(buf, "the output", err));
    if (!sink->path) {
        sink->closed = !ht_out_buf(buf);
        return HITHER_OK;
    }
    errno = 0;
    if (buf->size && fwrite(buf->data, 1, buf->size, sink->file) != buf->size)
        return failed(sink, err);
    ht_buf_reset(buf);
    return HITHER_OK;
}

hither_status ht_sink_finish(ht_sink *sink, hither_error *err) {
    if (!sink->path)
        return HITHER_OK;
    errno = 0;
    if (fflush(sink->file) != 0 || (sink->temporary && fsync(fileno(sink->file)) != 0))
        return failed(sink, err);
    int lost = fclose(sink->file);
    sink->file = NULL;
    if (lost != 0 || (sink->temporary && rename(sink->temporary, sink->path) != 0))
        return failed(sink, err);
    ht_release(sink->temporary);
    sink->temporary = NULL;
    return HITHER_OK;
}

void ht_sink_close(ht_sink *sink) {
    if (sink->file)
        fclose(sink->file);
    if (sink->temporary)
        unlink(sink->temporary);
    ht_release(sink->temporary);
    *sink = (ht_sink){0};
}
