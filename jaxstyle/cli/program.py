"""The program `jaxstyle`: the command line as a process, from its first moment to its last."""

import contextlib
import os
import signal
import sys
import threading
from typing import Any, NoReturn

from jaxstyle.cli.stopping import SIGNALS, STOPPED
from jaxstyle.cli.streams import close_gaps


def program() -> NoReturn:
    """Runs the command line, and ends the process with its exit code.

    Before the command can hear a signal to stop, and after it is done, one ends the process at once.
    """
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave_now)
    close_gaps()
    from jaxstyle.cli.main import main

    try:
        code = main()
    except KeyboardInterrupt:  # at the very end, when there was nothing left to stop
        code = STOPPED
    # XLA's compiler cannot be interrupted, and an interpreter that ends while it is at work ends in a crash.
    if code == STOPPED or any(thread.name.startswith("compile") for thread in threading.enumerate()):
        _leave(code)
    sys.exit(code)


def _leave_now(*_: Any) -> None:
    os.write(2, b"jaxstyle: stopped\n")
    os._exit(STOPPED)


def _leave(code: int) -> NoReturn:
    """Ends the process as it is, once what was printed is out."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)
