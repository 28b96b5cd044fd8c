"""What can be downloaded, as the registry says it, and the downloading: hashes, mirrors, a few words on failure."""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pooch

Progress: TypeAlias = Callable[[int, int], Any]  # called with (bytes so far, bytes in all)
Notice: TypeAlias = Callable[[str], Any]  # called with one plain line
WRONG_HASH = "what came is not the right file, by its hash"


class DownloadError(Exception):
    """Weights could not be brought to this machine. One plain line: why, and what to do instead."""


@dataclass(frozen=True)
class WeightsInfo:
    """A file of the registry, whose head (weights/registry.toml) says what most of the fields are.

    From `describe`, `path` is where the weights are, None if they are not at hand; if they are, `bytes` is
    their size on this disk, not the download's.
    """

    network: str
    source: str
    name: str
    format: str
    preprocessing: str
    licence: str
    origin: str
    urls: tuple[str, ...] = ()
    bytes: int = 0
    hash: str = ""
    path: Path | None = None
    package: str = ""
    member: str = ""
    member_hash: str = ""
    codebooks: str = ""
    instead_of: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Where the file is to be had, as files made from it say of their source; () if it ships or is unknown."""
        return (f"Python package {self.package}",) if self.package else self.urls


def digest(path: Path | zipfile.Path, algorithm: str) -> str:
    """Hexadecimal hash of a file, which may be within an archive."""
    opened: Any = path.open("rb")
    with opened as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def matches(path: Path | zipfile.Path, expected: str) -> bool:
    """Whether a file has a hash of the registry: md5:, sha256: or sha256-prefix: and hexadecimal digits."""
    algorithm, _, digits = expected.partition(":")
    return bool(digits) and digest(path, algorithm.removesuffix("-prefix")).startswith(digits)


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
