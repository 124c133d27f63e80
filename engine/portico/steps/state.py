"""The RunState: what one run of an agent over one Signal holds in its hands."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from portico.errors import PathInvalid, StepTimeout
from portico.language import pointer
from portico.language.context import Context
from portico.language.place import AsidePlace, Place
from portico.language.tables import Table
from portico.model.verdict import Emission, LogLine, Output
from portico.steps.asking import Asking
from portico.steps.body import Body

_LOG_LINES = 100
_LOG_TEXT = 500  # characters of one line


class Limits(Struct, frozen=True):
    """What one run may use. time: nanoseconds; parts: of one split. candid: what the site's
    code raises may be told in its own words, because the message is a case's sample."""

    time: int = 30_000_000_000
    parts: int = 10_000
    candid: bool = False


class Mark(NamedTuple):
    """Where a run stood, to go back to when a step that failed shall leave no trace."""

    body: Body
    aside: dict[str, Any]
    outputs: int
    emissions: int


class RunState:
    """One run, or one part of it in a split.

    origin: the content as it came. body: as it is now; a step that changes it works on a fork
    and puts that here by `take`, so that a step that fails has changed nothing. context: for
    places, conditions and templates. outputs, emissions, logs, ledger, asking: shared with the
    parts. clock_ns: nanoseconds.
    """

    __slots__ = (
        "aside",
        "asking",
        "body",
        "clock_ns",
        "context",
        "deadline",
        "emissions",
        "ledger",
        "limits",
        "logs",
        "origin",
        "outputs",
        "signal",
        "step",
    )

    def __init__(
        self,
        signal: bytes,
        body: Body,
        envelope: Mapping[str, Any],
        tables: Mapping[str, Table],
        limits: Limits,
        clock_ns: Callable[[], int],
        asking: Asking | None = None,
    ) -> None:
        self.signal = signal
        self.body = self.origin = body
        self.aside: dict[str, Any] = {}
        self.context = Context(body.reading, envelope, self.aside, tables)
        self.limits = limits
        self.clock_ns = clock_ns
        self.deadline = clock_ns() + limits.time
        self.outputs: list[Output] = []
        self.emissions: list[Emission] = []
        self.logs: list[LogLine] = []
        self.ledger: dict[str, list[Any]] = {}  # name: verb, outcome, microseconds
        self.step = ""
        self.asking = asking or Asking(())

    def ask(self, verb: str, request: bytes) -> bytes:
        """What the engine answers to the step that runs; the run may end here (asking.py)."""
        return self.asking.ask(verb, self.step, request)

    def take(self, body: Body) -> None:
        """Go on with this content."""
        self.body = body
        self.context.view = body.reading

    def write(self, lines: Iterable[tuple[Place, str]]) -> None:
        """Write texts at places of the content, or put them aside."""
        body = self.body.fork()
        for place, text in lines:
            if isinstance(place, AsidePlace):
                self.put_aside(place, text)
            else:
                body.write(place, text)
        self.take(body)

    def put_aside(self, place: AsidePlace, value: Any) -> None:
        """Keep a JSON value under a name, or at a point below it."""
        # A mark, the parts of a split and the content may hold the very same object.
        before = copy.deepcopy(self.aside.get(place.name)) if place.tokens else None
        try:
            whole = pointer.put(before, place.tokens, value)
        except ValueError as error:
            raise PathInvalid(f"{place}: {error}") from None
        self.aside[place.name] = whole

    def part(self, body: Body, number: int) -> "RunState":
        """A run over a part of the content: its own body and asides, the same outputs."""
        context = self.context
        part = RunState.__new__(RunState)
        for name in RunState.__slots__:
            setattr(part, name, getattr(self, name))
        part.body = body
        part.aside = dict(self.aside)
        envelope = {**context.envelope, "part": number}
        part.context = Context(body.reading, envelope, part.aside, context.tables)
        return part

    def check(self, now: int) -> None:
        """Raises StepTimeout once the run's limit is over. now: of clock_ns."""
        if now >= self.deadline:
            seconds = self.limits.time / 1e9
            raise StepTimeout(f"the agent's limit of {seconds:g}s is over (limits.time)")

    def left(self) -> float:
        """Seconds until the run's limit. Raises StepTimeout once it is over."""
        now = self.clock_ns()
        self.check(now)
        return (self.deadline - now) / 1e9

    def record(self, name: str, verb: str, outcome: str, started: int) -> None:
        """Note a step's run in the ledger; in a split its runs are added up.

        The time is that of all runs, the outcome the one of the last that was not skipped.
        """
        micros = (self.clock_ns() - started) // 1000
        entry = self.ledger.get(name)
        if entry is None:
            self.ledger[name] = [verb, outcome, micros]
        else:
            entry[1] = entry[1] if outcome == "skipped" else outcome
            entry[2] += micros

    def mark(self) -> Mark:
        """Where the run stands."""
        return Mark(self.body, dict(self.aside), len(self.outputs), len(self.emissions))

    def back(self, mark: Mark) -> None:
        """Undo everything since then, but not the log lines."""
        self.take(mark.body)
        self.aside.clear()
        self.aside.update(mark.aside)
        del self.outputs[mark.outputs :]
        del self.emissions[mark.emissions :]

    def log(self, level: str, text: str) -> LogLine | None:
        """Keep a line of a transform, which is given back; a flood is cut, and says so."""
        if len(self.logs) > _LOG_LINES:
            return None
        if len(self.logs) == _LOG_LINES:
            level, text = "warning", f"more than {_LOG_LINES} lines: the others were not kept"
        line = LogLine(self.step, level, text[:_LOG_TEXT])
        self.logs.append(line)
        return line
