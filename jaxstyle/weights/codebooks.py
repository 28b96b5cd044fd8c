"""Kernels as codebooks: a code of one byte for each weight, and a table of the values that the codes stand for.

kernel = table[codes], as in Han, Mao and Dally 2015, "Deep Compression", https://arxiv.org/abs/1510.00149. Here each
kernel has one table for all its weights, and nothing is trained afterwards.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

MOST_BITS = 8
GROUPS = 1024  # of neighbouring values, between which the exact search divides
PART = 1 << 20  # codes that are looked up at once: NumPy makes indices of 8 bytes of them


class Codebook(NamedTuple):
    """A kernel of few distinct values: `codes`, uint8 (height, width, in, out), into `table`, float32 (1 to 256,)."""

    codes: np.ndarray
    table: np.ndarray

    @property
    def bits(self) -> int:
        """Bits that a code needs, 1 to 8."""
        return max(1, (len(self.table) - 1).bit_length())

    def kernel(self) -> np.ndarray:
        """The kernel, float32 (height, width, in, out)."""
        table, codes = np.asarray(self.table, np.float32), self.codes.ravel()
        found = np.empty(codes.size, np.float32)
        for start in range(0, codes.size, PART):
            part = slice(start, start + PART)
            np.take(table, codes[part], out=found[part])
        return found.reshape(self.codes.shape)

    def misfit(self) -> str:
        """What is wrong with it, to come after "it has"; "" if nothing is."""
        codes, table = self
        if reason := misfit_of(codes.shape, codes.dtype, table.shape, table.dtype):
            return reason
        return f"a code {codes.max()}, beyond its table of {len(table)}" if codes.max() >= len(table) else ""


def misfit_of(codes: tuple[int, ...], codes_type: np.dtype, table: tuple[int, ...], table_type: np.dtype) -> str:
    """What is wrong with a codebook of these shapes and types, whatever its numbers are; "" if nothing is."""
    if codes_type != np.uint8:
        return f"codes of type {codes_type}, not uint8"
    if len(codes) != 4 or 0 in codes:
        return f"codes {codes}, which are no kernel"
    if len(table) != 1 or not 0 < table[0] <= 2**MOST_BITS:
        return f"a table {table}, not of 1 to {2**MOST_BITS} values"
    return "" if table_type.kind == "f" else f"a table of type {table_type}, not floating point"


def codebook_of(kernel: np.ndarray, bits: int) -> Codebook:
    """The codebook of at most 2^bits values that differs least from a kernel, in squared error summed over its weights.

    It is exact where the kernel has no more distinct values than that, and the best one up to 1024 of them. With more,
    they are first put into groups, narrow ones where they are dense; its error is then within a per cent of the least.

    Args:
      kernel: finite, floating, (height, width, in, out).
      bits: 1 to 8.
    """
    values, counts = np.unique(np.asarray(kernel, np.float32), return_counts=True)
    table = values if len(values) <= 2**bits else _best_table(values.astype(np.float64), counts, 2**bits)
    middles = (table[1:].astype(np.float64) + table[:-1]) / 2
    return Codebook(np.searchsorted(middles, kernel).astype(np.uint8), table.astype(np.float32))


def described(codebooks: Iterable[Codebook]) -> str:
    """ "8 bits", "5 to 8 bits": how long the codes of some codebooks are; "" of none."""
    bits = sorted({codebook.bits for codebook in codebooks})
    return f"{bits[0]} to {bits[-1]} bits" if len(bits) > 1 else "".join(f"{n} bit{'s' * (n > 1)}" for n in bits)


def _best_table(values: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Ascending centres of the cells into which so many distinct values, ascending, are best divided."""
    # Numbers and sums of the values before each place, from which those of any cell are differences.
    numbers, sums = (np.concatenate([[0.0], np.cumsum(x)]) for x in (counts, counts * values))
    ends = _divided(values, numbers, sums, size)
    centres = np.diff(sums[ends]) / np.diff(numbers[ends])
    return _lloyd(values, numbers, sums, centres)


def _divided(values: np.ndarray, numbers: np.ndarray, sums: np.ndarray, size: int) -> np.ndarray:
    """Ends of the best cells, by dynamic programming over groups of values.

    A cell's squared error is its sum of squares, which no division changes in all, minus (its sum)^2 / its number.
    """
    ends = _groups(values, max(GROUPS, size))
    numbers, sums = numbers[ends], sums[ends]
    with np.errstate(divide="ignore", invalid="ignore"):  # cell [i, j) of groups, in row j and column i
        number, total = np.subtract.outer(numbers, numbers), np.subtract.outer(sums, sums)
        cost = np.where(number > 0, -(total**2) / number, np.inf)
    least, begins = cost[:, 0], []  # least[j] of all ways to divide the groups before j
    rows = np.arange(len(ends))
    for _ in range(size - 1):
        ways = least + cost
        begins.append(ways.argmin(1))
        least = ways[rows, begins[-1]]
    found = [len(ends) - 1]
    for begin in reversed(begins):
        found.append(int(begin[found[-1]]))
    return ends[[0, *reversed(found)]]


def _groups(values: np.ndarray, most: int) -> np.ndarray:
    """Ends of groups of neighbouring values: of each its own, if there are no more than `most`.

    A cell of the best division is as wide as density^(-1/3) there (Panter and Dite 1951). Gaps between values are one
    over their density, so that their power of 2/3, summed, is a scale on which all cells are equally wide. No gap
    counts for more than a group, however far out a value is.
    """
    if len(values) <= most:
        return np.arange(len(values) + 1)
    steps = np.diff(values) ** (2 / 3)
    for _ in range(20):
        steps = np.minimum(steps, steps.sum() / most)
    along = np.cumsum(steps)
    cuts = 1 + np.searchsorted(along, np.arange(1, most) / most * along[-1])
    return np.unique([0, *cuts, len(values)])


def _lloyd(values: np.ndarray, numbers: np.ndarray, sums: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Centres moved to the means of what is nearest to them until nothing changes its cell (Lloyd 1982)."""
    before = np.zeros(0, int)
    for _ in range(1000):
        ends = np.concatenate([[0], np.searchsorted(values, (centres[1:] + centres[:-1]) / 2), [len(values)]])
        if np.array_equal(ends, before):
            break
        number, total, before = np.diff(numbers[ends]), np.diff(sums[ends]), ends
        centres = np.where(number > 0, total / np.maximum(number, 1), centres)
    return centres
