/*
 * pages.h: scan, one page at a time. Main thread.
 */
#ifndef HT_CLI_PAGES_H
#define HT_CLI_PAGES_H

#include "args.h"

typedef bool ht_row_printer(const ht_args *args, const hither_result *result);

/* Whether scan was asked for more than rows in order of writing. */
bool ht_wants_pages(const ht_args *args);
/* Prints the rows that --where, --order-by, --descending, --offset, --after and --limit ask for; with --page one page,
 * and, if there are more rows, how to go on. */
HT_NODISCARD hither_status ht_print_pages(const ht_args *args, hither_collection *c, uint32_t include,
                                          ht_row_printer *print, hither_error *err);

#endif
