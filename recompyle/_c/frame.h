/* The running frame, as an address to compare.
 *
 * What is known here about the inside of CPython: where a thread keeps its current frame, and where a frame keeps
 * the one that called it. Frames of C functions do not appear; from 3.12 some frames in the chain belong to the
 * interpreter itself and match nobody. All functions need the thread to be attached to the interpreter.
 */
#ifndef RECOMPYLE_FRAME_H
#define RECOMPYLE_FRAME_H

#include <Python.h>

/* The head of _PyInterpreterFrame. */
typedef struct recompyle_frame {
#if PY_VERSION_HEX < 0x030C0000
    void *function, *globals, *builtins, *locals, *code, *frame_object;
#else
    void *code;
#endif
    struct recompyle_frame *previous;
} recompyle_frame_t;

/* The state of the thread that asks. */
static inline PyThreadState *recompyle_thread_state(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* The frame of the Python function that runs on a thread. */
static inline const void *recompyle_frame(const PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030D0000
    return state->current_frame;
#else
    return state->cframe->current_frame;
#endif
}

/* The frame that called a frame; NULL for the first one. */
static inline const void *recompyle_caller(const void *frame)
{
    return ((const recompyle_frame_t *)frame)->previous;
}

/* Whether a frame is `frame` itself or one of its callers. */
static inline int recompyle_is_caller(const void *frame, const void *caller)
{
    while (frame != NULL && frame != caller)
        frame = recompyle_caller(frame);
    return frame != NULL;
}

#endif
