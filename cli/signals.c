/* signals.c: see signals.h. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int wake[2] = {-1, -1};

static void handle(int number) {
    int kept = errno;
    caught = number;
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
    errno = kept;
}

int ht_signals_catch(void) {
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    struct sigaction action = {.sa_handler = handle, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return wake[0];
}

int ht_signals_caught(void) { return caught; }
