/*
 * alloc_fault.h: the library's memory under control of a test: count the blocks, fail the n-th request, find what was
 * not given back.
 *
 * Call alloc_fault_install first thing in main, before the library gives out memory. Afterwards every block comes from
 * here, filled with a pattern when given out and when taken back, so that nothing works by luck. Counters are atomic:
 * any thread. The memory of jansson and of SQLite is not seen unless a program hooks it in too, before their first use.
 */
#ifndef HT_TESTS_ALLOC_FAULT_H
#define HT_TESTS_ALLOC_FAULT_H

#include <stdbool.h>
#include <stdint.h>

void alloc_fault_install(void);
void alloc_fault_install_jansson(void);
void alloc_fault_install_sqlite(void);

/* The nth request (from 1) from now on fails; with `for_good` every later one too. 0: none fails. Resets the count. */
void alloc_fault_arm(uint64_t nth, bool for_good);
/* Requests since the last arm. */
uint64_t alloc_fault_requests(void);
/* Whether a request was failed since the last arm. */
bool alloc_fault_hit(void);
/* Blocks given out and not yet taken back. */
int64_t alloc_fault_live(void);

#endif
