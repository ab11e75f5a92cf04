/* Reads a variable of a running frame by its name, and changes nothing: no snapshot of locals() is refreshed. */
#ifndef RECOMPYLE_TRACE_VARIABLES_H
#define RECOMPYLE_TRACE_VARIABLES_H

#include <Python.h>

#include "frame.h"

/* The head of a frame object. */
typedef struct {
    PyObject_HEAD
    void *back;
    void *frame;
} recompyle_frame_object_t;

/* The address of the frame that a frame object stands for. */
static inline const void *recompyle_behind(PyFrameObject *object)
{
    return ((recompyle_frame_object_t *)object)->frame;
}

#if PY_VERSION_HEX < 0x030C0000

#define RECOMPYLE_IN_CELL 0xC0 /* CO_FAST_CELL, CO_FAST_FREE */

/* 3.11 has no function that reads one variable: _PyInterpreterFrame, as far as it is needed. */
typedef struct {
    recompyle_frame_t head;
    void *instruction;
    int stack_top;
    char is_entry, owner;
    PyObject *variables[1];
} recompyle_full_frame_t;

static inline PyObject *recompyle_fast_variable(PyFrameObject *object, PyObject *name)
{
    const recompyle_full_frame_t *frame = (const recompyle_full_frame_t *)recompyle_behind(object);
    PyCodeObject *code = (PyCodeObject *)frame->head.code;
    const char *kinds = PyBytes_AS_STRING(code->co_localspluskinds);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_localsplusnames); i++) {
        PyObject *value = frame->variables[i];
        if (value == NULL || PyUnicode_Compare(PyTuple_GET_ITEM(code->co_localsplusnames, i), name) != 0)
            continue;
        if ((kinds[i] & RECOMPYLE_IN_CELL) && PyCell_Check(value))
            value = PyCell_GET(value);
        if (value != NULL)
            return Py_NewRef(value);
    }
    return NULL;
}

#else

static inline PyObject *recompyle_fast_variable(PyFrameObject *object, PyObject *name)
{
    PyObject *value = PyFrame_GetVar(object, name);
    /* To say that there is none it makes a text, and to make one looks for signals: a handler may raise in there. */
    if (value == NULL && PyErr_ExceptionMatches(PyExc_NameError))
        PyErr_Clear();
    return value;
}

#endif

/* The value of a local variable or cell, a new reference. NULL if it has none; with an exception if a handler of
   signals raised one meanwhile. */
static inline PyObject *recompyle_variable(PyFrameObject *object, PyObject *name)
{
    PyObject *value = recompyle_fast_variable(object, name), *names;
    PyCodeObject *code;
    if (value != NULL || PyErr_Occurred())
        return value;
    code = PyFrame_GetCode(object);
    if (!(code->co_flags & CO_OPTIMIZED) && (names = PyFrame_GetLocals(object)) != NULL) { /* the body of a class */
        value = PyObject_GetItem(names, name);
        Py_DECREF(names);
    }
    Py_DECREF(code);
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_Clear();
    return value;
}

/* Whether the frame is that of a class whose body has a name from the function around it, which runs it: no function of
 * CPython reads those. */
static inline int recompyle_borrows(PyFrameObject *object, PyObject *name)
{
    PyCodeObject *code = PyFrame_GetCode(object);
    PyObject *names = code->co_flags & CO_OPTIMIZED ? NULL : PyCode_GetFreevars(code);
    int found = names != NULL && PySequence_Contains(names, name) == 1;
    Py_XDECREF(names);
    Py_DECREF(code);
    PyErr_Clear();
    return found;
}

#endif
