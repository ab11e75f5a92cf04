/* What a thread of the operating system has: its runs in progress, and the interpreter's record of it.
 *
 * Asking CPython for the current thread state is a call through two tables on every probe, so the pointer is kept.
 * It is forgotten when the thread state is cleared (a guard object in the state's dictionary sees to that), and
 * compared with the truth whenever a run begins. Records are never freed but handed to later threads, so the guard
 * of a thread state that outlives its thread has nothing dangling to write to.
 */
#ifndef RECOMPYLE_THREAD_H
#define RECOMPYLE_THREAD_H

#include "frame.h"
#include "rcp_clock.h"
#include "rcp_stack.h"

typedef struct recompyle_thread {
    rcp_thread_t runs;
    PyThreadState *state;           /* NULL: not known */
    struct recompyle_thread **here; /* where the extension that uses the record keeps its pointer, NULL: nowhere */
    struct recompyle_thread *next;  /* among those waiting for a new thread */
} recompyle_thread_t;

/* The running activation of the function marked `mark`, NULL if this run is not recorded; the straight line. */
static inline rcp_activation_t *recompyle_at_hand(recompyle_thread_t *thread, const void *mark)
{
    rcp_activation_t *activation;
    if (rcp_unlikely(thread == NULL || thread->state == NULL))
        return NULL;
    activation = thread->runs.current;
    if (rcp_unlikely(activation == NULL || activation->owner != mark
                     || atomic_load_explicit(&activation->frame, memory_order_relaxed)
                            != recompyle_frame(thread->state)))
        return NULL;
    return activation;
}

#endif
