"""What pictures take: those too large are refused by their headers, and none is held more often than it must be.

Each is read in a process of its own, whose largest size in memory tells.
"""

import io
import json
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats import tiff as formats_of_tiff
from jaxstyle.pictures.read import MAX_PIXELS, load_picture, own_size

resource = pytest.importorskip("resource")

READ = """
import json, resource, sys
from jaxstyle.errors import InputError
from jaxstyle.pictures import read
from jaxstyle.pictures.formats import tiff
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path, size, large = json.loads(sys.argv[1])
try:
    shape = read.load_picture(path, size, large=large).pixels.shape
except InputError as error:
    shape = str(error)
print(json.dumps([shape, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit]))
"""


def read(path, size=64, large=False):
    """The picture's shape, or what is said of it; and the bytes that it took."""
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps([str(path), size, large])], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def small(kind, **options):
    data = io.BytesIO()
    Image.new("RGB", (64, 48), (9, 99, 200)).save(data, kind, **options)
    return data.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth=1, kind=0, row=None):
    row = bytes(1 + (width * depth + 7) // 8) if row is None else row
    packer, packed = zlib.compressobj(1), []
    packed = [packer.compress(row) for _ in range(height)] + [packer.flush()]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"".join(packed)) + chunk(b"IEND", b"")


def tiff(width, height, strips, count=1, bits=8, code=8):
    """A grey TIFF whose strips are all the same."""
    head, place = b"II*\0\x08\0\0\0", 8 + 2 + 12 * 9 + 4
    rows = -(-height // count)
    entries = [(256, width), (257, height), (258, bits), (259, code), (262, 1), (277, 1), (278, rows)]
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    offsets = struct.pack("<HHII", 273, 4, count, place)
    lengths = struct.pack("<HHII", 279, 4, count, place + 4 * count if count > 1 else len(strips))
    tags = tags[: 12 * 5] + offsets + tags[12 * 5 :] + lengths
    ifd = struct.pack("<H", 9) + tags + bytes(4)
    if count == 1:
        return head + ifd + strips
    data = place + 8 * count
    return (
        head
        + ifd
        + struct.pack(f"<{count}I", *[data] * count)
        + struct.pack(f"<{count}I", *[len(strips)] * count)
        + strips
    )


def patched(data, mark, skip, form, *values):
    """A file whose header claims another size."""
    place = data.index(mark) + len(mark) + skip
    return data[:place] + struct.pack(form, *values) + data[place + struct.calcsize(form) :]


SIDE = 14_100
CLAIMS = {
    "png": lambda: png(SIDE, SIDE),
    "webp": lambda: (
        b"RIFF"
        + struct.pack("<I", 26)
        + b"WEBPVP8L"
        + struct.pack("<IB", 14, 0x2F)
        + ((SIDE - 1) | (SIDE - 1) << 14).to_bytes(4, "little")
        + bytes(9)
    ),
    "jpeg": lambda: patched(small("JPEG"), b"\xff\xc0", 3, ">HH", SIDE, SIDE),
    "gif": lambda: patched(small("GIF"), b"GIF87a", 0, "<HH", SIDE, SIDE),
    "bmp": lambda: patched(small("BMP"), b"BM", 16, "<ii", SIDE, SIDE),
    "ppm": lambda: b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes(100),
    "avif": lambda: patched(small("AVIF"), b"ispe", 4, ">II", SIDE, SIDE),
    "jpeg 2000": lambda: patched(
        patched(small("JPEG2000", no_jp2=True), b"\xff\x51", 4, ">II", SIDE, SIDE), b"\xff\x51", 20, ">II", SIDE, SIDE
    ),
    "tiff": lambda: tiff(SIDE, SIDE, zlib.compress(bytes(SIDE * 100)), count=141),
    "deep tiff": lambda: tiff(9000, 9000, zlib.compress(bytes(9000)), bits=128),
}


@pytest.mark.parametrize("kind", CLAIMS)
def test_too_large_by_its_header(tmp_path, kind):
    path = tmp_path / "a.bin"
    path.write_bytes(CLAIMS[kind]())
    said, taken = read(path)
    assert taken < 60e6
    if kind == "deep tiff":
        assert "bits" in said
        return
    assert str(path) in said
    assert f"{SIDE} x {SIDE}" in said
    assert "--large" in said


def test_large_is_asked_for(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(12_000, 1 + MAX_PIXELS // 12_000))
    for call in (load_picture, own_size):
        with pytest.raises(InputError, match=r"120000000.*--large"):
            call(path)
    assert own_size(path, large=True) == (1 + MAX_PIXELS // 12_000, 12_000)


@pytest.mark.slow
def test_what_large_allows_is_read_in_bands(tmp_path):
    """Pillow has a byte for each bit; in float it would be four more."""
    path = tmp_path / "a.png"
    path.write_bytes(png(SIDE, SIDE))
    shape, taken = read(path, large=True)
    assert shape == [64, 64, 3]
    assert taken < 1.6 * SIDE**2


@pytest.mark.parametrize("count", [1, 80])
def test_strips_of_a_tiff_are_not_all_held(tmp_path, count):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(8000, 8000, zlib.compress(bytes(8000 * 8000 // count)), count=count))
    shape, taken = read(path)
    assert shape == [64, 64, 3]
    assert taken < (60e6 if count > 1 else 64e6 * 2.5)


def test_a_strip_too_large_to_be_held(tmp_path, monkeypatch):
    """Of few enough pixels, but with many bytes each, and all of them in one strip."""
    for name, count in (("a", 1), ("b", 4)):
        (tmp_path / f"{name}.tif").write_bytes(tiff(64, 64, zlib.compress(bytes(64 * 64 // count)), count=count))
    monkeypatch.setattr(formats_of_tiff, "MOST_BYTES", 64 * 64 - 1)
    with pytest.raises(InputError, match=r"64 x 64.*4095.*--large"):
        load_picture(tmp_path / "a.tif")
    assert load_picture(tmp_path / "a.tif", large=True).own_size == (64, 64)
    assert load_picture(tmp_path / "b.tif").own_size == (64, 64)


WHOLE = {"PNG": 4.5, "JPEG": 1.0, "WEBP": 8.5, "BMP": 4.5, "TIFF": 2.0}  # bytes a pixel


@pytest.mark.slow
@pytest.mark.parametrize("kind", WHOLE)
def test_a_photo_is_not_held_in_float(tmp_path, kind):
    """4000 x 4000, at 64 and at its own size: there what is returned, 12 bytes a pixel, and the decoder's own once."""
    samples = np.tile(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), (100, 100, 1))
    path = tmp_path / "a.bin"
    options = {"PNG": {"compress_level": 1}, "WEBP": {"lossless": True, "method": 0}}.get(kind, {})
    Image.fromarray(samples).save(path, kind, **options)
    shape, taken = read(path)
    assert shape == [64, 64, 3]
    pixels = samples.shape[0] * samples.shape[1]
    assert taken < WHOLE[kind] * pixels + 70e6
    shape, taken = read(path, None)
    assert shape == [4000, 4000, 3]
    decoder = {"JPEG": 4.5, "WEBP": 8.5}.get(kind, WHOLE[kind])
    assert taken < (12 + decoder) * pixels + 70e6


def test_a_segment_that_unpacks_to_more_than_its_pixels_is_cut(tmp_path):
    """A megabyte of zeros for a strip of 4096 bytes."""
    path = tmp_path / "a.tif"
    for code, squeeze in ((8, zlib.compress), (5, imagecodecs.lzw_encode), (50000, imagecodecs.zstd_encode)):
        path.write_bytes(tiff(64, 64, bytes(squeeze(bytes(100_000_000))), code=code))
        said, taken = read(path)
        assert taken < 60e6, (code, said)
