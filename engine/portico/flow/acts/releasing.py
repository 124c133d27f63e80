"""What is done when a person releases, discards or edits what is parked: acts as values.

A Signal's parked sessions go together, each of its Deliveries for itself. Nothing here reads
or writes; flow/acts/acting.py does both.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portico import ids
from portico.ids import SignalId
from portico.journal.contract import ActRow, Added, Owed, Requeued
from portico.journal.held import Held, KeptKey
from portico.model import lane as names
from portico.model.delivery import Delivery
from portico.model.states import DeliveryState, SignalState

Book = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Target:
    """What a person names: a Signal with all that is parked of it (`kind` empty), its
    sessions (`signal`), or one Delivery (`delivery`, number).
    """

    signal: SignalId
    kind: str = ""
    number: int = 0

    def covers(self, row: Held) -> bool:
        """Whether that parked row is meant."""
        if row.signal != self.signal or (self.kind and row.kind != self.kind):
            return False
        return self.kind != "delivery" or row.number == self.number

    @property
    def text(self) -> str:
        """As people write it."""
        word = ids.text(self.signal)
        if self.kind == "delivery":
            return ids.delivery_text(self.signal, self.number)
        return f"{word}/s" if self.kind else word


@dataclass(frozen=True, slots=True)
class Word:
    """Who says it, when (nanoseconds since 1970 UTC), and why."""

    who: str
    at: int
    reason: str = ""


def parse(text: str) -> Target:
    """`ID`, `ID/s1` (its sessions), `ID/d2` (one Delivery). Raises ValueError."""
    head, _, part = text.strip().partition("/")
    signal = ids.parse(head)
    if not part:
        return Target(signal)
    if part[0] == "s" and (part[1:].isdigit() or part == "s"):
        return Target(signal, "signal")
    if part[0] == "d" and part[1:].isdigit():
        return Target(signal, "delivery", int(part[1:]))
    raise ValueError(text)


def obstacle(rows: Sequence[Held], destinations: Iterable[str], back: bool) -> str:
    """Why these cannot be acted on now; empty when they can. back: they are to be released."""
    if not rows:
        return "nothing of it is parked"
    if any(row.waits for row in rows if row.kind == "signal"):
        return "other agents still work on it; try again once they have concluded"
    gone = {row.name for row in rows if row.kind == "delivery"} - set(destinations)
    if back and gone:
        return f"the site has no destination {', '.join(sorted(gone))} any more; discard it"
    return ""


def act_rows(
    rows: Sequence[Held], what: str, word: Word, other: SignalId | None = None
) -> tuple[ActRow, ...]:
    """What is kept of it."""
    return tuple(
        ActRow(
            row.signal,
            row.kind,
            row.number,
            what,
            word.who,
            word.at,
            word.reason,
            row.tries,
            other,
        )
        for row in rows
    )


def keys(rows: Sequence[Held]) -> tuple[tuple[SignalId, str, int], ...]:
    """The parked rows themselves."""
    return tuple((row.signal, row.kind, row.number) for row in rows)


def books(rows: Sequence[Held], back: bool) -> tuple[Book, ...]:
    """From parked to queued or waiting again, or to discarded."""
    changes: list[Book] = []
    signals = {row.signal: row.name for row in rows if row.kind == "signal"}
    for origin in signals.values():
        now = SignalState.WAITING if back else SignalState.DISCARDED
        changes += [("channel", origin, SignalState.PARKED, -1), ("channel", origin, now, 1)]
    for row in rows:
        if row.kind == "delivery":
            to = DeliveryState.QUEUED if back else DeliveryState.DISCARDED
            left = ("destination", row.name, DeliveryState.PARKED, -1)
            changes += [left, ("destination", row.name, to, 1)]
    return tuple(changes)


def waits(rows: Sequence[Held]) -> tuple[tuple[int, SignalId, str], ...]:
    """The Signals that wait again, at their old places."""
    found = {
        row.signal: (row.seq, row.signal, row.name) for row in rows if row.kind == "signal"
    }
    return tuple(found.values())


def requeued(deliveries: Iterable[Delivery]) -> tuple[Requeued, ...]:
    """The Deliveries that are queued again, at their old places."""
    return tuple(
        Requeued(one.signal, one.number, one.destination, one.seq, one.lane, one.tries)
        for one in deliveries
    )


class Keeper:
    """What is kept for a person, while acts let go of it one by one."""

    def __init__(self, holds: Iterable[KeptKey]) -> None:
        self._holds = {(one.signal, one.kind, one.number): one for one in holds}
        self._kept = Counter(key for one in self._holds.values() for key in _keys(one))

    def let_go(self, rows: Sequence[Held]) -> list[KeptKey]:
        """These rows are gone: order keys and lanes that nothing keeps now, one key each."""
        ours = [hold for key in keys(rows) if (hold := self._holds.pop(key, None))]
        gone = [key for hold in ours for key in _keys(hold)]
        self._kept.subtract(gone)
        loose = dict.fromkeys(key for key in gone if not self._kept[key])
        return [KeptKey(*key, SignalId(b""), 0) for key in loose]


def _keys(hold: KeptKey) -> list[tuple[str, str, str, str]]:
    return [(hold.kind, hold.name, hold.agent, key) for key in names.keys(hold.lane)]


def edited(old: Delivery, number: int, content: bytes, control_id: str) -> Added:
    """The Delivery that takes the place of a parked one, with other bytes."""
    owed = Owed(number, old.destination, old.lane, number, content, control_id, old.file)
    return Added(old.signal, owed, old.seq)
