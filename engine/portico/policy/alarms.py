"""Alarms as states: what is measured opens one or closes it, and only a change is news.

A measure that has opened an alarm closes it again at four fifths of its limit, so that a value
that hovers there is one alarm and not a flood.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from portico.units import duration_text, size_text

EASED = 0.8  # of a limit: what has passed it is well again below this
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# (kind, scope, name): the identity of an alarm.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing looked at. opens: it is not as it should be; closes: it is well again (neither:
    as it was). text: for a person, without patient data.
    """

    kind: str
    scope: str
    name: str
    text: str
    opens: bool
    closes: bool

    @property
    def key(self) -> Key:
        """Which alarm it is about."""
        return (self.kind, self.scope, self.name)


@dataclass(frozen=True, slots=True)
class RaisedAlarm:
    """An alarm that is open. since: nanoseconds since 1970 UTC."""

    key: Key
    since: int
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is open now, and what is new in that."""

    open: Mapping[Key, RaisedAlarm]
    opened: tuple[RaisedAlarm, ...]
    closed: tuple[RaisedAlarm, ...]


def step(
    open_: Mapping[Key, RaisedAlarm], observations: Iterable[Observation], now: int
) -> Change:
    """The alarms after these observations. One that nobody looks at any more closes.

    now: nanoseconds since 1970 UTC.
    """
    after: dict[Key, RaisedAlarm] = {}
    opened = []
    for observation in observations:
        known = open_.get(observation.key)
        if known is None and observation.opens:
            after[observation.key] = made = RaisedAlarm(observation.key, now, observation.text)
            opened.append(made)
        elif known is not None and not observation.closes:
            after[observation.key] = RaisedAlarm(
                observation.key, known.since, observation.text or known.text
            )
    closed = tuple(one for key, one in open_.items() if key not in after)
    return Change(after, tuple(opened), closed)


def measured(
    kind: str, scope: str, name: str, value: float, limit: float, text: str
) -> Observation:
    """Something that must stay below its limit."""
    return Observation(kind, scope, name, text, value >= limit, value < limit * EASED)


def state(kind: str, scope: str, name: str, wrong: bool, text: str) -> Observation:
    """Something that is wrong or is not."""
    return Observation(kind, scope, name, text, wrong, not wrong)


def waiting(scope: str, name: str, age: float, limit: float, count: int) -> Observation:
    """The oldest message that waits. age, limit: seconds."""
    what = "Deliveries" if scope == "destination" else "Signals"
    text = f"{what} waiting: {count}, the oldest for more than {duration_text(limit)}"
    return measured("waiting", scope, name, age, limit, text)


def parked(scope: str, name: str, count: int, limit: int) -> Observation:
    """Messages that wait for a person."""
    return measured("parked", scope, name, count, limit, f"waiting for a person: {count}")


def certificate(name: str, left: float, limit: float) -> Observation:
    """A certificate that ends soon. left: seconds until then."""
    days = int(left // 86_400)
    text = f"the certificate ends in {days} days" if left > 0 else "the certificate has ended"
    return state("certificate_expiry", "tls", name, left < limit, text)


def disk(free: int, close: int, shut: bool) -> Observation:
    """The disk under the journal. free, close: bytes; shut: the sources are closed."""
    text = f"{size_text(free >> 20 << 20)} free, sources close below {size_text(close)}"
    return state("disk", "engine", "", shut, text)


def too_full(free: int, shut: bool, close: int, reopen: int) -> bool:
    """Whether sources are to be closed: below `close`, and from then on up to `reopen`."""
    return free < (reopen if shut else close)


def silence(
    scope: str, name: str, every: float, quiet: float, expected: bool, since_open: bool
) -> Observation:
    """A feed that has fallen silent.

    every, quiet: seconds; quiet counts inside the hours only. expected: now is inside them.
    since_open: something came after the alarm opened.
    """
    text = f"no message for more than {duration_text(every)}"
    opens = expected and quiet > every
    return Observation("silence", scope, name, text, opens, not expected or since_open)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some days. end at or before start: until that time of the next day."""

    days: tuple[str, ...]
    start: time
    end: time

    def elapsed(self, at: datetime) -> float | None:
        """Seconds since the hours that hold now began; None outside of them.

        at: in the site's time zone. Wall clock: a change to or from summer time is not seen.
        """
        for day in (at.date(), at.date() - timedelta(days=1)):
            began = datetime.combine(day, self.start, at.tzinfo)
            ends = datetime.combine(day, self.end, at.tzinfo)
            if self.end <= self.start:
                ends += timedelta(days=1)
            if DAYS[day.weekday()] in self.days and began <= at < ends:
                return (at - began).total_seconds()
        return None
