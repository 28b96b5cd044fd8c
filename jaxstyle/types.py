"""The array types that every signature of the package is written in.

Images are RGB, height x width x channel, float32, sRGB values in [0, 1]. There is no batch axis anywhere:
several images, or several settings, are a matter for `jax.vmap`.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Float

Image: TypeAlias = Float[Array, "h w 3"]
Picture: TypeAlias = Float[Array | np.ndarray, "_ _ 3"]  # of a size of its own; NumPy's will do
Pictures: TypeAlias = Float[Array | np.ndarray, "... _ _ 3"]  # with any axes in front
Features: TypeAlias = Float[Array, "h w c"]
FeatureMap: TypeAlias = Float[Array, "_ _ _"]  # features of a size of their own
Mask: TypeAlias = Float[Array, "h w"]  # weights of positions, in [0, 1]
StyleMask: TypeAlias = Float[Array | np.ndarray, "_ _"]  # of a picture of a size of its own
FeatureMaps: TypeAlias = dict[str, FeatureMap]  # by layer name
Scalar: TypeAlias = Float[Array, ""]
Params: TypeAlias = Mapping[str, Any]
Key: TypeAlias = jax.Array
