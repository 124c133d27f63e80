"""From what a session decided to what the journal keeps of it, and to what leaves."""

from collections.abc import Callable, Iterator

from msgspec import json

from portico.flow.runs import Run
from portico.ids import SignalId
from portico.journal.contract import Owed, ParkedRow
from portico.model.delivery import Delivery
from portico.model.signal import Signal
from portico.model.verdict import Failure, Output, SessionResult

Lane = Callable[[str, str, SignalId, int], str]
Name = Callable[[Run, Output, int], str]


def owed(run: Run, outputs: tuple[Output, ...], lane: Lane, name: Name) -> tuple[Owed, ...]:
    """Numbers, lanes, names and bodies; bytes that an earlier output has are stored once.

    lane: of (destination, order key, Signal, Delivery). name: of the file, empty for none.
    """
    made, parts = [], {run.signal.content: 0}
    for output in outputs:
        run.deliveries += 1
        number, content = run.deliveries, output.content
        part = 0 if content is None else parts.setdefault(content, number)
        key = run.signal.order_key if output.order_key is None else output.order_key
        made.append(
            Owed(
                number,
                output.destination,
                lane(output.destination, key, run.signal.id, number),
                part,
                content if part == number else None,
                output.control_id,
                name(run, output, number),
            )
        )
    return tuple(made)


def deliveries(
    signal: Signal, made: tuple[Owed, ...], outputs: tuple[Output, ...], seq: int
) -> Iterator[Delivery]:
    """The Deliveries of a committed conclusion; seq: the first one's place."""
    for offset, (one, output) in enumerate(zip(made, outputs, strict=True)):
        yield Delivery(
            signal.id,
            one.number,
            seq + offset,
            one.destination,
            one.lane,
            signal.content if output.content is None else output.content,
            one.control_id,
            one.file,
            signal.received,
        )


def parked(run: Run, agent: str, tries: int, hold: bool, why: Failure, now: int) -> ParkedRow:
    """What waits for a person after this session of a Signal."""
    return ParkedRow(
        run.signal.id,
        "signal",
        run.sessions,
        run.seq,
        run.signal.origin,
        now,
        agent=agent,
        lane=run.signal.order_key,
        hold=hold,
        code=why.code,
        reason=why.text,
        step=why.step,
        at=why.at,
        location=why.location,
        tries=tries,
    )


def detail(result: SessionResult) -> bytes:
    """What `show` tells of a session; empty parts are left out."""
    parts = {
        "runs": result.runs,
        "refusal": result.refusal,
        "failure": result.failure,
        "logs": result.logs,
    }
    return json.encode({name: part for name, part in parts.items() if part})
