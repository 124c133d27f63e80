"""The site's own code and tables, looked at as text: nothing of the site is ever run here."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from portico.errors import ConfigError
from portico.language import tables
from portico.language.tables import Table
from portico.spec.fields import nearest

TABLES = "transforms/tables"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong. path, line: in the site's code when it is wrong there, else empty."""

    code: str
    text: str
    hint: str = ""
    path: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the site. functions: its definitions by name, None for any other value."""

    path: str
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None]


class Transforms:
    """Modules and tables of one site, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, Module | Complaint] = {}
        self._tables: dict[str, Table | Complaint] = {}

    def table(self, name: str) -> Table | Complaint:
        """The table of that name."""
        if name not in self._tables:
            self._tables[name] = self._read_table(name)
        return self._tables[name]

    def module(self, name: str) -> Module | Complaint:
        """The module of that dotted name."""
        if name not in self._modules:
            self._modules[name] = self._read_module(name)
        return self._modules[name]

    def call(self, call: str, given: Iterable[str]) -> Complaint | None:
        """What is wrong with calling `module:function` with one value and these keywords."""
        name, _, attribute = call.partition(":")
        module = self.module(name)
        if isinstance(module, Complaint):
            return module
        if attribute not in module.functions:
            text = f"{module.path} has no function {attribute!r}"
            functions = [name for name, node in module.functions.items() if node is not None]
            return Complaint("site.unknown_function", text, nearest(attribute, functions))
        node = module.functions[attribute]
        if node is None or node.decorator_list:
            return None
        where = f"{module.path}:{node.lineno}"
        if isinstance(node, ast.AsyncFunctionDef):
            return Complaint("site.call", f"{attribute} at {where} is async", "use def")
        wrong = _misfit(node.args, set(given))
        return Complaint("site.call", f"{attribute} at {where} {wrong}") if wrong else None

    def _read_table(self, name: str) -> Table | Complaint:
        folder = self._root / TABLES
        path = folder / f"{name}.csv"
        try:
            return tables.parse(name, path.read_bytes())
        except FileNotFoundError:
            text = f"there is no table {TABLES}/{name}.csv"
            near = nearest(name, [each.stem for each in folder.glob("*.csv")])
            return Complaint("site.unknown_table", text, near)
        except OSError as error:
            text = f"{TABLES}/{name}.csv cannot be read: {error.strerror}"
            return Complaint("site.unknown_table", text)
        except ConfigError as error:
            return Complaint("site.table", str(error))

    def _read_module(self, name: str) -> Module | Complaint:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            folder = self._root.joinpath(*parts[:depth])
            if folder.is_dir() and not (folder / "__init__.py").is_file():
                missing = "/".join((*parts[:depth], "__init__.py"))
                return Complaint(
                    "site.no_init", f"{missing} is missing", "an empty file will do"
                )
        file = self._root.joinpath(*parts)
        path = next(
            (p for p in (file.with_suffix(".py"), file / "__init__.py") if p.is_file()), None
        )
        if path is None:
            text = f"there is no module {'/'.join(parts)}.py"
            near = nearest(parts[-1], [p.stem for p in file.parent.glob("*.py")])
            return Complaint("site.unknown_module", text, near)
        where = path.relative_to(self._root).as_posix()
        try:
            tree = ast.parse(path.read_bytes(), where)
        except OSError as error:
            return Complaint("site.unknown_module", f"{where} cannot be read: {error.strerror}")
        except SyntaxError as error:
            return Complaint("site.syntax", error.msg, "", where, error.lineno or 0)
        except (ValueError, RecursionError, MemoryError):
            return Complaint("site.syntax", "not readable as Python", "", where)
        return Module(where, _definitions(tree))


def lacking(table: Table, column: str | None) -> Complaint | None:
    """What is wrong with looking a column up, None being the second."""
    try:
        table.column(column)
    except ValueError as error:
        return Complaint(
            "site.unknown_column", str(error), nearest(column or "", table.columns)
        )
    return None


def _definitions(tree: ast.Module) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None]:
    """Every name that the module's top level binds, also under `if` and `try`."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None] = {}
    pending: list[ast.AST] = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found[node.name] = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(a.asname or a.name.partition(".")[0]): None for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        else:
            pending += reversed(list(ast.iter_child_nodes(node)))
    return found


def _misfit(args: ast.arguments, given: set[str]) -> str:
    """Why a call with one positional argument and these keywords fails, or nothing."""
    positional = [arg.arg for arg in (*args.posonlyargs, *args.args)]
    if not positional and args.vararg is None:
        return "takes no message; its first parameter is the message"
    required = set(positional[1 : len(positional) - len(args.defaults)])
    named = {arg.arg for arg in args.args} - set(positional[:1])
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        named.add(arg.arg)
        if default is None:
            required.add(arg.arg)
    if missing := sorted(required - given):
        return f"needs {', '.join(missing)}; add it to with"
    strange = sorted(given - named)
    if strange and (args.kwarg is None or strange[0] in positional[:1]):
        near = nearest(strange[0], named)
        return f"takes no {strange[0]!r}" + (f"; {near}" if near else "")
    return ""
