"""From words to a command's options: a parser made from a frozen dataclass, whose fields are the options.

A field says by its annotation what it takes: `Annotated[int, Whole(1, 10)]` is `--name N`, a bool is a switch, and
`Several`, `Positional` and `Named` say the rest. Its line under "Attributes:" in the docstring is its help, in which
{NAME} stands for a default of `jaxstyle.defaults`. A field that is itself such a dataclass adds the options of that
one, in a group for each dataclass that it inherits from.

Nothing here is slow to import.
"""

import argparse
import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from jaxstyle import defaults
from jaxstyle.cli.values import Choice, Kind
from jaxstyle.errors import InputError, nearest

Options = TypeVar("Options")
WORDS = {name: value for name, value in vars(defaults).items() if name.isupper()} | {
    "CONTENT": f"the network's; {' '.join(defaults.CONTENT_LAYERS)} of a VGG",
    "STYLE": f"the network's; {' '.join(defaults.STYLE_LAYERS)} of a VGG",
}


@dataclass(frozen=True)
class Several:
    """Several words, each a value of the kind: the field is a tuple."""

    kind: Kind


@dataclass(frozen=True)
class Repeated(Several):
    """Several words, which may also be given one at a time, with the option's name before each."""


@dataclass(frozen=True)
class Positional:
    """Words that are known by their place; the kind's metavar is their name in messages.

    Attributes:
      count: None for one, "?" for one or none, "+" for one or more, "*" for any number.
    """

    kind: Kind
    count: str | None = None


@dataclass(frozen=True)
class Named:
    """Other names than the field's: `Named("-o", "--out")`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


FIXED = "fixed"  # in an annotation: a setting that is the same for all pictures of a sweep


@dataclass(frozen=True)
class Axis:
    """Values that a setting takes in a sweep, in the order in which they were given."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Field:
    """A field of a dataclass of options, as its annotation and docstring describe it."""

    name: str
    takes: Any  # a `Kind`, `Several`, `Positional`; None for a switch
    names: tuple[str, ...]
    help: str
    required: bool
    varies: bool

    @property
    def kind(self) -> Kind | None:
        """Of each value."""
        return _kind_of(self.takes)

    def check(self, value: Any) -> Any:
        """Plain data, of a record or a TOML file, as the option's value; raises `ValueError`."""
        if self.kind is None:
            if not isinstance(value, bool):
                raise ValueError(f"{value!r} is not true or false")
            return value
        kind = self.kind.listed() if isinstance(self.takes, Several) else self.kind
        return kind.check(value)

    def spread(self, value: Any) -> list[Any]:
        """The values that plain data stand for where there may be several: text is read as on the command line."""
        if isinstance(value, str) and self.kind is not None:
            return (self.kind.listed() if isinstance(self.takes, Several) else self.kind).spread(value)
        return [self.check(value)]

    def words(self, value: Any) -> list[str]:
        """The words of the command line that stand for the value."""
        if self.kind is None:
            return [self.names[-1]] if value else []
        return [self.names[-1], *_words(self.takes, value)]


def _kind_of(takes: Any) -> Kind | None:
    kind: Kind | None = takes.kind if isinstance(takes, Several | Positional) else takes
    return kind


def _words(takes: Any, value: Any) -> list[str]:
    """A value's words, without the option's name."""
    if isinstance(takes, Several):
        return [takes.kind.write(x) for x in value]
    return [(takes.kind if isinstance(takes, Positional) else takes).write(value)]


def fields_of(options: type) -> dict[str, Field]:
    """The options of a dataclass, in order; those of the dataclasses that it is made of are not among them."""
    hints = typing.get_type_hints(options, include_extras=True)
    helps = _helps(options)
    found = {}
    for field in dataclasses.fields(options):
        hint, extras = hints[field.name], getattr(hints[field.name], "__metadata__", ())
        takes = next((x for x in extras if isinstance(x, Kind | Several | Positional)), None)
        if takes is None and hint is not bool:
            continue
        names = next((x.names for x in extras if isinstance(x, Named)), ("--" + field.name.replace("_", "-"),))
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        told = helps.get(field.name, "")
        if takes is not None and not required and field.default not in (None, ()) and "(default" not in told:
            told = f"{told} (default: {' '.join(_words(takes, field.default))})".strip()
        told = _with_names(told, takes)
        varies = takes is not None and FIXED not in extras
        found[field.name] = Field(field.name, takes, names, told, required, varies)
    return found


def _with_names(told: str, takes: Any) -> str:
    """A help with the names that there are to choose from, where it does not say them."""
    kind = _kind_of(takes)
    if not isinstance(kind, Choice) or all(name in told for name in kind.names):
        return told
    text, mark, default = told.partition("(default")
    *others, last = kind.names
    names = f"{', '.join(others)} or {last}" if others else last
    return f"{': '.join(filter(None, (text.strip(), names)))} {mark}{default}".strip()


def groups_of(options: type) -> dict[str, type]:
    """The dataclasses of options that one is made of, by field."""
    hints = typing.get_type_hints(options)
    return {field.name: hints[field.name] for field in dataclasses.fields(options) if _is_options(hints[field.name])}


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint) and bool(fields_of(hint) or groups_of(hint))


def _helps(options: type) -> dict[str, str]:
    """The lines under "Attributes:", those of what it inherits from included."""
    found: dict[str, str] = {}
    for cls in reversed(options.__mro__):
        _, _, attributes = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("Attributes:\n")
        for match in re.finditer(r"^  (\w+): (.*(?:\n    .*)*)", attributes, re.MULTILINE):
            found[match[1]] = " ".join(match[2].split()).format(**WORDS)
    return found


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors, and no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing usage and exiting, so that `main` words every error alike."""
        raise InputError(f"{message.removeprefix('argument ')} ({self.prog} --help)")


class _StoreTuple(argparse.Action):
    """Stores several values as a tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """One option with all its values."""
        setattr(namespace, self.dest, tuple(values))


class _ExtendTuple(argparse.Action):
    """Adds values to a tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """One option with some of its values."""
        setattr(namespace, self.dest, (*getattr(namespace, self.dest, ()), *values))


class _StoreAxis(argparse.Action):
    """Stores the values of a setting, ranges among them, as one tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """One option with all its values. Given again, it is as if given the first time."""
        vars(namespace).pop(self.dest, None)  # the order of the axes is that of the namespace
        setattr(namespace, self.dest, tuple(value for group in values for value in group))


def parse(options: type[Options], words: Sequence[str], *, prog: str, description: str = "") -> Options:
    """The options that the words of a command line stand for.

    A field `given` holds the names of the settings, options of the dataclasses within, that the words name. Where there
    is a field `axes`, each setting takes several values: those with more than one are in `axes`, and the first of
    each is in its place.

    Args:
      options: a frozen dataclass.
      words: without the command's own name.
      prog: what the help calls the command.
      description: the first lines of the help.

    Raises:
      InputError: words that are no options, or values that are none of theirs.
      SystemExit: after `--help`.
    """
    names, own, groups = _names(options), fields_of(options), groups_of(options)
    settings, swept = _settings(options)
    parser = _Parser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    fill(parser, options)
    namespace, rest = parser.parse_known_args(words)
    if rest:
        optional = (x for x in (*own.values(), *settings.values()) if not isinstance(x.takes, Positional))
        known = [name for field in optional for name in field.names]
        parser.error(_too_much(rest[0], known))
    found = vars(namespace)
    values: dict[str, Any] = {name: found[name] for name in own if name in found}
    if "given" in names:
        values["given"] = frozenset(found.keys() & settings.keys())
    if "axes" in names:
        values["axes"] = tuple(Axis(name, found[name]) for name in found if name in swept and len(found[name]) > 1)
    chosen = {name: found[name][0] if name in swept else found[name] for name in settings if name in found}
    for name, group in groups.items():
        values[name] = group(**{field: chosen[field] for field in fields_of(group) if field in chosen})
    return options(**values)


def fill(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds all that the options can be told to a parser."""
    _, swept = _settings(options)
    for field in fields_of(options).values():
        _add(parser, field)
    for title, fields in (part for group in groups_of(options).values() for part in _titled(group)):
        place = parser.add_argument_group(title)
        for field in fields:
            _add(place, field, swept=field.name in swept)
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _names(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}


def _settings(options: type) -> tuple[dict[str, Field], set[str]]:
    """The options of the dataclasses within; and the names of those that take several values."""
    settings = {name: field for group in groups_of(options).values() for name, field in fields_of(group).items()}
    varied = {name for name, field in settings.items() if field.varies} if "axes" in _names(options) else set()
    return settings, varied


def _titled(group: type) -> Iterator[tuple[str, list[Field]]]:
    """The options of a dataclass by the dataclasses that it inherits them from, with the first line of each one's
    docstring."""
    fields = fields_of(group)
    for cls in reversed(group.__mro__):
        own = [field for name, field in fields.items() if name in inspect.get_annotations(cls)]
        if own:
            yield inspect.cleandoc(cls.__doc__ or "").partition("\n")[0].rstrip("."), own


def _add(place: Any, field: Field, *, swept: bool = False) -> None:
    """Adds an option to a parser or a group; one that is swept takes several values, and ranges of them."""
    told: dict[str, Any] = {"default": argparse.SUPPRESS, "help": field.help.replace("%", "%%")}
    takes = field.takes
    if field.kind is None:
        place.add_argument(*field.names, action="store_true", dest=field.name, **told)
        return
    if isinstance(takes, Positional):
        if takes.count:
            told |= {"nargs": takes.count} | ({"action": _StoreTuple} if takes.count in "*+" else {})
        place.add_argument(field.name, metavar=takes.kind.metavar, type=_typed(takes.kind, takes.kind.read), **told)
        return
    kind = field.kind
    if swept:
        kind = kind.listed() if isinstance(takes, Several) else kind
        told |= {"nargs": "+", "action": _StoreAxis, "type": _typed(kind, kind.spread)}
    else:
        several = _ExtendTuple if isinstance(takes, Repeated) else _StoreTuple
        told |= {"type": _typed(kind, kind.read)} | ({"nargs": "+", "action": several} if kind is not takes else {})
    place.add_argument(*field.names, dest=field.name, metavar=kind.metavar, required=field.required, **told)


def kind_of(action: argparse.Action) -> Kind | None:
    """The kind of value that an argument takes."""
    return getattr(action.type, "kind", None)


def _typed(kind: Kind, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type for argparse, which keeps the message of a `ValueError` only if it is one of its own."""

    def typed(word: str) -> Any:
        try:
            return read(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    typed.kind = kind  # type: ignore[attr-defined]
    return typed


def _too_much(word: str, known: Iterable[str]) -> str:
    """What to say of a word that is no option's."""
    if word.startswith("-"):
        name = word.partition("=")[0]
        return f"there is no option {name}{nearest(name, known)}"
    return f"{word!r} is one argument too many, or apart from the others: options come last"
