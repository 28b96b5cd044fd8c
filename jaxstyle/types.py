"""The array types that every signature of the package is written in.

Images are RGB, height x width x channel, float32, sRGB values in [0, 1]. There is no batch axis anywhere:
several images, or several settings, are a matter for `jax.vmap`.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
from jaxtyping import Array, Float

Image: TypeAlias = Float[Array, "h w 3"]
Features: TypeAlias = Float[Array, "h w c"]
Scalar: TypeAlias = Float[Array, ""]
Params: TypeAlias = Mapping[str, Any]
Key: TypeAlias = jax.Array
