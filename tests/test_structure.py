"""The shape of the package: what may import what, what is pure, and how its public functions are called."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle

ROOT = Path(jaxstyle.__file__).parent
PURE = (
    "types",
    "errors",
    "defaults",
    "tpu",
    "compiling",
    "winograd",
    "networks",
    "losses",
    "regions",
    "objective",
    "solvers",
    "presets",
    "starts",
    "checks",
    "lanes",
    "programs",
    "forecast",
    "optimise",
    "sweeps",
    "comparison",
    "metrics",
    "colors",
    "inversion",
    "inspection",
)
OUTSIDE = (
    "values",
    "allocator",
    "files",
    "images",
    "codebooks",
    "pickles",
    "formats",
    "downloads",
    "wheels",
    "weights",
    "layout",
    "report",
    "figures",
    "commands",
    "options",
    "grammar",
    "cli",
)
ORDER = PURE + OUTSIDE  # a file imports from those before it; a folder's files from one another too
# Arguments with a default that the documented surface lets a caller give by position.
POSITIONAL = {("load_image", "size"), ("save_image", "record"), ("save_image", "alpha"), ("load_network", "weights")}

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py"
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def top(name):
    return name.split(".")[0]


def imports(tree):
    """Names of all modules imported anywhere in a file, at its top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(name):
    """Files of this package that a file imports."""
    found = {module.removeprefix("jaxstyle.") for module in imports(TREES[name]) if module.startswith("jaxstyle.")}
    return found & FILES.keys()


def test_every_file_has_a_place_in_the_order():
    assert {top(name) for name in FILES} <= set(ORDER), "say in ORDER where the new file stands"
    assert all(any(top(name) == place for name in FILES) for place in ORDER)


@pytest.mark.parametrize("name", FILES)
def test_imports_run_downwards(name):
    for other in own_imports(name):
        if top(other) == top(name):
            continue
        assert ORDER.index(top(other)) < ORDER.index(top(name)), f"{name} imports {other}"


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


@pytest.mark.parametrize("name", [name for name in FILES if top(name) in PURE])
def test_pure_files_know_no_path_clock_environment_or_terminal(name):
    outside = {"os", "pathlib", "time", "datetime", "sys", "io", "random", "shutil", "subprocess", "logging", "urllib"}
    assert not outside & {top(module) for module in imports(TREES[name])}
    assert not {"print", "open", "input"} & calls(TREES[name])


def test_only_the_command_line_prints():
    printing = {name for name, tree in TREES.items() if "print" in calls(tree)}
    assert {top(name) for name in printing} <= {"cli", "commands"}


def test_a_foreign_library_is_known_to_one_file():
    def users(library):
        return {name for name, tree in TREES.items() if library in {top(module) for module in imports(tree)}}

    assert users("optax") == users("jaxopt") == {"solvers"}
    assert {top(name) for name in users("flax")} == {"networks"}
    assert users("h5py") == users("safetensors") == {"formats"}
    assert {"images", "layout", "report"} == users("PIL")
    assert {top(name) for name in users("matplotlib")} <= {"figures", "commands"}


def test_the_command_line_and_the_package_answer_without_jax():
    names = ", ".join(f"jaxstyle.{name}" for name in ("cli", "images", "report", "figures"))
    code = f"import sys, {names}; sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------ the public surface


def typed_names():
    """Name -> module, from the imports for type checkers in `__init__`."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING"]
    return {alias.name: statement.module for statement in block.body for alias in statement.names}


def test_what_is_public_is_what_type_checkers_see_and_what_can_be_imported():
    assert set(jaxstyle.__all__) == set(typed_names()) and len(set(jaxstyle.__all__)) == len(jaxstyle.__all__)
    for name, module in typed_names().items():
        assert getattr(jaxstyle, name) is getattr(importlib.import_module(module), name)
    assert set(jaxstyle.__all__) <= set(dir(jaxstyle))
    with pytest.raises(AttributeError, match="no attribute 'transfers'"):
        _ = jaxstyle.transfers


def test_no_public_name_hides_a_module():
    assert not set(jaxstyle.__all__) & {top(name) for name in FILES}


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
            if public and (top(name) in PURE or node.name in jaxstyle.__all__):
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
