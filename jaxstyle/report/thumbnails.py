"""Pictures made small for a sheet or a page."""

import base64
import contextlib
import io
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxstyle.pictures.read import load_picture, own_size
from jaxstyle.pictures.resample import resize

Size = tuple[int, int]  # (width, height)


def scaled(size: Size, scale: float) -> Size:
    """Width and height times `scale`, of one pixel at least."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def size_of(path: Path) -> Size:
    """(width, height) of a picture: of a PNG, as cells are, without decoding it."""
    with contextlib.suppress(OSError, struct.error), open(path, "rb") as file:
        signature, width, height = struct.unpack(">8s8xII", file.read(24))
        if signature == b"\x89PNG\r\n\x1a\n":
            return width, height
    height, width = own_size(path, large=True)
    return width, height


def within(pixels: int) -> Callable[[Size], float]:
    """The scale that leaves no more than so many pixels, and never enlarges."""
    return lambda size: min(1.0, math.sqrt(pixels / math.prod(size)))


def fitting(box: Size) -> Callable[[Size], float]:
    """The scale that makes a picture as large as fits in a box."""
    return lambda size: min(box[0] / size[0], box[1] / size[1])


def read(path: Path, scale: Callable[[Size], float]) -> Image.Image:
    """The picture, its width and height times `scale` of them; what is transparent, on white."""
    picture = load_picture(path, large=True)
    own = picture.pixels.shape[1], picture.pixels.shape[0]
    width, height = scaled(own, scale(own))
    pixels = resize(picture.pixels, height, width)
    if picture.alpha is not None:
        cover = resize(np.repeat(picture.alpha[..., None], 3, axis=2), height, width)
        pixels = pixels * cover + (1 - cover)
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def embedded(path: Path, pixels: int) -> dict[str, Any]:
    """A picture of no more than so many pixels, for the page."""
    picture, encoded = read(path, within(pixels)), io.BytesIO()
    picture.save(encoded, format="WEBP", quality=90)
    text = base64.b64encode(encoded.getbuffer()).decode("ascii")
    return {"picture": f"data:image/webp;base64,{text}", "width": picture.width, "height": picture.height}
