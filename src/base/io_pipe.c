/*
 * io_pipe.c: see pipe.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/pipe.h"

int ht_pipe_open(int ends[2]) {
    if (pipe(ends) != 0)
        return errno;
    for (int i = 0; i < 2; i++)
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

void ht_pipe_signal(const int ends[2]) {
    while (write(ends[1], "!", 1) < 0 && errno == EINTR)
        ; /* an empty pipe has room for a byte */
}

void ht_pipe_close(int ends[2]) {
    (void)close(ends[0]);
    (void)close(ends[1]);
}
