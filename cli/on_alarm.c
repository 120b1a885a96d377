/* on_alarm.c: see on_alarm.h. */
#include "on_alarm.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"

extern char **environ;

static hither_status run(const char *command, int *code, hither_error *err) {
    char shell[] = "sh", option[] = "-c", *text = ht_strdup(command);
    if (!text)
        return ht_fail_nomem(err, strlen(command), "a command");
    char *const argv[] = {shell, option, text, NULL};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        pid_t pid = 0;
        failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (failed == 0)
            failed = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        while (failed == 0 && waitpid(pid, code, 0) < 0)
            failed = errno == EINTR ? 0 : errno;
    }
    ht_release(text);
    return failed == 0 ? HITHER_OK : ht_fail_errno(err, failed, "cannot run %s", command);
}

hither_status ht_on_alarm(const char *command, ht_text line, double score, const char *reason, int *code,
                          hither_error *err) {
    char number[32];
    ht_buf text;
    ht_buf_init(&text, SIZE_MAX / 2);
    ht_buf_put(&text, line.data, strnlen(line.data, line.bytes));
    ht_buf_putc(&text, 0);
    snprintf(number, sizeof number, "%.6g", score);
    hither_status status = ht_buf_check(&text, "a line", err);
    if (status == HITHER_OK && (setenv("HITHER_LINE", text.data, 1) != 0 || setenv("HITHER_SCORE", number, 1) != 0 ||
                                setenv("HITHER_REASON", reason, 1) != 0))
        status = ht_fail_nomem(err, text.size, "a command's environment");
    if (status == HITHER_OK)
        status = run(command, code, err);
    ht_buf_clear(&text);
    return status;
}
