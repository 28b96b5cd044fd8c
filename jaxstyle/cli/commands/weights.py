"""`jaxstyle weights`: list, fetch, convert, show."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxstyle.commands.session import download_bar
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.weights import convert, describe, fetch, show


def run(options: argparse.Namespace) -> None:
    """Runs the action that was asked for."""
    {"list": _list, "fetch": _fetch, "convert": _convert, "show": _show}[options.action](options)


def _list(options: argparse.Namespace) -> None:
    del options
    columns = ("network", "layers", "size", "codebooks", "licence", "source", "at hand")
    table = Table(*columns, box=None, pad_edge=False)
    for info in describe():
        size = f"{info.bytes / 1e6:.1f} MB" if info.bytes else ""
        names = ARCHITECTURES[info.network].layer_names
        layers = f"{names[0]} ... {names[-1]} ({len(names)})"
        where = str(info.path or "no")
        table.add_row(info.network, layers, size, info.codebooks, info.licence, info.source, where)
    _print(table)


def _fetch(options: argparse.Namespace) -> None:
    with download_bar() as downloading:
        path = fetch(options.name, options.source, downloading.progress, downloading.notice)
    print(path)


def _convert(options: argparse.Namespace) -> None:
    print(convert(options.file, options.out and Path(options.out), options.network))


def _show(options: argparse.Namespace) -> None:
    held = show(options.name)
    for key in ("path", "format", "bytes", "sha256", "network", "preprocessing", "codebooks", "parameters"):
        if key != "codebooks" or held[key]:
            print(f"{key}: {held[key]}")
    for key, value in held["attributes"].items():
        if key not in held:
            print(f"{key}: {value}")
    columns = ("layer", "kernel", "mean", "std", *(["codebook"] if held["codebooks"] else []))
    table = Table(*columns, box=None, pad_edge=False)
    for name, layer in held["layers"].items():
        shape = " x ".join(map(str, layer["shape"]))
        bits = f"{layer['bits']} bits" if layer["bits"] else ""
        table.add_row(
            name, shape, f"{layer['mean']:.3g}", f"{layer['std']:.3g}", *([bits] if held["codebooks"] else [])
        )
    _print(table)


def _print(table: Table) -> None:
    """A table as wide as it is, so that programs find whole lines; [brackets] in a path are no markup."""
    Console(width=10_000, soft_wrap=True, markup=False, highlight=False).print(table)
