/*
 * io_posix.c: the I/O table over the operating system.
 *
 * Every message carries the path. Descriptors are close-on-exec, files and folders are made for their owner alone, the
 * last part of a path is never followed when it is a link, and what is not a regular file is refused before the first
 * byte. Any thread; the calls keep no state but the descriptor.
 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#endif

#include "base/alloc.h"

/* One system call moves at most this much; some systems refuse more than 2 GiB. */
#define LARGEST_MOVE ((size_t)1 << 30)

typedef struct disk_file {
    ht_file base;
    int fd;
    unsigned flags;
    char path[];
} disk_file;

static disk_file *of(ht_file *file) { return (disk_file *)(void *)file; }

/* ---- open and close */

static hither_status check_regular(int fd, const char *path, hither_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ht_fail_errno(err, errno, "cannot examine %s", path);
    if (!S_ISREG(st.st_mode))
        return ht_fail(err, HITHER_IO, "%s is not a regular file", path);
    return HITHER_OK;
}

static hither_status disk_open(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err) {
    (void)ctx;
    /* O_NONBLOCK keeps a FIFO from holding us up; it means nothing to a regular file. */
    int how = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (flags & HT_IO_WRITE ? O_RDWR : O_RDONLY);
    if (flags & HT_IO_CREATE)
        how |= O_CREAT | (flags & HT_IO_EXCLUSIVE ? O_EXCL : 0);
    size_t length = strlen(path);
    disk_file *file = ht_alloc(sizeof *file + length + 1);
    if (!file)
        return ht_fail_nomem(err, sizeof *file + length + 1, "an open file");
    int fd;
    do
        fd = open(path, how, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        int problem = errno;
        ht_release(file);
        if (problem == ELOOP)
            return ht_fail(err, HITHER_IO, "%s is a link; hither opens only the file itself", path);
        return ht_fail_errno(err, problem, "cannot open %s", path);
    }
    hither_status status = check_regular(fd, path, err);
    if (status != HITHER_OK) {
        close(fd);
        ht_release(file);
        return status;
    }
    file->base.io = ht_io_posix();
    file->fd = fd;
    file->flags = flags;
    memcpy(file->path, path, length + 1);
    *out = &file->base;
    return HITHER_OK;
}

static void disk_close(ht_file *handle) {
    if (!handle)
        return;
    disk_file *file = of(handle);
    if (file->flags & HT_IO_DELETE)
        unlink(file->path);
    close(file->fd);
    ht_release(file);
}

/* ---- bytes */

/* pread and pwrite take a signed offset. */
static hither_status check_range(const disk_file *file, uint64_t offset, uint64_t bytes, hither_error *err) {
    if (offset > INT64_MAX || bytes > INT64_MAX - offset)
        return ht_fail(err, HITHER_INVALID, "%s has no byte %" PRIu64 " + %" PRIu64, file->path, offset, bytes);
    return HITHER_OK;
}

static hither_status posix_read_at(ht_file *handle, void *data, size_t bytes, uint64_t offset, hither_error *err) {
    disk_file *file = of(handle);
    HT_TRY(check_range(file, offset, bytes, err));
    for (size_t done = 0; done < bytes;) {
        ssize_t got =
            pread(file->fd, (char *)data + done, ht_min_size(bytes - done, LARGEST_MOVE), (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ht_fail_errno(err, errno, "cannot read %zu bytes at %" PRIu64 " of %s", bytes, offset, file->path);
        if (got == 0)
            return ht_fail(err, HITHER_CORRUPT, "%s ends at byte %" PRIu64 ", wanted %" PRIu64, file->path,
                           offset + done, offset + bytes);
        done += (size_t)got;
    }
    return HITHER_OK;
}

static hither_status posix_write_at(ht_file *handle, const void *data, size_t bytes, uint64_t offset,
                                    hither_error *err) {
    disk_file *file = of(handle);
    HT_TRY(check_range(file, offset, bytes, err));
    for (size_t done = 0; done < bytes;) {
        ssize_t put = pwrite(file->fd, (const char *)data + done, ht_min_size(bytes - done, LARGEST_MOVE),
                             (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return ht_fail_errno(err, put < 0 ? errno : EIO, "cannot write %zu bytes at %" PRIu64 " of %s", bytes,
                                 offset, file->path);
        done += (size_t)put;
    }
    return HITHER_OK;
}

static hither_status disk_size(ht_file *handle, uint64_t *out, hither_error *err) {
    disk_file *file = of(handle);
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return ht_fail_errno(err, errno, "cannot examine %s", file->path);
    *out = (uint64_t)st.st_size;
    return HITHER_OK;
}

static hither_status disk_resize(ht_file *handle, uint64_t bytes, hither_error *err) {
    disk_file *file = of(handle);
    HT_TRY(check_range(file, 0, bytes, err));
    int rc;
    do
        rc = ftruncate(file->fd, (off_t)bytes);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return ht_fail_errno(err, errno, "cannot set the size of %s to %" PRIu64 " bytes", file->path, bytes);
    return HITHER_OK;
}

static hither_status disk_reserve(ht_file *handle, uint64_t offset, uint64_t bytes, hither_error *err) {
    disk_file *file = of(handle);
    HT_TRY(check_range(file, offset, bytes, err));
#if defined(__linux__)
    int rc = 0;
    do
        rc = bytes ? fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) : 0;
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return ht_fail_errno(err, errno, "cannot reserve %" PRIu64 " bytes at %" PRIu64 " of %s", bytes, offset,
                             file->path);
#endif
    return HITHER_OK;
}

/* ---- durability */

/* fdatasync leaves out times, but not what is needed to read the bytes again: a changed size is synced with them. So
 * resize needs no stronger call. */
static hither_status disk_sync(ht_file *handle, hither_error *err) {
    disk_file *file = of(handle);
    int rc;
    do {
#if defined(__APPLE__)
        rc = fcntl(file->fd, F_FULLFSYNC); /* fsync there does not empty the drive's cache */
#else
        rc = fdatasync(file->fd);
#endif
    } while (rc != 0 && errno == EINTR); /* interrupted before it failed; any other failure is final */
    if (rc != 0)
        return ht_fail_errno(err, errno, "cannot sync %s", file->path);
    return HITHER_OK;
}

#if defined(__linux__)
/* The reads are begun, all that are asked for at once, and not waited for. */
static void posix_want(ht_file *handle, uint64_t offset, uint64_t bytes) {
    (void)posix_fadvise(of(handle)->fd, (off_t)offset, (off_t)bytes, POSIX_FADV_WILLNEED);
}

/* Only begins to write back what is dirty; an error then shows in the sync. */
static void posix_start_sync(ht_file *handle, uint64_t offset, uint64_t bytes) {
    (void)sync_file_range(of(handle)->fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}
#endif

static hither_status posix_sync_folder(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    int fd, rc;
    do
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return ht_fail_errno(err, errno, "cannot open the folder %s", path);
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    int problem = errno;
    close(fd);
    if (rc != 0 && problem != EINVAL) /* EINVAL: this file system has no such thing for folders */
        return ht_fail_errno(err, problem, "cannot sync the folder %s", path);
    return HITHER_OK;
}

/* ---- maps */

static hither_status disk_map(ht_file *handle, size_t bytes, const void **out, hither_error *err) {
    disk_file *file = of(handle);
    uint64_t size;
    if (bytes == 0)
        return ht_fail(err, HITHER_INVALID, "cannot map 0 bytes of %s", file->path);
    HT_TRY(disk_size(handle, &size, err));
    if (size < bytes) /* a touch past the end would be a SIGBUS */
        return ht_fail(err, HITHER_CORRUPT, "%s ends at byte %" PRIu64 ", wanted %zu", file->path, size, bytes);
    void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (data == MAP_FAILED)
        return ht_fail_errno(err, errno, "cannot map %zu bytes of %s", bytes, file->path);
    *out = data;
    return HITHER_OK;
}

static void disk_unmap(ht_file *handle, const void *data, size_t bytes) {
    (void)handle;
    if (data)
        munmap((void *)(uintptr_t)data, bytes);
}

/* ---- the lock */

static hither_status fail_busy(const disk_file *file, hither_error *err) {
    char text[32] = "";
    ssize_t got = pread(file->fd, text, sizeof text - 1, 0);
    long pid = got > 0 ? strtol(text, NULL, 10) : 0;
    if (pid <= 0) /* locked a moment ago, not signed yet */
        return ht_fail(err, HITHER_BUSY, "%s is in use by another process", file->path);
    return ht_fail(err, HITHER_BUSY, "%s is in use by process %ld", file->path, pid);
}

static hither_status disk_lock(ht_file *handle, hither_error *err) {
    disk_file *file = of(handle);
    int rc;
    do
        rc = flock(file->fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EWOULDBLOCK)
        return fail_busy(file, err);
    if (rc != 0)
        return ht_fail_errno(err, errno, "cannot lock %s", file->path);
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    hither_status status = posix_write_at(handle, text, (size_t)length, 0, err);
    if (status == HITHER_OK)
        status = disk_resize(handle, (uint64_t)length, err);
    if (status != HITHER_OK)
        flock(file->fd, LOCK_UN);
    return status;
}

/* ---- folders */

static ht_io_kind kind_of(mode_t mode) {
    return S_ISREG(mode) ? HT_IO_FILE : S_ISDIR(mode) ? HT_IO_FOLDER : HT_IO_OTHER;
}

static hither_status disk_stat(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err) {
    (void)ctx;
    struct stat st, target;
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return ht_fail_errno(err, errno, "cannot examine %s", path);
        *kind = HT_IO_ABSENT;
        *bytes = 0;
        return HITHER_OK;
    }
    if (S_ISLNK(st.st_mode) && stat(path, &target) == 0 && S_ISDIR(target.st_mode))
        st = target;
    *kind = kind_of(st.st_mode);
    *bytes = *kind == HT_IO_FILE ? (uint64_t)st.st_size : 0;
    return HITHER_OK;
}

static hither_status posix_make_folder(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    if (mkdir(path, 0700) != 0)
        return ht_fail_errno(err, errno, "cannot make the folder %s", path);
    return HITHER_OK;
}

static hither_status disk_rename(void *ctx, const char *from, const char *to, hither_error *err) {
    (void)ctx;
    if (rename(from, to) != 0)
        return ht_fail_errno(err, errno, "cannot rename %s to %s", from, to);
    return HITHER_OK;
}

/* A file of its own with the same blocks behind it; false where the file system has no such thing. */
static bool reflink(const disk_file *from, const char *path) {
#if defined(FICLONE)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool done = ioctl(fd, FICLONE, from->fd) == 0;
    if (close(fd) == 0 && done)
        return true;
    unlink(path);
#else
    (void)from;
    (void)path;
#endif
    return false;
}

static hither_status disk_share(ht_file *handle, const char *path, int sealed, hither_error *err) {
    const disk_file *from = of(handle);
    struct stat open_one, linked;
    if (reflink(from, path))
        return HITHER_OK;
    if (sealed && link(from->path, path) == 0) {
        /* The name may have come to mean another file meanwhile. */
        if (fstat(from->fd, &open_one) == 0 && lstat(path, &linked) == 0 && open_one.st_ino == linked.st_ino &&
            open_one.st_dev == linked.st_dev)
            return HITHER_OK;
        unlink(path);
    }
    return ht_fail(err, HITHER_UNSUPPORTED, "%s cannot share the space of %s", path, from->path);
}

static hither_status disk_remove(void *ctx, const char *path, hither_error *err) {
    (void)ctx;
    if (remove(path) != 0)
        return ht_fail_errno(err, errno, "cannot remove %s", path);
    return HITHER_OK;
}

static hither_status disk_list(void *ctx, const char *path,
                               hither_status (*each)(void *arg, const char *name, ht_io_kind kind), void *arg,
                               hither_error *err) {
    (void)ctx;
    DIR *folder = opendir(path);
    if (!folder)
        return ht_fail_errno(err, errno, "cannot list %s", path);
    hither_status status = HITHER_OK;
    while (status == HITHER_OK) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno != 0)
                status = ht_fail_errno(err, errno, "cannot list %s", path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct stat st;
        if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) /* gone since */
                continue;
            status = ht_fail_errno(err, errno, "cannot examine %s/%s", path, entry->d_name);
            break;
        }
        status = each(arg, entry->d_name, kind_of(st.st_mode));
    }
    closedir(folder);
    return status;
}

/* ---- identity and place */

static hither_status disk_identity(void *ctx, const char *path, uint64_t out[2], hither_error *err) {
    (void)ctx;
    struct stat st;
    if (stat(path, &st) != 0)
        return ht_fail_errno(err, errno, "cannot examine %s", path);
    out[0] = (uint64_t)st.st_dev;
    out[1] = (uint64_t)st.st_ino;
    return HITHER_OK;
}

#if defined(__linux__)
static const char *disk_network(void *ctx, const char *path) {
    static const struct {
        uint32_t magic;
        const char *name;
    } kinds[] = {{0x6969, "NFS"},    {0x517b, "SMB"},      {0xff534d42, "CIFS"},  {0xfe534d42, "SMB2"},
                 {0x564c, "NCP"},    {0x73757245, "Coda"}, {0x5346414f, "AFS"},   {0x6b414653, "AFS"},
                 {0x01021997, "9P"}, {0x00c36400, "Ceph"}, {0x0bd00bd0, "Lustre"}};
    struct statfs fs;
    (void)ctx;
    if (statfs(path, &fs) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((uint32_t)fs.f_type == kinds[i].magic)
            return kinds[i].name;
    return NULL;
}

/* tmpfs gives a page of its own to whoever reads one that is not there, and SIGBUS if it has none left. */
static int posix_holes_cost(void *ctx, const char *path) {
    enum { TMPFS = 0x01021994 };
    struct statfs fs;
    (void)ctx;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS;
}
#endif

bool ht_io_system_text(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t length = 0;
    while (length < room - 1) {
        ssize_t got = read(fd, text + length, room - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(fd);
    text[length] = '\0';
    return length > 0;
}

bool ht_io_stamp_of(const char *path, ht_io_stamp *out) {
    struct stat found;
    if (lstat(path, &found) != 0)
        return false;
    if (S_ISLNK(found.st_mode) && (stat(path, &found) != 0 || !S_ISDIR(found.st_mode)))
        return false;
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode))
        return false;
    memset(out, 0, sizeof *out); /* it is compared as bytes */
    out->device = (uint64_t)found.st_dev;
    out->number = (uint64_t)found.st_ino;
    out->bytes = (uint64_t)found.st_size;
    out->modified_ns = (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec;
    out->changed_ns = (int64_t)found.st_ctim.tv_sec * 1000000000 + found.st_ctim.tv_nsec;
    out->ours = found.st_uid == geteuid() && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    return true;
}

bool ht_io_program_folder(char *folder, size_t room) {
    ssize_t length = readlink("/proc/self/exe", folder, room - 1);
    if (length <= 0 || (size_t)length >= room - 1)
        return false;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return slash && slash > folder;
}

const ht_io *ht_io_posix(void) {
    static const ht_io io = {
        .size = sizeof io,
        .sqlite_vfs = "unix",
        .open = disk_open,
        .close = disk_close,
        .read_at = posix_read_at,
        .write_at = posix_write_at,
        .file_size = disk_size,
        .resize = disk_resize,
        .reserve = disk_reserve,
        .sync = disk_sync,
        .map = disk_map,
        .unmap = disk_unmap,
        .lock = disk_lock,
        .stat = disk_stat,
        .make_folder = posix_make_folder,
        .rename = disk_rename,
        .remove = disk_remove,
        .sync_folder = posix_sync_folder,
        .list = disk_list,
        .identity = disk_identity,
        .share = disk_share,
#if defined(__linux__)
        .network = disk_network,
        .holes_cost = posix_holes_cost,
        .start_sync = posix_start_sync,
        .want = posix_want,
#endif
    };
    return &io;
}
