"""Every claim about time that this project makes is measured here, or, for absent TPUs and GPUs,
in tpu_check.py and gpu_check.py.

    python scripts/benchmark.py step --network vgg19 --sizes 128 256 512      milliseconds, arithmetic, memory
    python scripts/benchmark.py torch --network vgg19 --sizes 256 512         loss and gradient against PyTorch
    python scripts/benchmark.py torch --network compact --beside vgg19   the same, and against VGG19's
    python scripts/benchmark.py overhead --size 512                      what `transfer` adds to its steps
    python scripts/benchmark.py solvers --size 256                       loss at 100 evaluations, PyTorch's L-BFGS too
    python scripts/benchmark.py command --sizes 384 512                  the whole command: seconds and peak memory
    python scripts/benchmark.py start --sizes 512 --repeats 3            from the command to the first step, and out
    python scripts/benchmark.py quality --sizes 256 --pairs C.jpg S.jpg  what the loss of 500 steps of Adam takes
    python scripts/benchmark.py processes --sizes 128 --repeats 3        a sweep against a process for each picture
    python scripts/benchmark.py lanes --sizes 128 256 --repeats 3        seconds a picture by lanes side by side
    python scripts/benchmark.py versions                                 packages and devices
    python scripts/benchmark.py agreement --sizes 256                    features on the device against the CPU's
    python scripts/benchmark.py accelerated --sizes 512 --lanes 1 8      steps on the device, against PyTorch's
    python scripts/benchmark.py upscale --pictures set14                 PSNR and SSIM of pictures made larger again

`--precisions float32 bfloat16` runs `step`, `torch` and `lanes` with both. PyTorch is needed for `torch` and `solvers`
(`pip install torch==2.13.0`). Its two sides live in processes of their own and take turns, one measuring while the
other sleeps; medians are compared. `--json FILE` keeps the rows. accelerator_day.sh runs what wants an accelerator.
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
    "quality": "benchmark_quality.quality",
    "processes": "benchmark_sweeps.processes",
    "lanes": "benchmark_sweeps.lanes",
    "upscale": "benchmark_upscale.upscaled",
    "versions": "benchmark_accelerator.versions",
    "agreement": "benchmark_accelerator.agreement",
    "accelerated": "benchmark_accelerator.accelerated",
    "random-weights": "benchmark_accelerator.random_weights",
}
WORKERS = {"serve": "benchmark_torch.serve", "measure-step": "benchmark_steps.measure_step"}


def function(name: str) -> object:
    """The function of that name, its module imported."""
    module, attribute = name.split(".")
    return getattr(importlib.import_module(module), attribute)


def show(row: dict, *, header: bool) -> None:
    """A line of a table in Markdown, below its header."""
    if header:
        print("\n| " + " | ".join(row) + " |\n|" + "---|" * len(row))
    values = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values())
    print("| " + " | ".join(values) + " |", flush=True)


def main() -> None:
    """Parses the command line and prints a table."""
    if sys.argv[1:2] and sys.argv[1] in WORKERS:
        return function(WORKERS[sys.argv[1]])(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--network", default="compact")
    parser.add_argument("--networks", nargs="+", default=["vgg19", "compact"], help="of `agreement` and `accelerated`")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8], help="of `accelerated`")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", help="file of the network's weights; of `upscale`, another network")
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--compile", action="store_true", help="PyTorch compiled too")
    parser.add_argument("--threads", type=int, default=0, help="of each side of `torch`; of one, its own time counts")
    parser.add_argument("--beside", help="of `torch`, another of jaxstyle's networks in the same turns")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--pictures", type=Path, help="folder for `upscale`; of `quality`, where results go")
    parser.add_argument("--pairs", nargs="+", help="of `quality`: content, style, content, ... (default: the demo's)")
    parser.add_argument("--runs", nargs="+", help="of `quality`: those that begin so (default: all)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict] = []
    for row in function(BENCHMARKS[options.benchmark])(options):
        show(row, header=not rows or [*row] != [*rows[-1]])
        rows.append(row)
        if options.json:  # as they come: a run may be stopped
            options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
