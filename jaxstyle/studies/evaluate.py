"""How much of a content and of a style a picture has, in numbers: for a picture that anybody made.

Images are (h, w, 3), float32, in [0, 1]; numbers are float32 scalars. Those that a network gives are comparable under
the same network only, and at the same size.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.errors import InputError
from jaxstyle.losses import STYLE_LOSSES, Moments, content_loss, mixed, moments
from jaxstyle.networks import Network
from jaxstyle.networks.preprocessing import PREPROCESSING
from jaxstyle.objective import default_objective
from jaxstyle.onepass.transforms import roots
from jaxstyle.ops.compile import compiled
from jaxstyle.pictures.color import rgb_to_lab
from jaxstyle.pictures.metrics import ssim
from jaxstyle.types import Features, Image, Picture, Scalar

ROWS = 1024  # of the similarities that are held at once


class Evaluation(NamedTuple):
    """A picture, measured.

    Attributes:
      content: by content layer, `content_loss`: |F - P|^2 / |P|^2. 0 for the content itself; lower keeps more of it.
      style: by style layer, the style loss, relative. 0 where the style's statistics are met; lower has more of it.
      structure: `structure_distance` from the content. Lower keeps more of its structure, whatever the colours are.
      ssim: structural similarity to the content, at most 1. Higher keeps more of it, colours and brightness too.
      style_color: `color_distance` from the styles, in units of CIELAB. Lower has more of their colours.
      content_color: the same from the content.
    """

    content: Mapping[str, Scalar]
    style: Mapping[str, Scalar]
    structure: Scalar
    ssim: Scalar
    style_color: Scalar
    content_color: Scalar


def evaluate(
    image: Picture,
    content: Picture,
    styles: Picture | Sequence[Picture],
    *,
    network: Network,
    mix: Sequence[float | int] | None = None,
    style_loss: str = "gram",
) -> Evaluation:
    """Measures a picture against the content and the styles that it was, or might have been, made from.

    Layers are the network's own content and style layers. The structure is taken at the middle one of its style
    layers, relu3_1 of a VGG.

    Args:
      image: (h, w, 3), in [0, 1].
      content: of the image's size.
      styles: one picture or several, of any sizes; their long side should be the image's, as in `transfer`.
      network: from `load_network`. Convolutions of float32 give numbers that other machines give too.
      mix: a weight for each style; None for equal ones.
      style_loss: a name out of `jaxstyle.losses.STYLE_LOSSES`.

    Raises:
      InputError: a content of another size, numbers that do not fit the styles, or no such style loss.
    """
    images = [styles] if isinstance(styles, jax.Array) or hasattr(styles, "ndim") else list(styles)
    if content.shape != image.shape:
        given, wanted = (f"{x.shape[1]} x {x.shape[0]}" for x in (content, image))
        raise InputError(f"the content is {given} pixels; it must be of the size of the image, {wanted}")
    if style_loss not in STYLE_LOSSES:
        raise InputError(f"there is no style loss {style_loss!r}; there are {', '.join(STYLE_LOSSES)}")
    shares = jnp.ones(len(images)) if mix is None else jnp.asarray(mix, jnp.float32)
    if shares.shape != (len(images),) or not bool((shares >= 0).all()) or not bool(shares.any()):
        raise InputError(f"mix is {mix}; it must be {len(images)} numbers of 0 or above, one of them larger")
    arrays = [jnp.asarray(x) for x in (image, content, *images)]
    return _evaluate(network, arrays[0], arrays[1], arrays[2:], shares / shares.sum(), style_loss=style_loss)


@compiled("style_loss")
def _evaluate(
    network: Network,
    image: Image,
    content: Image,
    styles: list[Float[Array, "_ _ 3"]],
    shares: Float[Array, " k"],
    *,
    style_loss: str,
) -> Evaluation:
    """`evaluate`, compiled; shares sum to one."""
    objective, loss = default_objective(network), STYLE_LOSSES[style_loss]
    middle = structure_layer(network)
    found = network.features(image, (*objective.layers, middle))
    kept = network.features(content, (*objective.content_layers, middle))
    wanted = [
        {layer: loss.statistic(x) for layer, x in network.features(style, objective.style_layers).items()}
        for style in styles
    ]
    style = {
        layer: loss.distance(found[layer], mixed([one[layer] for one in wanted], shares))
        for layer in objective.style_layers
    }
    scale = _unit(network.preprocessing)
    colors, aim = moments(rgb_to_lab(image)), mixed([moments(rgb_to_lab(style)) for style in styles], shares)
    return Evaluation(
        {layer: content_loss(found[layer], kept[layer]) for layer in objective.content_layers},
        style,
        structure_distance(found[middle] / scale, kept[middle] / scale),
        ssim(image, content),
        _wasserstein(colors, aim),
        _wasserstein(colors, moments(rgb_to_lab(content))),
    )


def structure_layer(network: Network) -> str:
    """The layer at which `evaluate` takes the structure: the middle one of the network's style layers."""
    layers = default_objective(network).style_layers
    return layers[len(layers) // 2]


def _unit(preprocessing: str) -> float:
    """How much larger features are than those of normalised pixels: networks of ReLUs grow with their input."""
    chosen, usual = PREPROCESSING[preprocessing], PREPROCESSING["torchvision"]
    return chosen.scale * sum(usual.std) / sum(chosen.std)


def structure_distance(features: Features, target: Features) -> Scalar:
    """Content feature structural distance, CFSD: how differently the positions of two pictures resemble each other.

    Of each position i the similarities to all positions, softmax_j(x_i . x_j / c^2), are a distribution; the distance
    is the sum over i of the Kullback-Leibler divergence of that of `features` from that of `target`. After Chung, Hyun
    and Heo (2024, https://arxiv.org/abs/2312.09008), as the program that they published has it, there with relu3_1 of
    torchvision's VGG19, of pictures of 512 x 512.

    It grows with the number of positions. Features of networks with other weights, or of pixels up to 255, are of
    another size, which the softmax is sensitive to: see docs/guide/evaluate.md.

    Args:
      features: (h, w, c), of the picture.
      target: of the same shape, of the content.

    Returns:
      0 for equal features.
    """
    x, y = (one.astype(jnp.float32).reshape(-1, one.shape[2]) for one in (features, target))

    def of_row(rows: tuple[Array, Array]) -> Array:
        ours, theirs = (
            jax.nn.log_softmax(jnp.matmul(of, row, precision=jax.lax.Precision.HIGHEST) / row.size**2)
            for of, row in zip((x, y), rows, strict=True)
        )
        return jnp.sum(jnp.exp(theirs) * (theirs - ours))

    return jnp.sum(jax.lax.map(of_row, (x, y), batch_size=min(ROWS, len(x))))


def color_distance(image: Picture, reference: Picture) -> Scalar:
    """2-Wasserstein distance of the colours of two pictures, of any sizes, in CIELAB, taken as Gaussians:
    (|m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2))^1/2 of their means and covariances.

    Some 2 can just be seen in large areas; black and white are 100 apart. Where colours are in the picture plays no
    part.
    """
    return _wasserstein(*(moments(rgb_to_lab(x)) for x in (image, reference)))


def _wasserstein(a: Moments, b: Moments) -> Scalar:
    """Of two Gaussians of few dimensions."""

    def product(x: Array, y: Array) -> Array:
        return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)

    half, _ = roots(a.covariance)
    cross = jnp.linalg.eigvalsh(product(product(half, b.covariance), half))
    spread = jnp.trace(a.covariance) + jnp.trace(b.covariance) - 2 * jnp.sum(jnp.sqrt(jnp.maximum(cross, 0)))
    return jnp.sqrt(jnp.sum((a.mean - b.mean) ** 2) + jnp.maximum(spread, 0))
