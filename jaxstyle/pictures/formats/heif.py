"""HEIC, which phones write, by pillow-heif where it is installed."""

from typing import BinaryIO

import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats import boxes
from jaxstyle.pictures.stored import Samples, Stored, samples_of

MOST = 64_000_000  # 10 bytes for each pixel


def open_heic(file: BinaryIO, name: str) -> Stored:
    """A HEIC, to 8 bits; libheif turns it upright."""
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError(
            f"{name} is a HEIC picture, which the package pillow-heif reads (pip install 'jaxstyle[heic]'); "
            "install it, or export the picture as JPEG"
        ) from error
    profile = boxes.color_profile(file, name)
    file.seek(0)
    try:
        image = pillow_heif.open_heif(file, convert_hdr_to_8bit=True)
    except ValueError as error:
        raise InputError(f"{name} is a HEIC picture, but damaged or cut short; give a whole picture file") from error
    width, height = image.size

    def samples(times: float) -> Samples:
        del times
        array = np.asarray(image)
        found = samples_of(array, white=255.0, profile=image.info.get("icc_profile") or profile)
        return found

    return Stored(height, width, samples, most=MOST)
