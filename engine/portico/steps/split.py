"""`split`: steps for each part of the message; afterwards the whole message goes on.

An HL7 part is a segment with what follows, to the next of its name, ORC or OBR (OBR stands
below ORC, so a part at ORC keeps its OBR), below what it carries: by default all before the
first ORC or OBR, and the last ORC and OBR above it. Its MSH-10 is `{MSH-10}.{part}`. A JSON
part is one item of a list, an XML part an element as a document of its own, a CSV part (at
`/`) one row below the names.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from portico.errors import Permanent
from portico.hl7.message import Message
from portico.hl7.view import MessageView, Segment
from portico.language.place import Hl7Place, PointerPlace
from portico.model.verdict import Kind
from portico.spec import fields
from portico.spec.fields import ONE_OR_MANY, Options
from portico.spec.rules import PlaceField
from portico.steps.body import Body, Hl7Body
from portico.steps.contract import Build, End, Step, StepType
from portico.steps.state import RunState

_GROUPS = ("ORC", "OBR")  # in this order they stand above results


class SplitOptions(Options):
    """at: a segment or a list. carry: segments by name. steps: in normal form."""

    at: PlaceField
    carry: Annotated[tuple[str, ...], ONE_OR_MANY] | None = None
    steps: list[dict[str, Any]] = Field(min_length=1)


class _Split:
    def __init__(
        self, at: Hl7Place | PointerPlace, carry: tuple[str, ...] | None, program: Step
    ) -> None:
        self._at = at
        self._carry = carry
        self._program = program

    def run(self, state: RunState) -> End | None:
        for number, body in enumerate(self._parts(state), 1):
            if number > state.limits.parts:
                raise Permanent(f"more than {state.limits.parts} parts (limits.parts)")
            end = self._program.run(state.part(body, number))
            if end is not None and end.kind not in (Kind.DROP, Kind.DELIVER):
                return end
        return None

    def _parts(self, state: RunState) -> Iterator[Body]:
        if isinstance(self._at, Hl7Place) and isinstance(state.body, Hl7Body):
            return messages(state.body.message.view, self._at, self._carry)
        return state.body.parts(self._at)


def messages(
    view: MessageView, at: Hl7Place, carry: tuple[str, ...] | None = None
) -> Iterator[Hl7Body]:
    """The parts of a message, each a message of its own, in order."""
    path = at.path
    every = list(view.segments())
    starts = {one.index for one in _chosen(view, every, at)}
    control = view.raw("MSH-10") or b""
    head = _head(every, (path.segment, *_GROUPS))
    above: dict[str, Segment] = {}
    number = 0
    for index, segment in enumerate(every):
        if index in starts:
            number += 1
            carried = _carried(head, above, path.segment, carry)
            message = _joined(view, carried, _own(every, index))
            message.set_raw("MSH-10", b"%b.%d" % (control, number))
            yield Hl7Body(message)
        above[segment.name] = segment


def _chosen(view: MessageView, every: list[Segment], at: Hl7Place) -> Iterator[Segment]:
    """The segments that `at` names; without an index all of that name."""
    named = [segment for segment in every if segment.name == at.path.segment]
    if at.path.occurrence is None and not at.path.every and at.path.where is None:
        yield from named
        return
    for path in view.expand(at.path):
        yield named[(path.occurrence or 1) - 1]


def _head(every: list[Segment], ends: tuple[str, ...]) -> list[Segment]:
    """All before the first ORC, OBR or segment of the split's own name."""
    for index, segment in enumerate(every):
        if segment.name in ends:
            return every[:index]
    return every


def _own(every: list[Segment], index: int) -> list[Segment]:
    """The segment with what follows, to the next of its name or of a group not below it."""
    name = every[index].name
    ends = (name, *_GROUPS[: _depth(name)])
    for after in range(index + 1, len(every)):
        if every[after].name in ends:
            return every[index:after]
    return every[index:]


def _depth(name: str) -> int:
    """How many kinds of group stand above a segment: none for ORC, ORC for OBR, else both."""
    return _GROUPS.index(name) if name in _GROUPS else len(_GROUPS)


def _carried(
    head: list[Segment], above: dict[str, Segment], name: str, carry: tuple[str, ...] | None
) -> list[Segment]:
    """What stands above a part. A segment's own group, ORC over OBR, is never inside it."""
    groups = [above[group] for group in _GROUPS[: _depth(name)] if group in above]
    if carry is None:
        return head + groups
    kept = [segment for segment in head if segment.name in ("MSH", *carry)]
    in_head = {segment.name for segment in kept}
    later = [above[one] for one in carry if one in above and one not in in_head and one != name]
    return kept + sorted(later, key=lambda segment: segment.index)


def _joined(view: MessageView, carried: list[Segment], own: list[Segment]) -> Message:
    lines = b"".join(segment.raw + b"\r" for segment in (*carried, *own))
    return Message(MessageView(view.mark + lines, *view.policy))


def _build(options: Any, build: Build) -> _Split:
    at = options.at
    if isinstance(at, Hl7Place):
        if at.path.field is not None or at.path.segment == "MSH":
            raise ValueError(f"a message is split at a segment, {at} is not one; try OBR")
    elif not isinstance(at, PointerPlace):
        raise ValueError(f"content is split at a segment or a list, {at} is neither; try OBR")
    for name in options.carry or ():
        if isinstance(at, PointerPlace) or Hl7Place(fields.text_of(name)).path.field:
            raise ValueError(f"carry names segments of HL7 content, {name!r} is none; try PID")
    return _Split(at, options.carry, build.program(options.steps))


SPLIT = StepType("split", "Runs steps for each part", SplitOptions, _build)
