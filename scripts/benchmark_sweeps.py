"""What lanes bring: a sweep against processes, and against transfers one after the other. Run by benchmark.py."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STYLE_WEIGHTS = np.geomspace(5, 300, 8)
MANY = np.geomspace(5, 300, 16)


def processes(options: argparse.Namespace) -> list[dict]:
    """`jaxstyle sweep` over eight style weights against eight `jaxstyle transfer`.

    Three kinds of processes: each with an empty cache, so that each compiles; with one cache for all, so that seven
    find what the first has compiled; and, against a sweep that finds its programs too, all with what was compiled
    before.
    """
    import jaxstyle

    folder = Path(jaxstyle.__file__).parent / "demo"
    pictures = [str(folder / f"{name}.jpg") for name in ("content", "style_strokes")]
    weights = [f"{weight:.3g}" for weight in STYLE_WEIGHTS]
    rows = []
    for size in options.sizes:
        times: dict[str, list[float]] = {}
        off = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as scratch:

                def run(name: str, commands: list[list[str]], caches: list[str]) -> None:
                    began = time.perf_counter()
                    for command, cache in zip(commands, caches, strict=True):
                        line = [sys.executable, "-m", "jaxstyle.cli", *command]
                        environment = {**os.environ, "JAXSTYLE_CACHE": f"{scratch}/{cache}"}
                        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=environment)
                    times.setdefault(name, []).append(time.perf_counter() - began)  # noqa: B023

                start = ["--size", str(size), "--quiet"]
                sweeps = [
                    ["sweep", *pictures, "-o", f"{scratch}/{name}", *start, "--style-weight", *weights]
                    for name in ("cold", "warm")
                ]
                singles = [
                    ["transfer", *pictures, "-o", f"{scratch}/{i}.png", *start, "--style-weight", weight]
                    for i, weight in enumerate(weights)
                ]
                run("sweep", sweeps[:1], ["a"])
                run("processes, nothing shared", singles, [f"own{i}" for i in range(len(singles))])
                run("processes, one cache", singles, ["b"] * len(singles))
                run("sweep, all compiled", sweeps[1:], ["a"])
                run("processes, all compiled", singles, ["b"] * len(singles))
                off += [difference(f"{scratch}/cold/cell_{i}.png", f"{scratch}/{i}.png") for i in range(len(weights))]
        row = {"size": size} | {name: statistics.median(values) for name, values in times.items()}
        rows.append(row | {"largest difference of 255": max(off)})
    return rows


def difference(a: str, b: str) -> int:
    """The largest difference between two pictures' pixels."""
    from jaxstyle import load_image

    return int(np.rint(255 * np.abs(load_image(a) - load_image(b)).max()))


def lanes(options: argparse.Namespace) -> list[dict]:
    """Seconds a picture in one process, everything compiled: `sweep` by lanes at once, and `transfer` in turn."""
    import jax

    import jaxstyle

    folder = Path(jaxstyle.__file__).parent / "demo"
    rows = []
    for precision in options.precisions:
        net = jaxstyle.load_network(options.network, options.weights, dtype=precision)
        for size in options.sizes:
            content, style = (jaxstyle.load_image(folder / f"{n}.jpg", size) for n in ("content", "style_strokes"))
            settings = {"network": net, "min_size": size, "steps": options.steps}

            def in_turn() -> None:
                for weight in MANY:
                    result = jaxstyle.transfer(content, style, weights=jaxstyle.Weights(style=weight), **settings)  # noqa: B023
                    jax.block_until_ready(result.image)

            def together(count: int | None) -> None:
                weights = jaxstyle.Weights(style=np.float32(MANY))
                jax.block_until_ready(jaxstyle.sweep(content, style, weights=weights, lanes=count, **settings).image)  # noqa: B023

            runs = {"in turn": in_turn} | {
                ("as chosen" if n is None else f"{n} lanes"): lambda n=n: together(n) for n in (None, 1, 2, 4, 8, 16)
            }
            for run in runs.values():
                run()
            times: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(options.repeats):
                for name, run in runs.items():
                    began = time.perf_counter()
                    run()
                    times[name].append((time.perf_counter() - began) / len(MANY))
            medians = {name: statistics.median(values) for name, values in times.items()}
            rows.append({"precision": precision, "size": size, "steps": options.steps, **medians})
    return rows
