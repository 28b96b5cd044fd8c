"""Reads each hostile file in turn, in a process of limited memory and time, and prints what came of it.

python read_hostile_weights.py FOLDER [NAME ...]
"""

import json
import resource
import sys
import time
from pathlib import Path

from hostile_weights import MAKERS
from jaxstyle.errors import InputError
from jaxstyle.weights import load_network, show

MEMORY = 500_000_000  # bytes more than before, and than the file has
PATIENCE = 600  # seconds of a processor, for all of them


def memory(name: str) -> int:
    """Bytes that this process has, "VmSize", or had at most, "VmHWM"."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def spent() -> float:
    """Seconds of a processor so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def outcome(function: object, *arguments: object) -> str:
    """ "read", the line with which a file was refused, or what else was raised."""
    try:
        function(*arguments)
    except InputError as error:
        return f"refused: {error}"
    except BaseException as error:  # which must not be
        return f"{type(error).__name__}: {error}"
    return "read"


def main() -> None:
    folder = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
    for name in sys.argv[2:] or MAKERS:
        place = folder / name
        place.mkdir()
        path = MAKERS[name](place)
        size = path.stat().st_size if path.is_file() and path.stat().st_size < 2**32 else 0
        before = memory("VmSize")
        resource.setrlimit(resource.RLIMIT_AS, (before + size + MEMORY, resource.RLIM_INFINITY))
        Path("/proc/self/clear_refs").write_text("5")  # so that VmHWM begins again
        resident, began, seconds = memory("VmRSS"), time.perf_counter(), spent()
        lines = [outcome(show, path), outcome(load_network, "vgg19", path)]
        told = {
            "name": name,
            "lines": lines,
            "seconds": (spent() - seconds) / 2,
            "wall": (time.perf_counter() - began) / 2,
        }
        told |= {"bytes": size, "megabytes": (memory("VmHWM") - resident) / 1e6}
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
