"""Masks from files: where each style goes, and which part of a style is taken."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxstyle.cli.options import TransferOptions
from jaxstyle.errors import InputError, one_for_each
from jaxstyle.files import shown
from jaxstyle.pictures.read import Alpha, Picture, has_colours, mask_of

WHOLE = "all"  # in place of a style's mask


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask as read, of its picture's size."""

    values: Alpha
    path: str
    sha256: str  # of the file's bytes


def check_mask_counts(options: TransferOptions) -> None:
    """One mask for each style."""
    for name, files in vars(options.regions).items():
        if files is not None and len(files) != len(options.styles):
            wanted = one_for_each(len(options.styles), "STYLE")
            raise InputError(f"--{name.replace('_', '-')} has {len(files)} files; it needs {wanted}")


def read_mask(path: str, of: Picture, *, read: Callable[[str, int | None], Picture]) -> MaskFile:
    """A mask of a picture, resized with it. It has the picture's own size, or at least its proportions."""
    picture = read(path, None)
    own, (height, width) = picture.pixels.shape[:2], of.own_size
    scale = max(own) / max(of.own_size)
    if max(abs(own[0] - scale * height), abs(own[1] - scale * width)) > 1:
        given, wanted = f"{own[1]} x {own[0]}", f"{width} x {height}"
        raise InputError(f"{path} is {given} pixels; a mask of {of.path} is {wanted}, or in that proportion")
    if has_colours(picture):
        raise InputError(
            f"{shown(path)} has colours; a mask is white where a style goes, black where not, grey between: of a map "
            "of colours make one such file for each style"
        )
    values = mask_of(picture, *of.pixels.shape[:2])
    if not values.any():
        raise InputError(f"{path} is black all over; a mask is white where a style goes, or is taken from")
    return MaskFile(values, picture.path, picture.sha256)
