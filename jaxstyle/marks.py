"""The seal of a file that jaxstyle wrote: that it did, and that the file is still as it was written.

A seal is the SHA-256 of the whole file, taken with zeros in the seal's own place. It stands wherever the format has
room for a few words: a field of JSON, an element of HTML, the keywords of a PDF. Pictures have the hash of their pixels
instead, which does not change when a program packs them anew (`jaxstyle.pictures.write`).
"""

import hashlib
import re
import stat
from pathlib import Path

_WORD = "jaxstyle-seal-"
UNSEALED = _WORD + "0" * 64  # what a file has in the seal's place until `sealed` puts it there
MOST_BYTES = 1 << 28  # of a file that is looked at
_MOST_SEALS = 16  # that are tried: a file's name inside the file may look like one
_SEAL = re.compile(_WORD.encode() + b"([0-9a-f]{64})")


def sealed(content: bytes) -> bytes:
    """The content with its seal in the first place that waits for one.

    Raises:
      ValueError: there is no such place.
    """
    place = content.index(UNSEALED.encode()) + len(_WORD)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:place] + digest + content[place + len(digest) :]


def has_seal(content: bytes) -> bool:
    """Whether these are the bytes that `sealed` gave."""
    for _, found in zip(range(_MOST_SEALS), _SEAL.finditer(content), strict=False):
        start, end = found.span(1)
        digest = hashlib.sha256(content[:start])
        digest.update(b"0" * (end - start))
        digest.update(content[end:])
        if digest.hexdigest().encode() == found[1]:
            return True
    return False


def is_sealed(path: Path) -> bool:
    """Whether there is a plain file with its seal."""
    try:
        about = path.stat()
        return stat.S_ISREG(about.st_mode) and about.st_size <= MOST_BYTES and has_seal(path.read_bytes())
    except OSError:
        return False


def replace_in_place(path: Path, old: bytes, new: bytes) -> None:
    """Replaces the first `old` in a small sealed file by as many bytes, where the disk has no room for a second file.

    Raises:
      OSError, ValueError: it cannot be, and the file is as before.
    """
    before = path.read_bytes()
    place = before.index(old)
    if len(new) != len(old) or not has_seal(before):
        raise ValueError(f"{path} is not a file with a seal and room for {new!r}")
    after = before[:place] + new + before[place + len(old) :]
    after = sealed(_SEAL.sub(UNSEALED.encode(), after, count=1))
    end = max(i for i, (one, other) in enumerate(zip(before, after, strict=True)) if one != other) + 1
    with open(path, "r+b", buffering=0) as file:
        file.write(after[:end])  # in one call, of what is changed only
