"""Pictures from arrays to disk, each with its record, put in place whole; and the records of pictures."""

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, PngImagePlugin

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath, near, plain_values, shown, try_folder, write_files
from jaxstyle.pictures.read import open_file, pillow

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
    pixels = _checked(name, image, "image", (*np.shape(image)[:2], 3))
    if alpha is not None:
        cover = _checked(name, alpha, "alpha", pixels.shape[:2])[..., None]
        on_white = pixels * cover + (1 - cover)
        pixels = on_white if kind == "JPEG" else np.concatenate([pixels, cover], axis=2)
    picture = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
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


def _checked(name: str, values: ArrayLike, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """`values`, which must be finite floats of `shape`, as float32 clipped to [0, 1]."""
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind in "biu":
        given = f"{array.dtype} of shape {array.shape}"
        raise InputError(f"{name} was not written: the {what} is {given}; it must be float of shape {shape}")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{name} was not written: the {what} holds NaN or infinity; allowed are 0 to 1")
    return np.clip(array, 0, 1)


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
    folder, beside = target.parent, target.with_suffix(".json")
    if not folder.is_dir():
        return f"there is no directory {shown(folder)}{near(folder)}"
    if beside.is_dir():
        return f"the place of its record, {shown(beside)}, is a directory; name another file"
    with contextlib.suppress(FileNotFoundError):
        target.lstat()  # fails on a name that is too long
    try_folder(folder)
    return None
