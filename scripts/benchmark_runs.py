"""Whole runs: the command as a person types it, and its start. Run by benchmark.py."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

import jaxstyle


def command(options: argparse.Namespace) -> Iterator[dict]:
    """`jaxstyle transfer` as a person runs it: cold (nothing compiled before), then again; with a network's own weights
    if `--weights` are given."""
    more = ["--network", options.network, "--weights", options.weights] if options.weights else []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            for state in ("cold", "warm"):
                seconds = run_command(scratch, size, *more)
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                yield {"size": size, "cache": state, "seconds": seconds, "peak_mb": peak}


def run_command(scratch: str, size: int, *more: str) -> float:
    """Seconds of `jaxstyle transfer` of the demo's pictures, with this folder as its cache. A content smaller than the
    size is enlarged before, since the command would not."""
    folder = Path(jaxstyle.__file__).parent / "demo"
    content = Path(scratch, f"content_{size}.png")
    with Image.open(folder / "content.jpg") as opened:
        opened.resize([side * size // max(opened.size) for side in opened.size]).save(content)
    pictures = [str(content), str(folder / "style_strokes.jpg")]
    line = [sys.executable, "-m", "jaxstyle.cli", "transfer", *pictures, "-o", f"{scratch}/out.png"]
    line += ["--size", str(size), "--quiet", *more]
    began = time.perf_counter()
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "JAXSTYLE_CACHE": scratch})
    return time.perf_counter() - began


def start(options: argparse.Namespace) -> list[dict]:
    """Seconds of a command that takes one step at the final size and saves: an empty cache, then a full one."""
    rows = []
    for size in options.sizes:
        times: dict[str, list[float]] = {"cold": [], "warm": []}
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as scratch:
                for values in times.values():
                    values.append(run_command(scratch, size, "--min-size", str(size), "--steps", "1"))
        rows.append({"size": size} | {name: statistics.median(values) for name, values in times.items()})
    return rows
