"""Every claim about time that this project makes is measured here, or, for absent TPUs and GPUs,
in tpu_check.py and gpu_check.py.

    python scripts/benchmark.py step --network vgg19 --sizes 128 256 512      milliseconds, arithmetic, memory
    python scripts/benchmark.py torch --network vgg19 --sizes 256 512         loss and gradient against PyTorch
    python scripts/benchmark.py overhead --size 512                      what `transfer` adds to its steps
    python scripts/benchmark.py solvers --size 256                       loss at 100 evaluations, PyTorch's L-BFGS too
    python scripts/benchmark.py command --sizes 384 512                  the whole command: seconds and peak memory
    python scripts/benchmark.py start --sizes 512 --repeats 3            from the command to the first step, and out
    python scripts/benchmark.py quality --sizes 256                      seconds to the loss of 500 steps of Adam
    python scripts/benchmark.py processes --sizes 128 --repeats 3        a sweep against a process for each picture
    python scripts/benchmark.py lanes --sizes 128 256 --repeats 3        seconds a picture by lanes side by side
    python scripts/benchmark.py upscale --pictures set14                 PSNR and SSIM of pictures made larger again

`--precisions float32 bfloat16` runs `step`, `torch` and `lanes` with both. PyTorch is needed for `torch` and `solvers`
(`pip install torch==2.13.0`). Its two sides live in processes of their own and take turns, one measuring while the
other sleeps; medians are compared. `--json FILE` keeps the rows.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

# The module of each benchmark: only what is measured is imported.
BENCHMARKS = {
    "step": "benchmark_steps.steps",
    "torch": "benchmark_torch.against_torch",
    "overhead": "benchmark_steps.overhead",
    "solvers": "benchmark_torch.solvers",
    "command": "benchmark_runs.command",
    "start": "benchmark_runs.start",
    "quality": "benchmark_runs.quality",
    "processes": "benchmark_sweeps.processes",
    "lanes": "benchmark_sweeps.lanes",
    "upscale": "benchmark_upscale.upscaled",
}
WORKERS = {"serve": "benchmark_torch.serve", "measure-step": "benchmark_steps.measure_step"}


def function(name: str) -> object:
    """The function of that name, its module imported."""
    module, attribute = name.split(".")
    return getattr(importlib.import_module(module), attribute)


def show(rows: list[dict]) -> None:
    """A table in Markdown."""
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def main() -> None:
    """Parses the command line and prints a table."""
    if sys.argv[1:2] and sys.argv[1] in WORKERS:
        return function(WORKERS[sys.argv[1]])(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--network", default="compact")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", help="file of the network's weights; of `upscale`, another network")
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--compile", action="store_true", help="PyTorch compiled too")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--pictures", type=Path, help="folder for `upscale`")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = function(BENCHMARKS[options.benchmark])(options)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
