"""The parser: a frozen dataclass becomes a command's options, and words become one of it."""

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from jaxstyle import defaults
from jaxstyle.cli import parser
from jaxstyle.cli.commands import transfer
from jaxstyle.cli.grid import SweepOptions
from jaxstyle.cli.main import command_at, command_names
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.parser import FIXED, Axis, Named, Positional, Several, fields_of, groups_of, parse
from jaxstyle.cli.settings import FIELDS, Settings, check_data, words_of
from jaxstyle.cli.values import SHARE, Choice, Number, Table, Text, Whole
from jaxstyle.errors import InputError

pytestmark = pytest.mark.quick


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Colours.

    Attributes:
      hue: which one, of
        many
      depth: 50 % is enough (default: {STEPS})
    """

    hue: Annotated[str, Choice(("red", "blue"), "NAME", (("azure", "blue"),))] = "red"
    depth: Annotated[float | None, Number()] = None


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """How things stand.

    Attributes:
      sides: of each one
      table: of numbers
      paper: what it is on
    """

    sides: Annotated[tuple[int, ...], Several(Whole(1, 9))] = (3,)
    table: Annotated[Any, Table()] = None
    paper: Annotated[str | None, Text("FILE"), FIXED] = None
    flat: bool = False


@dataclass(frozen=True, kw_only=True)
class Both(Shapes, Colours):
    """Both of them."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a command can be told.

    Attributes:
      first: the first one
      others: and more
      out: where it goes
    """

    first: Annotated[str, Positional(Text("FIRST"))]
    others: Annotated[tuple[str, ...], Positional(Text("OTHER"), "*")] = ()
    out: Annotated[str, Text("OUT"), Named("-o", "--out")]
    loud: bool = False
    both: Both = dataclasses.field(default_factory=Both)
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep can be told."""

    both: Both = dataclasses.field(default_factory=Both)
    given: frozenset[str] = frozenset()
    axes: tuple[Axis, ...] = ()


def parsed(*words: str, options: type = Options) -> Any:
    return parse(options, words, prog="prog")


def refusal(call: Callable[[], Any], *words: str) -> str:
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert line.isprintable() and all(word in line for word in words), line
    return line


# ------------------------------------------------------------------------------------------------------------- options


def test_fields_become_options_and_words_a_dataclass() -> None:
    options = parsed("a", "b", "c", "-o", "x", "--sides", "1", "2", "--hue", "azure", "--depth", "0.5", "--flat")
    assert options == Options(
        first="a",
        others=("b", "c"),
        out="x",
        both=Both(sides=(1, 2), hue="blue", depth=0.5, flat=True),
        given=frozenset({"sides", "hue", "depth", "flat"}),
    )
    assert parsed("a", "--out", "x") == Options(first="a", out="x")
    assert hash(options) == hash(dataclasses.replace(options))


def test_a_new_field_is_a_new_option_with_its_default_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True, kw_only=True)
    class More(Both):
        """More.

        Attributes:
          size: in pixels
        """

        size: Annotated[int, Whole(1, 99)] = 12

    @dataclass(frozen=True, kw_only=True)
    class Command:
        """Anything."""

        more: More = dataclasses.field(default_factory=More)
        given: frozenset[str] = frozenset()

    assert parsed(options=Command).more.size == 12
    options = parsed("--size", "7", options=Command)
    assert (options.more.size, options.given) == (7, {"size"})
    with pytest.raises(SystemExit):
        parsed("--help", options=Command)
    assert "--size N in pixels (default: 12)" in " ".join(capsys.readouterr().out.split())


def test_the_help_is_the_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(Options, ["--help"], prog="jaxstyle this", description="What it is.\n\nMore of it.")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: jaxstyle this [-h]") and "What it is.\n\nMore of it." in text
    lines = " ".join(text.split())
    assert "--hue NAME which one, of many: red or blue (default: red)" in lines
    assert f"50 % is enough (default: {defaults.STEPS})" in lines  # a default of `jaxstyle.defaults`, by its name there
    assert re.search("-o(?: OUT)?, --out OUT where it goes", lines) and "FIRST the first one" in lines  # as of 3.13
    assert "--sides N [N ...] of each one (default: 3)" in lines
    # A group for each dataclass that the settings inherit from, under the first line of its docstring.
    assert text.index("\nColours:\n") < text.index("--hue NAME ") < text.index("\nHow things stand:\n")
    assert text.index("\nHow things stand:\n") < text.index("--flat\n") and "--debug" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], ["-o/--out", "required", "prog --help"]),
        (["-o", "x"], ["FIRST"]),
        (["a", "-o", "x", "--hue", "rod"], ["--hue", "'rod'", "red, azure, blue", "mean 'red'"]),
        (["a", "-o", "x", "--hew", "red"], ["no option --hew", "mean '--hue'"]),
        (["a", "-o", "x", "--hu", "red"], ["no option --hu"]),
        (["a", "-o", "x", "--firs", "red"], ["no option --firs"]),
        (["a", "-o", "x", "--sides", "1", "0"], ["--sides", "'0'", "1 to 9"]),
        (["a", "-o", "x", "--sides"], ["--sides", "at least one argument"]),
        (["a", "-o", "x", "--depth", "-1"], ["--depth", "'-1'", "from 0"]),
        (["a", "-o", "x", "b"], ["'b'", "options come last"]),
    ],
)
def test_what_is_no_option_or_none_of_its_values_is_one_line(words: list[str], said: list[str]) -> None:
    line = refusal(lambda: parsed(*words), *said)
    assert "--first" not in line  # which is known by its place


def test_a_dataclass_is_described_by_its_own_fields_and_its_groups() -> None:
    assert list(fields_of(Options)) == ["first", "others", "out", "loud"]
    assert groups_of(Options) == {"both": Both} and groups_of(Both) == {}
    fields = fields_of(Both)
    assert list(fields) == ["hue", "depth", "sides", "table", "paper", "flat"]
    assert [name for name, field in fields.items() if field.varies] == ["hue", "depth", "sides", "table"]
    assert fields["hue"].help == "which one, of many: red or blue (default: red)"


def test_words_of_a_value_are_read_as_that_value() -> None:
    values = {"hue": "blue", "depth": 1 / 3, "sides": (4, 5), "table": ((1.0, 2.0), (0.5, 4.0)), "flat": True}
    words = [word for name, value in values.items() for word in fields_of(Both)[name].words(value)]
    found = parsed("a", "-o", "x", *words)
    assert found.both.depth == pytest.approx(1 / 3, rel=1e-8) and found.given == values.keys()
    assert dataclasses.replace(found.both, depth=1 / 3) == Both(**values)
    assert fields_of(Both)["flat"].words(False) == []


def test_plain_data_is_checked_as_words_are() -> None:
    fields = fields_of(Both)
    for name, value, expected in (("sides", [1, 2], (1, 2)), ("flat", True, True), ("table", [[1], [2]], ((1,), (2,)))):
        assert fields[name].check(json.loads(json.dumps(value))) == expected
    for name, value in (("sides", 3), ("sides", [10]), ("flat", 1), ("hue", 3), ("hue", "green"), ("depth", True)):
        with pytest.raises(ValueError, match="not"):
            fields[name].check(value)


# ---------------------------------------------------------------------------------------------------------- the sweep


def test_several_values_are_an_axis_in_the_order_given() -> None:
    options = parsed("--depth", "log:1:100:3", "--hue", "red", "blue", "--sides", "1,2", "3", options=Swept)
    assert options.axes == (Axis("depth", (1, 10, 100)), Axis("hue", ("red", "blue")), Axis("sides", ((1, 2), (3,))))
    assert options.both == Both(depth=1.0, hue="red", sides=(1, 2)) and options.given == {"depth", "hue", "sides"}
    again = parsed("--hue", "red", "blue", "--depth", "1", "2", "--hue", "blue", "red", options=Swept)
    assert again.axes == (Axis("depth", (1, 2)), Axis("hue", ("blue", "red")))


def test_one_value_is_no_axis_and_what_is_fixed_takes_one() -> None:
    options = parsed("--depth", "2", "--table", "1,2/3,4", "--paper", "p", options=Swept)
    assert options.axes == () and options.given == {"depth", "table", "paper"}
    assert (options.both.depth, options.both.table, options.both.paper) == (2.0, ((1, 2), (3, 4)), "p")
    refusal(lambda: parsed("--paper", "p", "q", options=Swept), "'q'", "options come last")


def test_a_mix_is_swept_from_one_style_to_the_other() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Mixed:
        """Mixed."""

        mix: Annotated[Any, Several(SHARE)] = None

    @dataclass(frozen=True, kw_only=True)
    class Command:
        """Anything."""

        mixed: Mixed = dataclasses.field(default_factory=Mixed)
        axes: tuple[Axis, ...] = ()

    assert parsed("--mix", "0:1:3", "2,3", options=Command).axes[0].values == ((1, 0), (0.5, 0.5), (0, 1), (2, 3))


# ---------------------------------------------------------------------------------------------------- the package's own


def test_every_command_is_a_file_with_options_or_actions() -> None:
    for name in command_names():
        module = command_at(name)
        several = getattr(module, "ACTIONS", None)
        for options, run in several.values() if several else [(module.Options, module.run)]:
            assert dataclasses.is_dataclass(options) and options.__dataclass_params__.frozen and callable(run)
            for group in (options, *groups_of(options).values()):
                for field in fields_of(group).values():
                    assert field.help or field.kind is None or field.required, f"{name}: {field.name} has no help"


def test_transfer_and_sweep_take_every_setting() -> None:
    assert groups_of(TransferOptions)["settings"] is groups_of(SweepOptions)["settings"] is Settings
    assert set(FIELDS) == {field.name for field in dataclasses.fields(Settings)} and transfer.Options is TransferOptions


def test_settings_go_through_records_and_words() -> None:
    settings = Settings(size=96, style_weight=1 / 3, mix=(0.25, 0.75), mix_layers=((1.0,), (2.0,)), seed=7)
    plain = json.loads(json.dumps(vars(settings)))
    assert Settings(**check_data(plain, "a record")) == settings
    options = parse(TransferOptions, ["c", "s", *words_of(check_data(plain, "a record"))], prog="transfer")
    assert dataclasses.replace(options.settings, style_weight=1 / 3) == settings
    assert options.given == {name for name, value in plain.items() if value is not None}
    assert options.having(seed=8).given == options.given and hash(options.having(seed=8)) != hash(options)
    refusal(lambda: check_data({"seed": -1}, "the record"), "the record", "seed", "-1")
    refusal(lambda: check_data({"sede": 1}, "the record"), "'sede'", "mean 'seed'")


def test_nothing_private_of_argparse_is_used() -> None:
    tree = ast.parse(inspect.getsource(parser))
    private = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    assert {name for name in private if not name.startswith("__")} == set()


@pytest.mark.parametrize("name", [name for name in command_names() if hasattr(command_at(name), "Options")])
def test_the_help_says_what_there_is_to_choose_from(name: str) -> None:
    def options(cls: type) -> list[parser.Field]:
        return [*fields_of(cls).values(), *(field for group in groups_of(cls).values() for field in options(group))]

    for field in options(command_at(name).Options):
        if isinstance(field.kind, Choice):
            assert all(choice in field.help for choice in field.kind.names), field.help
