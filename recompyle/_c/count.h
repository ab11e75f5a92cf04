/* One more, in a number that several threads count in.

   Under the global interpreter lock a plain addition loses nothing; without that lock it would. */
#ifndef RECOMPYLE_COUNT_H
#define RECOMPYLE_COUNT_H

#include <Python.h>

#ifdef Py_GIL_DISABLED
#define recompyle_count(number) ((void)__atomic_fetch_add(&(number), 1, __ATOMIC_RELAXED))
#else
#define recompyle_count(number) ((void)++(number))
#endif

#endif
