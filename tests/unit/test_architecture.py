"""The rules of the package as a whole. The layers are read from setup.cfg, and checked here without import-linter,
and by it where it is installed.
"""

import ast
import configparser
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sealedsession

PACKAGE = Path(sealedsession.__file__).parent
SETUP = PACKAGE.parent / "setup.cfg"
MODULES = sorted(path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py"))


def read_source(module):
    return (PACKAGE.parent / module).read_text(encoding="utf-8")


def layer_entry(name):
    """The part of the package that a dotted name belongs to: one layer's entry."""
    parts = name.split(".")
    return parts[1] if parts[0] == "sealedsession" and len(parts) > 1 else None


def find_imports(module):
    """Every dotted name that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(read_source(module))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layers():
    """The layers of setup.cfg, from the lowest to the highest, each a set of siblings."""
    config = configparser.ConfigParser()
    config.read(SETUP, encoding="utf-8")
    lines = config["importlinter:contract:layers"]["layers"].split("\n")
    return [{entry.strip(" ()") for entry in line.split("|")} for line in reversed(lines) if line.strip()]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_run_downward(module):
    """A module imports only from layers below its own, never a sibling, and is in exactly one layer."""
    if module.parts[1] == "__init__.py":
        return  # it re-exports
    own = module.parts[1].removesuffix(".py")
    ordered = layers()
    own_layer = [number for number, entries in enumerate(ordered) if own in entries]
    assert len(own_layer) == 1
    below = set().union(*ordered[: own_layer[0]])
    imported = {layer_entry(name) for name in find_imports(module)} - {None, own}
    assert imported <= below


def test_layers_name_modules_that_exist():
    """Every layer of setup.cfg is a module or a package of ours."""
    named = set().union(*layers())
    assert named == {module.parts[1].removesuffix(".py") for module in MODULES} - {"__init__"}


def test_import_contracts():
    """import-linter, where it is installed, finds every contract of setup.cfg kept."""
    script = "import sys, importlinter.cli as cli; sys.exit(cli.lint_imports(sys.argv[1], no_cache=True))"
    linter = subprocess.run(
        [sys.executable, "-c", script, SETUP], cwd=SETUP.parent, capture_output=True, text=True, check=False
    )
    assert linter.returncode == 0, linter.stdout + linter.stderr


def test_one_module_imports_pickle():
    """safe_pickle.py is the only module that imports pickle, or anything else that can run code from data."""
    dangerous = {"pickle", "_pickle", "marshal", "shelve", "copyreg", "dill", "cloudpickle"}
    importers = {
        module.name for module in MODULES if dangerous & {name.partition(".")[0] for name in find_imports(module)}
    }
    assert importers == {"safe_pickle.py"}


def private_names(paths):
    """The private attributes that modules define: assigned to an object, listed in __slots__, or functions."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(read_source(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)  # of __slots__
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return {name for name in names if name.startswith("_") and not name.startswith("__") and name.isidentifier()}


def test_integrations_use_public_names_only():
    """No integration uses a private name of the core: the public seam is enough for everybody."""
    ours = [module for module in MODULES if module.parts[1] == "integrations"]
    core = private_names(module for module in MODULES if module not in ours) - private_names(ours)
    used = set()
    for module in ours:
        for node in ast.walk(ast.parse(read_source(module))):
            names = {node.attr} if isinstance(node, ast.Attribute) else set()
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
            used |= {(str(module), name) for name in names & core}
    assert "_identity" in core
    of_others = {"_key", "_replace"}  # of Hyperdiv's components, and of every named tuple
    assert {(module, name) for module, name in used if name not in of_others} == set()


def test_public_names():
    """The package itself is re-exports and its version, at most 20 names together."""
    docstring, *statements = ast.parse(read_source(Path("sealedsession/__init__.py"))).body
    assert isinstance(docstring, ast.Expr)
    imports = [statement for statement in statements if isinstance(statement, ast.ImportFrom)]
    others = [ast.unparse(statement) for statement in statements if statement not in imports]
    assert others == [f"__version__ = {sealedsession.__version__!r}"]
    names = [alias for statement in imports for alias in statement.names]
    assert all(alias.asname == alias.name and not alias.name.startswith("_") for alias in names)
    assert len(names) + 1 <= 20


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_docstring(module):
    """Every module opens with what it is for, in at most 25 lines, or 30 with the wire format."""
    docstring = ast.get_docstring(ast.parse(read_source(module)))
    assert docstring
    assert len(docstring.splitlines()) <= (30 if module.name == "sealer.py" else 25)


def public_things():
    """Every public class, function and method that a module of the package defines, by its full name."""
    for found in pkgutil.walk_packages([str(PACKAGE)], "sealedsession."):
        if found.name.endswith(("__main__", ".tetra")):
            continue  # importing the first runs it, and the others need a project of Django
        module = importlib.import_module(found.name)
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield pytest.param(thing, None, id=f"{found.name}.{name}")
            if inspect.isclass(thing):
                for member_name, member in vars(thing).items():
                    is_code = inspect.isroutine(member) or isinstance(member, property)
                    if is_code and not member_name.startswith("_"):
                        yield pytest.param(thing, member_name, id=f"{found.name}.{name}.{member_name}")


@pytest.mark.parametrize(("thing", "member"), list(public_things()))
def test_docstrings(thing, member):
    """Every public class, function and method has a docstring, its own or that of what it overrides."""
    if member is None:
        assert thing.__doc__
        assert thing.__doc__ != f"{thing.__name__}()"
        return
    docstrings = [getattr(vars(base)[member], "__doc__", None) for base in thing.__mro__ if member in vars(base)]
    assert any(docstrings)
