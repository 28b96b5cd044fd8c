"""Whole runs: the command as a person types it, its start, and how long a loss takes to reach. Run by benchmark.py."""

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import benchmark_torch
import numpy as np

import jaxstyle


def command(options: argparse.Namespace) -> list[dict]:
    """`jaxstyle transfer` as a person runs it: cold (nothing compiled before), then again."""
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            for state in ("cold", "warm"):
                seconds = run_command(scratch, size)
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                rows.append({"size": size, "cache": state, "seconds": seconds, "peak_mb": peak})
    return rows


def run_command(scratch: str, size: int, *more: str) -> float:
    """Seconds of `jaxstyle transfer` of the demo's pictures, with this folder as its cache."""
    folder = Path(jaxstyle.__file__).parent / "demo"
    pictures = [str(folder / "content.jpg"), str(folder / "style_strokes.jpg")]
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


def quality(options: argparse.Namespace) -> list[dict]:
    """Seconds, everything compiled, until the loss at the final size is that of 500 steps of Adam from the content."""
    net = jaxstyle.load_network(options.network, options.weights)
    folder = Path(jaxstyle.__file__).parent / "demo"
    rows = []
    for size in options.sizes:
        content, style = (jaxstyle.load_image(folder / f"{n}.jpg", size) for n in ("content", "style_strokes"))
        plain = {"min_size": size}
        runs = {
            "Adam, 500 steps": {"solver": jaxstyle.Adam(), "steps": 500, **plain},
            "coarse to fine, Adam": {"solver": jaxstyle.Adam(), "steps": 500},
            "L-BFGS": {"solver": jaxstyle.Lbfgs(), "steps": 300, **plain},
            "coarse to fine, L-BFGS": {"solver": jaxstyle.Lbfgs(), "steps": 300},
        }
        goal = None
        for name, settings in runs.items():
            jaxstyle.transfer(content, style, network=net, **{**settings, "steps": 10})  # compiles
            curve = timed_losses(content, style, net, settings)
            goal = goal or curve[-1][1]
            reached = next((seconds for seconds, loss in curve if loss <= goal), float("nan"))
            rows.append({"size": size, "run": name, "seconds": reached, "loss": goal, "last loss": curve[-1][1]})
        if options.network == "compact" and importlib.util.find_spec("torch"):
            curve = benchmark_torch.timed_adam(net, content, style, 500, jaxstyle.Adam().rate)
            reached = next((seconds for seconds, loss in curve if loss <= 1.001 * goal), float("nan"))
            row = {"size": size, "run": "PyTorch, Adam, 500 steps", "seconds": reached, "loss": goal}
            rows.append(row | {"last loss": curve[-1][1]})
    return rows


def timed_losses(content: np.ndarray, style: np.ndarray, net: object, settings: dict) -> list[tuple[float, float]]:
    """(seconds since the start, loss) at each look within the last scale."""
    curve, began = [], time.perf_counter()

    def look(state: jaxstyle.Progress) -> None:
        if state.scale == state.scales:
            curve.append((time.perf_counter() - began, float(state.losses.total[-1])))

    jaxstyle.transfer(content, style, network=net, on_progress=look, **settings)
    return curve
