"""Plans: an agent's document compiled, and its version.

The document is what `spec` gives, as JSON carries it: {"agent", "goal", "on", "content",
"charset": {"name", "on_error"}, "order_by", "on_error", "limits": {"time", "memory", "parts"},
"steps"}; all but agent, on and steps may be missing. Steps are in normal form (spec/rules.py);
time is in seconds, null is forever.
"""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from portico.agents import sources
from portico.agents.program import BoundStep, Fallback, Program
from portico.errors import ConfigError, ContentInvalid, PathInvalid
from portico.language.condition import Condition
from portico.language.content import AUTO, Content
from portico.language.order import Beside, Order, beside
from portico.language.place import Place
from portico.language.tables import Table, Tables
from portico.spec.rules import GROUP, OnError
from portico.steps.contract import Build, StepType
from portico.steps.state import Limits
from portico.steps.table import PLANNED, STEPS, TWINS

_LONGEST = 10**17  # nanoseconds that a timer can hold: three years stand for `forever`


class Plan(Struct, frozen=True):
    """A compiled agent. version: 16 hex digits, see `version_of`.

    program: its steps. on_error: for a content that cannot be opened. contents: by channel,
    where they differ. order_by: places of the outputs' order key, the first valued one counts;
    none: the session's. beside: other keys of theirs.
    """

    agent: str
    version: str
    program: Program
    on_error: Fallback
    content: Content = AUTO
    contents: Mapping[str, Content] = {}
    charset: str = "ascii"
    on_charset_error: str = "refuse"
    order_by: Order = Order(())
    beside: Beside | None = None
    limits: Limits = Limits()
    tables: Mapping[str, Table] = {}


def compile_plan(
    document: Mapping[str, Any], root: Path, files: Mapping[str, bytes] | None = None
) -> Plan:
    """The plan of a document; imports the transforms, so only a worker calls it.

    files: as `sources.files` gives them, where they are known. Raises ConfigError, with the
    step's file and line and what would be right.
    """
    tables = sources.tables(root)
    extras = tuple(document.get(key) or {} for key in ("charsets", "tools", "granted"))
    compiler = _Compiler(root, tables, *extras)
    content, contents = _contents(document)
    fallback = compiler.fallback(document.get("on_error") or "park")
    keys = document.get("order_by") or ()
    order = Order(
        tuple(map(Place.parse, [keys] if isinstance(keys, str) else keys)),
        tuple(map(Place.parse, document.get("beside") or ())),
    )
    charset = document.get("charset") or {}
    return Plan(
        document["agent"],
        version_of(document, root, files),
        compiler.program(document[GROUP], fallback),
        fallback,
        content,
        contents,
        charset.get("name") or "ascii",
        charset.get("on_error") or "refuse",
        order,
        beside(order),
        _limits(document.get("limits") or {}),
        tables,
    )


def version_of(
    document: Mapping[str, Any], root: Path, files: Mapping[str, bytes] | None = None
) -> str:
    """The first 16 hex digits of SHA-256 over the document and the files that it uses.

    Moving a step to another line changes nothing; imports no site code.
    """
    digest = hashlib.sha256(msgspec.json.encode(_without_lines(document), order="sorted"))
    used = sources.files(document, root) if files is None else files
    for name, content in sorted(used.items()):
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def step_type(verb: str) -> StepType:
    """The type of a verb, ours or an installed extension's; its module is loaded now.

    The catalog would do, but it knows listeners too, and workers load none. Raises ConfigError.
    """
    target = STEPS.get(verb) or TWINS.get(verb)
    for point in () if target else entry_points(group="portico.steps", name=verb):
        target = point.value
    if target is None:
        known = f"is no verb; known: {', '.join(STEPS)}"
        raise ConfigError(f"{verb!r} {'is not built yet' if verb in PLANNED else known}")
    module, _, name = target.partition(":")
    found: StepType = getattr(importlib.import_module(module), name)
    return found


class _Compiler:
    def __init__(
        self,
        root: Path,
        tables: Tables,
        charsets: Mapping[str, str],
        tools: Mapping[str, Mapping[str, str]],
        granted: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._root = root
        self._charsets = charsets
        self._tools = tools
        self._granted = granted
        self._tables = tables
        self._told: ConfigError | None = None

    def program(self, steps: Sequence[Mapping[str, Any]], fallback: Fallback) -> Program:
        """fallback: of steps that name no `on_error` of their own."""
        return Program([self._bound(step, fallback) for step in steps])

    def fallback(self, raw: Any) -> Fallback:
        on_error = OnError.parse(raw)
        program = None
        if on_error.act == GROUP:
            program = self.program(on_error.steps, Fallback("park"))
        return Fallback(on_error.act, on_error.text, on_error.ack, on_error.code, program)

    def _bound(self, step: Mapping[str, Any], fallback: Fallback) -> BoundStep:
        verb, name, at = step["verb"], step["name"], step.get("at") or ""
        try:
            if step.get("on_error") is not None:
                fallback = self.fallback(step["on_error"])
            elif verb == "validate":
                fallback = Fallback("refuse")
            when = Condition.parse(step["when"]) if step.get("when") is not None else None
            built = self._built(verb, name, at, step["args"], fallback)
            for table in sources.tables_of([step.get("when"), step["args"]]):
                self._tables[table]
        except (ConfigError, PathInvalid, ValueError) as error:
            if error is self._told:  # of an inner step: it names that one's line
                raise
            self._told = ConfigError(f"{at} {name}: {_said(error)}")
            raise self._told from error
        return BoundStep(built, name, verb, at, when, fallback)

    def _built(self, verb: str, name: str, at: str, args: Any, fallback: Fallback) -> Any:
        def inner(steps: Sequence[Mapping[str, Any]]) -> Program:
            return self.program(steps, fallback)

        if verb == GROUP:
            return inner(args)
        kind = step_type(verb)
        options = kind.options.model_validate(args)
        where = name, at, self._root
        extras = self._charsets, self._tools, self._granted.get(name) or {}
        return kind.build(options, Build(*where, self._tables, inner, *extras))


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for line in error.errors(include_input=False, include_url=False):
        hint = line.get("ctx", {}).get("hint")
        where = ".".join(map(str, line["loc"]))
        lines.append(f"{where}: {line['msg']}" + (f"; {hint}" if hint else ""))
    return "; ".join(lines)


def _contents(document: Mapping[str, Any]) -> tuple[Content, dict[str, Content]]:
    try:
        by_channel = (document.get("contents") or {}).items()
        return Content.of(document.get("content") or "auto"), {
            channel: Content.of(raw) for channel, raw in by_channel
        }
    except ContentInvalid as error:
        raise ConfigError(str(error)) from error


def _limits(raw: Mapping[str, Any]) -> Limits:
    given = Limits()
    seconds = raw.get("time", given.time / 1e9)
    time = _LONGEST if seconds is None else int(min(seconds * 1e9, _LONGEST))
    return Limits(time, raw.get("parts") or given.parts, raw.get("candid") is True)


def _without_lines(value: Any) -> Any:
    if isinstance(value, Mapping):
        step = "verb" in value  # the `at` of a split is no line
        return {k: _without_lines(v) for k, v in value.items() if not (step and k == "at")}
    return (
        [_without_lines(item) for item in value] if isinstance(value, list | tuple) else value
    )
