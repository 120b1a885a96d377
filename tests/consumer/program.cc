/* The header as C++ reads it, and its functions as C++ links them. */
#include "program.c"
