"""What a layer keeps of a picture: the picture that has the same features there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxstyle import defaults
from jaxstyle.engine.checks import check_image
from jaxstyle.engine.run import Progress, Result
from jaxstyle.engine.transfer import transfer
from jaxstyle.networks import Network
from jaxstyle.objective import RELATIVE, Objective, Weights
from jaxstyle.solvers import Lbfgs, Solver
from jaxstyle.studies.figures import SMALL, line_style, picture_grid, show_picture
from jaxstyle.studies.prior import Prior
from jaxstyle.types import Key, Picture


def reconstruct(
    image: Picture,
    layer: str,
    *,
    network: Network,
    tv_weight: float = defaults.INVERSION_VARIATION,
    solver: Solver | None = None,
    steps: int = defaults.INVERSION_STEPS,
    key: Key | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """The picture of which one layer has the features that it has of `image`, found from noise (Mahendran and Vedaldi
    2014, https://arxiv.org/abs/1412.0035, who have a term for pixels out of range, where solvers here keep them in).

    What the layer has lost of the picture is left to the noise and the prior. All steps are at the picture's own size:
    features of a smaller one would tell what this layer has not kept.

    Args:
      image: (h, w, 3).
      layer: one of the network's.
      network: from `load_network`.
      tv_weight: of the total variation against the relative error of the features; 0 for none. The paper's weights
        are for its own terms.
      solver: `Lbfgs()` if None.
      steps: of the solver.
      key: `jax.random` key of the noise; None for a fixed one.
      on_progress: see `transfer`.

    Returns:
      A `Result`; its `final.content` is the feature error, |F - P|^2 / |P|^2, of which `losses.content[0]` is that of
      the noise.

    Raises:
      InputError, DivergedError: as `transfer`.
    """
    check_image(image, "the image")
    return transfer(
        image,
        [image],  # without style layers it is not looked at
        network=network,
        weights=Weights(1.0, 0.0, 1.0),
        objective=Objective((layer,), (), RELATIVE._replace(variation=Prior(float(tv_weight)))),
        solver=solver or Lbfgs(),
        steps=steps,
        init="noise",
        min_size=max(image.shape[:2]),
        key=key,
        on_progress=on_progress,
    )


def told(entry: Mapping[str, Any]) -> str:
    """How near a reconstruction is, in a line."""
    error = f"{100 * entry['feature_error']:.2g} %"
    return f"PSNR {entry['psnr']:.1f} dB, SSIM {entry['ssim']:.3f}, feature error {error}"


def draw_reconstructions(
    picture: Picture, name: str, entries: Sequence[Mapping[str, Any]], images: Sequence[Picture]
) -> Any:
    """The figure: the picture, its reconstructions, and how the feature errors fell.

    Args:
      picture: (h, w, 3).
      name: of the picture.
      entries: of each layer "layer", "psnr", "ssim", "feature_error" and "feature_errors", one for each step.
      images: the reconstructions, in the same order.
    """
    height, width = picture.shape[:2]
    title = f"{name}, {width} x {height} pixels, reconstructed from one layer at a time"
    figure, (first, *rest, last) = picture_grid(len(entries) + 2, height / width, title=title)
    show_picture(first, picture, "original")
    for axes, entry, image in zip(rest, entries, images, strict=True):
        psnr, ssim, error = told(entry).split(", ")
        show_picture(axes, image, f"{entry['layer']}\n{psnr}, {ssim}\n{error}")
    for k, entry in enumerate(entries):
        values = entry["feature_errors"]
        last.plot(range(len(values)), values, label=entry["layer"], **line_style(k))
    last.set_yscale("log")
    last.yaxis.tick_right()  # so that the pictures above stay in their column
    last.set_title("feature error, |F - P|² / |P|²", fontsize=SMALL)
    last.set_xlabel("steps", fontsize=SMALL)
    last.tick_params(labelsize=SMALL - 1)
    last.grid(alpha=0.3, linewidth=0.5)
    last.legend(fontsize=SMALL - 2, frameon=False, ncols=2, labelspacing=0.2, handlelength=1.5, columnspacing=0.8)
    return figure
