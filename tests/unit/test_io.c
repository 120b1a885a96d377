/*
 * test_io.c: one set of tests, run over the disk and over RAM, so that each is the other's twin; then what only the
 * disk has: links, modes, locks between processes.
 */
#include "base/io.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "cmocka_all.h"

typedef struct place {
    const ht_io *io;
    ht_io *ram; /* NULL on disk */
    char folder[64];
    char path[512];
} place;

static const char *at(place *p, const char *name) {
    snprintf(p->path, sizeof p->path, "%s/%s", p->folder, name);
    return p->path;
}

static int disk_setup(void **state) {
    place *p = calloc(1, sizeof *p);
    p->io = ht_io_posix();
    snprintf(p->folder, sizeof p->folder, "hither-io-XXXXXX");
    *state = p;
    return mkdtemp(p->folder) ? 0 : -1;
}

static int ram_setup(void **state) {
    place *p = calloc(1, sizeof *p);
    hither_error err;
    if (ht_io_ram_new(&p->ram, &err) != HITHER_OK)
        return -1;
    p->io = p->ram;
    snprintf(p->folder, sizeof p->folder, "ram");
    *state = p;
    return p->io->make_folder(p->io->ctx, p->folder, &err) == HITHER_OK ? 0 : -1;
}

static int teardown(void **state) {
    place *p = *state;
    char command[128];
    if (p->ram)
        ht_io_ram_free(p->ram);
    else if (snprintf(command, sizeof command, "rm -rf '%s'", p->folder) < 0 || system(command) != 0)
        return -1;
    free(p);
    return 0;
}

static ht_file *open_new(place *p, const char *name) {
    hither_error err;
    ht_file *file = NULL;
    ASSERT_OK(p->io->open(p->io->ctx, at(p, name), HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &file, &err));
    return file;
}

static uint64_t size_of(place *p, ht_file *file) {
    hither_error err;
    uint64_t bytes = UINT64_MAX;
    ASSERT_OK(p->io->file_size(file, &bytes, &err));
    return bytes;
}

static ht_io_kind kind_at(place *p, const char *name) {
    hither_error err;
    ht_io_kind kind = HT_IO_OTHER;
    uint64_t bytes;
    ASSERT_OK(p->io->stat(p->io->ctx, at(p, name), &kind, &bytes, &err));
    return kind;
}

static void bytes_come_back(void **state) {
    place *p = *state;
    hither_error err;
    char data[16];
    uint64_t bytes;
    ht_io_kind kind;
    ht_file *file = open_new(p, "a"), *again = NULL;
    assert_int_equal(size_of(p, file), 0);
    ASSERT_OK(p->io->write_at(file, "hello", 5, 3, &err));
    ASSERT_OK(p->io->write_at(file, "", 0, 100, &err));
    assert_int_equal(size_of(p, file), 8);
    ASSERT_OK(p->io->sync(file, &err));
    ASSERT_OK(p->io->open(p->io->ctx, at(p, "a"), 0, &again, &err));
    ASSERT_OK(p->io->read_at(again, data, 8, 0, &err));
    assert_memory_equal(data, "\0\0\0hello", 8);
    ASSERT_OK(p->io->read_at(again, data, 0, 8, &err));
    ASSERT_FAILS(p->io->write_at(again, "x", 1, 0, &err), HITHER_IO);
    ASSERT_OK(p->io->stat(p->io->ctx, p->path, &kind, &bytes, &err));
    assert_int_equal(kind, HT_IO_FILE);
    assert_int_equal(bytes, 8);
    p->io->close(file);
    p->io->close(again);
    p->io->close(NULL);
}

static void a_short_read_says_where(void **state) {
    place *p = *state;
    hither_error err;
    char data[16], wanted[640];
    ht_file *file = open_new(p, "short");
    ASSERT_OK(p->io->write_at(file, "0123456789", 10, 0, &err));
    ASSERT_FAILS(p->io->read_at(file, data, 5, 6, &err), HITHER_CORRUPT);
    snprintf(wanted, sizeof wanted, "%s ends at byte 10, wanted 11", p->path);
    assert_string_equal(err.message, wanted);
    assert_true(p->io->read_at(file, data, 1, UINT64_MAX, &err) != HITHER_OK);
    assert_true(p->io->write_at(file, data, 1, UINT64_MAX, &err) != HITHER_OK);
    const void *map = NULL;
    ASSERT_FAILS(p->io->map(file, 11, &map, &err), HITHER_CORRUPT);
    snprintf(wanted, sizeof wanted, "%s ends at byte 10, wanted 11", p->path);
    assert_string_equal(err.message, wanted);
    ASSERT_FAILS(p->io->map(file, 0, &map, &err), HITHER_INVALID);
    assert_null(map);
    p->io->close(file);
}

static void sizes_change(void **state) {
    place *p = *state;
    hither_error err;
    unsigned char data[3000];
    ht_file *file = open_new(p, "sizes");
    memset(data, 0xee, sizeof data);
    ASSERT_OK(p->io->write_at(file, data, sizeof data, 0, &err));
    ASSERT_OK(p->io->resize(file, 100, &err));
    assert_int_equal(size_of(p, file), 100);
    ASSERT_OK(p->io->resize(file, 3000, &err));
    ASSERT_OK(p->io->read_at(file, data, 3000, 0, &err));
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(data[i], i < 100 ? 0xee : 0);
    ASSERT_OK(p->io->resize(file, 1 << 20, &err));
    ASSERT_OK(p->io->read_at(file, data, 3000, (1 << 20) - 3000, &err));
    assert_int_equal(data[2999], 0);
    ASSERT_OK(p->io->reserve(file, 0, 1 << 21, &err));
    assert_int_equal(size_of(p, file), 1 << 20);
    ASSERT_OK(p->io->resize(file, 0, &err));
    assert_int_equal(size_of(p, file), 0);
    assert_true(p->io->resize(file, UINT64_MAX, &err) != HITHER_OK);
    assert_true(p->io->reserve(file, UINT64_MAX, 2, &err) != HITHER_OK);
    p->io->close(file);
}

static void maps_show_later_writes_and_stay(void **state) {
    place *p = *state;
    hither_error err;
    const void *small = NULL, *large = NULL;
    static char data[300000];
    ht_file *file = open_new(p, "mapped");
    ASSERT_OK(p->io->resize(file, 5000, &err));
    ASSERT_OK(p->io->map(file, 5000, &small, &err));
    ASSERT_OK(p->io->write_at(file, "first", 5, 4990, &err));
    assert_memory_equal((const char *)small + 4990, "first", 5);
    memset(data, 'g', sizeof data);
    ASSERT_OK(p->io->write_at(file, data, sizeof data, 4998, &err)); /* grows far beyond the map */
    assert_memory_equal((const char *)small + 4990, "first", 5);
    assert_memory_equal((const char *)small + 4998, "gg", 2);
    ASSERT_OK(p->io->map(file, 4998 + sizeof data, &large, &err));
    ASSERT_OK(p->io->write_at(file, "later", 5, 10, &err));
    assert_memory_equal((const char *)small + 10, "later", 5);
    assert_memory_equal((const char *)large + 10, "later", 5);
    assert_memory_equal((const char *)large + 4998, data, sizeof data);
    p->io->unmap(file, small, 5000);
    ASSERT_OK(p->io->write_at(file, "again", 5, 10, &err));
    assert_memory_equal((const char *)large + 10, "again", 5);
    p->io->unmap(file, large, 4998 + sizeof data);
    p->io->unmap(file, NULL, 0);
    p->io->close(file);
}

static void opening_follows_its_flags(void **state) {
    place *p = *state;
    hither_error err;
    const ht_io *io = p->io;
    ht_file *file = NULL;
    ASSERT_FAILS(io->open(io->ctx, at(p, "none"), HT_IO_WRITE, &file, &err), HITHER_NOT_FOUND);
    assert_non_null(strstr(err.message, p->path));
    ASSERT_FAILS(io->open(io->ctx, at(p, "nowhere/none"), HT_IO_WRITE | HT_IO_CREATE, &file, &err), HITHER_NOT_FOUND);
    assert_null(file);
    io->close(open_new(p, "there"));
    ASSERT_FAILS(io->open(io->ctx, at(p, "there"), HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &file, &err),
                 HITHER_EXISTS);
    ASSERT_OK(io->open(io->ctx, at(p, "there"), HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    io->close(file);
    file = NULL;
    ASSERT_FAILS(io->open(io->ctx, p->folder, 0, &file, &err), HITHER_IO);
    ASSERT_FAILS(io->open(io->ctx, "", HT_IO_WRITE | HT_IO_CREATE, &file, &err), HITHER_NOT_FOUND);
    assert_null(file);
    ASSERT_OK(io->open(io->ctx, at(p, "temporary"), HT_IO_WRITE | HT_IO_CREATE | HT_IO_DELETE, &file, &err));
    io->close(file);
    assert_int_equal(kind_at(p, "temporary"), HT_IO_ABSENT);
}

static void open_files_outlive_their_names(void **state) {
    place *p = *state;
    hither_error err;
    char data[4], other[512];
    ht_file *gone = open_new(p, "gone"), *moved = open_new(p, "moved"), *target = open_new(p, "target"), *fresh = NULL;
    ASSERT_OK(p->io->write_at(gone, "gone", 4, 0, &err));
    ASSERT_OK(p->io->write_at(moved, "move", 4, 0, &err));
    ASSERT_OK(p->io->write_at(target, "targ", 4, 0, &err));
    const void *map = NULL;
    ASSERT_OK(p->io->map(gone, 4, &map, &err));
    ASSERT_OK(p->io->remove(p->io->ctx, at(p, "gone"), &err));
    assert_int_equal(kind_at(p, "gone"), HT_IO_ABSENT);
    ASSERT_OK(p->io->write_at(gone, "G", 1, 0, &err));
    ASSERT_OK(p->io->read_at(gone, data, 4, 0, &err));
    assert_memory_equal(data, "Gone", 4);
    assert_memory_equal(map, "Gone", 4);
    fresh = open_new(p, "gone");
    assert_int_equal(size_of(p, fresh), 0);
    snprintf(other, sizeof other, "%s", at(p, "moved"));
    ASSERT_OK(p->io->rename(p->io->ctx, other, at(p, "target"), &err));
    assert_int_equal(kind_at(p, "moved"), HT_IO_ABSENT);
    ASSERT_OK(p->io->read_at(target, data, 4, 0, &err));
    assert_memory_equal(data, "targ", 4);
    ASSERT_OK(p->io->write_at(moved, "M", 1, 0, &err));
    ht_file *named = NULL;
    ASSERT_OK(p->io->open(p->io->ctx, at(p, "target"), 0, &named, &err));
    ASSERT_OK(p->io->read_at(named, data, 4, 0, &err));
    assert_memory_equal(data, "Move", 4);
    p->io->unmap(gone, map, 4);
    ht_file *all[] = {gone, moved, target, fresh, named};
    for (size_t i = 0; i < 5; i++)
        p->io->close(all[i]);
}

static hither_status note(void *arg, const char *name, ht_io_kind kind) {
    ht_buf *seen = arg; /* one letter each, upper case for folders */
    ht_buf_putc(seen, (char)(kind == HT_IO_FOLDER ? name[0] - 'a' + 'A' : name[0]));
    return name[0] == 's' ? HITHER_INTERRUPTED : HITHER_OK;
}

static void expect_names(place *p, const char *folder, const char *letters) {
    hither_error err;
    ht_buf seen;
    ht_buf_init(&seen, 100);
    ht_buf_puts(&seen, "");
    ASSERT_OK(p->io->list(p->io->ctx, at(p, folder), note, &seen, &err));
    assert_int_equal(seen.size, strlen(letters));
    for (size_t i = 0; i < seen.size; i++)
        assert_non_null(strchr(letters, seen.data[i]));
    ht_buf_clear(&seen);
}

static void folders_hold_names(void **state) {
    place *p = *state;
    hither_error err;
    const ht_io *io = p->io;
    char other[512];
    ASSERT_OK(io->make_folder(io->ctx, at(p, "f"), &err));
    ASSERT_FAILS(io->make_folder(io->ctx, at(p, "f"), &err), HITHER_EXISTS);
    ASSERT_FAILS(io->make_folder(io->ctx, at(p, "no/f"), &err), HITHER_NOT_FOUND);
    ASSERT_OK(io->make_folder(io->ctx, at(p, "f/g/"), &err));
    io->close(open_new(p, "f/a"));
    io->close(open_new(p, "f//b"));
    io->close(open_new(p, "f/g/c"));
    io->close(open_new(p, "fx"));
    expect_names(p, "f", "abG");
    expect_names(p, "f/g/", "c");
    assert_int_equal(kind_at(p, "f/"), HT_IO_FOLDER);
    ASSERT_FAILS(io->remove(io->ctx, at(p, "f"), &err), HITHER_IO);
    ASSERT_FAILS(io->remove(io->ctx, at(p, "none"), &err), HITHER_NOT_FOUND);
    snprintf(other, sizeof other, "%s", at(p, "f"));
    ASSERT_OK(io->rename(io->ctx, other, at(p, "h"), &err));
    expect_names(p, "h", "abG");
    expect_names(p, "h/g", "c");
    assert_int_equal(kind_at(p, "h/g/c"), HT_IO_FILE);
    assert_int_equal(kind_at(p, "f/g/c"), HT_IO_ABSENT);
    assert_int_equal(kind_at(p, "fx"), HT_IO_FILE);
    snprintf(other, sizeof other, "%s", at(p, "h"));
    assert_true(io->rename(io->ctx, other, at(p, "h/g/in"), &err) != HITHER_OK);
    ASSERT_FAILS(io->rename(io->ctx, other, at(p, "no/h"), &err), HITHER_NOT_FOUND);
    ASSERT_OK(io->sync_folder(io->ctx, at(p, "h"), &err));
    ASSERT_FAILS(io->sync_folder(io->ctx, at(p, "none"), &err), HITHER_NOT_FOUND);
    ASSERT_FAILS(io->list(io->ctx, at(p, "none"), note, NULL, &err), HITHER_NOT_FOUND);
    static const char *const removed[] = {"h/g/c", "h/g", "h/a", "h/b"};
    for (size_t i = 0; i < 4; i++)
        ASSERT_OK(io->remove(io->ctx, at(p, removed[i]), &err));
    expect_names(p, "h", "");
    io->close(open_new(p, "h/s"));
    ht_buf seen;
    ht_buf_init(&seen, 100);
    ASSERT_FAILS(io->list(io->ctx, at(p, "h"), note, &seen, &err), HITHER_INTERRUPTED);
    ht_buf_clear(&seen);
}

static void relative_paths_start_somewhere(void **state) {
    place *p = *state;
    hither_error err;
    ht_io_kind kind;
    uint64_t bytes;
    ht_buf seen;
    ht_buf_init(&seen, 1 << 20);
    static const char *const starts[] = {".", "./", "/"};
    for (size_t i = 0; i < 3; i++) {
        ASSERT_OK(p->io->stat(p->io->ctx, starts[i], &kind, &bytes, &err));
        assert_int_equal(kind, HT_IO_FOLDER);
        ASSERT_OK(p->io->sync_folder(p->io->ctx, starts[i], &err));
        ASSERT_FAILS(p->io->make_folder(p->io->ctx, starts[i], &err), HITHER_EXISTS);
    }
    snprintf(p->path, sizeof p->path, "./%s", p->folder);
    ASSERT_OK(p->io->stat(p->io->ctx, p->path, &kind, &bytes, &err));
    assert_int_equal(kind, HT_IO_FOLDER);
    hither_status status = p->io->list(p->io->ctx, ".", note, &seen, &err);
    assert_true(status == HITHER_OK || status == HITHER_INTERRUPTED);
    assert_true(seen.size > 0);
    ht_buf_clear(&seen);
}

static void a_lock_has_one_holder(void **state) {
    place *p = *state;
    hither_error err;
    char wanted[640], data[32];
    ht_file *first = open_new(p, "LOCK"), *second = NULL;
    ASSERT_OK(p->io->open(p->io->ctx, at(p, "LOCK"), HT_IO_WRITE, &second, &err));
    ASSERT_OK(p->io->lock(first, &err));
    ASSERT_FAILS(p->io->lock(second, &err), HITHER_BUSY);
    snprintf(wanted, sizeof wanted, "%s is in use by process %ld", p->path, (long)getpid());
    assert_string_equal(err.message, wanted);
    snprintf(wanted, sizeof wanted, "%ld\n", (long)getpid());
    assert_int_equal(size_of(p, first), strlen(wanted));
    ASSERT_OK(p->io->read_at(second, data, strlen(wanted), 0, &err));
    assert_memory_equal(data, wanted, strlen(wanted));
    p->io->close(first);
    ASSERT_OK(p->io->lock(second, &err));
    p->io->close(second);
}

/* ---- several threads, each with a range of its own, one reader through the map */

enum { RANGE = 4096, ROUNDS = 200 };

typedef struct range {
    place *p;
    ht_file *file;
    size_t number;
    size_t wrong;
} range;

static void *use_range(void *arg) {
    range *r = arg;
    hither_error err;
    unsigned char data[RANGE];
    for (size_t i = 0; i < ROUNDS; i++) {
        memset(data, (int)(i + r->number), sizeof data);
        r->wrong += r->p->io->write_at(r->file, data, sizeof data, r->number * RANGE, &err) != HITHER_OK;
        memset(data, 0, sizeof data);
        r->wrong += r->p->io->read_at(r->file, data, sizeof data, r->number * RANGE, &err) != HITHER_OK;
        for (size_t j = 0; j < sizeof data; j++)
            r->wrong += data[j] != (unsigned char)(i + r->number);
        ht_file *mine = NULL;
        char path[128];
        snprintf(path, sizeof path, "%s/own-%zu", r->p->folder, r->number);
        r->wrong += r->p->io->open(r->p->io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &mine, &err) != HITHER_OK;
        r->p->io->close(mine);
        r->wrong += r->p->io->remove(r->p->io->ctx, path, &err) != HITHER_OK;
    }
    return NULL;
}

static void threads_share_a_file(void **state) {
    place *p = *state;
    hither_error err;
    pthread_t threads[4];
    range ranges[4];
    ht_file *file = open_new(p, "shared");
    const void *map = NULL;
    ASSERT_OK(p->io->resize(file, 4 * RANGE, &err));
    ASSERT_OK(p->io->map(file, 4 * RANGE, &map, &err));
    for (size_t i = 0; i < 4; i++) {
        ranges[i] = (range){p, file, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, use_range, &ranges[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(ranges[i].wrong, 0);
        assert_int_equal(((const unsigned char *)map)[i * RANGE], (unsigned char)(ROUNDS - 1 + i));
    }
    p->io->unmap(file, map, 4 * RANGE);
    p->io->close(file);
}

/* ---- the disk alone */

static void modes_are_private(void **state) {
    place *p = *state;
    hither_error err;
    struct stat st;
    mode_t before = umask(0);
    p->io->close(open_new(p, "file"));
    assert_int_equal(stat(at(p, "file"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ASSERT_OK(p->io->make_folder(p->io->ctx, at(p, "folder"), &err));
    assert_int_equal(stat(at(p, "folder"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    umask(before);
}

static void links_and_pipes_are_refused(void **state) {
    place *p = *state;
    hither_error err;
    ht_file *file = NULL;
    p->io->close(open_new(p, "real"));
    assert_int_equal(symlink("real", at(p, "link")), 0);
    ASSERT_FAILS(p->io->open(p->io->ctx, p->path, HT_IO_WRITE | HT_IO_CREATE, &file, &err), HITHER_IO);
    assert_non_null(strstr(err.message, "is a link"));
    assert_int_equal(kind_at(p, "link"), HT_IO_OTHER);
    assert_int_equal(symlink("nothing", at(p, "dangling")), 0);
    ASSERT_FAILS(p->io->open(p->io->ctx, p->path, HT_IO_WRITE | HT_IO_CREATE, &file, &err), HITHER_IO);
    assert_int_equal(symlink(".", at(p, "here")), 0);
    assert_int_equal(kind_at(p, "here"), HT_IO_FOLDER);
    assert_int_equal(mkfifo(at(p, "pipe"), 0600), 0);
    ASSERT_FAILS(p->io->open(p->io->ctx, p->path, 0, &file, &err), HITHER_IO);
    assert_non_null(strstr(err.message, "not a regular file"));
    assert_null(file);
}

static void descriptors_are_close_on_exec(void **state) {
    place *p = *state;
    int next = dup(0); /* the number the next descriptor will have */
    close(next);
    ht_file *file = open_new(p, "inherited");
    assert_true(fcntl(next, F_GETFD) & FD_CLOEXEC);
    p->io->close(file);
    assert_int_equal(fcntl(next, F_GETFD), -1);
}

static void a_lock_stands_between_processes(void **state) {
    place *p = *state;
    hither_error err;
    int ready[2], done[2];
    char byte = 0, wanted[640];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        ht_file *file = NULL;
        bool fine = p->io->open(p->io->ctx, at(p, "LOCK2"), HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK &&
                    p->io->lock(file, &err) == HITHER_OK;
        byte = fine ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
            _exit(2);
        _exit(0); /* without closing: the lock dies with its holder */
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    ht_file *file = NULL;
    ASSERT_OK(p->io->open(p->io->ctx, at(p, "LOCK2"), HT_IO_WRITE | HT_IO_CREATE, &file, &err));
    ASSERT_FAILS(p->io->lock(file, &err), HITHER_BUSY);
    snprintf(wanted, sizeof wanted, "%s is in use by process %ld", p->path, (long)child);
    assert_string_equal(err.message, wanted);
    assert_int_equal(write(done[1], "x", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    ASSERT_OK(p->io->lock(file, &err));
    p->io->close(file);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
}

static void system_texts_are_read(void **state) {
    (void)state;
    char text[8];
    assert_false(ht_io_system_text("/nowhere/at/all", text, sizeof text));
    if (access("/proc/self/cmdline", R_OK) == 0) {
        assert_true(ht_io_system_text("/proc/self/cmdline", text, sizeof text));
        assert_int_equal(text[7], '\0');
    }
}

/* ---- paths, and RAM against the disk by chance */

static void paths_are_joined(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"},   {"a/", "b", "a/b"}, {"/", "b", "/b"},
                                           {"a//", "b", "a/b"}, {"", "b", "b"},     {"//", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = ht_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        ht_release(path);
    }
}

/* The same random writes, resizes and reads on both; sizes around the edges of blocks. */
static void ram_equals_disk(void **state) {
    place *disk = *state;
    void *other;
    assert_int_equal(ram_setup(&other), 0);
    place *both[2] = {disk, other};
    ht_file *files[2] = {open_new(disk, "twin"), open_new(other, "twin")};
    static unsigned char data[2][200000];
    const uint64_t seed = 4711;
    for (uint64_t i = 0; i < 1500; i++) {
        hither_error err;
        uint64_t r = ht_mix64(seed + i), offset = ht_mix64(r) % 150000, bytes = ht_mix64(r + 1) % 3000;
        hither_status status[2];
        for (size_t k = 0; k < 2; k++) {
            const ht_io *io = both[k]->io;
            memset(data[k], (int)(r >> 8 & 0xff), bytes);
            if (r % 8 < 4)
                status[k] = io->write_at(files[k], data[k], bytes, offset, &err);
            else if (r % 8 < 7)
                status[k] = io->read_at(files[k], data[k], bytes, offset, &err);
            else
                status[k] = io->resize(files[k], offset, &err);
        }
        uint64_t size = size_of(disk, files[0]);
        if (status[0] != status[1] || size != size_of(other, files[1]) ||
            (status[0] == HITHER_OK && memcmp(data[0], data[1], bytes) != 0))
            fail_msg("seed %u step %u: RAM and disk differ", (unsigned)seed, (unsigned)i);
    }
    uint64_t size = size_of(disk, files[0]);
    for (size_t k = 0; k < 2; k++) {
        hither_error err;
        ASSERT_OK(both[k]->io->read_at(files[k], data[k], size, 0, &err));
        both[k]->io->close(files[k]);
    }
    assert_memory_equal(data[0], data[1], size);
    assert_int_equal(teardown(&other), 0);
}

#define ON_BOTH(test)                                                                                                  \
    cmocka_unit_test_setup_teardown(test, disk_setup, teardown),                                                       \
        cmocka_unit_test_setup_teardown(test, ram_setup, teardown)
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, disk_setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(bytes_come_back),
        ON_BOTH(a_short_read_says_where),
        ON_BOTH(sizes_change),
        ON_BOTH(maps_show_later_writes_and_stay),
        ON_BOTH(opening_follows_its_flags),
        ON_BOTH(open_files_outlive_their_names),
        ON_BOTH(folders_hold_names),
        ON_BOTH(relative_paths_start_somewhere),
        ON_BOTH(a_lock_has_one_holder),
        ON_BOTH(threads_share_a_file),
        ON_DISK(modes_are_private),
        ON_DISK(links_and_pipes_are_refused),
        ON_DISK(descriptors_are_close_on_exec),
        ON_DISK(a_lock_stands_between_processes),
        ON_DISK(ram_equals_disk),
        cmocka_unit_test(system_texts_are_read),
        cmocka_unit_test(paths_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
