"""Compiles the real programs for NVIDIA GPUs that are not there, and says what they would need.

    pip install "jax[cuda13]"
    python scripts/gpu_check.py                          512 pixels, T4, L4, A100 and H100
    python scripts/gpu_check.py --size 1024 --chips h100 --programs adam sweep

The compiler in JAX's package for CUDA needs no GPU if it is told what one is like; only which of cuDNN's algorithms is
fastest it would try out on the spot, so a real step takes more memory, for their workspace. For each program: the
seconds it took, memory against the chip's, arithmetic (as written), traffic with the chip's memory (as if it had no
cache), and the least time that each of the two takes (the roofline). Needs JAX 0.10 or later.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

from ahead_of_time import Chip, report
from jax.experimental import topologies

CHIPS = {  # NVIDIA's data sheets: dense products; float32 stands for TF32, which a T4 has not, nor bfloat16
    "t4": Chip(16, {"float32": 8.1}, 320),
    "l4": Chip(24, {"bfloat16": 121, "float32": 60}, 300),
    "a100": Chip(40, {"bfloat16": 312, "float32": 156}, 1555),
    "h100": Chip(80, {"bfloat16": 989, "float32": 495}, 3350),
}
# By chip: compute capability; multiprocessors, and of one its threads, units for float32, KiB of shared memory and how
# much of these a block may have; MiB of cache; GHz.
KINDS = {
    "t4": ((7, 5), 40, 1024, 64, 64, 64, 4, 1.59),
    "l4": ((8, 9), 58, 1536, 128, 100, 99, 48, 2.04),
    "a100": ((8, 0), 108, 2048, 64, 164, 163, 40, 1.41),
    "h100": ((9, 0), 132, 2048, 128, 228, 227, 50, 1.98),
}
TARGET = """
platform_name: "CUDA"
device_description_str: "{name}"
dnn_version_info {{ major: 9 minor: 8 }}
runtime_version {{ major: 13 }}
gpu_device_info {{
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  core_count: {cores}
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: {threads}
  fpus_per_core: {units}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: {block}
  shared_memory_per_core: {shared}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  memory_bandwidth: {bandwidth}
  device_memory_size: {memory}
}}
"""


@functools.cache
def devices(name: str) -> Sequence[Any]:
    """Four of a kind."""
    (major, minor), cores, threads, units, shared, block, cache, clock = KINDS[name]
    target = TARGET.format(
        name=f"NVIDIA {name.upper()}",
        major=major,
        minor=minor,
        cores=cores,
        threads=threads,
        units=units,
        block=block * 1024,
        shared=shared * 1024,
        cache=cache * 2**20,
        clock=clock,
        bandwidth=int(CHIPS[name].gb_per_second * 1e9),
        memory=int(CHIPS[name].gib * 2**30),
    )
    found = topologies.get_topology_desc(platform="cuda", topology_name=name, target_config=target, topology="1x1x4")
    return found.devices


if __name__ == "__main__":
    report(str(__doc__), CHIPS, devices)
