"""Downloads of files of weights: mirrors, hashes, a few words on failure.

A server may send anything, as slowly as it likes, for as long as it likes. No more of it is kept than the wanted file
has, and one that sends too little is left.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jaxstyle.weights.registry import WeightsInfo, matches

Progress: TypeAlias = Callable[[int, int], Any]  # called with (bytes so far, bytes in all)
Notice: TypeAlias = Callable[[str], Any]  # called with one plain line
WRONG_HASH = "what came is not the right file, by its hash"

PIECE = 1 << 16  # bytes
PATIENCE = 30.0  # seconds for a piece to come
MOST = 2_000_000_000  # bytes of a file of which the registry says no size
_CONNECT = 10.0  # seconds


def download(entry: WeightsInfo, path: Path, progress: Progress | None) -> str:
    """Tries one address after another until the file has the right hash. Returns "", or why there is none.

    Raises:
      OSError: the disk does not take it.
    """
    reasons = []
    for url in entry.urls:
        reason = _download(url, path, entry.bytes, progress)
        if not reason:
            if matches(path, entry.hash):
                return ""
            reason = WRONG_HASH
        reasons.append(f"{urlsplit(url).netloc}: {reason}")
    return "; ".join(reasons)


def _download(url: str, path: Path, size: int, progress: Progress | None) -> str:
    """Writes what comes from an address, at most `size` bytes (of 0, `MOST`). Returns "", or what went wrong."""
    done = 0
    with path.open("wb") as file, contextlib.closing(_pieces(url)) as pieces:
        for piece in pieces:
            if isinstance(piece, str):
                return piece
            done += len(piece)
            if done > (size or MOST):
                return f"more came than the {size or MOST} bytes that {'the' if size else 'any such'} file has"
            file.write(piece)
            if progress:
                progress(done, size)
    return "broken off" if done < size else ""


def _pieces(url: str) -> Generator[bytes | str, None, None]:
    """What comes from an address, in pieces; last of all, if need be, why no more does.

    Another thread asks for it: there is no other way to stop waiting for a name, a certificate or a header, of which a
    byte comes now and then. It ends when it has nobody to give its pieces to.
    """
    pieces: queue.Queue[bytes | str] = queue.Queue(4)
    left = threading.Event()

    def put(piece: bytes | str) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                return pieces.put(piece, timeout=0.2)
        raise _LeftError

    def run() -> None:
        with contextlib.suppress(_LeftError):
            put(_fetched(url, put))

    threading.Thread(target=run, daemon=True).start()
    try:
        while piece := pieces.get(timeout=PATIENCE):
            yield piece
    except queue.Empty:
        yield f"no {PIECE >> 10} kB in {PATIENCE:g} s"
    finally:
        left.set()


class _LeftError(Exception):
    """Nobody waits for the pieces any more."""


def _fetched(url: str, put: Callable[[bytes], None]) -> str:
    """Gives out what comes from an address. Returns "", or why it broke off."""
    import requests  # slow to import

    words = {"ConnectionError": "no connection", "ChunkedEncodingError": "broken off", "ProtocolError": "broken off"}
    words |= {"ConnectTimeout": "no connection", "ReadTimeout": "timed out", "IncompleteRead": "broken off"}
    try:
        headers = {"Accept-Encoding": "identity"}
        # Who waits for the pieces gives up first, and says why; the socket's own limit only ends this thread.
        with requests.get(url, stream=True, timeout=(_CONNECT, 2 * PATIENCE), headers=headers) as response:
            response.raise_for_status()
            while piece := response.raw.read(PIECE):
                put(piece)
    except requests.HTTPError as error:
        return f"HTTP {error.response.status_code if error.response is not None else 'error'}"
    except _LeftError:
        raise
    except Exception as error:  # besides those of requests: urllib3's, and http.client's of a header that is none
        return words.get(type(error).__name__, type(error).__name__)
    return ""
