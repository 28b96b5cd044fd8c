"""Compiles the real programs for TPUs that are not there, and says what they would need.

    pip install libtpu
    python scripts/tpu_check.py                          512 pixels, v2, v5e and v6e
    python scripts/tpu_check.py --size 1024 --chips v5e --programs adam sweep

The compiler in the package libtpu needs no TPU. For each program: the seconds it took, memory against the chip's,
arithmetic, traffic with the chip's memory, and the least time that each of the two takes (the roofline). Needs JAX 0.10
or later.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_HOSTNAMES="localhost",
    ALLOW_MULTIPLE_LIBTPU_LOAD="1",
)

from ahead_of_time import Chip, report
from jax.experimental import topologies

CHIPS = {  # a device of a v2 is half a chip; float32 is computed as several products in bfloat16, hence no figure
    "v2": Chip(8, {"bfloat16": 22.5}, 350),
    "v5e": Chip(16, {"bfloat16": 197}, 819),
    "v6e": Chip(32, {"bfloat16": 918}, 1640),
}


@functools.cache
def devices(chip: str) -> Sequence[Any]:
    """Four of a kind."""
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{chip}:2x2").devices


if __name__ == "__main__":
    report(str(__doc__), CHIPS, devices)
