"""The shape of the package: what may import what, what is pure, what changes the process, and what is public."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle

pytestmark = pytest.mark.quick

ROOT = Path(jaxstyle.__file__).parent
# A room imports from those above it, and from none beside it. Within a room files import one another, without circles.
ROOMS = (
    {"errors", "types", "defaults"},
    {"files", "marks", "ops"},
    {"checkpoints", "pictures", "networks", "losses"},
    {"weights", "regions", "report", "training"},
    {"objective"},
    {"solvers", "onepass", "superres"},
    {"engine", "presets"},
    {"studies"},
    {"cli"},
    {"app"},
)
# Arrays and numbers in, arrays and numbers out.
PURE = {
    *(
        "types",
        "errors",
        "defaults",
        "ops",
        "networks",
        "losses",
        "regions",
        "objective",
        "solvers",
        "presets",
        "engine",
    ),
    *("pictures.color", "pictures.metrics", "studies.prior", "studies.reconstruct", "studies.texture"),
    *("studies.compare", "studies.evaluate", "studies.features", "superres.bicubic", "superres.network"),
    *("onepass.style_network", "onepass.decoders", "onepass.transforms", "onepass.painters", "onepass.stylize"),
    *("onepass.train_styles", "onepass.fit_decoders", "training.adam", "superres.train", "superres.upscale"),
}
# Arguments with a default that the documented surface lets a caller give by position.
POSITIONAL = {
    ("load_image", "size"),
    ("save_image", "record"),
    ("save_image", "alpha"),
    ("load_network", "weights"),
    ("load_styles", "path"),
    ("load_any_style", "path"),
    ("load_upscaler", "network"),
}

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py"
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def room(name):
    return name.split(".")[0]


def is_pure(name):
    return room(name) in PURE or name in PURE


def imports(tree):
    """Names of all modules imported anywhere in a file, at its top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner.removeprefix("jaxstyle.") in FILES else node.module


def own_imports(name):
    """Files of this package that a file imports: `from jaxstyle.weights import formats` is an import of that file, and
    of nothing in the room's `__init__`."""
    found = {module.removeprefix("jaxstyle.") for module in imports(TREES[name]) if module.startswith("jaxstyle.")}
    return found & FILES.keys()


# --------------------------------------------------------------------------------------------------------- the rooms


def test_every_file_is_in_a_room_and_every_room_has_files():
    assert {room(name) for name in FILES} == set().union(*ROOMS), "say in ROOMS where the new one stands"
    assert sum(map(len, ROOMS)) == len(set().union(*ROOMS))


@pytest.mark.parametrize("name", FILES)
def test_imports_between_rooms_run_one_way(name):
    place = {one: level for level, rooms in enumerate(ROOMS) for one in rooms}
    for other in own_imports(name):
        assert room(other) == room(name) or place[room(other)] < place[room(name)], f"{name} imports {other}"


def test_no_file_imports_itself_through_others():
    done = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for other in own_imports(name):
                visit(other, [*path, name])
            done.add(name)

    for name in FILES:
        visit(name, [])


def calls(tree):
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("name", [name for name in FILES if is_pure(name)])
def test_pure_files_know_no_path_clock_environment_or_terminal(name):
    outside = {"os", "pathlib", "time", "datetime", "sys", "io", "random", "shutil", "subprocess", "logging", "urllib"}
    assert not outside & {room(module) for module in imports(TREES[name])}
    assert not {"print", "open", "input"} & calls(TREES[name])


def test_only_the_command_line_prints():
    assert {room(name) for name, tree in TREES.items() if "print" in calls(tree)} == {"cli"}


def test_a_foreign_library_is_known_to_one_room():
    imported = {name: {room(module) for module in imports(tree)} for name, tree in TREES.items()}

    def users(library):
        return {name for name, found in imported.items() if library in found}

    def rooms(library):
        return {room(name) for name in users(library)}

    assert rooms("jaxopt") == {"solvers"} and rooms("optax") == {"solvers", "training"}
    assert rooms("grain") == {"training"} and rooms("orbax") == {"checkpoints"}
    assert rooms("flax") == {"networks", "onepass", "superres"}
    assert rooms("h5py") == rooms("requests") == {"weights"}
    assert rooms("tifffile") == {"pictures"}
    assert rooms("matplotlib") == {"studies"} and rooms("rich") == {"cli"}
    assert rooms("PIL") == {"pictures", "report", "training"}
    assert rooms("gradio") == rooms("pandas") == {"app"} and users("shtab") == {"cli.commands.completion"}
    assert not users("lazy_loader")  # but the package itself, for its public names


def test_what_the_command_line_asks_before_it_works_needs_no_jax():
    names = [f"jaxstyle.{name}" for name in FILES if name.startswith(("cli.commands", "report"))]
    names += ["jaxstyle", *(f"jaxstyle.{name}" for name in ("cli.main", "presets", "studies.figures"))]
    names += [f"jaxstyle.pictures.{name}" for name in ("read", "write", "resample")]
    code = f"import sys, {', '.join(names)}; sys.exit(bool({{'jax', 'matplotlib'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ----------------------------------------------------------------------------------------- what the process is left as

STARTUP = "cli.startup"  # which changes the process, as the command line may


def chain(node):
    """The names of `a.b.c`."""
    return (*chain(node.value), node.attr) if isinstance(node, ast.Attribute) else (getattr(node, "id", "?"),)


def changes_of_the_process(tree):
    """What a file does to JAX's configuration, to the C library, and to the environment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            *of, what = chain(node.func)
            if of[-1] == "config" and what in ("update", "parse_flags_with_absl"):
                yield "jax.config"
            if of[-1] == "environ" and what in ("update", "setdefault", "pop", "clear"):
                yield "os.environ"
            if what in ("putenv", "unsetenv"):
                yield "os.environ"
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            for target in targets:
                if isinstance(target, ast.Subscript) and chain(target.value)[-1] == "environ":
                    yield "os.environ"
                if isinstance(target, ast.Attribute) and "config" in chain(target)[:-1]:
                    yield "jax.config"
    if "ctypes" in {room(module) for module in imports(tree)}:
        yield "ctypes"


def test_the_library_changes_nothing_of_its_process():
    found = {name: set(changes_of_the_process(tree)) for name, tree in TREES.items()}
    assert {name for name, changes in found.items() if changes} == {STARTUP}
    assert found[STARTUP] == {"jax.config", "ctypes", "os.environ"}  # so that the search does find them


def sets_of_others(node, names, lent=False):
    """What is assigned to attributes of imported names, but in context managers, which give back what they change."""
    if isinstance(node, ast.FunctionDef):
        lent = lent or any("contextmanager" in ast.unparse(decorator) for decorator in node.decorator_list)
    for target in node.targets if isinstance(node, ast.Assign) and not lent else ():
        for one in ast.walk(target):
            if isinstance(one, ast.Attribute) and chain(one)[0] in names:
                yield ast.unparse(one)
    for inner in ast.iter_child_nodes(node):
        yield from sets_of_others(inner, names, lent)


def test_what_is_another_modules_is_set_only_for_a_while():
    """`Image.MAX_IMAGE_PIXELS` and `sys.unraisablehook` within a block, at whose end they are as they were; what the
    start sets, `main` gives back."""
    found = {}
    for name, tree in TREES.items():
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.asname or room(alias.name) for node in nodes for alias in node.names}
        found[name] = list(sets_of_others(tree, names))
    assert {name: names for name, names in found.items() if names} == {STARTUP: ["warnings.showwarning"]}


def test_no_file_begins_with_an_empty_container_to_keep_things_in():
    for name, tree in TREES.items():
        for node in tree.body:
            value = getattr(node, "value", None)
            empty = isinstance(value, ast.Dict | ast.List | ast.Set) and not ast.unparse(value).strip("{}[]")
            called = isinstance(value, ast.Call) and ast.unparse(value.func) in ("dict", "list", "set", "defaultdict")
            assert not empty and not called, f"{name} keeps {ast.unparse(node)}"


# ------------------------------------------------------------------------------------------------------ shape checks

WITHOUT_SHAPES = {"cli", "app"}


@pytest.mark.parametrize("name", [name for name in FILES if room(name) not in WITHOUT_SHAPES])
def test_the_shapes_of_every_signature_are_checked_in_tests(name):
    """By the import hook of conftest.py, whose wrappers know what they wrap."""
    if name in ("checkpoints", "training.loop", "training.photos"):  # of an extra
        pytest.importorskip("grain")
        pytest.importorskip("orbax.checkpoint")
    module = importlib.import_module(f"jaxstyle.{name}")
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            assert hasattr(function, "__wrapped__"), function


def test_no_signature_of_the_command_line_or_the_app_has_shapes():
    assert not {
        name
        for name in FILES
        if room(name) in WITHOUT_SHAPES and "jaxtyping" in {room(x) for x in imports(TREES[name])}
    }


# ------------------------------------------------------------------------------------------------ the public surface


def stub_names():
    """Name -> module, from the imports in `__init__.pyi`."""
    tree = ast.parse((ROOT / "__init__.pyi").read_text())
    return {
        alias.asname: f"jaxstyle.{statement.module}"
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_what_is_public_is_what_the_stub_says_and_what_can_be_imported():
    assert set(jaxstyle.__all__) == set(stub_names()) and len(set(jaxstyle.__all__)) == len(jaxstyle.__all__)
    for name, module in stub_names().items():
        assert getattr(jaxstyle, name) is getattr(importlib.import_module(module), name)
    assert set(jaxstyle.__all__) <= set(dir(jaxstyle))
    with pytest.raises(AttributeError, match="transfers"):
        _ = jaxstyle.transfers


def test_no_public_name_hides_a_room():
    assert not set(jaxstyle.__all__) & {room(name) for name in FILES}


@pytest.mark.parametrize("name", jaxstyle.__all__)
def test_public_names_are_documented(name):
    thing = getattr(jaxstyle, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), "a docstring of its own"
    if inspect.isclass(thing):
        for attribute, value in vars(thing).items():
            if inspect.isfunction(value) and value.__qualname__ == f"{name}.{attribute}" and attribute[0] != "_":
                assert value.__doc__, f"{name}.{attribute}"


def public_functions():
    """(file, function) for each function at the top of a pure file, and each public one of the package."""
    for name, tree in TREES.items():
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public and (is_pure(name) or node.name in jaxstyle.__all__):
                yield pytest.param(node, id=f"{name}.{node.name}")


@pytest.mark.parametrize("function", list(public_functions()))
def test_options_are_keyword_only_and_a_key_comes_first(function):
    arguments = function.args.posonlyargs + function.args.args
    names = [argument.arg for argument in arguments]
    with_default = names[len(names) - len(function.args.defaults) :]
    assert not [name for name in with_default if (function.name, name) not in POSITIONAL]
    assert "key" not in names[1:]
    assert all(argument.annotation for argument in arguments + function.args.kwonlyargs) and function.returns
    assert ast.get_docstring(function), "a public function has a docstring"
