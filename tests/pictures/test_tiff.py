"""TIFF: files made byte by byte from arrays, after TIFF 6.0, whose pictures are therefore known; and libtiff's."""

import io
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_image, load_picture, own_size
from picture_files import grey
from picture_files import near as close

HEIGHT, WIDTH = 37, 53
SHORT, LONG, RATIONAL, BYTES, LONG8 = 3, 4, 5, 7, 16
SIZES = {SHORT: "H", LONG: "I", RATIONAL: "I", BYTES: "B", LONG8: "Q"}
BLACK_IS_0, WHITE_IS_0, RGB, PALETTE, INKS, YCBCR, CIELAB, ICCLAB = 1, 0, 2, 3, 5, 6, 8, 9


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def packed(rows, bits, order):
    """Rows of samples as bytes; those of a width that is no number of bytes from the top bit on."""
    if rows.dtype.kind == "f" or bits in (8, 16, 32, 64):
        return [row.astype(rows.dtype.newbyteorder(order)).tobytes() for row in rows]
    return [np.packbits((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).tobytes() for row in rows]


def differences(part, predictor, order):
    """A part (rows, columns, samples) with Adobe's predictors: differences of samples, or of the bytes of floats."""
    if predictor == 1:
        return part
    if predictor == 2:
        result = part.copy()
        result[:, 1:] -= part[:, :-1]
        return result
    rows, _, count = part.shape
    size = part.dtype.itemsize
    planes = part.astype(part.dtype.newbyteorder(">")).reshape(rows, -1).view(np.uint8).reshape(rows, -1, size)
    flat = np.moveaxis(planes, 2, 1).reshape(rows, -1)
    result = flat.copy()
    result[:, count:] -= flat[:, :-count]
    return result  # bytes, which have no order


def parts_of(samples, tile, strip):
    """The strips, or the tiles, filled up beyond the borders, of one plane or of interleaved ones."""
    height, width = samples.shape[:2]
    if tile is None:
        return [samples[i : i + strip] for i in range(0, height, strip)]
    down, across = -(-height // tile) * tile, -(-width // tile) * tile
    full = np.zeros((down, across, samples.shape[2]), samples.dtype)
    full[:height, :width] = samples
    return [full[i : i + tile, j : j + tile] for i in range(0, down, tile) for j in range(0, across, tile)]


def page(
    samples,
    *,
    bits,
    photometric,
    order="<",
    form=1,
    planar=False,
    tile=None,
    strip=10,
    code=1,
    squeeze=bytes,
    predictor=1,
    tags=(),
):
    """The tags of a page, with its strips or tiles as bytes."""
    samples = samples.reshape(*samples.shape[:2], -1)
    planes = [samples[..., k : k + 1] for k in range(samples.shape[2])] if planar else [samples]
    data = []
    for plane in planes:
        for part in parts_of(plane, tile, strip):
            coded = differences(part, predictor, order)
            rows = packed(coded.reshape(len(coded), -1), 8 if predictor == 3 else bits, order)
            data.append(squeeze(b"".join(rows)))
    height, width, count = samples.shape
    place = {322: (SHORT, [tile]), 323: (SHORT, [tile])} if tile else {278: (SHORT, [strip])}
    return {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [bits] * count),
        259: (SHORT, [code]),
        262: (SHORT, [photometric]),
        277: (SHORT, [count]),
        284: (SHORT, [2 if planar else 1]),
        317: (SHORT, [predictor]),
        339: (SHORT, [form] * count),
        **place,
        **dict(tags),
        "data": data,
        "tiled": tile is not None,
    }


def tiff(*pages, order="<", big=False):
    """The bytes of a file of pages; a page's tag 330 may hold pages, which come within it."""
    entry, value = ("Q", 8) if big else ("I", 4)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "2sHHHQ", mark, 43, 8, 0, 0) if big else struct.pack(order + "2sHI", mark, 42, 0)
    result = bytearray(head)

    def put(data):
        result.extend(bytes(-len(result) % 8))
        place = len(result)
        result.extend(data)
        return place

    def directory(tags):
        tags = dict(tags)
        data, tiled = tags.pop("data"), tags.pop("tiled")
        offsets = [put(part) for part in data]
        kind = LONG8 if big else LONG
        tags[324 if tiled else 273] = (kind, offsets)
        tags[325 if tiled else 279] = (kind, [len(part) for part in data])
        if 330 in tags:
            tags[330] = (kind, [directory(inner) for inner in tags[330]])
        entries = b""
        for tag, (kind, values) in sorted(tags.items()):
            raw = bytes(values) if kind == BYTES else struct.pack(f"{order}{len(values)}{SIZES[kind]}", *values)
            count = len(values) // 2 if kind == RATIONAL else len(values)
            where = raw.ljust(value, b"\0") if len(raw) <= value else struct.pack(order + entry, put(raw))
            entries += struct.pack(order + "HH" + entry, tag, kind, count) + where
        place = put(struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + bytes(value))
        return place

    previous = 8 if big else 4
    for tags in pages:
        place = directory(tags)
        struct.pack_into(order + entry, result, previous, place)
        previous = len(result) - value
    return bytes(result)


def put(tmp_path, *pages, **options):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(*pages, **options))
    return path


def integers(rng, bits, channels):
    return rng.integers(0, 2**bits - 1, (HEIGHT, WIDTH, channels), dtype=np.uint64, endpoint=True).astype(
        np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32 if bits <= 32 else np.uint64
    )


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        load_image(path)
    line = str(caught.value)
    assert line.isprintable()
    assert str(path) in line
    assert all(word in line for word in words), line


LAYOUTS = {
    "strips": {},
    "tiles": {"tile": 16},
    "planes": {"planar": True},
    "planes in tiles": {"planar": True, "tile": 16},
    "one strip": {"strip": HEIGHT},
}


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bits", [*range(1, 17), 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_whole_numbers_of_any_width(tmp_path, rng, bits, channels, layout, order):
    samples = integers(rng, bits, channels)
    kind = RGB if channels == 3 else BLACK_IS_0
    path = put(tmp_path, page(samples, bits=bits, photometric=kind, order=order, **LAYOUTS[layout]), order=order)
    expected = samples / (2.0**bits - 1)
    close(load_image(path), expected if channels == 3 else grey(expected))
    assert own_size(path) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff(tmp_path, rng, order, big):
    samples = integers(rng, 16, 3)
    path = put(tmp_path, page(samples, bits=16, photometric=RGB, order=order), order=order, big=big)
    close(load_image(path), samples / 65535)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16, 32])
def test_white_is_0(tmp_path, rng, bits):
    samples = integers(rng, bits, 1)
    close(
        load_image(put(tmp_path, page(samples, bits=bits, photometric=WHITE_IS_0))), grey(1 - samples / (2.0**bits - 1))
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("photometric", [WHITE_IS_0, BLACK_IS_0, RGB])
def test_floats(tmp_path, rng, kind, photometric):
    samples = rng.random((HEIGHT, WIDTH, 3 if photometric == RGB else 1)).astype(kind)
    path = put(tmp_path, page(samples, bits=8 * samples.itemsize, photometric=photometric, form=3))
    samples = samples.astype(np.float64)
    expected = 1 - samples if photometric == WHITE_IS_0 else samples
    close(load_image(path), expected if photometric == RGB else grey(expected))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 255.0])
def test_floats_off_their_scale_are_refused(tmp_path, rng, value):
    samples = rng.random((HEIGHT, WIDTH, 3)).astype(np.float32)
    samples[-1, -1, 1] = value
    refused(put(tmp_path, page(samples, bits=32, photometric=RGB, form=3)), "0 to 1")


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_whole_numbers_are_refused(tmp_path, rng, bits):
    samples = integers(rng, bits, 1)
    refused(put(tmp_path, page(samples, bits=bits, photometric=BLACK_IS_0, form=2)), "signed", f"{bits}-bit", "16 bits")


CODERS = {
    "deflate": (8, zlib.compress),
    "old deflate": (32946, zlib.compress),
    "packbits": (32773, lambda data: imagecodecs.packbits_encode(data)),
    "lzw": (5, lambda data: imagecodecs.lzw_encode(data)),
    "zstd": (50000, lambda data: imagecodecs.zstd_encode(data)),
    "lzma": (34925, lambda data: imagecodecs.lzma_encode(data)),
}


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", ["strips", "planes in tiles"])
def test_compressions_and_predictors(tmp_path, rng, coder, predictor, bits, layout):
    code, squeeze = CODERS[coder]
    samples = integers(rng, bits, 3)
    made = page(samples, bits=bits, photometric=RGB, code=code, squeeze=squeeze, predictor=predictor, **LAYOUTS[layout])
    close(load_image(put(tmp_path, made)), samples / (2.0**bits - 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_predictor_of_floats(tmp_path, rng, order, kind):
    samples = rng.random((HEIGHT, WIDTH, 3)).astype(kind)
    made = page(
        samples,
        bits=8 * samples.itemsize,
        photometric=RGB,
        form=3,
        predictor=3,
        code=8,
        squeeze=zlib.compress,
        order=order,
    )
    close(load_image(put(tmp_path, made, order=order)), samples)


@pytest.mark.parametrize("code", ["group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"])
def test_bilevel_of_libtiff(tmp_path, rng, code):
    if code in ("group3", "group4", "tiff_ccitt") and 4 not in tifffile.TIFF.DECOMPRESSORS:
        pytest.skip("these tifffile and imagecodecs have no fax compression, and it is refused")
    bits = rng.random((64, 80)) < 0.3
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=code)
    close(load_image(tmp_path / "a.tif"), grey(bits.astype(np.float32)))


@pytest.mark.parametrize("code", ["tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_what_libtiff_compresses(tmp_path, rng, code, mode):
    samples = integers(rng, 8, len(mode))
    if mode == "RGBA":
        samples[..., 3] |= 1
    try:
        Image.frombytes(mode, (WIDTH, HEIGHT), samples.tobytes()).save(tmp_path / "a.tif", compression=code)
    except OSError:
        pytest.skip(f"this Pillow writes no {code}")
    picture, x = load_picture(tmp_path / "a.tif"), samples / 255
    expected = {"L": lambda: grey(x), "RGB": lambda: x, "RGBA": lambda: x[..., :3]}
    close(picture.pixels, expected.get(mode, lambda: (1 - x[..., :3]) * (1 - x[..., 3:]))())
    if mode == "RGBA":
        close(picture.alpha, x[..., 3])


def test_jpeg_within(tmp_path):
    """Colours of a JPEG in a TIFF are YCbCr, with fewer samples of chroma: libtiff writes it, Pillow reads the JPEG."""
    y, x = np.mgrid[0:64, 0:80] / 80
    samples = np.rint(255 * np.stack([x, y, 1 - x], 2)).astype(np.uint8)
    options = {"compression": "jpeg", "quality": 95}
    Image.fromarray(samples).save(tmp_path / "a.tif", **options)
    close(load_image(tmp_path / "a.tif"), samples / 255, atol=6 / 255)
    grey_one = np.rint(255 * x).astype(np.uint8)
    Image.fromarray(grey_one).save(tmp_path / "b.tif", **options)
    close(load_image(tmp_path / "b.tif"), grey(grey_one / 255), atol=4 / 255)


@pytest.mark.parametrize("code", [50001, 34712])
def test_webp_and_jpeg_2000_within(tmp_path, rng, code):
    samples = integers(rng, 8, 3)

    def squeeze(data):
        part = np.frombuffer(data, np.uint8).reshape(-1, 16, 3)
        if code == 50001:
            return imagecodecs.webp_encode(part, lossless=True)
        return imagecodecs.jpeg2k_encode(part, level=0, codecformat="j2k")

    path = put(tmp_path, page(samples, bits=8, photometric=RGB, tile=16, code=code, squeeze=squeeze))
    close(load_image(path), samples / 255)


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("narrow", [False, True])
def test_palette(tmp_path, rng, bits, narrow):
    """Tables are of 16 bits; some programs fill them with 8."""
    table = rng.integers(0, 256 if narrow else 65536, (2**bits, 3))
    table[0, 0] = 255 if narrow else 65535
    index = integers(rng, bits, 1)
    tags = {320: (SHORT, table.T.ravel().tolist())}
    path = put(tmp_path, page(index, bits=bits, photometric=PALETTE, tags=tags))
    close(load_image(path), table[index[..., 0]] / (255 if narrow else 65535))


@pytest.mark.parametrize("bits", [8, 16])
def test_inks(tmp_path, rng, bits):
    samples = integers(rng, bits, 4)
    ink = samples / (2.0**bits - 1)
    path = put(tmp_path, page(samples, bits=bits, photometric=INKS))
    close(load_image(path), (1 - ink[..., :3]) * (1 - ink[..., 3:]))
    more = integers(rng, bits, 4)
    refused(put(tmp_path, page(more, bits=bits, photometric=INKS, tags={332: (SHORT, [2])})), "CMYK")


@pytest.mark.parametrize("bits", [8, 16, 12])
@pytest.mark.parametrize("kind", ["straight", "multiplied", "unspecified"])
@pytest.mark.parametrize("channels", [1, 3])
def test_extra_samples(tmp_path, rng, bits, kind, channels):
    full = 2**bits - 1
    colours = integers(rng, bits, channels)
    alpha = (integers(rng, bits, 1) | 1).astype(colours.dtype)
    alpha[:4] = 0
    stored = (
        np.floor(colours.astype(float) * alpha / full + 0.5).astype(colours.dtype) if kind == "multiplied" else colours
    )
    tags = {338: (SHORT, [{"straight": 2, "multiplied": 1, "unspecified": 0}[kind]])}
    made = page(
        np.concatenate([stored, alpha], 2), bits=bits, photometric=RGB if channels == 3 else BLACK_IS_0, tags=tags
    )
    picture = load_picture(put(tmp_path, made))
    expected = colours / full if channels == 3 else grey(colours / full)
    if kind == "unspecified":
        assert picture.alpha is None
        close(picture.pixels, expected)
        return
    close(picture.alpha, alpha[..., 0] / full)
    seen = alpha[..., 0] * 255.0 >= full  # what can hardly be seen is the mean of the rest
    error = np.abs(picture.pixels - expected)[seen]
    # What was multiplied was rounded, to half a step of what is left of it.
    allowed = (0.51 / alpha[..., 0][seen])[:, None] if kind == "multiplied" else 3e-7
    assert np.all(error <= allowed)


def test_alpha_after_other_extra_samples(tmp_path, rng):
    samples = integers(rng, 8, 5)
    path = put(tmp_path, page(samples, bits=8, photometric=RGB, tags={338: (SHORT, [0, 2])}))
    picture = load_picture(path)
    close(picture.alpha, samples[..., 4] / 255)
    seen = samples[..., 4] > 0
    close(picture.pixels[seen], (samples[..., :3] / 255)[seen])


def srgb_of_lab(lightness, a, b):
    """By the definitions: CIELAB to XYZ with the white D50, Bradford's adaptation to D65, the matrix of sRGB."""
    f = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (f - 16 / 116) * 3 * (6 / 29) ** 2) * [0.9642, 1, 0.8249]
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d65 = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    gain = (bradford @ d65) / (bradford @ [0.9642, 1, 0.8249])
    xyz = xyz @ (np.linalg.inv(bradford) @ np.diag(gain) @ bradford).T
    primaries = np.array([[0.64, 0.33, 0.03], [0.30, 0.60, 0.10], [0.15, 0.06, 0.79]]).T
    matrix = primaries * np.linalg.solve(primaries, d65)
    linear = np.clip(xyz @ np.linalg.inv(matrix).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [CIELAB, ICCLAB])
def test_lab(tmp_path, rng, bits, photometric):
    lightness = rng.uniform(0, 100, (HEIGHT, WIDTH))
    a, b = rng.uniform(-60, 60, (2, HEIGHT, WIDTH))
    step = 1 if bits == 8 else 256
    top = 0xFF00 if (bits, photometric) == (16, ICCLAB) else 2**bits - 1
    kind, signed = (np.uint8, np.int8) if bits == 8 else (np.uint16, np.int16)
    light = np.rint(lightness / 100 * top).astype(kind)
    if photometric == CIELAB:
        colours = [np.rint(x * step).astype(signed).view(kind) for x in (a, b)]
    else:
        colours = [np.rint((x + 128) * step).astype(kind) for x in (a, b)]
    path = put(tmp_path, page(np.stack([light, *colours], 2), bits=bits, photometric=photometric))
    exact = srgb_of_lab(light / top * 100, *(np.rint(x * step) / step for x in (a, b)))
    close(load_image(path), exact, atol=1.5e-3)


def test_ycbcr_without_jpeg(tmp_path, rng):
    """Of JFIF's formula, and of CCIR 601's levels, 16 to 235."""
    rgb = rng.random((HEIGHT, WIDTH, 3))
    y = rgb @ [0.299, 0.587, 0.114]
    cb, cr = (rgb[..., 2] - y) / 1.772, (rgb[..., 0] - y) / 1.402
    full = np.rint(np.stack([255 * y, 255 * cb + 128, 255 * cr + 128], 2)).clip(0, 255).astype(np.uint8)
    tags = {530: (SHORT, [1, 1])}
    close(load_image(put(tmp_path, page(full, bits=8, photometric=YCBCR, tags=tags))), rgb, atol=2.5 / 255)
    studio = np.rint(np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], 2)).clip(0, 255).astype(np.uint8)
    tags[532] = (RATIONAL, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1])
    close(load_image(put(tmp_path, page(studio, bits=8, photometric=YCBCR, tags=tags))), rgb, atol=4 / 255)
    refused(put(tmp_path, page(full, bits=8, photometric=YCBCR, tags={530: (SHORT, [2, 2])})), "subsampled")


def turned(stored, orientation):
    """Where TIFF 6.0 says that row 0 and column 0 are."""
    flips = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    x = np.swapaxes(stored, 0, 1) if orientation >= 5 else stored
    return x[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_orientation(tmp_path, rng, orientation):
    samples = integers(rng, 16, 3)
    path = put(tmp_path, page(samples, bits=16, photometric=RGB, tags={274: (SHORT, [orientation])}))
    expected = turned(samples / 65535, orientation if 1 <= orientation <= 8 else 1)
    close(load_image(path), expected)
    assert own_size(path) == expected.shape[:2]
    assert load_image(path, 106).shape == ((106, 74, 3) if 5 <= orientation <= 8 else (74, 106, 3))


def test_a_thumbnail_that_says_so_comes_first(tmp_path, rng):
    samples, small = integers(rng, 8, 3), integers(rng, 8, 3)[:20, :30]
    whole = page(samples, bits=8, photometric=RGB)
    for tag, value in ((254, 1), (255, 2)):
        thumbnail = page(small, bits=8, photometric=RGB, tags={tag: (LONG, [value])})
        close(load_image(put(tmp_path, thumbnail, whole)), samples / 255)
        close(load_image(put(tmp_path, {**thumbnail, 330: [whole]})), samples / 255)
    close(load_image(put(tmp_path, thumbnail)), small / 255)  # there is nothing else


def test_a_thumbnail_that_does_not_say_so_comes_first(tmp_path, rng):
    samples, small, other = integers(rng, 8, 3), integers(rng, 8, 3)[:18, :26], integers(rng, 8, 3)[:20, :20]
    whole, thumbnail, second = (page(x, bits=8, photometric=RGB) for x in (samples, small, other))
    close(load_image(put(tmp_path, thumbnail, whole)), samples / 255)
    close(load_image(put(tmp_path, second, whole)), other / 255)  # of other proportions: a first page
    close(load_image(put(tmp_path, whole, thumbnail, second)), samples / 255)


def test_raw_files_are_named(tmp_path, rng):
    small, photosites = integers(rng, 8, 3)[:20, :30], integers(rng, 16, 1)
    raw = page(photosites, bits=16, photometric=32803)
    thumbnail = page(small, bits=8, photometric=RGB, tags={254: (LONG, [1])})
    refused(put(tmp_path, {**thumbnail, 330: [raw]}), "raw", "develop")
    refused(put(tmp_path, raw), "raw", "develop")
    linear = page(integers(rng, 16, 3), bits=16, photometric=34892)
    refused(put(tmp_path, {**thumbnail, 50706: (BYTES, [1, 4, 0, 0]), 330: [linear]}), "raw", "develop")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({259: (SHORT, [34661])}, ["compression", "34661"]),
        ({259: (SHORT, [6])}, ["compression", "OJPEG"]),
        ({262: (SHORT, [32845])}, ["LOGLUV"]),
        ({262: (SHORT, [4])}, ["MASK"]),
        ({262: (SHORT, [INKS])}, ["3 samples a pixel"]),
        ({339: (SHORT, [5] * 3)}, ["complex"]),
        ({258: (SHORT, [5, 6, 5])}, ["bits"]),
        ({258: (SHORT, [24] * 3)}, ["24 bits"]),
        ({317: (SHORT, [77])}, ["predictor"]),
    ],
)
def test_what_is_not_read_is_named(tmp_path, rng, change, words):
    refused(put(tmp_path, {**page(integers(rng, 8, 3), bits=8, photometric=RGB), **change}), *words)


def test_a_profile_of_deep_colours(tmp_path, rng):
    """Linear light in 16 bits: had it gone through 8, its shadows would be 13 steps apart."""
    linear = imagecodecs.cms_profile(
        "rgb", gamma=1.0, whitepoint=(0.3127, 0.3290), primaries=[0.64, 0.33, 0.30, 0.60, 0.15, 0.06]
    )
    samples = (integers(rng, 16, 3) // np.array([1, 16, 256])).astype(np.uint16)
    path = put(tmp_path, page(samples, bits=16, photometric=RGB, tags={34675: (BYTES, linear)}))
    x = samples / 65535
    expected = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    close(load_image(path), expected, atol=2e-4)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("end", [False, True], ids=["tags first", "tags last"])
def test_cut_short(tmp_path, rng, part, end):
    whole = tiff(page(integers(rng, 16, 3), bits=16, photometric=RGB, tile=16))
    path = tmp_path / "a.tif"
    if end:
        whole = io.BytesIO()
        Image.fromarray(integers(rng, 8, 3)).save(whole, "TIFF")
        whole = whole.getvalue()
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path, "cut short")


def test_tiles_that_were_never_written_are_black(tmp_path, rng):
    samples = integers(rng, 8, 3)
    made = page(samples, bits=8, photometric=RGB, tile=16)
    made["data"][0] = b""
    expected = samples / 255
    expected[:16, :16] = 0
    close(load_image(put(tmp_path, made)), expected)


def test_nothing_is_printed_about_odd_files(tmp_path, rng):
    """Neither by libtiff, nor by tifffile's log: one line is all that there is to say."""
    made = page(integers(rng, 8, 3), bits=8, photometric=RGB)
    odd = {
        "a": tiff({**made, 259: (SHORT, [5])}),  # LZW that is none
        "b": tiff({**made, 50001: (SHORT, [1]), 254: (BYTES, [9, 9]), 34675: (BYTES, b"no profile")}),
        "c": tiff(made)[:-7],
    }
    for name, data in odd.items():
        (tmp_path / f"{name}.tif").write_bytes(data)
    code = (
        "import sys\nfrom jaxstyle.pictures.read import load_image\nfrom jaxstyle.errors import InputError\n"
        "for path in sys.argv[1:]:\n    try:\n        load_image(path)\n    except InputError:\n        pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *(str(tmp_path / f"{name}.tif") for name in odd)], capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_tile_may_not_be_larger_than_it_is_said_to_be(tmp_path, rng):
    big = np.zeros((3000, 3000, 3), np.uint8)
    for code, data in ((50001, imagecodecs.webp_encode(big, lossless=True)), (7, imagecodecs.jpeg_encode(big))):
        made = page(integers(rng, 8, 3), bits=8, photometric=RGB, tile=16, code=code, squeeze=lambda _, data=data: data)
        refused(put(tmp_path, made), "damaged")
