"""Codebooks: none of their size differs less from a kernel, and our own files keep them exactly, and small."""

import itertools
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.networks.layers import Convolution
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import convert, describe, formats, load_network, save_weights, show
from jaxstyle.weights.codebooks import Codebook, codebook_of, described

TINY = VGG(depths=(2, 1), widths=(4, 6))
ABOUT = {"network": "tiny", "preprocessing": "keras", "source": "nowhere", "licence": "none"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network beside the real ones."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def as_kernel(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(1, 1, 1, -1)


def error_of(kernel: np.ndarray, codebook: Codebook) -> float:
    return float(((kernel.astype(np.float64) - codebook.kernel()) ** 2).sum())


SAMPLES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "long tails": lambda rng, n: rng.standard_t(2, n),
    "one far out": lambda rng, n: np.append(rng.random(n - 1), 1000.0),
    "clusters": lambda rng, n: rng.integers(-2, 3, n) + 0.01 * rng.random(n),
    "many equal": lambda rng, n: rng.binomial(2 * n, 0.5, n) / 7,
}


# The best table


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("bits", "count"), [(1, 30), (2, 22), (3, 14)])
def test_no_other_table_has_a_smaller_error(sample: str, bits: int, count: int) -> None:
    """Every way to cut the ascending values into cells, with the mean of each: the best table is among them."""
    kernel = as_kernel(np.random.default_rng(bits).permutation(SAMPLES[sample](np.random.default_rng(0), count)))
    values = np.sort(kernel.ravel()).astype(np.float64)
    least = np.inf
    for cuts in itertools.combinations(range(1, count), 2**bits - 1):
        cells = np.split(values, cuts)
        least = min(least, sum(((cell - cell.mean()) ** 2).sum() for cell in cells))
    found = error_of(kernel, codebook_of(kernel, bits))
    assert found == pytest.approx(least, rel=1e-5, abs=1e-9 * (values**2).sum())


def naive_least_error(values: np.ndarray, size: int) -> float:
    """Dynamic programming over single values, in float64: least[j] for the first j of them."""
    count = len(values)
    cost = np.full((count + 1, count + 1), np.inf)
    for i in range(count):
        cell = values[i:]
        numbers = np.arange(1, count - i + 1)
        mean = np.cumsum(cell) / numbers
        before = np.concatenate([[0.0], mean[:-1]])
        cost[i, i + 1 :] = np.cumsum((cell - mean) * (cell - before))  # Welford's sum of squares
    least = cost[0]
    for _ in range(size - 1):
        least = (least[:, None] + cost).min(0)
    return float(least[-1])


@pytest.mark.parametrize("sample", SAMPLES)
def test_of_more_values_than_are_searched_one_by_one_the_error_is_within_a_per_cent(sample: str) -> None:
    kernel = as_kernel(SAMPLES[sample](np.random.default_rng(1), 1500))
    values = np.sort(kernel.ravel()).astype(np.float64)
    for bits in (3, 6):
        least = naive_least_error(values, 2**bits)
        assert least * (1 - 1e-4) <= error_of(kernel, codebook_of(kernel, bits)) <= least * 1.01


@pytest.mark.parametrize(("bits", "distortion"), [(1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497), (5, 0.002499)])
def test_a_normal_distribution_has_the_error_of_the_published_table(bits: int, distortion: float) -> None:
    """Max 1960, Quantizing for minimum distortion, table I: mean squared errors for variance one."""
    count = 40_000
    kernel = as_kernel([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    assert error_of(kernel, codebook_of(kernel, bits)) / count == pytest.approx(distortion, rel=0.01)


@pytest.mark.parametrize("sample", SAMPLES)
def test_codes_are_of_the_nearest_value_and_values_the_means_of_their_codes(sample: str) -> None:
    """The two conditions that a best codebook fulfils (Lloyd 1982)."""
    kernel = SAMPLES[sample](np.random.default_rng(2), 2 * 3 * 5 * 300).astype(np.float32).reshape(3, 2, 5, 300)
    found = codebook_of(kernel, 4)
    assert found.codes.dtype == np.uint8 and found.codes.shape == kernel.shape
    assert found.table.dtype == np.float32 and found.table.shape == (16,) and (np.diff(found.table) > 0).all()
    away = np.abs(kernel.astype(np.float64)[..., None] - found.table)
    np.testing.assert_allclose(np.abs(kernel.astype(np.float64) - found.kernel()), away.min(-1), rtol=0, atol=1e-12)
    means = [kernel[found.codes == code].astype(np.float64).mean() for code in range(16)]
    np.testing.assert_allclose(found.table, means, rtol=1e-6, atol=1e-6)
    again = codebook_of(kernel.copy(), 4)
    np.testing.assert_array_equal(again.codes, found.codes)
    np.testing.assert_array_equal(again.table, found.table)


def test_few_distinct_values_are_kept_exactly() -> None:
    values = np.random.default_rng(3).standard_normal(200).astype(np.float32)
    kernel = np.random.default_rng(4).choice(values, (3, 3, 20, 30))
    found = codebook_of(kernel, 8)
    np.testing.assert_array_equal(found.kernel(), kernel)
    np.testing.assert_array_equal(found.table, np.sort(values))
    np.testing.assert_array_equal(codebook_of(np.full((1, 1, 2, 2), 3.5, np.float32), 1).table, [3.5])


def test_bits() -> None:
    for size, bits in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (65, 7), (255, 8), (256, 8)):
        assert Codebook(np.zeros((1, 1, 1, 1), np.uint8), np.zeros(size, np.float32)).bits == bits
    books = [Codebook(np.zeros((1, 1, 1, 1), np.uint8), np.zeros(size, np.float32)) for size in (2, 64, 33, 256)]
    assert described([]) == "" and described(books[:1]) == "1 bit" and described(books[1:3]) == "6 bits"
    assert described(books) == "1 to 8 bits"


# In our own files


Params = dict[str, dict[str, Any]]


def random_params(seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
    shapes = TINY.kernel_shapes
    return {
        name: {"kernel": rng.standard_normal(shape, np.float32), "bias": rng.standard_normal(shape[3], np.float32)}
        for name, shape in shapes.items()
    }


def coded_params(size: int = 7) -> Params:
    """Codebooks with a table in no order, of which some values are not used."""
    rng = np.random.default_rng(5)
    found: Params = random_params()
    for name, shape in TINY.kernel_shapes.items():
        table = rng.standard_normal(size).astype(np.float32)
        found[name]["kernel"] = Codebook(rng.integers(0, size - 2, shape).astype(np.uint8), table)
    return found


def line(function: Callable[..., Any], *args: Any, **options: Any) -> str:
    """The one plain line with which something is refused."""
    with pytest.raises(InputError) as caught:
        function(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 600
    return message


def test_kernels_are_kept_as_codebooks_and_loaded_in_single_precision(tmp_path: Path) -> None:
    params = random_params()
    save_weights(tmp_path / "a.h5", params, codebook_bits=3, dtype=np.float16, **ABOUT)
    loaded = load_network("tiny", tmp_path / "a.h5").params
    assert list(loaded) == list(params)
    for name, layer in params.items():
        assert set(loaded[name]) == {"kernel", "bias"}
        assert all(isinstance(array, jnp.ndarray) and array.dtype == jnp.float32 for array in loaded[name].values())
        np.testing.assert_array_equal(loaded[name]["kernel"], codebook_of(layer["kernel"], 3).kernel())
        np.testing.assert_array_equal(loaded[name]["bias"], layer["bias"].astype(np.float16))
        assert len(np.unique(loaded[name]["kernel"])) == 8
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format"] == "jaxstyle-2" and file.attrs["codebooks"] == "3 bits"
        assert {key: file[f"conv1_2/{key}"].dtype for key in file["conv1_2"]} == {
            "codes": np.uint8, "table": np.float32, "bias": np.float16,
        }  # fmt: skip


def test_bits_may_differ_by_layer_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    params = random_params()
    save_weights(tmp_path / "a.h5", params, codebook_bits={"conv1_2": 4, "conv2_1": 2}, **ABOUT)
    file = formats.read(tmp_path / "a.h5")
    assert {name: book.bits for name, book in file.codebooks.items()} == {"conv1_2": 4, "conv2_1": 2}
    np.testing.assert_array_equal(file.layers["conv1_1"].kernel, params["conv1_1"]["kernel"])
    shown = show(tmp_path / "a.h5")
    assert shown["codebooks"] == "2 to 4 bits"
    assert {name: layer["bits"] for name, layer in shown["layers"].items()} == {
        "conv1_1": None, "conv1_2": 4, "conv2_1": 2,
    }  # fmt: skip
    assert shown["parameters"] == sum(array.size for layer in params.values() for array in layer.values())


def test_given_codes_and_tables_are_kept_as_they_are(tmp_path: Path) -> None:
    params = coded_params()
    save_weights(tmp_path / "a.h5", params, codebook_bits=2, dtype=np.float16, **ABOUT)
    convert(tmp_path / "a.h5", tmp_path / "b.h5")
    for path in (tmp_path / "a.h5", tmp_path / "b.h5"):
        file = formats.read(path)
        for name, layer in params.items():
            given, found = layer["kernel"], file.codebooks[name]
            np.testing.assert_array_equal(found.codes, given.codes, strict=True)
            np.testing.assert_array_equal(found.table, given.table, strict=True)
            np.testing.assert_array_equal(file.layers[name].kernel, given.table[given.codes], strict=True)
            np.testing.assert_array_equal(file.layers[name].bias, layer["bias"].astype(np.float16))


def test_what_is_at_hand_says_its_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAXSTYLE_CACHE", str(tmp_path))
    save_weights(tmp_path / "tiny.h5", random_params(), codebook_bits=5, **ABOUT)
    (row,) = (info for info in describe() if info.network == "tiny")
    assert (row.codebooks, row.source) == ("5 bits", "converted")
    save_weights(tmp_path / "tiny.h5", random_params(), **ABOUT)
    (row,) = (info for info in describe() if info.network == "tiny")
    assert row.codebooks == show("tiny")["codebooks"] == ""
    assert formats.read_attributes(tmp_path / "tiny.h5")["format"] == "jaxstyle-1"  # older versions read it


def test_codes_of_fewer_bits_take_less_room(tmp_path: Path) -> None:
    """A normal distribution's best 64 values are not equally frequent: even 6 bits each would take more."""
    kernel = np.random.default_rng(6).standard_normal((3, 3, 128, 256), np.float32)
    layers = {"conv1_1": Convolution(kernel, np.zeros(256, np.float32))}
    about = {"network": "any", "preprocessing": "keras"}
    for bits, most in ((8, 8.0), (6, 6.0), (4, 4.5)):
        formats.write(tmp_path / "a.h5", layers, about, codebooks={"conv1_1": codebook_of(kernel, bits)})
        assert ((tmp_path / "a.h5").stat().st_size - 4500) * 8 < most * kernel.size  # but for table, bias and names


# Refusing


def test_codebooks_that_cannot_be_saved(tmp_path: Path) -> None:
    def message(**options: Any) -> str:
        return line(save_weights, tmp_path / "a.h5", options.pop("params", random_params()), **options, **ABOUT)

    for bits in (0, 9, -1):
        assert f"codebooks have 1 to 8 bits, not {bits}" in message(codebook_bits=bits)
        assert f"codebooks have 1 to 8 bits, not {bits}" in message(codebook_bits={"conv1_1": bits})
    assert "no kernel 'conv1_3'" in message(codebook_bits={"conv1_3": 4})
    params = random_params()
    params["conv1_2"]["kernel"][0, 0, 0, 0] = np.nan
    assert "conv1_2 has weights that are not finite" in message(params=params, codebook_bits=4)
    params = coded_params()
    params["conv1_2"]["kernel"].table[0] = np.inf
    assert "conv1_2 has weights that are not finite" in message(params=params)
    params = coded_params()
    params["conv1_2"]["kernel"] = params["conv1_1"]["kernel"]
    assert "its conv1_2 is (3, 3, 3, 4), not (3, 3, 4, 4)" in message(params=params)
    params = coded_params()
    params["conv2_1"]["kernel"].codes[0, 0, 0, 0] = 7
    assert "conv2_1 has a code 7, beyond its table of 7" in message(params=params)
    assert list(tmp_path.iterdir()) == []


CODES, TABLE = np.zeros((3, 3, 3, 4), np.uint8), np.ones(5, np.float32)
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a code too large": ({"codes": CODES + np.uint8(5)}, "a code 5, beyond its table of 5"),
    "wide codes": ({"codes": CODES.astype(np.int32)}, "codes of type int32, not uint8"),
    "floating codes": ({"codes": CODES.astype(np.float32)}, "codes of type float32, not uint8"),
    "codes of texts": ({"codes": "many"}, "codes of type object, not uint8"),
    "flat codes": ({"codes": CODES.ravel()}, "codes (108,), which are no kernel"),
    "one code": ({"codes": np.uint8(0)}, "codes (), which are no kernel"),
    "no codes": ({"codes": CODES[:0]}, "codes (0, 3, 3, 4), which are no kernel"),
    "long table": ({"table": np.ones(257, np.float32)}, "a table (257,), not of 1 to 256 values"),
    "empty table": ({"table": TABLE[:0]}, "a table (0,), not of 1 to 256 values"),
    "square table": ({"table": TABLE[None]}, "a table (1, 5), not of 1 to 256 values"),
    "whole table": ({"table": np.ones(5, np.int64)}, "a table of type int64, not floating point"),
    "codes alone": ({"table": None}, "not codes and a table, or a kernel"),
    "a table alone": ({"codes": None}, "not codes and a table, or a kernel"),
    "a kernel as well": ({"kernel": np.zeros((3, 3, 3, 4), np.float32)}, "not codes and a table, or a kernel"),
    "another bias": ({"bias": np.zeros(5, np.float32)}, "a kernel (3, 3, 3, 4) with a bias (5,)"),
    "a group": ({"codes": {}}, "has bias, table, not codes and a table, or a kernel"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_codebooks_that_make_no_sense(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_weights(path, random_params(), codebook_bits=2, **ABOUT)
    changes, words = BROKEN[what]
    with h5py.File(path, "r+") as file:
        for key, value in ({"codes": CODES, "table": TABLE} | changes).items():
            if key in file["conv1_1"]:
                del file["conv1_1"][key]
            if isinstance(value, dict):
                file["conv1_1"].create_group(key)
            elif value is not None:
                file["conv1_1"][key] = value
    message = line(formats.read, path)
    assert str(path) in message and words in message and "conv1_1 has" in message
    assert message == line(load_network, "tiny", path)


@pytest.mark.slow
def test_a_truncated_or_damaged_file_with_codebooks(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_weights(path, random_params(), codebook_bits=8, **ABOUT)
    whole = path.read_bytes()
    for length in {*range(0, 200, 13), *range(200, len(whole), len(whole) // 20), len(whole) - 1}:
        path.write_bytes(whole[:length])
        line(formats.read, path)
    path.write_bytes(whole)
    with h5py.File(path) as file:
        chunk = file["conv2_1/codes"].id.get_chunk_info(0)
    middle = chunk.byte_offset + chunk.size // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    assert "damaged" in line(formats.read, path)
