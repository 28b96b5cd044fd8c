"""A state dict inside a checkpoint is found, or one line says why not."""

from pathlib import Path

import numpy as np
import pytest

from containers import number, pickled, stream_file, text, zip_file
from jaxstyle.weights import formats
from weight_files import Layers, assert_same, random_layers, refused, state_dict

OTHER = {"conv1_1": (3, 3, 3, 2)}
NUMBER_KEY = b"K\x07"  # a key that is no text, as an optimizer's state has


def table(items: dict[str, bytes], *others: bytes) -> bytes:
    """A plain dict; `others` are keys and values of other types."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"".join(others) + b"u"


class Checkpoint:
    """State dicts and the storages that they share a file with."""

    def __init__(self) -> None:
        self.storages: dict[str, bytes] = {}

    def add(self, layers: Layers, before: str = "") -> bytes:
        tensors = {f"{before}{name}": array for name, array in state_dict(layers).items()}
        body, storages = pickled(tensors)
        for key in sorted(storages, key=int, reverse=True):  # so that no number is changed twice
            body = body.replace(text(key) + text("cpu"), text(str(int(key) + len(self.storages))) + text("cpu"))
        self.storages |= {str(int(key) + len(self.storages)): data for key, data in [*storages.items()]}
        return body


def write(path: Path, body: bytes, storages: dict[str, bytes], new: bool) -> Path:
    (zip_file if new else stream_file)(path, body, storages)
    return path


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model", "net", "params", "anything"])
def test_a_state_dict_under_any_name(name: str, new: bool, small: Layers, tmp_path: Path) -> None:
    checkpoint = Checkpoint()
    optimizer = table({"lr": number(1)}, NUMBER_KEY, table({"step": number(3)}), b"N", b"N")
    items = {"epoch": number(3), name: checkpoint.add(small), "optimizer": optimizer, "history": b"](NNe"}
    path = write(tmp_path / "a.pth", table(items, b"K\x01", b"N"), checkpoint.storages, new)
    assert_same(formats.read(path).layers, small)


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "module.vgg.", "model.features.", "net."])
def test_words_before_all_names(before: str, small: Layers, tmp_path: Path) -> None:
    checkpoint = Checkpoint()
    body = table({"model": checkpoint.add(small, before)})
    found = formats.read(write(tmp_path / "a.pth", body, checkpoint.storages, True)).layers
    assert_same(found, small)
    assert list(found) == ["features.0", "features.2", "features.5"]


def test_deeper_ones_and_those_without_convolutions(small: Layers, tmp_path: Path) -> None:
    checkpoint = Checkpoint()
    body = table({"meta": table({"a": table({})}), "all": table({"best": table({"weights": checkpoint.add(small)})})})
    assert_same(formats.read(write(tmp_path / "a.pth", body, checkpoint.storages, True)).layers, small)
    for _ in range(3):
        body = table({"deeper": body})
    assert "without convolutions" in refused(write(tmp_path / "b.pth", body, checkpoint.storages, True))


def test_of_several_the_one_of_a_usual_name_is_meant(small: Layers, tmp_path: Path) -> None:
    checkpoint = Checkpoint()
    other = random_layers(OTHER)
    both = {"ema": checkpoint.add(other), "model": checkpoint.add(small)}
    assert_same(formats.read(write(tmp_path / "a.pth", table(both), checkpoint.storages, True)).layers, small)
    both = {"generator": both["ema"], "disc\x1briminator": both["model"]}
    message = refused(write(tmp_path / "b.pth", table(both), checkpoint.storages, True))
    assert "holds several state dicts, generator, $'disc\\x1briminator'; save the one that" in message
    both = {"model": table({"student": both["generator"]}), "features": both["disc\x1briminator"]}
    assert_same(formats.read(write(tmp_path / "c.pth", table(both), checkpoint.storages, True)).layers, small)


WORDS = {"a list": b"](NNe", "a tuple": b"NN\x86", "a text": text("x"), "nothing": b"N", "something else": number(1)}


@pytest.mark.parametrize("what", WORDS)
def test_no_state_dict_at_all(what: str, tmp_path: Path) -> None:
    assert f"holds no state dict but {what}" in refused(write(tmp_path / "a.pth", WORDS[what], {}, True))


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_itself_writes(new: bool, small: Layers, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(array.copy()) for key, array in state_dict(small).items()}
    model = torch.nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()  # so that it has a state
    held = {"epoch": 7, "model_state_dict": tensors, "optimizer_state_dict": optimizer.state_dict(), "loss": 0.5}
    torch.save(held, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    assert_same(formats.read(tmp_path / "a.pth").layers, small)
    torch.save(np.float64(1), tmp_path / "b.pth", _use_new_zipfile_serialization=new)
    assert "which weights do not need" in refused(tmp_path / "b.pth")
