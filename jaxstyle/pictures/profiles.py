"""Colours of a file to sRGB, float32 in [0, 1], by its ICC profile or by what its format says instead.

Intent is relative colorimetric with black point compensation: white is white, black is black. LittleCMS transforms
8-bit colours in 8 bits. Deeper ones would take it a second for each million: there a profile of curves and a matrix is
three tables, one for each channel, of its part in linear sRGB.
"""

import functools
import struct
from collections.abc import Callable, Sequence

import imagecodecs
import numpy as np
from jaxtyping import Float32

from jaxstyle.pictures.stored import Model

Samples = np.ndarray  # (rows, width, channels) of the file's number type
ToSrgb = Callable[[Samples], Float32[np.ndarray, "r w c"]]  # c is 1 for greys, or 3

RELATIVE, BLACK_POINT, EXACT = 1, 0x2000, 0x100  # intent and flags of LittleCMS; exact: without its tables
SPACES = {"grey": (b"GRAY", b"RGB "), "rgb": (b"RGB ",), "cmyk": (b"CMYK",), "lab": ()}
D65, BT709 = (0.3127, 0.3290), (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
LEVELS = 65_536  # of tables for floats

# From CIE XYZ (D50), in which CIELAB is stored, to linear sRGB: Bradford's adaptation, http://www.brucelindbloom.com.
D50 = (0.96422, 1.0, 0.82521)
FROM_D50 = ((3.1338561, -1.6168667, -0.4906146), (-0.9787684, 1.9161415, 0.0334540), (0.0719453, -0.2289914, 1.4052427))


def to_srgb(model: Model, dtype: np.dtype, white: float, profile: bytes | None) -> ToSrgb:
    """What takes samples to sRGB; a profile that is broken or does not fit them is as none.

    Args:
      model: what the channels are.
      dtype, white: the number type of the samples, and the value of full scale.
      profile: ICC, or None.
    """
    if model == "lab":
        return _lab_to_srgb
    if profile and fits(profile, model):
        try:
            return _by_profile(model, dtype, white, profile)
        except imagecodecs.CmsError:  # the header is right and the rest is not
            pass
    return lambda samples: _unprofiled(model, unit(samples, white))


def fits(profile: bytes, model: Model) -> bool:
    """Whether a profile, by its header, is of such channels."""
    return len(profile) > 132 and profile[36:40] == b"acsp" and profile[16:20] in SPACES[model]


def rgb_profile(primaries: Sequence[float], white_point: Sequence[float], curve: float | np.ndarray) -> bytes:
    """The ICC profile of primaries and a white point, given as x and y, and a curve: a gamma, or a table in [0, 1]."""
    how = {"gamma": curve} if isinstance(curve, float) else {"transferfunction": np.asarray(curve, np.float32)}
    return imagecodecs.cms_profile("rgb", primaries=list(primaries), whitepoint=tuple(white_point), **how)


def unit(samples: Samples, white: float) -> Float32[np.ndarray, "..."]:
    """Samples with full scale at 1."""
    if samples.dtype == np.float32 and white == 1:
        return samples
    return np.divide(samples, white, dtype=np.float32)


def encoded(linear: np.ndarray) -> Float32[np.ndarray, "r w c"]:
    """Linear light to sRGB values, clipped to [0, 1]."""
    x = np.clip(linear, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


def decoded(values: np.ndarray) -> np.ndarray:
    """sRGB values in [0, 1] to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _unprofiled(model: Model, x: np.ndarray) -> np.ndarray:
    return (1 - x[..., :3]) * (1 - x[..., 3:]) if model == "cmyk" else x


def _by_profile(model: Model, dtype: np.dtype, white: float, profile: bytes) -> ToSrgb:
    levels = LEVELS if dtype.kind == "f" else int(white) + 1
    if model == "grey":
        table = _grey_table(levels, profile)
        return lambda samples: table[_indices(samples[..., 0], levels)]
    if model == "rgb" and dtype == np.uint8 and white == 255:
        _transformed(np.zeros((1, 1, 3), np.uint8), profile, "rgb")  # raises here what it would raise later
        return lambda samples: unit(_transformed(samples, profile, "rgb", out=np.uint8), 255.0)
    if model == "rgb" and _is_matrix(profile):
        tables = [_channel_table(k, levels, profile) for k in range(3)]
        return lambda samples: encoded(
            np.sum([table[_indices(samples[..., k], levels)] for k, table in enumerate(tables)], axis=0)
        )
    _transformed(np.zeros((1, 1, 3 if model == "rgb" else 4), np.float32), profile, model)
    scale = 100 if model == "cmyk" else 1  # LittleCMS has ink in percent

    def exactly(samples: Samples) -> np.ndarray:
        x = samples if samples.dtype == np.uint8 and white == 255 else unit(samples, white) * np.float32(scale)
        return np.clip(_transformed(x, profile, model), 0, 1)

    return exactly


def _indices(samples: Samples, levels: int) -> np.ndarray:
    if samples.dtype.kind != "f":
        return np.minimum(samples, levels - 1)
    return np.rint(np.clip(samples, 0, 1) * (levels - 1)).astype(np.uint16)


def _is_matrix(profile: bytes) -> bool:
    """Whether there are curves and a matrix, and no table in several dimensions, which would go before them."""
    count = min(struct.unpack_from(">I", profile, 128)[0], (len(profile) - 132) // 12)
    tags = {profile[132 + 12 * i : 136 + 12 * i] for i in range(count)}
    return {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags and not any(x[:3] == b"A2B" for x in tags)


def _grey_table(levels: int, profile: bytes) -> Float32[np.ndarray, "levels c"]:
    """sRGB of each level of grey."""
    ramp = np.linspace(0, 1, levels, dtype=np.float32)[None]
    if profile[16:20] == b"GRAY":
        table = _transformed(ramp, profile, "gray")[0]
    else:
        table = _transformed(np.repeat(ramp[..., None], 3, 2), profile, "rgb")[0]
    return np.clip(table, 0, 1)


def _channel_table(channel: int, levels: int, profile: bytes) -> Float32[np.ndarray, "levels 3"]:
    """Linear sRGB of each level of one channel, where the others are 0: the sum of the three is the colour."""
    ramp = np.zeros((1, levels, 3), np.float32)
    ramp[..., channel] = np.linspace(0, 1, levels, dtype=np.float32)
    return _transformed(ramp, profile, "rgb", target=_linear_srgb())[0]


@functools.cache
def _srgb() -> bytes:
    return imagecodecs.cms_profile("srgb")


@functools.cache
def _linear_srgb() -> bytes:
    return rgb_profile(BT709, D65, 1.0)


def _transformed(
    samples: Samples, profile: bytes, space: str, *, out: type = np.float32, target: bytes | None = None
) -> np.ndarray:
    """Samples through LittleCMS into sRGB, or another RGB; floats are not clipped."""
    flags = BLACK_POINT if out == np.uint8 else BLACK_POINT | EXACT
    return imagecodecs.cms_transform(
        np.ascontiguousarray(samples),
        profile,
        target or _srgb(),
        colorspace=space,
        outcolorspace="rgb",
        outdtype=np.dtype(out).str[1:],
        intent=RELATIVE,
        flags=flags,
    )


def _lab_to_srgb(lab: Samples) -> np.ndarray:
    """CIELAB with the white D50 to sRGB; what sRGB does not have is clipped."""
    middle = (lab[..., 0] + 16) / 116
    f = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    xyz = np.asarray(D50) * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return encoded(xyz @ np.asarray(FROM_D50).T)
