"""What the journal tells of a drill once all is at rest, and what must be true of it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from drills.message import Sent
from drills.sink import Received

_MOST = 5
_ENDED = ("deliver", "drop", "refuse")
_HANDLED = ("release", "edit", "discard")  # what moves a message from its place
_CUT = 12.0  # seconds that an act may take to cut what is out


class SignalTold(NamedTuple):
    id: UUID
    seq: int
    origin: str
    control_id: str
    flags: str
    parent: UUID | None


class SessionTold(NamedTuple):
    signal: UUID
    number: int
    agent: str
    verdict: str


class DeliveryTold(NamedTuple):
    signal: UUID
    number: int
    session: int
    destination: str
    lane: str
    seq: int
    control_id: str


class AttemptTold(NamedTuple):
    signal: UUID
    number: int
    outcome: str
    at: float


class ActTold(NamedTuple):
    what: str
    signal: UUID
    kind: str
    number: int
    other: UUID | None
    job: UUID | None


class JobTold(NamedTuple):
    id: UUID
    query: str
    state: str
    total: int
    made: int
    skipped: int
    note: str


def role(name: str) -> str:
    """What a noun was called before it got other names: those end in numbers."""
    return name.rstrip("0123456789")


@dataclass(frozen=True, slots=True)
class Past:
    """All rows, signals by id."""

    signals: dict[UUID, SignalTold]
    sessions: list[SessionTold]
    deliveries: list[DeliveryTold]
    attempts: list[AttemptTold]
    acts: list[ActTold]
    jobs: list[JobTold]

    @staticmethod
    async def read(conninfo: str) -> "Past":
        """From a journal at rest."""
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:

            async def rows(kind: type[Any], table: str) -> list[Any]:
                names = ", ".join(f'"{name}"' for name in kind._fields)
                names = names.replace('"at"', "extract(epoch from at)::float8 as at")
                async with connection.cursor(row_factory=class_row(kind)) as cursor:
                    return await (
                        await cursor.execute(f"select {names} from {table}".encode())
                    ).fetchall()

            signals = await rows(SignalTold, "signal")
            return Past(
                {one.id: one for one in signals},
                await rows(SessionTold, "session"),
                await rows(DeliveryTold, "delivery"),
                await rows(AttemptTold, "attempt"),
                await rows(ActTold, "act"),
                await rows(JobTold, "job"),
            )

    def check(self) -> list[str]:
        """All that must be true of any journal at rest."""
        return [
            *some("concluded twice", self._twice()),
            *some("emitted other than once", self._emitted()),
            *some("session without its one Delivery", self._owed()),
            *some("Delivery not settled once", self._settled()),
            *some("job and its acts differ", self._jobs()),
            *some("replayed by no act, or by two", self._replayed()),
            *some("left before what goes before it", self._overtaken()),
            *some("concluded before what goes before it", self._crossed()),
        ]

    def _ended(self) -> Iterator[SessionTold]:
        return (one for one in self.sessions if one.agent and one.verdict in _ENDED)

    def _twice(self) -> Iterable[object]:
        times = Counter((one.signal, role(one.agent)) for one in self._ended())
        return (self._name(*key) for key, n in times.items() if n > 1)

    def _name(self, signal: UUID, *more: object) -> str:
        one = self.signals[signal]
        return " ".join(map(str, (one.control_id, one.origin, one.flags, signal, *more)))

    def _emitted(self) -> Iterator[object]:
        made = Counter(
            one.parent
            for one in self.signals.values()
            if one.origin == "signal:copy" and "replay" not in one.flags
        )
        due = Counter(
            one.signal
            for one in self.sessions
            if one.agent == "first" and one.verdict == "deliver"
        )
        for signal in made.keys() | due.keys():
            if signal is None or made[signal] != due[signal]:
                yield signal and self._name(signal, due[signal], made[signal])

    def _owed(self) -> Iterator[object]:
        made = Counter((one.signal, one.session) for one in self.deliveries)
        for one in self.sessions:
            due = one.verdict == "deliver" and one.agent != "first"
            if made[one.signal, one.number] != due:
                yield self._name(one.signal, one.agent, one.verdict)

    def _settled(self) -> Iterator[object]:
        taken = Counter(
            (one.signal, one.number) for one in self.attempts if one.outcome == "delivered"
        )
        given_up = {
            (act.signal, act.number)
            for act in self.acts
            if act.what in ("discard", "edit") and act.kind == "delivery"
        }
        for one in self.deliveries:
            key = one.signal, one.number
            if taken[key] + (key in given_up) != 1:
                yield self._name(one.signal, f"d{one.number}", one.destination, taken[key])

    def _jobs(self) -> Iterator[object]:
        for job in self.jobs:
            acts = [act for act in self.acts if act.job == job.id]
            made = len({act.other for act in acts if act.other})
            skipped = sum(act.other is None for act in acts)
            if (made, skipped) != (job.made, job.skipped) or len(acts) != made + skipped:
                yield job, made, skipped
            elif job.state not in ("done", "cancelled"):
                yield job
            elif job.state == "done" and made + skipped != job.total:
                yield job

    def _replayed(self) -> Iterator[object]:
        made = Counter(act.other for act in self.acts if act.other)
        for one in self.signals.values():
            if made[one.id] != ("replay" in one.flags):
                yield self._name(one.id)
        for act in self.acts:
            if act.other and self.signals[act.other].parent != act.signal:
                yield self._name(act.other)

    def _handled(self) -> set[UUID]:
        return {act.signal for act in self.acts if act.what in _HANDLED}

    def _overtaken(self) -> Iterator[object]:
        handled = self._handled()
        last: dict[tuple[UUID, int], float] = {}
        for one in self.attempts:
            key = one.signal, one.number
            last[key] = max(one.at, last.get(key, 0.0))
        lanes = defaultdict[tuple[str, str], list[DeliveryTold]](list)
        for one in sorted(self.deliveries, key=lambda one: one.seq):
            if one.signal not in handled and (one.signal, one.number) in last:
                lanes[role(one.destination), one.lane].append(one)
        for lane in lanes.values():
            for before, after in pairwise(lane):
                if last[before.signal, before.number] > last[after.signal, after.number]:
                    yield self._name(after.signal, after.destination, "before", before.seq)

    def _crossed(self) -> Iterator[object]:
        """What an agent made of an order key's Signals came in their order; one that comes and
        goes may, after a restart, be given what waited for others since before it came."""
        left_out = self._handled() | self._recorded()
        agents = {(one.signal, one.number): role(one.agent) for one in self.sessions}
        lanes = defaultdict[tuple[str, str, str], list[DeliveryTold]](list)
        for one in sorted(self.deliveries, key=lambda one: one.seq):
            stays = one.session and one.destination != "annex"
            if stays and one.signal not in left_out:
                agent = agents[one.signal, one.session]
                lanes[agent, role(one.destination), one.lane].append(one)
        for lane in lanes.values():
            for before, after in pairwise(lane):
                if self.signals[before.signal].seq > self.signals[after.signal].seq:
                    yield self._name(before.signal, before.destination, "and", after.signal)

    def _recorded(self) -> set[UUID]:
        """Replays by the versions of then: they have a line of their own."""
        jobs = {one.id for one in self.jobs if json.loads(one.query).get("as_recorded")}
        return {act.other for act in self.acts if act.other and act.job in jobs}

    def due(self, origin: str, sent: Iterable[Sent], agents: Sequence[str]) -> list[str]:
        """Each acknowledged message is one Signal, and these agents have ended it, and every
        replay of it by today's agents, unless a person gave it up."""
        repeats = {one.signal for one in self.sessions if one.verdict == "duplicate"}
        ended = {(one.signal, role(one.agent)) for one in self._ended()}
        gone = {
            act.signal
            for act in self.acts
            if act.what in ("discard", "edit") and act.kind == "signal"
        }
        ours = [
            one
            for one in self.signals.values()
            if role(one.origin) == origin and one.id not in repeats
        ]
        first = Counter(one.control_id for one in ours if "replay" not in one.flags)
        names = [one.control_id for one in sent]
        missed = [
            self._name(one.id, agent)
            for one in ours
            if one.id not in gone | self._recorded()
            for agent in agents
            if (one.id, agent) not in ended
        ]
        return [
            *some("acknowledged, not one Signal", (n for n in names if first[n] != 1)),
            *some("not run", missed),
        ]

    def taken(self, got: Sequence[Received], name: str, cuts: Sequence[float]) -> list[str]:
        """A sink took what the journal says it took; more only where something was cut."""
        marked = {
            (one.signal, one.number) for one in self.attempts if one.outcome == "delivered"
        }
        owed = Counter(
            one.control_id
            for one in self.deliveries
            if role(one.destination) == name and (one.signal, one.number) in marked
        )
        times = defaultdict[str, list[float]](list)
        for one in got:
            if one.settled:
                times[one.control_id].append(one.at)
        never = [key for key, n in owed.items() if len(times[key]) < n]
        more = [
            (key, owed[key], len(at))
            for key, at in times.items()
            if len(at) - owed[key] > sum(at[0] - _CUT <= cut <= at[-1] for cut in cuts)
        ]
        return [*some("marked, never taken", never), *some("taken too often", more)]


def some(what: str, found: Iterable[object]) -> list[str]:
    """A fault in words, with its first witnesses."""
    every = [str(one) for one in found]
    return [f"{len(every)} {what}: {every[:_MOST]}"] if every else []
