"""Pictures from arrays to disk, each with its record, put in place whole; and the records of pictures."""

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from PIL import Image, PngImagePlugin

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath, near, plain_values, real_place, shown, try_file, write_files
from jaxstyle.pictures.read import open_file, pillow
from jaxstyle.pictures.resample import BAND

WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
}
RECORD_KEY = "jaxstyle"


def save_image(
    path: StrPath, image: ArrayLike, record: Mapping[str, Any] | None = None, alpha: ArrayLike | None = None
) -> None:
    """Write `image`, (h, w, 3) sRGB in [0, 1], as 8 bits in the format that the suffix names.

    `record` goes inside a PNG and, for every format, into `<stem>.json` beside it (not-finite numbers as
    null). `alpha` (h, w) in [0, 1] is stored; JPEG has none, so there the picture is laid on white.
    Raises `InputError` for values that are not finite and for a path that `check_writable` refuses; any other
    failure, a full disk or Ctrl-C among them, leaves the old files as they were.
    """
    check_writable(path)
    target, name = Path(path), shown(path)
    kind, options = WRITE_FORMATS[target.suffix.lower()]
    picture = Image.fromarray(_levels(name, image, alpha, on_white=kind == "JPEG"))
    plain = None if record is None else plain_values(record)
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"sRGB", b"\0")  # the colour space, with rendering intent perceptual
        if plain is not None:
            chunks.add_text(RECORD_KEY, json.dumps(plain, allow_nan=False))
        options = {"pnginfo": chunks}
    encoded = io.BytesIO()  # Pillow, writing to disk by itself, tells of a full one by a number of its own
    picture.save(encoded, format=kind, **options)
    writers: dict[Path, Callable[[BinaryIO], object]] = {target: lambda file: file.write(encoded.getbuffer())}
    if plain is not None:
        text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
        writers[target.with_suffix(".json")] = lambda file: file.write(text.encode("ascii"))
    write_files(writers)


def read_record(path: StrPath) -> dict[str, Any]:
    """The record inside the PNG at `path` or, failing that, in the `.json` beside it; else `InputError`."""
    for read in (_text_in_png, lambda path: Path(path).with_suffix(".json").read_text(encoding="utf-8")):
        with contextlib.suppress(OSError, ValueError):  # absent, no picture, no JSON: try the next place
            record = json.loads(read(path))
            if isinstance(record, dict):
                return record
    raise InputError(
        f"{shown(path)} has no record, neither inside it nor in a .json file beside it; "
        "give a picture that jaxstyle wrote with its record"
    )


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


def _text_in_png(path: StrPath) -> str:
    with open_file(path) as file, pillow(shown(path)):
        return Image.open(file, formats=("PNG",)).info[RECORD_KEY]


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
