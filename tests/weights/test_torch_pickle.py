"""torch's containers: views and byte orders as torch has them; nothing in a pickle is run; nonsense is refused."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from containers import (
    call,
    dictionary,
    global_,
    number,
    pickled,
    program,
    storage,
    stream_file,
    tensor,
    text,
    tuple_,
    zip_file,
)
from jaxstyle.weights import formats
from weight_files import Layers, assert_same, refused, state_dict, write_zip

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("container", [zip_file, stream_file])
def test_shared_storages_offsets_and_strides(container: Callable[..., None], tmp_path: Path) -> None:
    """One storage of all numbers: a kernel kept as HWIO and seen as OIHW, a bias of every second number."""
    store, numbers = storage("7", "FloatStorage", 200), np.arange(200, dtype="f4")
    kernel = tensor(store, 30, (4, 3, 3, 3), (1, 4, 36, 12), "_rebuild_tensor_v2")
    parameter = call("torch._utils._rebuild_parameter", kernel, b"\x88", call("collections.OrderedDict"))
    bias = tensor(store, 191, (4,), (2,))
    body = dictionary({"features.0.weight": parameter, "features.0.bias": bias})
    container(tmp_path / "a.pth", body, {"7": numbers.tobytes()})
    found = formats.read(tmp_path / "a.pth").layers["features.0"]
    np.testing.assert_array_equal(found.kernel, numbers[30:138].reshape(3, 3, 3, 4))
    np.testing.assert_array_equal(found.bias, numbers[191:198:2])


def test_big_endian_record(small: Layers, tmp_path: Path) -> None:
    tensors = state_dict(small)
    body, _ = pickled(tensors)
    swapped = {str(i): array.byteswap().tobytes() for i, array in enumerate(tensors.values())}
    zip_file(tmp_path / "a.pth", body, swapped, order="big")
    assert_same(formats.read(tmp_path / "a.pth").layers, small)
    zip_file(tmp_path / "b.pth", *pickled(tensors), order=None)  # files before the record are little-endian
    assert_same(formats.read(tmp_path / "b.pth").layers, small)


@pytest.mark.parametrize("new", [True, False])
def test_torch_agrees(new: bool, small: Layers, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array) for name, array in state_dict(small).items()}
    tensors["classifier.0.weight"] = torch.ones(3, 3)
    torch.save(tensors, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    assert_same(formats.read(tmp_path / "a.pth").layers, small)
    container = zip_file if new else stream_file
    container(tmp_path / "b.pth", *pickled(state_dict(small), old=not new))
    for name, array in torch.load(tmp_path / "b.pth", weights_only=True).items():
        np.testing.assert_array_equal(array.numpy(), state_dict(small)[name])


# Refusing


class Hostile:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def hostile_pickles(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Ways to have something run, without the frame, and the name that must be refused."""
    command = text(f"touch {marker}")
    reduced = {i: pickle.dumps({"features.0.weight": Hostile(marker)}, i)[2:-1] for i in (2, 4)}
    return {
        "reduce": (reduced[2], "posix.system"),
        "stack global": (reduced[4], "posix.system"),
        "global": (call("os.system", command), "os.system"),
        "inst": (b"(" + command + b"ios\nsystem\n", "os.system"),
        "obj": (b"(" + global_("os.system") + command + b"o", "os.system"),
        "eval": (call("builtins.eval", text("1")), "builtins.eval"),
        "old eval": (call("__builtin__.eval", text("1")), "__builtin__.eval"),
        "getattr": (call("builtins.getattr", global_("collections.OrderedDict"), text("pop")), "getattr"),
        "dotted": (b"\x80\x04" + text("collections") + text("OrderedDict.pop") + b"\x93", "OrderedDict.pop"),
        "torch": (call("torch.load", text("x")), "torch.load"),
        "model": (call("torchvision.models.vgg.VGG"), "torchvision.models.vgg.VGG"),
    }


@pytest.mark.parametrize("way", hostile_pickles(Path("x")))
@pytest.mark.parametrize("container", [zip_file, stream_file])
def test_nothing_in_a_pickle_is_run(way: str, container: Callable[..., None], tmp_path: Path) -> None:
    body, name = hostile_pickles(tmp_path / "marker")[way]
    container(tmp_path / "a.pth", body, {})
    assert name in refused(tmp_path / "a.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_nothing_is_run_in_the_small_pickles_of_the_older_container(small: Layers, tmp_path: Path) -> None:
    body, storages = pickled(state_dict(small), old=True)
    stream_file(tmp_path / "good.pth", body, storages)
    good, bad = (tmp_path / "good.pth").read_bytes(), pickle.dumps(Hostile(tmp_path / "marker"), 2)
    places = [len(pickle.dumps(0x1950A86A20F9469CFC6C, 2)), good.index(pickle.dumps(sorted(storages), 2))]
    for place in places:
        (tmp_path / "a.pth").write_bytes(good[:place] + bad + good[place:])
        assert "posix.system" in refused(tmp_path / "a.pth")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "collections.OrderedDict"])
def test_a_pickle_cannot_change_what_it_gets_hold_of(name: str, small: Layers, tmp_path: Path) -> None:
    """BUILD with a pair sets attributes, on whatever is there."""
    state = tuple_(b"N", b"}(" + text("__call__") + number(1) + text("function") + number(1) + b"u")
    zip_file(tmp_path / "a.pth", global_(name) + state + b"b", {})
    assert "damaged" in refused(tmp_path / "a.pth")  # already at the BUILD
    write_zip(tmp_path / "b.pth", small)
    assert_same(formats.read(tmp_path / "b.pth").layers, small)


FLOATS = storage("0", "FloatStorage", 20)
SHAPE, STRIDES = (2, 1, 3, 3), (9, 9, 3, 1)
BROKEN = {
    "past the end": (tensor(FLOATS, 3, SHAPE, STRIDES), "past its storage"),
    "zero strides": (tensor(FLOATS, 0, (2, 999, 3, 3), (0, 0, 0, 0)), "past its storage"),
    "negative offset": (tensor(FLOATS, -1, SHAPE, STRIDES), "no sense"),
    "negative stride": (tensor(FLOATS, 9, SHAPE, (-9, 9, 3, 1)), "no sense"),
    "negative size": (tensor(FLOATS, 0, (-2, 1, 3, 3), STRIDES), "no sense"),
    "fewer strides": (tensor(FLOATS, 0, SHAPE, (9, 9)), "no sense"),
    "no elements": (tensor(FLOATS, 0, (2, 0, 3, 3), STRIDES), "is empty"),
    "no storage": (tensor(number(5), 0, SHAPE, STRIDES), "no sense"),
    "lying storage": (tensor(storage("0", "FloatStorage", 21), 0, SHAPE, STRIDES), "storage 0"),
    "other storage": (tensor(storage("9", "FloatStorage", 20), 0, SHAPE, STRIDES), "9'"),
    "view": (tensor(storage("0", "FloatStorage", 20, text("v")), 0, SHAPE, STRIDES), "no sense"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("container", [zip_file, stream_file])
def test_tensors_that_make_no_sense(what: str, container: Callable[..., None], tmp_path: Path) -> None:
    kernel, words = BROKEN[what]
    body = dictionary({"features.0.weight": kernel, "features.0.bias": tensor(FLOATS, 0, (2,), (1,))})
    container(tmp_path / "a.pth", body, {"0": bytes(80)})
    assert words in refused(tmp_path / "a.pth")


def test_a_compressed_record_is_refused(small: Layers, tmp_path: Path) -> None:
    body, storages = pickled(state_dict(small))
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("vgg/data.pkl", program(body))
        for key, data in storages.items():
            archive.writestr(f"vgg/data/{key}", data, zipfile.ZIP_DEFLATED)
    assert "record data/0 is compressed" in refused(tmp_path / "a.pth")


def test_a_stream_truncated_in_the_classifier(small: Layers, tmp_path: Path) -> None:
    """Which is not read, but shows that the download broke off."""
    tensors = state_dict(small) | {"classifier.0.weight": np.ones((30, 30), "f4")}
    stream_file(tmp_path / "a.pth", *pickled(tensors, old=True))
    whole = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[:-100])
    assert "100 bytes are missing" in refused(tmp_path / "a.pth")
