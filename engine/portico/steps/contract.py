"""What a step must do, and what it is given.

A verb is a StepType: a value at the end of its module, and one line in steps/table.py. A step
reads and changes the RunState; it ends the Signal's way by returning an End, and fails by
raising StepError or MessageError, whose text holds no patient data. What it sends, emits and
puts aside counts only when the run ends well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from portico.language.tables import Tables
from portico.model.verdict import Failure, Kind, Refusal
from portico.spec.fields import Options
from portico.steps.state import RunState


class End(Struct, frozen=True, gc=False):
    """The way ends here, before the last step. step: the name of the one that decided.

    DELIVER ends it well: what was sent so far goes out. In a split, DELIVER and DROP end the
    part alone.
    """

    kind: Kind
    step: str = ""
    refusal: Refusal | None = None
    failure: Failure | None = None
    hold: bool = False


class Step(Protocol):
    """One compiled step; it keeps nothing between two runs."""

    def run(self, state: RunState) -> End | None:
        """Do it once; None goes on with the next step."""
        ...


@dataclass(frozen=True, slots=True)
class Build:
    """What a step may use while it is compiled.

    name: the step's. at: `file:line` where it stands. root: the site's folder. tables: read
    when first asked for. program: compiles inner steps in normal form (spec/rules.py) into one.
    charsets: MSH-18 by destination, of those that want a character set of their own. tools:
    `input` and `output` schemas as JSON texts, by `plugin.tool`. granted: what a model may use
    here (llm.granted.Frozen.plain).
    """

    name: str
    at: str
    root: Path
    tables: Tables
    program: Callable[[Sequence[Mapping[str, Any]]], Step]
    charsets: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    granted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepType:
    """One verb. options: the shape of its argument; `Options.short` is its short form.

    build: makes the step. Raises ConfigError, ValueError or PathInvalid, with what would be
    right, when the options fit their shape and still cannot work.
    """

    verb: str
    summary: str
    options: type[Options]
    build: Callable[[Any, Build], Step]
