"""Ctrl-C, and the signals that ask a program to end: heard once, and never in the middle of what must be whole.

The first one raises `KeyboardInterrupt` in the main thread, which then saves what there is. The second says that this
is under way, and the third ends the process at once. SIGTERM, which batch systems and containers send, and SIGHUP, of a
closing terminal, are heard in the same way; SIGHUP, which comes several times by itself, is not counted.

A signal that was ignored when the program began, as `nohup` has it, stays so.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

STOPPED = 130  # the exit code
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
COUNTED = (signal.SIGINT, signal.SIGTERM)
SOON = 0.02  # seconds
# What must not be left by an exception: C++ code calls these, or they leave something half made.
DELICATE = ("__hash__", "__eq__", "__del__", "_find_and_load", "_handle_fromlist")
AGAIN = b"\0"  # in the pipe of signals: none has this number


_current: "Stops | None" = None


def check() -> None:
    """Raises `KeyboardInterrupt` if a signal has come: some code may have swallowed the one that it raised."""
    if _current is not None:
        _current.check()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Within the block, which must be whole, the first signal raises nothing; it does at its end."""
    if _current is None:
        yield
        return
    with _current.held_back():
        yield


class Stops:
    """The signals to stop that come while a command runs.

    Attributes:
      asked: whether one has come.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is given a line for the user; it is called on another thread."""
        self.asked = False
        self._say, self._raised, self._ended, self._first = say, False, False, signal.SIGINT
        self._held = False
        self._own = self._counted = 0
        self._lock = threading.Lock()
        self._before: dict[int, Any] = {}

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hears them within the block, if the main thread runs it."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
            yield
            return
        global _current
        _current, outer = self, _current
        listen, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        told = signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        # What counts must not wait for the main thread, which a compiler's C++ code may hold for a minute.
        counter = threading.Thread(target=self._count, args=(listen,), name="signals", daemon=True)
        counter.start()
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            self._raised = True
            with self._lock:
                self._ended = True
            for number, before in self._before.items():
                signal.signal(number, before)
            sys.unraisablehook = self._hook
            signal.set_wakeup_fd(told)
            os.close(self._tell)
            counter.join()
            os.close(listen)
            _current = outer

    def check(self) -> None:
        """Raises `KeyboardInterrupt` if a signal has come."""
        if self.asked and not self._ended:
            self._raised = True
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Within the block the first signal raises nothing; it does at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if not self._raised:
            self.check()

    def _count(self, listen: int) -> None:
        """Reads the numbers of the signals as they come."""
        while numbers := os.read(listen, 64):
            for number in numbers:
                if number == AGAIN[0]:
                    self._send_again()
                elif self._own:
                    self._own -= 1
                elif number in COUNTED and number in self._before:
                    self._counted += 1
                    if self._counted == 2:
                        self._say("saving what there is; once more ends at once, without it")
                    elif self._counted > 2:
                        os._exit(STOPPED)

    def _send_again(self) -> None:
        """Sends the main thread the first signal once more, in a moment."""
        time.sleep(SOON)
        with self._lock:
            if not self._ended:
                self._own += 1
                signal.pthread_kill(threading.main_thread().ident or 0, self._first)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """The first signal raises `KeyboardInterrupt`, as soon as that does no harm."""
        if not self.asked:
            self.asked, self._first = True, signal.Signals(number)
        if self._raised or self._held:
            return
        if _delicate(frame):
            os.write(self._tell, AGAIN)
            return
        self._raised = True
        raise KeyboardInterrupt

    def _unraisable(self, dropped: Any) -> None:
        """What is raised in a finalizer, or a callback of the garbage collector, JAX's for one, is dropped with a note:
        here it comes again."""
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            self._hook(dropped)
        elif not self._ended:
            self._raised = False
            os.write(self._tell, AGAIN)


def _delicate(frame: FrameType | None) -> bool:
    """Whether the main thread is within one of the functions that must not be left by an exception."""
    while frame is not None:
        if frame.f_code.co_name in DELICATE:
            return True
        frame = frame.f_back
    return False
