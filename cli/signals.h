/*
 * signals.h: ending on request. Commands that must not stop in the middle (import, watch) catch SIGINT and SIGTERM
 * once; a second one ends the process at once, as it would have without this. Process-wide state, set up once on the
 * main thread; the handler only sets a flag and wakes the reader through a pipe.
 */
#ifndef HT_CLI_SIGNALS_H
#define HT_CLI_SIGNALS_H

/* Catches both from now on. Gives the descriptor that becomes readable when one arrived, -1 if there is none. */
int ht_signals_catch(void);
/* The signal that arrived, or 0. */
int ht_signals_caught(void);

#endif
