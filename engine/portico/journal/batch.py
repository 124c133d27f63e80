"""One group commit: from what waits to the statements that store it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from portico.ids import SignalId
from portico.journal import acts, columns, statements
from portico.journal.contract import Act, Conclusion, Earlier, Mark, Owed, ParkedRow, Pending
from portico.journal.known import Known
from portico.journal.pipeline import Rows
from portico.model.signal import Signal
from portico.model.states import DeliveryState, SignalState

SEQ_SHIFT = 20  # a flush holds fewer than 2**20 Signals and Deliveries

Statement = tuple[str, list[bytes]]
Books = Counter[tuple[str, str, str]]  # (scope, name, state) -> change


@dataclass(slots=True)
class Batch:
    """What one flush stores, in the order of the journal: Signals first, then Deliveries.

    number: the flush's, one more than that of the one before it; it gives every row its place.
    sent: monotonic seconds.
    """

    number: int
    arrived: list[Pending] = field(default_factory=list)
    conclusions: list[Conclusion] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    books: Books = field(default_factory=Counter)
    sent: float = 0.0

    @property
    def size(self) -> int:
        """How many items it stores."""
        return len(self.arrived) + len(self.conclusions) + len(self.marks) + len(self.acts)

    def statements(
        self, lease: str, epoch: int, window: SignalId, known: Known
    ) -> list[Statement]:
        """All of it, fence first. window: ids from here on count as repeats."""
        self.books.clear()
        out: list[Statement] = [
            (
                statements.FENCE,
                [lease.encode(), columns.int8(epoch), columns.int8(self.number)],
            )
        ]
        seq = self.number << SEQ_SHIFT
        inbound = self.inbound()
        if inbound:
            keyed = [p for p in inbound if p.signal.repeat_key]
            asked = [p.signal.repeat_key for p in keyed if not p.known]
            if keys := known.among(asked, window):
                out.append((statements.REPEATS, [columns.int8s(keys), window]))
            known.add([p.signal.repeat_key for p in keyed])
            out.append((statements.ACCEPT, self._accepts(inbound, seq)))
            if told := [p.signal for p in inbound if p.signal.about]:
                ids, about = [s.id for s in told], [s.about for s in told]
                out.append((statements.ABOUT, [columns.uuids(ids), columns.blobs(about)]))
        if self.conclusions:
            out.append((statements.CONCLUDE, self._concludes(seq + len(inbound))))
            if flagged := [c for c in self.conclusions if c.flag]:
                ids, flags = [c.signal for c in flagged], [c.flag for c in flagged]
                out.append((statements.FLAG, [columns.uuids(ids), columns.texts(flags)]))
        if self.marks:
            out.append((statements.MARK, self._marks()))
        if parked := self._parked():
            out.append((statements.PARK, _park_columns(parked)))
        if self.acts:
            out.append((acts.ACT, self._acts(seq + len(inbound))))
        out.append((statements.TALLY, self._tally()))
        return out

    def tell(self, rows: Rows) -> list[Exception]:
        """Call everybody back, in the journal's order. Returns what went wrong in callbacks."""
        found = _earlier(rows)

        def earlier(signal: Signal) -> tuple[Earlier, ...]:
            key = signal.repeat_key
            if not key:
                return ()
            before = found.get(key, ())
            if not signal.ended.startswith("refused:"):
                found[key] = (Earlier(signal.id, signal.sha256), *before)
            return before

        return self._tell(earlier)

    def tell_late(self, found: dict[bytes, tuple[Earlier, ...]]) -> list[Exception]:
        """The same for a flush whose own answer was lost; repeats by the Signal's id."""
        return self._tell(lambda signal: found.get(signal.id, ()))

    def _tell(self, earlier: Callable[[Signal], tuple[Earlier, ...]]) -> list[Exception]:
        """The fence of each callback: what one does wrong is no other's loss."""
        faults: list[Exception] = []
        seq = self.number << SEQ_SHIFT
        for pending in self.inbound():
            try:
                before = earlier(pending.signal)
                pending.stored(seq, pending.known or before)
            except Exception as fault:  # noqa: BLE001
                faults.append(fault)
            seq += 1
        for conclusion in self.conclusions:
            try:
                conclusion.stored(seq)
            except Exception as fault:  # noqa: BLE001
                faults.append(fault)
            seq += len(conclusion.owed)
        for mark in self.marks:
            try:
                mark.stored()
            except Exception as fault:  # noqa: BLE001
                faults.append(fault)
        for act in self.acts:
            try:
                act.stored(seq)
            except Exception as fault:  # noqa: BLE001
                faults.append(fault)
            seq += acts.added((act,))
        return faults

    def inbound(self) -> list[Pending]:
        """What arrived, then what the sessions of this batch emit, then what people made."""
        emitted = [p for conclusion in self.conclusions for p in conclusion.emitted]
        if self.acts:
            emitted += [p for act in self.acts for p in act.arrived]
        return self.arrived + emitted if emitted else self.arrived

    def signals(self) -> list[SignalId]:
        """Whose days it needs: of new Signals, and of those to which something is added."""
        added = [one.signal for act in self.acts for one in act.added]
        ended = [one.signal for one in self.conclusions]
        tried = [one.signal for one in self.marks]
        return [*(p.signal.id for p in self.inbound()), *ended, *tried, *added]

    def _acts(self, seq: int) -> list[bytes]:
        """seq: the first place behind the new Signals."""
        for key, n in acts.books(self.acts):
            self.books[key] += n
        seq += sum(len(conclusion.owed) for conclusion in self.conclusions)
        return acts.parameters(self.acts, self.number << SEQ_SHIFT, seq)

    def _accepts(self, inbound: list[Pending], seq: int) -> list[bytes]:
        books = self.books
        signals = [pending.signal for pending in inbound]
        for (origin, ended), n in Counter([(s.origin, s.ended) for s in signals]).items():
            books["channel", origin, "received"] += n
            books["channel", origin, _first_state(ended)] += n
        return [
            columns.int8s(range(seq, seq + len(signals))),
            columns.uuids([s.id for s in signals]),
            columns.texts([s.origin for s in signals]),
            columns.moments([s.received for s in signals]),
            columns.texts([s.type for s in signals]),
            columns.texts([s.control_id for s in signals]),
            columns.texts([s.sender for s in signals]),
            columns.texts([s.patient for s in signals]),
            columns.texts([s.order_key for s in signals]),
            columns.int8s([s.repeat_key for s in signals]),
            columns.texts([s.peer for s in signals]),
            columns.blobs([s.sha256 for s in signals]),
            columns.texts([" ".join(s.flags) for s in signals]),
            columns.maybe_uuids([s.parent for s in signals]),
            columns.texts([s.ended for s in signals]),
            columns.blobs([s.content for s in signals]),
        ]

    def _concludes(self, seq: int) -> list[bytes]:
        books = self.books
        done = [c for c in self.conclusions if c.state is not None]
        for c in done:
            books["channel", c.origin, SignalState.WAITING] -= 1
            books["channel", c.origin, c.state or ""] += 1
        owed: list[tuple[Conclusion, Owed]] = [(c, o) for c in self.conclusions for o in c.owed]
        for _, o in owed:
            books["destination", o.destination, "owed"] += 1
            books["destination", o.destination, DeliveryState.QUEUED] += 1
        rows = [c.row for c in self.conclusions]
        fresh = [(c.signal, o) for c, o in owed if o.content is not None]
        if values := [c for c in self.conclusions if c.value is not None]:
            fresh += [(c.signal, Owed(0, "", "", -c.row.number, c.value)) for c in values]
        return [
            columns.int8s([c.waiting for c in done]),
            columns.uuids([c.signal for c in self.conclusions]),
            columns.int2s([r.number for r in rows]),
            columns.texts([r.agent for r in rows]),
            columns.texts([r.version for r in rows]),
            columns.texts([r.verdict for r in rows]),
            columns.texts([r.step for r in rows]),
            columns.texts([r.error for r in rows]),
            columns.int8s([r.micros for r in rows]),
            columns.moments([r.concluded for r in rows]),
            columns.blobs([r.detail for r in rows], columns.JSON),
            columns.uuids([c.signal for c, _ in owed]),
            columns.int2s([o.number for _, o in owed]),
            columns.int2s([c.row.number for c, _ in owed]),
            columns.texts([o.destination for _, o in owed]),
            columns.texts([o.lane for _, o in owed]),
            columns.int8s(range(seq, seq + len(owed))),
            columns.texts([o.control_id for _, o in owed]),
            columns.int2s([o.part for _, o in owed]),
            columns.texts([o.file for _, o in owed]),
            columns.uuids([signal for signal, _ in fresh]),
            columns.int2s([o.part for _, o in fresh]),
            columns.blobs([o.content or b"" for _, o in fresh]),
        ]

    def _marks(self) -> list[bytes]:
        books = self.books
        gone = [m for m in self.marks if m.outcome != "retry"]
        again = [m for m in self.marks if m.outcome == "retry"]
        for m in gone:
            books["destination", m.destination, DeliveryState.QUEUED] -= 1
            books["destination", m.destination, m.outcome] += 1
        return [
            columns.texts([m.destination for m in gone]),
            columns.int8s([m.seq for m in gone]),
            columns.texts([m.destination for m in again]),
            columns.int8s([m.seq for m in again]),
            columns.int4s([m.tries for m in again]),
            columns.uuids([m.signal for m in self.marks]),
            columns.int2s([m.number for m in self.marks]),
            columns.int4s([m.tries for m in self.marks]),
            columns.moments([m.at for m in self.marks]),
            columns.texts([m.outcome for m in self.marks]),
            columns.texts([m.attempt.code for m in self.marks]),
            columns.int8s([m.attempt.micros for m in self.marks]),
            columns.texts([m.attempt.detail for m in self.marks]),
            columns.blobs([m.attempt.answer for m in self.marks]),
        ]

    def _parked(self) -> list[ParkedRow]:
        rows = [c.parked for c in self.conclusions if c.parked]
        return rows + [m.parked for m in self.marks if m.parked]

    def _tally(self) -> list[bytes]:
        changes = sorted((key, n) for key, n in self.books.items() if n)
        return [
            columns.texts([scope for (scope, _, _), _ in changes]),
            columns.texts([name for (_, name, _), _ in changes]),
            columns.texts([state for (_, _, state), _ in changes]),
            columns.int8s([n for _, n in changes]),
        ]


def _first_state(ended: str) -> SignalState:
    if not ended:
        return SignalState.WAITING
    return SignalState.REFUSED if ended.startswith("refused:") else SignalState.FILTERED


def _park_columns(rows: list[ParkedRow]) -> list[bytes]:
    return [
        columns.uuids([r.signal for r in rows]),
        columns.texts([r.kind for r in rows]),
        columns.int2s([r.number for r in rows]),
        columns.int8s([r.seq for r in rows]),
        columns.texts([r.name for r in rows]),
        columns.texts([r.agent for r in rows]),
        columns.texts([r.lane for r in rows]),
        columns.bools([r.hold for r in rows]),
        columns.texts([r.code for r in rows]),
        columns.texts([r.reason for r in rows]),
        columns.texts([r.step for r in rows]),
        columns.texts([r.at for r in rows]),
        columns.texts([r.location for r in rows]),
        columns.int4s([r.tries for r in rows]),
        columns.moments([r.since for r in rows]),
    ]


def _earlier(rows: Rows) -> dict[int, tuple[Earlier, ...]]:
    """The answer of REPEATS: by repeat key, newest first."""
    found: dict[int, tuple[Earlier, ...]] = {}
    for key, signal, sha256 in rows.get(statements.REPEATS, ()):
        assert key and signal and sha256
        number = int.from_bytes(key, "big", signed=True)
        found[number] = (*found.get(number, ()), Earlier(SignalId(signal), sha256))
    return found
