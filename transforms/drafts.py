"""What a drafted transform must be before a person gets to see it."""

import ast
from typing import Any

from portico.authoring import Permanent

MODULES = frozenset(("portico.authoring", "re", "datetime"))
NAMES = frozenset(("eval", "exec", "compile", "open", "input", "globals", "getattr", "setattr"))


def check(value: Any, transform: str, tests: str) -> None:
    """Raises Permanent unless it is Python with a `convert`, imports what a transform may and
    does nothing else; and its tests are Python with a test. Nothing of it is run here."""
    functions = {node.name for node in parsed(transform, "transform").body if named(node)}
    if "convert" not in functions:
        raise Permanent("the drafted transform has no function convert")
    for node in ast.walk(parsed(transform, "transform")):
        allowed(node)
    if not any(
        node.name.startswith("test_") for node in parsed(tests, "tests").body if named(node)
    ):
        raise Permanent("the drafted tests hold no test")


def parsed(code: str, what: str) -> ast.Module:
    """Its syntax tree. Raises Permanent."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        raise Permanent(f"the drafted {what} are no Python") from None


def named(node: ast.stmt) -> bool:
    """Whether it is a function."""
    return isinstance(node, ast.FunctionDef)


def allowed(node: ast.AST) -> None:
    """Raises Permanent for an import or a name that no transform needs."""
    imported: list[str] = []
    if isinstance(node, ast.Import):
        imported = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        imported = [node.module or "."]
    if not MODULES.issuperset(imported):
        raise Permanent("the drafted transform imports what no transform may")
    name = getattr(node, "id", getattr(node, "attr", ""))
    if name in NAMES or name.startswith("__"):
        raise Permanent("the drafted transform uses what no transform needs")
