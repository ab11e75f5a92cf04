"""The one owner of what a process has once: its clocks, its table of suspended runs, one record a thread.

Other extensions fetch a pointer here once and then work on it with the core's inline functions. All of it is shared by
the interpreters of a process, each of which may have a lock of its own: what is here guards itself.
"""

from cpython.object cimport PyObject

from recompyle._c.check cimport check
from recompyle._c.rcp_clock cimport (
    RCP_CLOCK_WANT_AUTO,
    RCP_CLOCK_WANT_SYSTEM,
    RCP_CLOCK_WANT_TSC,
    rcp_clock_name,
    rcp_clock_t,
)
from recompyle._c.rcp_stack cimport rcp_table_t

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #include "rcp_errno.h"
    #include "thread.h"

    static pthread_key_t recompyle_key;
    static rcp_table_t recompyle_table;
    static pthread_mutex_t recompyle_spare_lock = PTHREAD_MUTEX_INITIALIZER;
    static recompyle_thread_t *recompyle_spare;  /* records whose threads have ended */
    static pthread_mutex_t recompyle_clock_lock = PTHREAD_MUTEX_INITIALIZER;
    static rcp_clock_t recompyle_clocks[3];
    static char recompyle_clock_ready[3];

    static recompyle_thread_t *recompyle_new_thread(void)
    {
        recompyle_thread_t *thread;
        pthread_mutex_lock(&recompyle_spare_lock);
        thread = recompyle_spare;
        if (thread != NULL)
            recompyle_spare = thread->next;
        pthread_mutex_unlock(&recompyle_spare_lock);
        if (thread == NULL && (thread = (recompyle_thread_t *)calloc(1, sizeof *thread)) == NULL)
            return NULL;
        thread->state = NULL;
        thread->here = NULL;
        rcp_thread_init(&thread->runs, NULL);
        return thread;
    }

    static void recompyle_thread_ends(void *ended)
    {
        recompyle_thread_t *thread = (recompyle_thread_t *)ended;
        thread->state = NULL;
        if (thread->here != NULL)
            *thread->here = NULL;  /* probes may still run, from other destructors: they get a new record */
        rcp_thread_free(&thread->runs);
        pthread_mutex_lock(&recompyle_spare_lock);
        thread->next = recompyle_spare;
        recompyle_spare = thread;
        pthread_mutex_unlock(&recompyle_spare_lock);
    }

    /* fork() copies what these locks guard as it is: nobody may be in the midst of changing it. */
    static void recompyle_before_fork(void)
    {
        pthread_mutex_lock(&recompyle_clock_lock);
        pthread_mutex_lock(&recompyle_spare_lock);
        rcp_table_fork_begin(&recompyle_table);
    }

    static void recompyle_after_fork(void)
    {
        rcp_table_fork_end(&recompyle_table);
        pthread_mutex_unlock(&recompyle_spare_lock);
        pthread_mutex_unlock(&recompyle_clock_lock);
    }

    static int recompyle_init_result;

    static void recompyle_init_once(void)
    {
        recompyle_init_result = rcp_table_init(&recompyle_table, NULL);
        if (recompyle_init_result == RCP_OK
                && (pthread_key_create(&recompyle_key, recompyle_thread_ends) != 0
                    || pthread_atfork(recompyle_before_fork, recompyle_after_fork, recompyle_after_fork) != 0))
            recompyle_init_result = RCP_ENOMEM;
    }

    /* Every interpreter asks; the first one has it done. */
    static int recompyle_init(void)
    {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, recompyle_init_once);
        return recompyle_init_result;
    }

    static int recompyle_init_clock(int index, int wanted)
    {
        int result = RCP_OK;
        pthread_mutex_lock(&recompyle_clock_lock);
        if (!recompyle_clock_ready[index]) {
            result = rcp_clock_init(&recompyle_clocks[index], wanted);
            recompyle_clock_ready[index] = result == RCP_OK;
        }
        pthread_mutex_unlock(&recompyle_clock_lock);
        return result;
    }
    """
    rcp_table_t recompyle_table
    rcp_clock_t recompyle_clocks[3]
    int recompyle_init()
    int recompyle_init_clock(int index, int wanted)
    recompyle_thread_t *recompyle_new_thread() nogil
    ctypedef struct pthread_key_t:
        pass
    pthread_key_t recompyle_key
    void *pthread_getspecific(pthread_key_t key) nogil
    int pthread_setspecific(pthread_key_t key, const void *value) nogil


cdef extern from "Python.h":
    PyObject *PyThreadState_GetDict()  # borrowed; NULL if there is none

_WANTED = {"auto": (0, RCP_CLOCK_WANT_AUTO), "tsc": (1, RCP_CLOCK_WANT_TSC), "system": (2, RCP_CLOCK_WANT_SYSTEM)}

check(recompyle_init())


cdef rcp_clock_t *clock_named(str name) except NULL:
    """The process's clock of that name: ``auto``, ``tsc`` or ``system``; calibrated when first asked for."""
    index, wanted = _WANTED[name]
    check(recompyle_init_clock(index, wanted))
    return &recompyle_clocks[<int>index]


cdef rcp_table_t *table() noexcept nogil:
    """The process's table of runs that can be suspended."""
    return &recompyle_table


cdef class _Guard:
    """Lives in a thread state's dictionary; when that is cleared, the record forgets the thread state."""

    cdef recompyle_thread_t *thread
    cdef PyThreadState *state

    def __dealloc__(self):
        if self.thread != NULL and self.thread.state == self.state:
            self.thread.state = NULL


cdef recompyle_thread_t *this_thread() noexcept:
    """This thread's record, its thread state up to date; NULL when out of memory."""
    cdef recompyle_thread_t *thread = <recompyle_thread_t *>pthread_getspecific(recompyle_key)
    if thread == NULL:
        thread = recompyle_new_thread()
        if thread == NULL or pthread_setspecific(recompyle_key, thread) != 0:
            return NULL
    if thread.state != recompyle_thread_state():
        thread.state = NULL
        watch(thread)
    return thread


cdef void watch(recompyle_thread_t *thread) noexcept:
    """Note the thread state, and put a guard beside it; without a guard it stays unknown."""
    cdef PyObject *attributes = PyThreadState_GetDict()
    cdef _Guard guard
    if attributes == NULL:
        return
    try:
        guard = _Guard()
        (<dict>attributes)["@recompyle_guard"] = guard
    except Exception:
        return
    guard.thread = thread
    guard.state = thread.state = recompyle_thread_state()


def clock_info(str name="auto"):
    """What is known of a clock.

    Parameters:
        name: ``auto``, ``tsc`` or ``system``.

    Returns:
        A dict: ``source``, ``read_ns`` (cost of one read), ``resolution_ns`` (smallest step), ``why`` (reason
        for the choice), ``suspects`` (how often it disagreed with the system's clock).

    Raises:
        ValueError: an unknown name.
    """
    if name not in _WANTED:
        raise ValueError(f"clock must be 'auto', 'tsc' or 'system', not {name!r}")
    cdef rcp_clock_t *clock = clock_named(name)
    return {
        "source": rcp_clock_name(clock).decode(),
        "read_ns": clock.read_ns,
        "resolution_ns": clock.resolution_ns,
        "why": clock.why.decode(),
        "suspects": clock.suspects,
    }
