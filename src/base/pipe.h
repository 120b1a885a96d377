/*
 * pipe.h: a pipe that tells whoever polls its reading end that something has happened. Nobody inherits it. Any thread;
 * one at a time.
 */
#ifndef HT_BASE_PIPE_H
#define HT_BASE_PIPE_H

/* The reading end is ends[0]. 0, or the errno. */
int ht_pipe_open(int ends[2]);
/* Makes the reading end readable; once. */
void ht_pipe_signal(const int ends[2]);
void ht_pipe_close(int ends[2]);

#endif
