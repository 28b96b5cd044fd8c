"""Pictures from arrays to disk, each with its record, put in place whole; and the records of pictures.

A record is inside its picture, as a text of the PNG, or in the XMP of the JPEG, WebP or TIFF. It names the picture by
the hash of its pixels, and a copy of it lies beside.
"""

import contextlib
import functools
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from PIL import Image, PngImagePlugin

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath, near, parsed, plain_values, real_place, shown, try_file, write_files
from jaxstyle.marks import MOST_BYTES, UNSEALED, is_sealed, sealed
from jaxstyle.pictures.read import MAX_SIDE, open_file, pillow
from jaxstyle.pictures.resample import BAND

WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
}
LOSSY = ("JPEG", "WEBP")
RECORD_KEY = "jaxstyle"
XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:jaxstyle="https://github.com/jaxstyle/jaxstyle"><jaxstyle:record>{record}</jaxstyle:record>'
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
XMP_IN_JPEG = 65_504  # bytes, of one segment
XMP_IN_TIFF = 700  # the tag


def save_image(
    path: StrPath,
    image: ArrayLike,
    record: Mapping[str, Any] | None = None,
    alpha: ArrayLike | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write `image`, (h, w, 3) sRGB in [0, 1], as 8 bits in the format that the suffix names.

    `record` goes inside the picture (not-finite numbers as null), with the hash of its pixels. A copy goes into
    `<stem>.json` beside it, unless another program's file, or one that was changed, is there; `overwrite` replaces that
    too. `alpha` (h, w) in [0, 1] is stored; JPEG has none, so there the picture is laid on white.
    Raises `InputError` for values that are not finite and for a path that `check_writable` refuses; any other
    failure, a full disk or Ctrl-C among them, leaves the old files as they were.
    """
    check_writable(path)
    target, name = Path(path), shown(path)
    kind, options = WRITE_FORMATS[target.suffix.lower()]
    picture = Image.fromarray(_levels(name, image, alpha, on_white=kind == "JPEG"))
    encoded, beside = encode(picture, kind, record, **options)
    contents, copy = {target: encoded}, target.with_suffix(".json")
    if beside is not None and (overwrite or not copy.exists() or is_sealed(copy)):
        contents[copy] = beside
    write_files({place: functools.partial(_put, content) for place, content in contents.items()})


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def encode(
    picture: Image.Image, kind: str, record: Mapping[str, Any] | None = None, **options: Any
) -> tuple[bytes, bytes | None]:
    """A picture as the bytes of its file, with its record inside; and the same record as a file of JSON.

    Both name the picture: `mark` in them holds the SHA-256 of its pixels, and the seal of the file of JSON.

    Args:
      picture: RGB or RGBA.
      kind: Pillow's name of the format: "PNG", "JPEG", "WEBP" or "TIFF". A JPEG has room for 64 KB; a larger record
        stands in the file of JSON only.
      record: whatever JSON can hold.
      options: Pillow's.
    """
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"sRGB", b"\0")  # the colour space, with rendering intent perceptual
    if record is None:
        return _saved(picture, kind, options), None
    if kind in LOSSY:
        with Image.open(io.BytesIO(_saved(picture, kind, options))) as again:
            mark = {"pixels": hash_of_pixels(again), "seal": UNSEALED}
    else:
        mark = {"pixels": hash_of_pixels(picture), "seal": UNSEALED}
    plain = {"mark": mark} | {key: value for key, value in plain_values(record).items() if key != "mark"}
    beside = sealed((json.dumps(plain, indent=2, allow_nan=False) + "\n").encode("ascii"))
    inside = json.dumps(json.loads(beside), allow_nan=False)
    xmp = XMP.format(record=inside.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")).encode()
    if kind == "PNG":
        options["pnginfo"].add_text(RECORD_KEY, inside)
    elif kind == "TIFF":
        options["tiffinfo"] = {XMP_IN_TIFF: xmp}
    elif kind == "WEBP" or len(xmp) <= XMP_IN_JPEG:
        options["xmp"] = xmp
    return _saved(picture, kind, options), beside


def png_of(image: ArrayLike) -> bytes:
    """An image (h, w, 3) in [0, 1] as the bytes of a PNG, without a record."""
    return encode(Image.fromarray(_levels("the picture", image, None, on_white=False)), "PNG")[0]


def as_own(png: bytes) -> bytes:
    """A PNG that another library made, with a record that names its pixels and says no more."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        return encode(picture, "PNG", {}, dpi=picture.info["dpi"])[0]


def _saved(picture: Image.Image, kind: str, options: Mapping[str, Any]) -> bytes:
    """Pillow, writing to disk by itself, tells of a full one by a number of its own."""
    encoded = io.BytesIO()
    picture.save(encoded, format=kind, **options)
    return encoded.getvalue()


def hash_of_pixels(picture: Image.Image) -> str:
    """SHA-256 of "RGB 640 480", mode, width and height, a line's end and the samples, 8 bits each, row by row; of
    RGBA where the file has transparency. The same however the file is packed."""
    mode = "RGBA" if picture.has_transparency_data else "RGB"

    def rows(first: int, last: int) -> bytes:
        return picture.crop((0, first, picture.width, last)).convert(mode).tobytes()

    return _hash_of_rows(mode, picture.width, picture.height, rows)


def _hash_of_rows(mode: str, width: int, height: int, rows: Callable[[int, int], bytes]) -> str:
    digest = hashlib.sha256(f"{mode} {width} {height}\n".encode())
    step = max(1, BAND // max(1, width))
    for first in range(0, height, step):
        digest.update(rows(first, min(first + step, height)))
    return digest.hexdigest()


def _hash_in_tiff(file: BinaryIO, name: str) -> str:
    """`hash_of_pixels` of a TIFF of 8 bits, without libtiff: of what is damaged it writes to standard error."""
    from jaxstyle.pictures.formats.tiff import open_tiff  # tifffile takes as long to import as Pillow

    found = open_tiff(file, name).samples(1.0)
    if found.model != "rgb" or found.white != 255:
        return ""
    mode = "RGBA" if found.alpha else "RGB"
    return _hash_of_rows(mode, found.width, found.height, lambda first, last: found.rows(first, last).tobytes())


def read_record(path: StrPath) -> dict[str, Any]:
    """The record of a picture: the one inside it or, failing that, in the `.json` beside it if that names this picture.

    A record is data from a stranger. It is JSON, no deeper than `files.DEEPEST`; what it holds may be anything.

    Raises:
      InputError: there is none, or the picture is not the one that the record was written with.
    """
    record, named = _find_record(path)
    if record is None:
        if named:
            raise InputError(
                f"{shown(path)} is not the picture that its record was written with: it was changed, or the record is "
                "another one's; give the settings themselves"
            )
        raise InputError(
            f"{shown(path)} has no record, neither inside it nor in a .json file beside it; "
            "give a picture that jaxstyle wrote with its record"
        )
    return record


def is_own(path: StrPath) -> bool:
    """Whether there is a picture with a record that names it by its pixels: jaxstyle wrote it, and it is as it was."""
    record, named = _find_record(path)
    return record is not None and named


def _find_record(path: StrPath) -> tuple[dict[str, Any] | None, bool]:
    """The record of a picture, without its mark; and whether there is one with a mark, of this picture or another."""
    named = False
    with contextlib.suppress(InputError), open_file(path) as file, pillow(shown(path)):
        image = Image.open(file, formats=(*dict.fromkeys(kind for kind, _ in WRITE_FORMATS.values()),))
        if image.width * image.height > MAX_SIDE**2:
            return None, False
        inside, pixels = _inside(image), ""
        for record in (inside, _beside(Path(path))):
            mark = record.get("mark") if record is not None else None
            wanted = mark.get("pixels") if isinstance(mark, dict) else None
            if record is None or (wanted is None and record is not inside):
                continue
            if wanted is None:  # of version 0.1, which had no marks
                return record, False
            if not pixels:
                pixels = _hash_in_tiff(file, shown(path)) if image.format == "TIFF" else hash_of_pixels(image)
            named = True
            if wanted == pixels:
                return {key: value for key, value in record.items() if key != "mark"}, True
    return None, named


def _inside(image: Image.Image) -> dict[str, Any] | None:
    """The record inside a picture."""
    text = image.info.get(RECORD_KEY if image.format == "PNG" else "xmp")
    if isinstance(text, bytes):
        match = re.search(rb"<jaxstyle:record>(.*?)</jaxstyle:record>", text, re.DOTALL)
        text = match and match[1]
    return _parsed(text) if isinstance(text, str | bytes) else None


def _beside(path: Path) -> dict[str, Any] | None:
    """The record in the file of JSON beside a picture."""
    with contextlib.suppress(OSError):
        beside = path.with_suffix(".json")
        if beside.is_file() and beside.stat().st_size <= MOST_BYTES:
            return _parsed(beside.read_bytes())
    return None


def _parsed(text: str | bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        record = parsed(text)
        return record if isinstance(record, dict) else None
    return None


def check_writable(path: StrPath) -> None:
    """Raise `InputError` unless `save_image` could write to `path` now: call it before a long run."""
    target = Path(path)
    try:
        reason = _refusal(target)
    except OSError as error:
        reason = f"{error.strerror}; name a file elsewhere"
    if reason:
        raise InputError(f"{shown(path)} cannot be written: {reason}")


def _levels(name: str, image: ArrayLike, alpha: ArrayLike | None, *, on_white: bool) -> UInt8[np.ndarray, "h w c"]:
    """The picture in 8 bits, with alpha if there is one, or laid on white; rounded and clipped.

    It is made a band of rows at a time, so that no further one in float is held.
    """
    shape = (*np.shape(image)[:2], 3)
    colours = _floats(name, image, "image", shape)
    cover = None if alpha is None else _floats(name, alpha, "alpha", shape[:2])
    result = np.empty((*shape[:2], 3 if cover is None or on_white else 4), np.uint8)
    step = max(1, BAND // max(1, shape[1]))
    for first in range(0, shape[0], step):
        rows = slice(first, first + step)
        band = _clipped(name, colours[rows], "image")
        if cover is not None:
            opacity = _clipped(name, cover[rows], "alpha")[..., None]
            band = band * opacity + (1 - opacity) if on_white else np.concatenate([band, opacity], 2)
        result[rows] = np.rint(band * 255)
    return result


def _floats(name: str, values: ArrayLike, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values, which must be floats of this shape."""
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind in "biu":
        given = f"{array.dtype} of shape {array.shape}"
        raise InputError(f"{name} was not written: the {what} is {given}; it must be float of shape {shape}")
    return array


def _clipped(name: str, values: np.ndarray, what: str) -> np.ndarray:
    """Values, which must be finite, as float32 in [0, 1]."""
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} was not written: the {what} holds NaN or infinity; allowed are 0 to 1")
    return np.clip(values, 0, 1, out=values)


def _refusal(target: Path) -> str | None:
    """Why no picture can be written at `target`, as the end of a line; or an `OSError`; None if it can be."""
    allowed = f"the name must end in one of {', '.join(WRITE_FORMATS)}"
    if target.is_dir():
        return f"it is a directory; {allowed}"
    if target.suffix.lower() not in WRITE_FORMATS:
        return f"{allowed}{nearest(target.suffix, WRITE_FORMATS)}"
    folder, beside = real_place(target).parent, target.with_suffix(".json")
    if not folder.is_dir():
        return f"there is no directory {shown(folder)}{near(folder)}"
    if beside.is_dir():
        return f"the place of its record, {shown(beside)}, is a directory; name another file"
    with contextlib.suppress(FileNotFoundError):
        target.lstat()  # fails on a name that is too long
    try_file(target)
    try:
        try_file(beside)
    except OSError as error:
        return f"of its record, {shown(beside)}: {error.strerror}; name another file"
    return None
