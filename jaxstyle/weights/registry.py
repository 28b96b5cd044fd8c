"""The registry of files of weights: those that ship with jaxstyle, those that it fetches, and those that it recognises;
and where they are on this machine."""

import functools
import hashlib
import os
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import open_plain
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.networks.backbone import Backbone


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
    opened: Any = open_plain(path) if isinstance(path, Path) else path.open("rb")
    with opened as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def matches(path: Path | zipfile.Path, expected: str) -> bool:
    """Whether a file has a hash of the registry: md5:, sha256: or sha256-prefix: and hexadecimal digits."""
    algorithm, _, digits = expected.partition(":")
    return bool(digits) and digest(path, algorithm.removesuffix("-prefix")).startswith(digits)


def cache_folder() -> Path:
    """Where converted weights are kept: $JAXSTYLE_CACHE, or else the system's folder for caches."""
    folder = os.environ.get("JAXSTYLE_CACHE")
    return Path(folder).expanduser() if folder else Path(platformdirs.user_cache_dir("jaxstyle"))


def shipped(name: str) -> Path | None:
    """A file that comes with jaxstyle: in the installed package, or in the checkout that this is."""
    package = Path(__file__).parents[1]
    paths = (package / "shipped" / name, package.parent / "weights" / name)
    return next((path for path in paths if path.is_file()), None)


def at_hand(network: str) -> Path | None:
    """The network's file on this machine, shipped or cached; None if it would have to be downloaded."""
    cached = cache_folder() / f"{network}.h5"
    return shipped(f"{network}.h5") or (cached if cached.is_file() else None)


@functools.cache
def entries() -> tuple[WeightsInfo, ...]:
    """All files of weights/registry.toml."""
    path = shipped("registry.toml")
    if path is None:
        raise DownloadError("registry.toml is missing from this installation of jaxstyle; install it again")
    found = tomllib.loads(path.read_text("utf-8"))["file"]
    return tuple(WeightsInfo(**{**entry, "urls": tuple(entry.get("urls", ()))}) for entry in found)


def fetchable() -> list[WeightsInfo]:
    """The registry without the files that it only recognises."""
    return [entry for entry in entries() if entry.places or entry.format == "jaxstyle"]


def entry_of(network: str, source: str | None) -> WeightsInfo:
    """The entry of that source; None for the network's first.

    Raises:
      InputError: an unknown network or source.
    """
    architecture(network)
    sources = {entry.source: entry for entry in fetchable() if entry.network == network}
    if not sources:
        raise InputError(f"{network} is not on this machine and cannot be fetched; --weights FILE names a file of it")
    source = next(iter(sources)) if source is None else source
    if source not in sources:
        known = ", ".join(sources) + nearest(source, sources)
        raise InputError(f"{network} has no source {source!r}; it has {known}")
    return sources[source]


def in_turn(network: str, source: str | None) -> list[WeightsInfo]:
    """What is tried one after the other: that source alone, or the first one and those that stand in for it."""
    first = entry_of(network, source)
    others = [entry for entry in fetchable() if entry.network == network and entry.instead_of == first.source]
    return [first] if source else [first, *others]


def entry_by_hash(path: Path, network: str | None) -> WeightsInfo | None:
    """The entry that a file, or the package that it is from, has; None if there is none of that network.

    A network of None is any. Where sizes are known, they rule most entries out before anything is read.
    """
    size = path.stat().st_size
    for entry in entries():
        if network in (entry.network, None):
            hashes = (entry.hash if entry.bytes in (0, size) else "", entry.member_hash)
            if any(matches(path, expected) for expected in filter(None, hashes)):
                return entry
    return None


def architecture(name: str) -> Backbone:
    """The network of that name.

    Raises:
      InputError: there is none.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES) + nearest(name, ARCHITECTURES)
        raise InputError(f"no network {name!r}; there are {known}")
    return ARCHITECTURES[name]
