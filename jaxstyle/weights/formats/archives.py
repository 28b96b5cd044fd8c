"""Zip archives, as far as weights come in them: torch's files, Keras' `.keras`, Python's packages."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from jaxstyle.weights.formats.stored import Refusal, Region

MOST_DIRECTORY = 1_000_000  # bytes: some 10,000 files
MOST_UNPACKED = 200_000_000  # bytes of one file


class _Careful:
    """A file of which no more is read at once than a directory or a piece of a file needs."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """As of files."""
        if size < 0:
            place = self.tell()
            size = self.seek(0, os.SEEK_END) - place
            self.seek(place)
        if size > MOST_DIRECTORY:
            raise Refusal(f"is an archive of more files than any with weights (their list has {size} bytes)")
        return self._file.read(size)


class Archive:
    """A zip archive.

    Attributes:
      names: of the files in it.
    """

    def __init__(self, file: Region):
        self._region = file
        careful: Any = _Careful(file.file)
        self._archive = zipfile.ZipFile(careful)
        self.names = {member.filename: member for member in self._archive.infolist()}

    def head(self, name: str) -> bytes:
        """The first bytes of a file in it; b"" if it cannot be unpacked."""
        if self.names[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return b""
        with self._archive.open(name) as file:
            return file.read(64)

    def stored(self, name: str) -> Region:
        """Where a file is that is not packed.

        Raises:
          KeyError: there is none.
          ValueError: it is packed, which torch does not do: it could be a thousand times as large.
        """
        member = self.names[name]
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"record {name.partition('/')[2]} is compressed")
        head = self._region.read(member.header_offset, 30)
        if head[:4] != b"PK\x03\x04" or member.flag_bits & 1:
            raise ValueError(f"{name} is not where it should be")
        start = member.header_offset + 30 + sum(int.from_bytes(head[a : a + 2], "little") for a in (26, 28))
        if start + member.file_size > self._region.size:
            raise ValueError(f"{name} reaches past the end")
        return Region(self._region.file, start, member.file_size, member.CRC)

    @contextmanager
    def unpacked(self, name: str) -> Iterator[Region]:
        """A file in it, which may be packed, but not as no weights can be, to fill the disk."""
        member = self.names[name]
        if member.compress_type == zipfile.ZIP_STORED:
            yield self.stored(name)
            return
        if member.file_size > min(10 * member.compress_size + 10**6, MOST_UNPACKED):
            raise ValueError(f"{name} has {member.file_size} bytes, packed in {member.compress_size}")
        if not self.head(name):
            raise ValueError(f"{name} is packed in a way that is not read")
        with tempfile.TemporaryFile() as file, self._archive.open(name) as packed:
            shutil.copyfileobj(packed, file)
            yield Region(file, 0, member.file_size)
