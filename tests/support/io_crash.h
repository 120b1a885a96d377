/*
 * io_crash.h: builds the disk a crash leaves from a trace. For io_fault.c only; the rules stand in io_fault.h.
 */
#ifndef HT_TESTS_IO_CRASH_H
#define HT_TESTS_IO_CRASH_H

#include "io_trace.h"

ht_io *io_crash_build(const trace *t, size_t steps, uint64_t seed);

#endif
