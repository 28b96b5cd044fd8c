"""Show versions, devices, and the networks at hand."""

import platform
from dataclasses import dataclass
from importlib.metadata import version

from jaxstyle import __version__


@dataclass(frozen=True, kw_only=True)
class Options:
    """There are none."""


def run(options: Options) -> None:
    """Prints what a bug report needs."""
    import jax

    from jaxstyle.weights import cache_folder, describe

    del options
    print(f"jaxstyle {__version__}, Python {platform.python_version()}, {platform.platform()}")
    names = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow", "h5py")
    print(", ".join(f"{name} {version(name)}" for name in names))
    for device in jax.devices():
        print(f"device {device.id}: {device.platform}, {device.device_kind}")
    print(f"cache: {cache_folder()}")
    ready = {info.network: info.path for info in describe() if info.path}
    for name, path in ready.items():
        print(f"network {name}: {path}")
