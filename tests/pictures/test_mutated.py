"""Files of pictures with bytes changed at random: each is read, or refused in one line, within bounds.

A few of each format in every run; in the slow tests as many as JAXSTYLE_FUZZ says.
"""

import contextlib
import io
import os
import resource
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_picture
from jaxstyle.pictures.write import is_own, read_record, save_image

FEW, MANY = 25, int(os.environ.get("JAXSTYLE_FUZZ", "300")) * 5
MEMORY = 500 * 2**20  # bytes more than before
DRAW = np.random.default_rng(0)
COLOURS = DRAW.integers(0, 256, (24, 32, 3), dtype=np.uint8)
TIFFS = {
    "plain": {"photometric": "rgb"},
    "planes": {"photometric": "rgb", "planarconfig": "separate"},
    "deflated": {"photometric": "rgb", "compression": "zlib", "predictor": True},
    "lzw": {"photometric": "rgb", "compression": "lzw"},
    "tiles": {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"},
    "jpeg": {"photometric": "rgb", "compression": "jpeg"},
}


def saved(kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(COLOURS).save(data, kind, **options)
    return data.getvalue()


def tiff(kind: str) -> bytes:
    data = io.BytesIO()
    options = TIFFS[kind]
    pixels = np.moveaxis(COLOURS, 2, 0) if "planarconfig" in options else COLOURS
    tifffile.imwrite(data, pixels, **options)
    return data.getvalue()


def with_record(folder: Path, name: str) -> bytes:
    save_image(folder / name, np.float32(COLOURS / 255), {"settings": {"seed": 0}, "styles": [{"file": "s.png"}]})
    (folder / name).with_suffix(".json").unlink()
    return (folder / name).read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A whole file of each kind."""
    folder = tmp_path_factory.mktemp("ours")
    found = {f"tiff, {kind}": tiff(kind) for kind in TIFFS}
    found |= {f"ours{suffix}": with_record(folder, f"a{suffix}") for suffix in (".png", ".jpg", ".webp", ".tif")}
    found |= {kind: saved(kind) for kind in ("JPEG2000", "GIF", "BMP", "PPM", "AVIF")}
    found["deep png"] = deep_png()
    return found


def deep_png() -> bytes:
    """RGB of 16 bits, with a gamma and a colour that is transparent."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOURS.reshape(24, 96).astype(np.uint16) * 257)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 32, 24, 16, 2, 0, 0, 0),
        b"gAMA": struct.pack(">I", 100_000),
        b"tRNS": struct.pack(">HHH", *(COLOURS[0, 0].astype(int) * 257)),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts.items())


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the check sums that belong to them, as far as it can be followed."""
    place, made = 8, data[:8]
    while place + 12 <= len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        if place + 12 + size > len(data):
            break
        made += chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + size])
        place += 12 + size
    return made + data[place:]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["byte", "byte", "word", "word", "cut", "double", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([0, 1, 2, 3, 16, 127, 128, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    for how, where, value in changes:
        # Headers are short, and what they say matters most.
        place = int(where * 2 * min(200, len(data))) if where < 0.5 else int(where * len(data))
        if how == "byte":
            data = data[:place] + bytes([value % 256]) + data[place + 1 :]
        elif how == "word":
            order = "little" if value % 2 else "big"
            data = data[:place] + value.to_bytes(4, order) + data[place + 4 :]
        elif how == "cut":
            data = data[:place] + data[place + value % 64 :]
        elif how == "double":
            data = data[: place + value % 64] + data[place:]
        else:
            data = data[:place]
    return data


def most_memory() -> int:
    """Bytes that this process has had at once so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def check_all(files: dict[str, bytes], folder: Path, examples: int) -> None:
    @settings(
        max_examples=examples * len(files),
        derandomize=examples == FEW,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(files)), CHANGES, st.booleans(), st.sampled_from([None, 16, 40]))
    def check(name: str, changes: list[tuple[str, float, int]], sums: bool, size: int | None) -> None:
        data = mutated(files[name], changes)
        path = folder / "a.png"
        path.write_bytes(with_sums(data) if sums and data[:4] == b"\x89PNG" else data)
        try:
            picture = load_picture(path, size)
        except InputError as error:
            assert str(error).isprintable() and str(path) in str(error)
        else:
            assert picture.pixels.dtype == np.float32 and np.isfinite(picture.pixels).all()
            assert picture.pixels.min() >= 0 and picture.pixels.max() <= 1
            assert picture.alpha is None or picture.alpha.shape == picture.pixels.shape[:2]
        is_own(path)
        with contextlib.suppress(InputError):
            assert isinstance(read_record(path), dict)

    before = most_memory()
    check()
    assert most_memory() - before < MEMORY


@pytest.mark.slow
def test_a_few(files: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for data in files.values():  # each is a picture before it is changed
        (tmp_path / "a.png").write_bytes(data)
        assert load_picture(tmp_path / "a.png").pixels.shape == (24, 32, 3)
    check_all(files, tmp_path, FEW)
    assert capfd.readouterr() == ("", "")  # decoders have nothing to say


@pytest.mark.slow
def test_many(files: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_all(files, tmp_path, MANY)
    assert capfd.readouterr() == ("", "")
