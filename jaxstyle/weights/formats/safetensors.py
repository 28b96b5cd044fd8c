"""safetensors files: eight bytes with the size of a header, the header in JSON, and the numbers.

https://huggingface.co/docs/safetensors describes the format. The header says for each tensor its type, shape, and first
and last byte; it is read once.
"""

import json
from typing import Any

import numpy as np

from jaxstyle.weights.formats.state_dicts import read_state_dict
from jaxstyle.weights.formats.stored import BFLOAT16, Refusal, Region, Stored, StoredFile, check_number

MOST_HEADER = 2_000_000  # bytes; that of VGG19 has 3,000
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "BOOL": "|b1"}
_TYPES |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}


def read_safetensors(region: Region) -> StoredFile:
    """What such a file holds."""
    size = int.from_bytes(region.read(0, 8), "little")
    if size > MOST_HEADER:
        raise Refusal(f"has a header of {size:.2g} bytes; no more than {MOST_HEADER:.2g} are read")
    header = json.loads(region.read(8, size))
    attributes = header.pop("__metadata__", {})
    check_number(len(header))
    data = Region(region.file, region.start + 8 + size, region.size - 8 - size)
    tensors = {key: _tensor(data, key, entry) for key, entry in header.items()}
    return read_state_dict("safetensors", tensors, {str(key): str(value) for key, value in attributes.items()})


def _tensor(data: Region, key: str, entry: dict[str, Any]) -> Stored:
    dtype, shape, (begin, end) = (entry[part] for part in ("dtype", "shape", "data_offsets"))
    sound = all(type(n) is int and 0 <= n < 2**63 for n in (begin, end, *shape)) and len(shape) <= 32
    if not sound or begin > end or end > data.size:
        raise ValueError(f"{key} has a shape or a place that makes no sense")
    if dtype not in _TYPES:
        return Stored(tuple(shape), str(dtype), 0, lambda: np.zeros(0))  # which is refused by its type, if it is needed
    found = data.array(begin, tuple(shape), _TYPES[dtype])
    if found.cost != end - begin:
        raise ValueError(f"{key} has {end - begin} bytes, not {found.cost}")
    return found
