"""Pickles of state dicts, interpreted without running anything that is in them.

A pickle is a program for a small machine with a stack. It can name any function and have it called, and Python's own
machine obeys it even where it fills the memory or never ends. Ours knows the instructions that state dicts and
checkpoints need, and a handful of names, none of which does more than remember its arguments. What it does is counted.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxstyle.weights.formats.stored import BFLOAT16, Refusal, called

MOST_BYTES = 8_000_000  # of a pickle; those of torchvision's DenseNets have 80,000
MOST_STEPS = 150_000  # instructions, and pairs given to an OrderedDict; DenseNet121 with its optimizer takes 75,000
MOST_AXES = 32

CODES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": BFLOAT16, "Long": "<i8"}
CODES |= {"Int": "<i4", "Short": "<i2", "Char": "|i1", "Byte": "|u1", "Bool": "|b1"}


class Storage(NamedTuple):
    """Numbers of the file, one after the other, that are not yet read; `type` is as of `Stored`, little-endian."""

    key: str
    type: str
    elements: int


class Tensor(NamedTuple):
    """A view into a storage; all in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    """Something that a pickle may name: a type of storage, or a function that it may call."""

    storage: str = ""
    function: Callable[..., Any] | None = None


class _Mark:
    """What stands on the stack where a list of arguments begins."""


def _tensor(*arguments: Any) -> Tensor:
    """What torch's functions that rebuild tensors are called with; after the first four, it is about gradients."""
    if len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        sound = isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)
        sound = sound and len(shape) == len(strides) <= MOST_AXES
        if sound and all(type(n) is int and 0 <= n < 2**63 for n in (offset, *shape, *strides)):
            return Tensor(storage, offset, shape, strides)
    raise ValueError("a tensor that makes no sense")


def _parameter(tensor: Any = None, *_: Any) -> Any:
    return tensor


# `_rebuild_tensor` is what torchvision's own VGG files, of 2017, still say.
_ORDERED = _Name(function=dict)
_NAMES = {
    "collections OrderedDict": _ORDERED,
    "torch._utils _rebuild_tensor": _Name(function=_tensor),
    "torch._utils _rebuild_tensor_v2": _Name(function=_tensor),
    "torch._utils _rebuild_parameter": _Name(function=_parameter),
}
_NAMES |= {f"{place} {name}Storage": _Name(code) for name, code in CODES.items() for place in ("torch", "torch.cuda")}


class Machine:
    """Interprets one pickle after another from the beginning of some bytes.

    Attributes:
      storages: all that the pickles have named, by key.
      place: where the next pickle begins.
    """

    def __init__(self, data: bytes):
        self.storages: dict[str, Storage] = {}
        self._data, self._left = io.BytesIO(data), MOST_STEPS

    @property
    def place(self) -> int:
        """Where the next pickle begins."""
        return self._data.tell()

    def load(self) -> Any:
        """The next pickle's value: numbers, texts, tuples, lists, tensors, and dicts without the keys that are no text.

        Raises:
          Refusal: it asks for what weights do not need, or is larger than any state dict.
          ValueError: it is damaged.
        """
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        for instruction, argument, _ in pickletools.genops(self._data):
            self._spend(1)
            if instruction.name == "STOP":
                return self._stack.pop()
            if instruction.name not in _RUN:
                raise Refusal(f"has a pickle that is no state dict's (it does {instruction.name})")
            _RUN[instruction.name](self, argument)
        raise ValueError("a pickle without an end")

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise Refusal("holds a pickle larger than any state dict")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _nothing(self, argument: Any) -> None:
        pass

    def _pop(self, argument: Any = None) -> Any:
        return self._stack.pop()

    def _to_mark(self, argument: Any = None) -> list[Any]:
        """Takes everything above the last mark, and the mark."""
        found = []
        while not isinstance(value := self._stack.pop(), _Mark):
            found.append(value)
        return found[::-1]

    def _top(self, kind: type) -> Any:
        """What is on top, which must be of that kind."""
        if not isinstance(self._stack[-1], kind):
            raise ValueError("a pickle that takes one thing for another")
        return self._stack[-1]

    def _name(self, argument: str) -> None:
        if argument not in _NAMES:
            raise Refusal(
                f"asks for {called(argument.replace(' ', '.'))}, which weights do not need, and was read no further; "
                "give a state dict of tensors, or a .safetensors file"
            )
        self._push(_NAMES[argument])

    def _stack_name(self, argument: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "nothing")

    def _reduce(self, argument: Any) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, _Name) or name.function is None or not isinstance(arguments, tuple):
            raise ValueError("a pickle that calls what is no function")
        if name is _ORDERED:
            self._push(self._ordered(*arguments))
        else:
            self._push(name.function(*arguments[:5]))

    def _ordered(self, pairs: Any = ()) -> dict[str, Any]:
        """An OrderedDict, which older Pythons build from a list of pairs."""
        pairs = [*pairs.items()] if isinstance(pairs, dict) else pairs
        self._spend(len(pairs))
        if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            raise ValueError("an OrderedDict that makes no sense")
        return {key: value for key, value in pairs if isinstance(key, str)}

    def _storage(self, argument: Any) -> None:
        """('storage', type, key, device, elements), in the older container with a view's place after it."""
        pid = self._stack.pop()
        if not isinstance(pid, tuple) or len(pid) not in (5, 6):
            raise ValueError("a storage that makes no sense")
        kind, name, key, _, elements, *view = pid
        sound = kind == "storage" and isinstance(name, _Name) and name.storage and isinstance(key, str)
        if not sound or view not in ([], [None]) or type(elements) is not int or not 0 <= elements < 2**63:
            raise ValueError("a storage that makes no sense")
        self._push(self.storages.setdefault(key, Storage(key, name.storage, elements)))

    def _build(self, argument: Any) -> None:
        """Attributes, which state dicts have (`_metadata`), and which are left out."""
        self._stack.pop()
        self._top(dict)

    def _append(self, argument: Any) -> None:
        value = self._stack.pop()
        self._top(list).append(value)

    def _appends(self, argument: Any) -> None:
        values = self._to_mark()
        self._top(list).extend(values)

    def _item(self, argument: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set({key: value} if isinstance(key, str) else {})

    def _items(self, argument: Any) -> None:
        self._set(_paired(self._to_mark()))

    def _set(self, items: Mapping[str, Any]) -> None:
        self._top(dict).update(items)

    def _put(self, argument: int) -> None:
        self._memo[argument] = self._stack[-1]

    def _memoize(self, argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, argument: int) -> None:
        self._push(self._memo[argument])

    def _tuple(self, argument: Any) -> None:
        self._push(tuple(self._to_mark()))

    def _list(self, argument: Any) -> None:
        self._push(self._to_mark())

    def _dict(self, argument: Any) -> None:
        self._push(_paired(self._to_mark()))

    def _last(self, count: int) -> None:
        """A tuple of the last ones."""
        if len(self._stack) < count or any(isinstance(value, _Mark) for value in self._stack[-count:]):
            raise ValueError("a pickle that takes one thing for another")
        self._stack[-count:] = [tuple(self._stack[-count:])]


def _paired(values: list[Any]) -> dict[str, Any]:
    """Keys and values in turn. Only texts stay keys: others, which an optimizer has, could be made to collide."""
    if len(values) % 2:
        raise ValueError("a key without a value")
    return {key: value for key, value in zip(values[::2], values[1::2], strict=True) if isinstance(key, str)}


_VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE"
)
_VALUES += " SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
_RUN: dict[str, Callable[[Machine, Any], object]] = {
    **dict.fromkeys(_VALUES.split(), Machine._push),
    **dict.fromkeys(("PROTO", "FRAME"), Machine._nothing),
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "MARK": lambda machine, _: machine._push(_Mark()),
    "DUP": lambda machine, _: machine._push(machine._stack[-1]),
    "TUPLE1": lambda machine, _: machine._last(1),
    "TUPLE2": lambda machine, _: machine._last(2),
    "TUPLE3": lambda machine, _: machine._last(3),
    "POP": Machine._pop,
    "POP_MARK": Machine._to_mark,
    "TUPLE": Machine._tuple,
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "SETITEM": Machine._item,
    "SETITEMS": Machine._items,
    "GLOBAL": Machine._name,
    "STACK_GLOBAL": Machine._stack_name,
    "INST": Machine._name,
    "REDUCE": Machine._reduce,
    "BUILD": Machine._build,
    "BINPERSID": Machine._storage,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    "MEMOIZE": Machine._memoize,
}
