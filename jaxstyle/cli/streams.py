"""Standard output and error that may be closed, full, or gone: what is lost then is their text, and no picture."""

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

NAMES = "jaxstyle-names"  # how characters that the encoding has not are written


class Lenient:
    """A text stream that drops what cannot be written.

    Attributes:
      stream: where the text goes.
      error: the first reason why some could not be written.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Writes, if possible."""
        with self._noting():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes, if possible."""
        with self._noting():
            self.stream.flush()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self.error = self.error or error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lenient_streams() -> Iterator[None]:
    """Standard output and error are lenient within the block."""
    out, err = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout, sys.stderr = Lenient(out or nowhere), Lenient(err or nowhere)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


def with_names(stream: Any) -> None:
    """File names, which need be no text, come out of a stream as they came in; other characters that it has no code
    for as escapes."""
    if hasattr(stream, "reconfigure"):
        codecs.register_error(NAMES, _name_bytes)
        stream.reconfigure(encoding=sys.getfilesystemencoding(), errors=NAMES)


def _name_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes that were no text; or escapes."""
    assert isinstance(error, UnicodeEncodeError)
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


def close_gaps() -> None:
    """Opens those of the descriptors 0, 1 and 2 that are closed, so that no file of ours becomes one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
