"""How near one picture is to another. Images are (h, w, 3), float32, in [0, 1]; results are float32 scalars."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops.filtering import filter_axis, gaussian
from jaxstyle.types import Image, Picture, Scalar

WINDOW, SIGMA = 11, 1.5  # of the Gaussian window, in pixels: side and standard deviation
K1, K2 = 0.01, 0.03


def psnr(image: Picture, reference: Picture) -> Scalar:
    """Peak signal-to-noise ratio in dB: -10 log10 of the mean squared difference, over all pixels and channels.

    Above 138 dB the difference is float32's own, and equal pictures have 138.5.
    """
    error = jnp.mean((jnp.asarray(image) - jnp.asarray(reference)) ** 2)
    return -10 * jnp.log10(jnp.maximum(error, float(jnp.finfo(jnp.float32).eps) ** 2))


def ssim(image: Picture, reference: Picture) -> Scalar:
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861).

    Means, variances and covariance are those under a Gaussian window of 11 x 11 pixels and a deviation of 1.5, at
    every place where it lies within the picture; K1 = 0.01, K2 = 0.03. The paper compares luminance; here it is the
    mean over the three channels, as other programs have it.

    Args:
      image, reference: at least 11 pixels a side.

    Returns:
      At most 1, for equal pictures.
    """
    image, reference = jnp.asarray(image), jnp.asarray(reference)
    c1, c2 = K1**2, K2**2
    # About the mean of the reference: variances are differences of squares, which in float32 are best kept small.
    centre = jnp.mean(reference)
    x, y = image - centre, reference - centre
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variances = _local_mean(x**2) - mean_x**2 + _local_mean(y**2) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + centre, mean_y + centre
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return jnp.mean(luminance * (2 * covariance + c2) / (variances + c2))


def _local_mean(x: Image) -> Float[Array, "h-10 w-10 3"]:
    """Means under the window, wherever it fits."""
    weights = gaussian(SIGMA, WINDOW // 2)
    return filter_axis(filter_axis(x, weights, axis=0), weights, axis=1)
