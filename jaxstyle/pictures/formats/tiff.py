"""TIFF, by tifffile: its strips and tiles decoded as they are needed, and its samples taken as the tags say.

Pillow guesses at much of that: it reads planes of 16 bits as if they were interleaved, leaves white at 0 in deep greys,
takes 12 bits for 16, and the first page for the picture.
"""

import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import tifffile

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats import jpeg2000, webp
from jaxstyle.pictures.formats.raster import jpeg_frame
from jaxstyle.pictures.stored import MAX_PIXELS, Model, Samples, Stored

COMPRESSIONS = {
    **{1: "none", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 7: "JPEG", 8: "Deflate", 32946: "Deflate"},
    **{32773: "PackBits", 34925: "LZMA", 34926: "Zstandard", 50000: "Zstandard", 34927: "WebP", 50001: "WebP"},
    **{33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"},
}
JPEG, WEBP, JPEG2000 = (7,), (34927, 50001), (33003, 33005, 34712)
PICTURES = (*JPEG, *WEBP, *JPEG2000)  # compressions that are pictures of their own
WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, MASK, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
MODELS: dict[int, tuple[Model, int]] = {  # by photometric interpretation: the model, and its channels
    WHITE_IS_0: ("grey", 1),
    BLACK_IS_0: ("grey", 1),
    RGB: ("rgb", 3),
    PALETTE: ("rgb", 1),
    SEPARATED: ("cmyk", 4),
    YCBCR: ("rgb", 3),
    CIELAB: ("lab", 3),
    ICCLAB: ("lab", 3),
}
RAW = (32803, 34892)  # the photosites of a camera, one colour each or three
REDUCED, MASKING = 1, 4  # bits of NewSubfileType
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4  # sample formats
WHOLE = (*range(1, 17), 32, 64)  # bits; of those between, the order of bytes is in doubt
BITS = {UNSIGNED: WHOLE, UNDEFINED: WHOLE, FLOAT: (16, 32, 64)}
ASSOCIATED, UNASSOCIATED = 1, 2  # alpha, among the meanings of extra samples
MOST_PAGES = 32  # that are looked at
MOST_SAMPLES = 16  # of a pixel
MOST_BYTES = 1_000_000_000  # of a row of strips or tiles, which are decoded together
TAGS = {
    "orientation": 274,
    "icc": 34675,
    "inks": 332,
    "dng": 50706,
    "coefficients": 529,
    "range": 532,
}

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else what it remarks goes to standard error


def open_tiff(file: BinaryIO, name: str) -> Stored:
    """A TIFF or BigTIFF: the first of its pages that is neither a thumbnail nor a mask."""
    file.seek(0)
    tif = tifffile.TiffFile(file)
    pages = list(_pages(tif))
    if any(TAGS["dng"] in page.tags or page.photometric in RAW for page in pages):
        raise InputError(
            f"{name} is a camera's raw file, which is not read (its first page is a thumbnail); develop it, and export "
            "it as TIFF or JPEG"
        )
    page = _picture(pages)
    _check(page, name)
    orientation = page.tags.valueof(TAGS["orientation"], 1)

    def samples(times: float) -> Samples:
        divisor = stored.reduction(times, tuple(range(2, 1 + int(max(1, times)))))
        reduced = [x for x in pages if _is_reduced(x, page, divisor)] if divisor > 1 else []
        return _samples(min(reduced, key=lambda x: x.imagewidth, default=page), name)

    height, width = page.imagelength, page.imagewidth
    at_once = min(height, _tall(page)) * width * page.samplesperpixel * page.dtype.itemsize
    most = MAX_PIXELS if at_once <= MOST_BYTES else int(height * width * MOST_BYTES / at_once)
    stored = Stored(height, width, samples, orientation if orientation in range(1, 9) else 1, most)
    return stored


def _pages(tif: tifffile.TiffFile) -> Iterator[Any]:
    """The pages, each followed by those within it."""
    for index in range(MOST_PAGES):
        try:
            page = tif.pages[index]
        except IndexError:
            if index == 0:
                raise ValueError("no pages") from None
            return
        yield page
        try:
            yield from (page.pages or ())
        except Exception:  # a picture whose previews are damaged is still a picture
            continue


def _picture(pages: list[Any]) -> Any:
    """The page that is the picture. A page in whose proportions another is twice as large is its thumbnail, too."""
    whole = [page for page in pages if not _is_thumbnail(page)] or pages
    first = whole[0]
    larger = [page for page in whole if page.imagewidth >= 2 * first.imagewidth and _alike(page, first)]
    return larger[0] if larger else first


def _is_thumbnail(page: Any) -> bool:
    """Whether a page says that it is one, or a mask."""
    return bool(page.subfiletype & (REDUCED | MASKING))  # tifffile takes that of older files for it, too


def _alike(large: Any, small: Any) -> bool:
    """Whether two pages are of one proportion, to a pixel of the smaller."""
    return abs(large.imagelength * small.imagewidth / large.imagewidth - small.imagelength) <= 1


def _is_reduced(page: Any, of: Any, divisor: int) -> bool:
    """Whether a page is the picture at a size that will do."""
    same = (page.photometric, page.bitspersample, page.sampleformat) == (
        of.photometric,
        of.bitspersample,
        of.sampleformat,
    )
    return same and _is_thumbnail(page) and _alike(of, page) and page.imagewidth * divisor >= of.imagewidth


def _check(page: Any, name: str) -> None:
    """Raises `InputError` for a page that is sound, as far as can be seen, and not read."""

    def refuse(what: str) -> InputError:
        return InputError(f"{name} is a TIFF {what}, which is not read; save it as a plain RGB TIFF or PNG")

    if page.compression not in COMPRESSIONS or page.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise refuse(f"of compression {_told(tifffile.COMPRESSION, page.compression)}")
    if page.photometric not in MODELS:
        raise refuse(f"of photometric interpretation {_told(tifffile.PHOTOMETRIC, page.photometric)}")
    if page.sampleformat not in (UNSIGNED, FLOAT, UNDEFINED):
        kind = "signed whole numbers" if page.sampleformat == SIGNED else "complex numbers"
        raise InputError(
            f"{name} holds {page.bitspersample}-bit {kind}, whose white is not known; allowed are unsigned ones, such "
            "as 8 or 16 bits, or float 0 to 1"
        )
    if page.dtype is None or page.bitspersample not in BITS[page.sampleformat]:  # a tuple where they differ
        raise refuse(f"of {page.bitspersample} bits")
    if page.imagedepth > 1:
        raise refuse("of several layers in depth")
    model, channels = MODELS[page.photometric]
    if page.photometric == SEPARATED and page.tags.valueof(TAGS["inks"], 1) != 1:
        raise refuse("of inks that are not CMYK")
    if not channels <= page.samplesperpixel <= MOST_SAMPLES:
        raise refuse(f"of {page.samplesperpixel} samples a pixel")
    if page.predictor not in (1, 2, 3):
        raise refuse(f"of predictor {page.predictor}")
    if page.photometric == YCBCR and page.compression not in PICTURES:
        if page.is_subsampled:
            raise refuse("of subsampled colours without JPEG")
        if page.sampleformat == FLOAT:
            raise refuse("of YCbCr in float")
    if page.photometric == PALETTE and (page.colormap is None or page.bitspersample > 16):
        raise refuse("of a palette that is missing")
    if model == "lab" and (page.sampleformat != FLOAT and page.bitspersample not in (8, 16)):
        raise refuse(f"of CIELAB in {page.bitspersample} bits")


def _told(names: Any, value: int) -> str:
    try:
        return f"{names(value).name} ({value})"
    except ValueError:
        return str(value)


def _samples(page: Any, name: str) -> Samples:
    """The samples of a page, of which the first in each pixel are its colours and one may be alpha."""
    model, channels = MODELS[page.photometric]
    extra = tuple(int(x) for x in page.extrasamples)
    alphas = [channels + i for i, meaning in enumerate(extra) if meaning in (ASSOCIATED, UNASSOCIATED)]
    place = alphas[0] if alphas and alphas[0] < page.samplesperpixel else None
    wanted = [*range(channels), *([] if place is None else [place])]
    white = 1.0 if page.sampleformat == FLOAT else float(2**page.bitspersample - 1)
    narrow = white <= 65535 and page.sampleformat != FLOAT
    meaning, out_white = _meaning(page, white if narrow else 1.0)
    decode = _decoder(page, wanted)

    def rows(first: int, last: int) -> np.ndarray:
        found = decode(first, last)
        if not narrow:
            found = np.divide(found, white, dtype=np.float32) if found.dtype.kind == "u" else found.astype(np.float32)
        elif found.dtype != np.uint8:
            found = found.astype(np.uint8 if page.bitspersample <= 8 else np.uint16)
        return meaning(found)

    alpha = None if place is None else "premultiplied" if extra[place - channels] == ASSOCIATED else "straight"
    profile = page.tags.valueof(TAGS["icc"])
    return Samples(
        rows=rows,
        height=page.imagelength,
        width=page.imagewidth,
        model=model,
        white=out_white,
        alpha=alpha,  # type: ignore[arg-type]
        profile=profile if isinstance(profile, bytes) else None,
    )


def _meaning(page: Any, white: float) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """What makes samples, alpha the last of them, into those of the page's model; and their full scale."""
    photometric = page.photometric

    def same(found: np.ndarray) -> np.ndarray:
        return found

    def inverted(found: np.ndarray) -> np.ndarray:
        return np.concatenate([found.dtype.type(white) - found[..., :1], found[..., 1:]], 2)

    if photometric == WHITE_IS_0:
        return inverted, white
    if photometric == PALETTE:
        return _palette(page, white)
    if photometric == YCBCR and page.compression not in PICTURES:
        return _ycbcr(page, white), 1.0
    if photometric in (CIELAB, ICCLAB):
        return _lab(photometric, white), 1.0
    return same, white


def _palette(page: Any, white: float) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """Indices to colours of 16 bits; a table of 8 bits, which some programs write, is told by its values."""
    table = np.asarray(page.colormap).T.astype(np.uint16)
    if table.max(initial=0) < 256:
        table = table * np.uint16(257)

    def coloured(found: np.ndarray) -> np.ndarray:
        colours = table[np.minimum(found[..., 0], len(table) - 1)]
        alpha = np.rint(found[..., 1:] * (65535 / white)).astype(np.uint16)
        return np.concatenate([colours, alpha], 2)

    return coloured, 65535.0


def _ycbcr(page: Any, white: float) -> Callable[[np.ndarray], np.ndarray]:
    """YCbCr to RGB by TIFF 6.0, section 21."""
    red, green, blue = _fractions(page, "coefficients", (0.299, 0.587, 0.114))
    middle, range_of_colour = (white + 1) / 2, (white - 1) / (2 * white)
    black_y, white_y, black_b, white_b, black_r, white_r = _fractions(
        page, "range", (0.0, white, middle, white, middle, white)
    )

    def converted(found: np.ndarray) -> np.ndarray:
        x = found.astype(np.float32)
        y = (x[..., 0] - black_y) / (white_y - black_y)
        cb = (x[..., 1] - black_b) / (white_b - black_b) * range_of_colour
        cr = (x[..., 2] - black_r) / (white_r - black_r) * range_of_colour
        r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
        g = (y - red * r - blue * b) / green
        return np.stack([*(np.clip(c, 0, 1) for c in (r, g, b)), *np.moveaxis(x[..., 3:] / white, 2, 0)], 2)

    return converted


def _fractions(page: Any, tag: str, default: tuple[float, ...]) -> tuple[float, ...]:
    """A tag of fractions, numerator and denominator after each other."""
    found = page.tags.valueof(TAGS[tag])
    if found is None or len(found) != 2 * len(default) or 0 in found[1::2]:
        return default
    return tuple(a / b for a, b in zip(found[::2], found[1::2], strict=True))


def _lab(photometric: int, white: float) -> Callable[[np.ndarray], np.ndarray]:
    """CIELAB of whole numbers to L* in [0, 100] and a*, b*; these are signed, or in ICC's way from 128 on."""
    wide = white > 255

    def decoded(found: np.ndarray) -> np.ndarray:
        if found.dtype == np.float32:
            return found
        step = 256.0 if wide else 1.0
        kind: Any = np.int16 if wide else np.int8
        lightness = found[..., :1] * np.float32(100 / (0xFF00 if wide and photometric == ICCLAB else white))
        if photometric == ICCLAB:
            colour = found[..., 1:3].astype(np.float32) / step - 128
        else:
            colour = np.ascontiguousarray(found[..., 1:3]).view(kind).astype(np.float32) / step
        return np.concatenate([lightness, colour, found[..., 3:] / np.float32(white)], 2).astype(np.float32)

    return decoded


def _decoder(page: Any, wanted: list[int]) -> Callable[[int, int], np.ndarray]:
    """(first, last + 1) -> some of the samples of these rows; a row of strips or tiles is decoded when it is needed."""
    height, width = page.imagelength, page.imagewidth
    tall, wide = max(1, min(_tall(page), height)), page.tilewidth if page.is_tiled else width
    down, across = math.ceil(height / tall), math.ceil(width / wide)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    if len(page.dataoffsets) < down * across * planes:
        raise ValueError("strips or tiles are missing")
    kept: tuple[int, np.ndarray] | None = None

    def segment_row(index: int) -> np.ndarray:
        nonlocal kept
        if kept is None or kept[0] != index:
            kept = None  # the old one goes before the new one comes
            parts = []
            for plane in wanted if planes > 1 else [0]:
                first = (plane * down + index) * across
                parts.append(np.concatenate([_segment(page, first + k) for k in range(across)], 1))
            found = np.concatenate(parts, 2) if planes > 1 else parts[0][..., wanted]
            kept = index, found[: height - index * tall, :width]
        return kept[1]

    def rows(first: int, last: int) -> np.ndarray:
        found = []
        for index in range(first // tall, math.ceil(last / tall)):
            start = index * tall
            found.append(segment_row(index)[max(0, first - start) : last - start])
        return found[0] if len(found) == 1 else np.concatenate(found)

    return rows


def _tall(page: Any) -> int:
    """Rows of a strip or tile."""
    return page.tilelength if page.is_tiled else page.rowsperstrip


def _segment(page: Any, index: int) -> np.ndarray:
    """A strip or tile, (rows, columns, samples)."""
    place, length = page.dataoffsets[index], page.databytecounts[index]
    file = page.parent.filehandle
    data: bytes | None = None
    if length:  # else nothing was written, which stands for zeros
        if place + length > file.size:
            raise ValueError("cut short")
        file.seek(place)
        data = file.read(length)
        _check_segment(page, data)
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEG else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _, shape = page.decode(data, index, **tables)
    if found is None:
        return np.zeros(shape[1:], page.dtype)
    return found.reshape(found.shape[-3:])


def _check_segment(page: Any, data: bytes) -> None:
    """A strip or tile that is a picture of its own may claim any size."""
    file = io.BytesIO(data)
    if page.compression in JPEG:
        height, width = jpeg_frame(file)[2:]
    elif page.compression in WEBP:
        height, width = webp.size_of(file)
    elif page.compression in JPEG2000:
        header = jpeg2000.header_of(file)
        height, width = header.height, header.width
    else:
        return
    if height > _tall(page) or width > (page.tilewidth if page.is_tiled else page.imagewidth):
        raise ValueError("a strip or tile is larger than it may be")
