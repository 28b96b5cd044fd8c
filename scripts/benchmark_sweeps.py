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


def processes(options: argparse.Namespace) -> list[dict]:
    """`jaxstyle sweep` over eight style weights against eight `jaxstyle transfer`, each side with an empty cache.

    The processes share theirs: the first compiles, the others find its programs.
    """
    import jaxstyle

    folder = Path(jaxstyle.__file__).parent / "demo"
    pictures = [str(folder / f"{name}.jpg") for name in ("content", "style_strokes")]
    weights = [f"{weight:.3g}" for weight in STYLE_WEIGHTS]
    rows = []
    for size in options.sizes:
        times: dict[str, list[float]] = {"sweep": [], "processes": []}
        off = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as scratch:
                one, each = f"{scratch}/sweep", f"{scratch}/each"
                start = ["--size", str(size), "--quiet"]
                sweep = ["sweep", *pictures, "-o", one, *start, "--style-weight", *weights]
                singles = [
                    ["transfer", *pictures, "-o", f"{each}_{i}.png", *start, "--style-weight", weight]
                    for i, weight in enumerate(weights)
                ]
                times["sweep"].append(timed([sweep], f"{scratch}/a"))
                times["processes"].append(timed(singles, f"{scratch}/b"))
                off += [difference(f"{one}/cell_{i}.png", f"{each}_{i}.png") for i in range(len(weights))]
        medians = {name: statistics.median(values) for name, values in times.items()}
        ratio = statistics.median(b / a for a, b in zip(times["sweep"], times["processes"], strict=True))
        rows.append({"size": size, **medians, "processes / sweep": ratio, "largest difference of 255": max(off)})
    return rows


def timed(commands: list[list[str]], cache: str) -> float:
    """Seconds of some commands, one after the other, with a cache folder of their own."""
    began = time.perf_counter()
    for command in commands:
        line = [sys.executable, "-m", "jaxstyle.cli", *command]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "JAXSTYLE_CACHE": cache})
    return time.perf_counter() - began


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
                for weight in STYLE_WEIGHTS:
                    result = jaxstyle.transfer(content, style, weights=jaxstyle.Weights(style=weight), **settings)  # noqa: B023
                    jax.block_until_ready(result.image)

            def together(count: int | None) -> None:
                weights = jaxstyle.Weights(style=np.float32(STYLE_WEIGHTS))
                jax.block_until_ready(jaxstyle.sweep(content, style, weights=weights, lanes=count, **settings).image)  # noqa: B023

            runs = {"in turn": in_turn} | {
                ("as chosen" if n is None else f"{n} lanes"): lambda n=n: together(n) for n in (None, 1, 2, 4, 8)
            }
            for run in runs.values():
                run()
            times: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(options.repeats):
                for name, run in runs.items():
                    began = time.perf_counter()
                    run()
                    times[name].append((time.perf_counter() - began) / len(STYLE_WEIGHTS))
            medians = {name: statistics.median(values) for name, values in times.items()}
            rows.append({"precision": precision, "size": size, "steps": options.steps, **medians})
    return rows
