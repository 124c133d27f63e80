"""What a parser's complaint about a site's YAML mostly means, for one who types it."""

import re

from ruamel.yaml.reader import ReaderError

from portico.spec.finding import Finding

_BARE_PATH = re.compile(r"\{[^\"']*[A-Z][A-Z0-9]{2}(-\d+(\.\d+)*)?\[")
_TEMPLATE = re.compile(r":\s+\{[A-Za-z/][^{}]*\}[^\s,}\]]")
_STRANGE_START = re.compile(r"[:\[{,-]\s*[*&!%@`]")
_COLUMN = "the keys of one mapping begin in the same column, and so do the - of one list"


def finding(error: Exception, name: str, first: int, chunk: str) -> Finding:
    """The parser's complaint in one line, with what it mostly means in a site's files."""
    if isinstance(error, ReaderError):  # it has no mark, but counts characters
        row = chunk.count("\n", 0, error.position)
        problem = f"a character that YAML does not take: U+{error.character:04X}"
        hint = f'take it out; inside of double quotes it is written "\\u{error.character:04x}"'
        return Finding(name, first + row + 1, "", problem, hint, "yaml.syntax")
    mark = getattr(error, "problem_mark", None)
    row = mark.line if mark is not None else 0
    problem = str(getattr(error, "problem", None) or "not readable as YAML")
    lines = chunk.splitlines()
    line = lines[row] if row < len(lines) else ""
    hint = _hint(line, problem)
    if problem.startswith("expected <block end>"):  # the parser's word for a line astray
        problem = "this line begins in another column than those it goes with"
    return Finding(name, first + row + 1, "", problem, hint, "yaml.syntax")


def _hint(line: str, problem: str) -> str:
    if _BARE_PATH.search(line):
        return 'inside {} a path with [ is quoted: {"OBX[*]-5": ...}'
    if "\t" in line:
        return "indent with spaces, not with tabs"
    if "${" in line:
        return 'inside {} a reference is quoted: "${env:NAME}"'
    if _STRANGE_START.search(line):
        return "quote the text"
    if _TEMPLATE.search(line):
        return 'a text that begins with { is quoted: "{PID-3.1}.pdf"'
    if "block end" in problem:
        return _COLUMN
    if problem.startswith("expected ',' or"):
        return 'a { or [ is not closed, here or above; or quote a text that holds ": "'
    if "mapping values" in problem and line.count(": ") < 2:
        return f"{_COLUMN}; or quote a text that ends with :"
    return 'quote a text that holds ": " or begins with a sign' if ": " in line else ""
