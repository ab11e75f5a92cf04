"""The code-object writer: puts probes into bytecode that already exists. It needs no source.

A probe is an object in the constants of a code object. As a *statement* it runs by ``~probe``; as a *value*
it takes the object on top of the stack through ``probe[object]``. At ``entry`` a *hook* can be called instead.

Kinds of sites:

=============  ==============================================================================================
``entry``      the body starts (statement or hook)
``created``    a generator, coroutine or async generator object is made (statement only)
``return``     before each return; the value is the result
``unwind``     an exception leaves the function; the value is the exception
``handler``    an exception has just been caught and is now the handled one; the value is the exception
``call``       before a call, arguments evaluated (statement only)
``called``     after a call that did not raise; the value is its result
``yield``      before each suspension of a ``yield`` or a ``yield from``; the value is what is yielded
``resume``     after it, also when ``throw()`` ends the inner iterator of a ``yield from``
``throw``      an exception is thrown in where the function is suspended; the value is the exception
``await``      before an ``await``; the value is what is awaited
``awaited``    after it; the value is its result
``waiting``    before an implicit await of ``async for`` or ``async with``; the value is what is awaited from
``waited``     after it; the value is its result
``async_end``  before an ``async for`` looks at the exception that ended it; the value is the exception
``leaving``    an exception leaves a generator or coroutine (from 3.12); the value is the exception
=============  ==============================================================================================

From 3.12 an ``await``, ``async for`` or ``async with`` that suspends has a ``yield`` and a ``resume`` too, for edits
that include what is implicit; the value is what goes to the event loop or comes from it. With these, each run that
ends enters (``entry``, ``resume``, ``throw``) as often as it leaves (``return``, ``yield``, ``unwind``), and
``sys.monitoring`` has an event for each. An await that ``throw()`` ends has only the ``throw``; a ``yield from`` has
the ``resume`` on top.

Marks have the source position of an instruction that they stand next to; ``entry``, ``created``, ``unwind`` and
``throw``, and from 3.12 ``async_end``, have none. So tracers, debuggers, coverage and tracebacks see the original
program. What they can tell:

- opcode events name other offsets, as everything behind a mark has moved;
- from 3.12 each exception that passes an ``unwind`` or a ``throw`` adds one ``EXCEPTION_HANDLED`` and one
  ``RERAISE`` event of ``sys.monitoring``, and the ``EXCEPTION_HANDLED`` of a loop with an ``async_end`` has no
  position;
- from 3.13 a generator with an ``unwind`` always sees its ``close()``, and tracers see it end. Without one,
  the interpreter drops its frame unseen where no ``try`` of the program covers the yield.

A ``leaving`` has none of these effects: it stands in the handler by which the compiler makes a StopIteration
that leaves such a function a RuntimeError.

What runs no code of the function reaches no mark: ``close()`` or ``throw()`` before the first step, and a
generator that is freed although it refused to end.
"""

from .edit import Edit
from .listing import show
from .points import Site, sites
from .probes import SlotCounter
from .refusals import check
from .usable import Refusal, Status, status
from .write import write

__all__ = ["Edit", "Refusal", "Site", "SlotCounter", "Status", "check", "show", "sites", "status", "write"]
