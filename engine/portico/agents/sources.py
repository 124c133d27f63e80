"""The files of the site that an agent uses, found without running any of them.

A version is a hash over them, so it is the same in the engine, which never imports site code,
and in the worker, which does.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from portico.language.tables import Tables
from portico.spec.rules import GROUP, walk

_PACKAGE = "__init__.py"
_TABLES = Path("transforms/tables")
_NAMING = {"validate": ("schema", "profile"), "llm": ("prompt", "output")}  # a file each
_LOCATION = re.compile(rb"""schemaLocation\s*=\s*["']([^"'\s:]+)["']""")  # of an XML Schema


def tables(root: Path) -> Tables:
    """The tables of a site, each read when first asked for."""
    return Tables(lambda name: (root / _TABLES / f"{name}.csv").read_bytes())


def files(document: Mapping[str, Any], root: Path) -> dict[str, bytes]:
    """Name below the root to bytes, of every file that the agent uses.

    Transforms with what they import of the site, the tables that conditions, lookups and
    `table("NAME")` name, profiles, and schemas with those that they include. A file that is
    not there is left out: compiling the plan says so.
    """
    found: dict[str, bytes] = {}
    named = set(tables_of(document))
    on_error = document.get("on_error")
    handlers = on_error.get(GROUP, ()) if isinstance(on_error, Mapping) else ()
    for step in walk([*document[GROUP], *handlers]):
        verb, args = step["verb"], step["args"]
        if verb == "python":
            _add_module(found, root, call_of(args).partition(":")[0])
        elif verb == "lookup" and isinstance(args, dict):
            named.add(str(args.get("table")))
        elif verb in _NAMING and isinstance(args, dict):
            for key in _NAMING[verb]:
                _add_file(found, root, args.get(key))
    for source in list(found.values()):
        named.update(_tables_called(source))
    for name in named:
        path = root / _TABLES / f"{name}.csv"
        if path.is_file():
            found[f"{_TABLES}/{name}.csv"] = path.read_bytes()
    return found


def _add_file(found: dict[str, bytes], root: Path, name: Any) -> None:
    """A file below the root, and those beside it that it says it includes."""
    path = (root / name).resolve() if isinstance(name, str) else root
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return
    at = str(path.relative_to(root.resolve()))
    if at not in found:
        found[at] = path.read_bytes()
        folder = Path(at).parent
        for other in _LOCATION.findall(found[at]):
            _add_file(found, root, str(folder / other.decode("utf-8", "replace")))


def call_of(args: Any) -> str:
    """`module:function` of a python step's arguments; empty when there is none."""
    call = args.get("call") if isinstance(args, dict) else args
    return call if isinstance(call, str) else ""


def top_level(name: str, root: Path) -> ModuleSpec | None:
    """A package or module of the root, found without a list of that folder."""
    package = root / name
    if (package / _PACKAGE).is_file():
        inside = [str(package)]
        return spec_from_file_location(
            name, package / _PACKAGE, submodule_search_locations=inside
        )
    module = package.with_suffix(".py")
    return spec_from_file_location(name, module) if module.is_file() else None


def _modules(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The packages above a module and the module: each with its file, from the outside in, as
    far as they are. Looked up afresh: the interpreter's own finders remember folders."""
    folder, whole = root, ""
    for part in name.split("."):
        whole = f"{whole}.{part}".lstrip(".")
        module, folder = folder / f"{part}.py", folder / part
        if (package := folder / _PACKAGE).is_file():
            yield whole, package
        elif module.is_file():
            yield whole, module
            return
        elif whole == part or not folder.is_dir():
            return


def _add_module(found: dict[str, bytes], root: Path, name: str) -> None:
    """The module's file, those of its packages, and all that they import of the site."""
    for whole, file in _modules(name, root):
        at = str(file.relative_to(root))
        if at not in found:
            found[at] = file.read_bytes()
            package = whole if file.name == _PACKAGE else whole.rpartition(".")[0]
            for imported in _imports(found[at], package):
                _add_module(found, root, imported)


def _imports(source: bytes, package: str) -> Iterator[str]:
    tree = _parsed(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join(above) + "." if node.level else ""
            base = f"{start}{node.module or ''}".strip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _tables_called(source: bytes) -> Iterator[str]:
    """Names in `table("NAME")`."""
    tree = _parsed(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            name = called.id if isinstance(called, ast.Name) else called
            if name == "table" and isinstance(node.args[0].value, str):
                yield node.args[0].value


def tables_of(value: Any) -> Iterator[str]:
    """Every NAME of an `in_table: NAME` in a document."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "in_table" and isinstance(item, str):
                yield item
            else:
                yield from tables_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tables_of(item)


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
