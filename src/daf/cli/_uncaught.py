"""Ctrl-C outside the command: while commands are imported, at the end of the interpreter, and where Python swallows it.

`install()` comes before all other imports of the command line, so it imports nothing itself. A Ctrl-C that nobody
catches is a sentence. One that meets a finalizer or a callback, whose exceptions Python prints and drops, is delivered
again.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_AGAIN_SECONDS = 0.05


def install() -> None:
    """Once per process."""
    if getattr(sys.excepthook, "_daf", False):
        return
    uncaught, unraisable = sys.excepthook, sys.unraisablehook

    def at_top(kind: type[BaseException], error: BaseException, trace: "TracebackType | None") -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.stderr.write("Interrupted: stopped.\n")
        else:
            uncaught(kind, error, trace)

    def in_callback(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_type is not None and issubclass(args.exc_type, KeyboardInterrupt):
            _deliver_again()
        else:
            unraisable(args)

    at_top._daf = True  # type: ignore[attr-defined]
    sys.excepthook, sys.unraisablehook = at_top, in_callback


def _deliver_again() -> None:
    import _thread
    import threading

    again = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main)
    again.daemon = True
    try:
        again.start()
    except RuntimeError:  # the interpreter is ending: there is nothing left to interrupt
        return
