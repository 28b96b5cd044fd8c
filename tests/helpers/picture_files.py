"""Picture files as tests make them, and what every refusal of one looks like."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError


def noise(rng, height=20, width=30, channels=3):
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def put(path, samples, mode=None, **options):
    image = Image.fromarray(samples)
    if mode is not None:  # the same bytes under another name, such as CMYK
        image = Image.frombytes(mode, image.size, np.ascontiguousarray(samples).tobytes())
    image.save(path, **options)
    return path


def close(actual, expected, steps=0.0):
    """Equal to within `steps` of 8 bits, and to float32 rounding if `steps` is 0."""
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=steps / 255 + 2e-7)


def refused(call, *words):
    """`call` raises an `InputError` of one plain line in which every word stands."""
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert line.isprintable(), line
    for word in words:
        assert str(word) in line
    return line


def near(actual, expected, atol=3e-7):
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def grey(samples):
    return np.repeat(samples.reshape(*samples.shape[:2], 1), 3, axis=2)


# What cannot be read


def png_file(width, height, rows, depth=8):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
