"""What the machine has: cores, memory, and which precision suits its device."""

import contextlib
import os

import jax


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes of main memory that a program can still have; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def usual_precision() -> str:
    """Of convolutions: bfloat16 where the device multiplies matrices of it several times as fast, with which pictures
    differ no more than after one step more; else float32."""
    device = jax.local_devices()[0]
    if device.platform == "gpu":
        with contextlib.suppress(AttributeError, ValueError):  # not NVIDIA's: its number is no number
            return "bfloat16" if float(device.compute_capability) >= 8 else "float32"
    return "bfloat16" if device.platform == "tpu" else "float32"
