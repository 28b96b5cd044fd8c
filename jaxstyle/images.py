"""Pictures on disk to arrays and back: sRGB, float32 in [0, 1], rows first, (height, width, 3).

Reading turns any picture upright (EXIF), takes it to sRGB through its own colour profile, sets alpha aside
and resizes in float. Writing puts the picture and its record in place whole. Everything is NumPy, so that nothing
here imports JAX.
"""

import contextlib
import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath, near, plain_values, shown, try_folder, write_files

MAX_PIXELS = 200_000_000  # of a file; above it, a small file that unpacks to fill the memory is likelier
MIN_SIDE = 16  # one cell of a VGG's relu5_1, which comes after four poolings
MAX_SIDE = 16_384

# Named, so that a renamed PostScript file never starts Ghostscript.
READ_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
}
RECORD_KEY = "jaxstyle"

Pixels = Float32[np.ndarray, "h w 3"]
Alpha = Float32[np.ndarray, "h w"]
Resized = Float32[np.ndarray, "{height} {width} 3"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read: its colours, its opacity, and where they came from."""

    pixels: Pixels  # sRGB in [0, 1], not multiplied by alpha
    alpha: Alpha | None  # opacity in [0, 1]; None where every pixel is opaque
    path: str
    sha256: str  # of the file's bytes
    own_size: tuple[int, int]  # (height, width) in the file, upright


def load_image(path: StrPath, size: int | None = None) -> Pixels:
    """The colours of `load_picture`: sRGB float32 (h, w, 3) in [0, 1]; `size` is the long side in pixels."""
    return load_picture(path, size).pixels


def load_picture(path: StrPath, size: int | None = None, *, multiple: int = 1) -> Picture:
    """Read a picture, upright and in sRGB, its long side resized to exactly `size` pixels if given, the other one to
    the nearest `multiple` of pixels.

    Where a picture is fully transparent its hidden colours are replaced by the mean of the visible ones.
    Raises `InputError` for a file that is absent, unreadable, no picture, damaged, larger than `MAX_PIXELS`,
    or less than `MIN_SIDE` pixels on a side once resized, and for a `size` out of range.
    """
    _check_size(size)
    name = shown(path)
    with _open_file(path) as file:
        with _pillow(name):
            image = Image.open(file, formats=READ_FORMATS)
            samples, alpha = _decode(name, image)
        file.seek(0)
        sha256 = hashlib.sha256(file.read()).hexdigest()
    own_size = samples.shape[0], samples.shape[1]
    height, width = _target_size(name, *own_size, size, multiple)
    if alpha is None:
        pixels = _fit(samples, height, width)
    else:
        pixels, alpha = _fit_with_alpha(samples, alpha, height, width)
    return Picture(pixels=pixels, alpha=alpha, path=os.fspath(path), sha256=sha256, own_size=own_size)


def resize(image: ArrayLike, height: int, width: int) -> Resized:
    """`image` (h, w, 3) resampled to (height, width, 3) float32, clipped to [0, 1].

    Lanczos with three lobes, widened when shrinking so that nothing aliases; computed in float, channel by
    channel, never through 8 bits.
    """
    return _fit(np.asarray(image, dtype=np.float32), height, width)


def mask_of(picture: Picture, height: int, width: int) -> Alpha:
    """A picture as a mask (height, width) in [0, 1]: white is 1, black and transparent are 0.

    Colours count by the mean of their channels. Resampled by a triangle, widened when shrinking: it never overshoots,
    as Lanczos does, so that what is black stays 0.
    """
    values = picture.pixels.mean(2, dtype=np.float32)
    if picture.alpha is not None:
        values = values * picture.alpha
    if values.shape != (height, width):
        resized = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
        values = np.asarray(resized, np.float32)
    return np.clip(values, 0, 1)


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


# Reading


def _check_size(size: object) -> None:
    if size is not None and not (isinstance(size, int | np.integer) and MIN_SIDE <= size <= MAX_SIDE):
        raise InputError(f"size {size!r} is not a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}")


def _open_file(path: StrPath) -> BinaryIO:
    source, name = Path(path), shown(path)
    try:
        if not source.exists():
            raise InputError(f"{name} does not exist; give a picture file{near(source)}")
        if not source.is_file():  # a pipe would be waited for, and cannot be read twice
            kind = "a directory" if source.is_dir() else "not a plain file"
            raise InputError(f"{name} is {kind}; give a picture file")
        if source.stat().st_size == 0:
            raise InputError(f"{name} is empty (0 bytes); give a picture file")
        return open(source, "rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}; give a picture file") from error


@contextlib.contextmanager
def _pillow(name: str) -> Iterator[None]:
    """Run Pillow on untrusted bytes: our limit, not its own; no warnings; every failure an `InputError`."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has too many pixels; at most {MAX_PIXELS} are allowed") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(READ_FORMATS)
        raise InputError(f"{name} is not a picture, or one cut short; allowed are {kinds}") from error
    except Exception as error:  # a decoder may raise nearly anything on damaged data
        raise InputError(f"{name} is damaged or cut short; give a whole picture file") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _decode(name: str, image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Samples (h, w, 1 or 3), sRGB in the file's own number type, and alpha (h, w) float32 if not all 1."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} has {width} x {height} pixels; at most {MAX_PIXELS} in all are allowed")
    image.load()
    orientation = _orientation(image)  # after load: a TIFF is turned, and its tag removed, by Pillow itself
    colour, alpha = _split_alpha(image)
    samples = np.asarray(_to_srgb(colour, image.info.get("icc_profile")))
    samples = _upright(_known_scale(name, samples, image.format), orientation)
    samples = samples.reshape(*samples.shape[:2], -1)
    if alpha is None or np.all(alpha == 1):
        return samples, None
    if not np.any(alpha):
        raise InputError(f"{name} is fully transparent; give a picture with something to see")
    return samples, _upright(alpha, orientation)


def _orientation(image: Image.Image) -> int:
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        return int(image.getexif().get(0x0112, 1))
    return 1


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: from 5 on rows and columns change places, then either axis may be flipped."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array


def _split_alpha(image: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """Colour in mode L, RGB, CMYK, LAB, or one wide channel, and alpha float32 (h, w) if the file has any."""
    if image.mode.startswith(("I", "F")):
        key = image.info.get("transparency")  # the one grey that is not there
        return image, None if key is None else (np.asarray(image) != key).astype(np.float32)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        both = image.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), _unit(np.asarray(both.getchannel("A")))
    if image.mode in ("CMYK", "LAB"):
        return image, None
    return image.convert("L" if grey else "RGB"), None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` through its colour profile into sRGB; a profile that is broken or does not fit is ignored."""
    if image.mode == "LAB":
        return _transform(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    with contextlib.suppress(Exception):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode in ("L", "RGB"):
            return _transform(image.convert("RGB"), source)
        if (space, image.mode) in (("GRAY", "L"), ("GRAY", "I;16"), ("GRAY", "I;16B"), ("CMYK", "CMYK")):
            return _transform(image, source)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _transform(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if image.mode != "RGB":  # LittleCMS's short cuts for ink and grey are 4/255 and 10/255 off in the shadows
        flags |= ImageCms.Flags.NOOPTIMIZE
    intent, target = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, intent, outputMode="RGB", flags=flags)
    assert result is not None  # it is only when asked to work in place
    return result


def _known_scale(name: str, samples: np.ndarray, kind: str | None) -> np.ndarray:
    """`samples` if full scale is known: 8 or 16 bits, or float 0 to 1. Anything else would be a guess."""
    if samples.dtype == np.int32:
        if kind not in ("PPM", "PNG"):  # the two whose 16-bit greys Pillow may hand over as 32-bit ones
            raise InputError(f"{name} holds 32-bit whole numbers; allowed are 8 or 16 bits, or float 0 to 1")
        return samples.astype(np.uint16)
    if samples.dtype == np.float32:
        low, high = samples.min(), samples.max()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # so written, NaN is refused too
            raise InputError(f"{name} holds values from {low:g} to {high:g}; allowed are 0 to 1")
    return samples


# Resampling


def _target_size(name: str, height: int, width: int, size: int | None, multiple: int) -> tuple[int, int]:
    """(height, width) with `size` as the long side, the other in proportion, but for what makes it a multiple."""
    if size is not None:
        scale, longest = size / max(height, width), max(height, width)
        height, width = (
            size if side == longest else max(1, multiple * round(side * scale / multiple)) for side in (height, width)
        )
    if min(height, width) < MIN_SIDE:
        when = "" if size is None else " once resized"
        raise InputError(f"{name} is {width} x {height} pixels{when}; at least {MIN_SIDE} a side are needed")
    return height, width


def _unit(samples: np.ndarray) -> np.ndarray:
    """Samples of any number type as float32 with full scale at 1."""
    if samples.dtype.kind == "f":
        return samples
    return np.divide(samples, np.iinfo(samples.dtype).max, dtype=np.float32)


def _lanczos(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _fit(samples: np.ndarray, height: int, width: int) -> np.ndarray:
    """Samples (h, w, 1 or 3) to float32 (height, width, 3), one channel in float at a time to save memory."""
    planes = [_lanczos(_unit(samples[..., channel]), height, width) for channel in range(samples.shape[2])]
    return np.clip(np.stack(planes * (3 // len(planes)), axis=2), 0, 1)


def _fit_with_alpha(samples: np.ndarray, alpha: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """`_fit` weighted by alpha (h, w), so that hidden colours do not bleed into the visible ones.

    From one step of 8-bit alpha down to none, colours go over to the visible mean: it is flat, so that it
    adds no edges, and what is divided by nearly nothing counts for nearly nothing.
    """
    cover = _lanczos(alpha, height, width)
    trust = np.clip(cover * 255, 0, 1)
    total = alpha.sum(dtype=np.float64)
    planes = []
    for channel in range(samples.shape[2]):
        weighted = _unit(samples[..., channel]) * alpha
        mean = np.float32(weighted.sum(dtype=np.float64) / total)
        own = np.clip(_lanczos(weighted, height, width) / np.maximum(cover, 1e-6), 0, 1)
        planes.append(trust * own + (1 - trust) * mean)
    return _fit(np.stack(planes, axis=2), height, width), np.clip(cover, 0, 1)


# Writing


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
    with _open_file(path) as file, _pillow(shown(path)):
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
