"""Downloads of files of weights: mirrors, hashes, a few words on failure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pooch

from jaxstyle.weights.registry import WeightsInfo, matches

Progress: TypeAlias = Callable[[int, int], Any]  # called with (bytes so far, bytes in all)
Notice: TypeAlias = Callable[[str], Any]  # called with one plain line
WRONG_HASH = "what came is not the right file, by its hash"


class _Bar:
    """What pooch asks of a progress bar, around a function of (bytes so far, bytes in all)."""

    def __init__(self, progress: Progress, total: int):
        self.progress, self.expected, self.total, self.done = progress, total, 0, 0

    def update(self, size: int) -> None:
        total = self.total or self.expected  # pooch sets `total`, to 0 where the server does not tell
        self.done = min(self.done + size, total)
        self.progress(self.done, total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def download(entry: WeightsInfo, path: Path, progress: Progress | None) -> str:
    """Tries one address after another until the file has the right hash. Returns "", or why there is none."""
    import requests  # which pooch stands on; slow to import

    words = {"ConnectionError": "no connection", "ChunkedEncodingError": "broken off"}
    words |= {"ConnectTimeout": "no connection", "ReadTimeout": "timed out"}
    reasons = []
    for url in entry.urls:
        bar = _Bar(progress, entry.bytes) if progress else False
        try:
            pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 18, timeout=(10, 30))(url, str(path), None)
        except requests.HTTPError as error:
            reason = f"HTTP {error.response.status_code if error.response is not None else 'error'}"
        except requests.RequestException as error:
            reason = words.get(type(error).__name__, type(error).__name__)
        else:
            if matches(path, entry.hash):
                return ""
            reason = WRONG_HASH
        reasons.append(f"{urlsplit(url).netloc}: {reason}")
    return "; ".join(reasons)
