"""Neural style transfer in JAX: exact, fast, optimisation-based (Gatys, Ecker and Bethge 2015).

Names are imported when they are first used, so that `jaxstyle --help` need not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jaxstyle.colors import lab_to_rgb, lab_transfer, luminance_transfer, match_colors, match_luminance, rgb_to_lab
    from jaxstyle.errors import InputError
    from jaxstyle.pictures.images import load_image, save_image
    from jaxstyle.studies.features import layer_statistics
    from jaxstyle.inversion import reconstruct, synthesise
    from jaxstyle.losses import content_loss, gram_matrix, style_loss, total_variation
    from jaxstyle.metrics import psnr, ssim
    from jaxstyle.networks import Network
    from jaxstyle.objective import LossTerms, Objective, Targets, Weights, loss_terms, make_targets
    from jaxstyle.optimise import DivergedError, Progress, Result, transfer
    from jaxstyle.presets import PRESETS
    from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
    from jaxstyle.sweeps import sweep
    from jaxstyle.weights import load_network

_HOMES = {
    "errors": ("InputError",),
    "images": ("load_image", "save_image"),
    "losses": ("content_loss", "gram_matrix", "style_loss", "total_variation"),
    "networks": ("Network",),
    "objective": ("LossTerms", "Objective", "Targets", "Weights", "loss_terms", "make_targets"),
    "solvers": ("Adam", "Lbfgs", "OptaxLbfgs"),
    "presets": ("PRESETS",),
    "optimise": ("DivergedError", "Progress", "Result", "transfer"),
    "sweeps": ("sweep",),
    "metrics": ("psnr", "ssim"),
    "colors": (
        "lab_to_rgb",
        "lab_transfer",
        "luminance_transfer",
        "match_colors",
        "match_luminance",
        "rgb_to_lab",
    ),
    "inversion": ("reconstruct", "synthesise"),
    "inspection": ("layer_statistics",),
    "weights": ("load_network",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - in the order of the modules
    "InputError",
    "load_image",
    "save_image",
    "content_loss",
    "gram_matrix",
    "style_loss",
    "total_variation",
    "Network",
    "LossTerms",
    "Objective",
    "Targets",
    "Weights",
    "loss_terms",
    "make_targets",
    "Adam",
    "Lbfgs",
    "OptaxLbfgs",
    "PRESETS",
    "DivergedError",
    "Progress",
    "Result",
    "transfer",
    "sweep",
    "psnr",
    "ssim",
    "rgb_to_lab",
    "lab_to_rgb",
    "luminance_transfer",
    "lab_transfer",
    "match_luminance",
    "match_colors",
    "reconstruct",
    "synthesise",
    "layer_statistics",
    "load_network",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jaxstyle' has no attribute {name!r}")
    # No module is named like what it offers (the function `transfer` lives in `optimise`): importing the one would
    # hide the other.
    globals()[name] = getattr(importlib.import_module(f"jaxstyle.{_HOME_OF[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
