"""Acting: a person releases, discards, edits or resends messages of a running engine.

One person at a time (`ActingWorld.lock`, which a reload holds too): what is read before an act
is what the writer finds. Each act is one transaction; memory follows once it is committed, and
before it is asked for, the lanes and the dispatcher are told that it may come, so that what
they read of the journal meanwhile brings nothing twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from portico.clock import Clock
from portico.errors import JournalError, JournalRefused
from portico.events.acting import MessagesActed
from portico.events.emit import Emit
from portico.flow import rows
from portico.flow.acts import releasing
from portico.flow.acts.releasing import Keeper, Target, Word
from portico.flow.arrivals.recalling import Recaller
from portico.flow.deliveries.delivering import Outbox
from portico.flow.sessions.dispatch import Dispatcher
from portico.flow.sessions.running import Running
from portico.ids import SignalId
from portico.journal import held
from portico.journal.contract import Act, Recovered, Writer
from portico.journal.held import Held
from portico.journal.reader import Reader
from portico.model.delivery import Delivery

_NAMED = 50  # Signals that an event names
_TURN = 25  # messages that are released in one turn of the loop

_LATER = "what goes before it has not left yet; it stays parked: try again later"


class ActOutcome(Struct, frozen=True):
    """What became of one target. made: the Signal or Delivery that came of it. later: not now,
    for what was released before it is to leave first."""

    target: str
    done: bool
    text: str = ""
    made: str = ""
    later: bool = False


@dataclass(frozen=True, slots=True)
class ActingWorld:
    """What acting needs of the engine. outbox: of a destination, None when the site has none;
    lane, queue: as flow/sessions/running.py's.
    """

    writer: Writer
    reader: Reader
    clock: Clock
    emit: Emit
    recaller: Recaller
    dispatcher: Dispatcher
    running: Running
    outbox: Callable[[str], Outbox | None]
    destinations: Callable[[], Iterable[str]]
    lane: rows.Lane
    queue: Callable[[Delivery], None]
    lock: asyncio.Lock


@dataclass(frozen=True, slots=True)
class TargetsFound:
    """What the journal says of the targets of one call."""

    rows: dict[SignalId, list[Held]]
    signals: dict[SignalId, Recovered]
    deliveries: dict[tuple[SignalId, int], Delivery]
    keeper: Keeper

    def take(self, target: Target) -> list[Held]:
        """The rows that a target means; each is taken once."""
        mine = self.rows.get(target.signal, [])
        taken = [row for row in mine if target.covers(row)]
        mine[:] = [row for row in mine if row not in taken]
        return taken

    def deliveries_of(self, taken: Sequence[Held]) -> list[Delivery]:
        """The Deliveries among these rows."""
        keyed = (self.deliveries.get((row.signal, row.number)) for row in _sent(taken))
        return [one for one in keyed if one is not None]

    def whole(self, taken: Sequence[Held]) -> bool:
        """The journal still has the bytes of all of them."""
        if len(self.deliveries_of(taken)) < len(_sent(taken)):
            return False
        return all(row.signal in self.signals for row in taken if row.kind == "signal")


class Acting:
    """The verbs. Each raises JournalError when nobody knows what was stored."""

    def __init__(self, world: ActingWorld) -> None:
        self._world = world

    async def release(self, targets: Sequence[Target], who: str) -> list[ActOutcome]:
        """Parked Deliveries go back to their places, parked Signals to their agents."""
        async with self._world.lock:
            found = await find(self._world, targets)
            word = Word(who, self._world.clock.time_ns())
            done = []
            for n, target in enumerate(targets):
                done.append(self._release(target, found, word))
                if n % _TURN == _TURN - 1:
                    await asyncio.sleep(0)  # others' messages go between
            return await told(self._world, "release", who, done)

    async def discard(
        self, targets: Sequence[Target], who: str, reason: str
    ) -> list[ActOutcome]:
        """They are given up for good, with the reason."""
        async with self._world.lock:
            found = await find(self._world, targets, content=False)
            word = Word(who, self._world.clock.time_ns(), reason)
            done = [self._discard(target, found, word) for target in targets]
            return await told(self._world, "discard", who, done)

    def _release(
        self, target: Target, found: TargetsFound, word: Word
    ) -> "asyncio.Future[ActOutcome]":
        world, taken = self._world, found.take(target)
        if why := releasing.obstacle(taken, world.destinations(), True):
            return _refused(target, why)
        if not found.whole(taken):
            return _refused(target, "its bytes are not in the journal any more")
        back, waits = found.deliveries_of(taken), releasing.waits(taken)
        if _crowded(world, back, waits):
            return _refused(target, _LATER, later=True)
        boxes = [(one, expect(world, one)) for one in back]
        for seq, _, _ in waits:
            world.dispatcher.expect(seq)

        def stored(seq: int) -> None:
            for delivery, box in boxes:
                put_back(world, delivery, box)
            for _, signal, _ in waits:
                run = world.recaller.recall(found.signals[signal], None)
                if run is not None:
                    world.dispatcher.resume(run)
            free(world, found.keeper, taken)

        act = Act(
            releasing.act_rows(taken, "release", word),
            stored,
            nobody,
            freed=releasing.keys(taken),
            waits=waits,
            queued=releasing.requeued(back),
            books=releasing.books(taken, True),
        )
        return commit(world, target.text, act, back=back)

    def _discard(
        self, target: Target, found: TargetsFound, word: Word
    ) -> "asyncio.Future[ActOutcome]":
        world, taken = self._world, found.take(target)
        if why := releasing.obstacle(taken, world.destinations(), False):
            return _refused(target, why)

        def stored(seq: int) -> None:
            for row in _sent(taken):
                forgo(world, row.name, row.seq)
            free(world, found.keeper, taken)

        act = Act(
            releasing.act_rows(taken, "discard", word),
            stored,
            nobody,
            freed=releasing.keys(taken),
            books=releasing.books(taken, False),
        )
        return commit(world, target.text, act)


async def find(
    world: ActingWorld, targets: Sequence[Target], *, content: bool = True
) -> TargetsFound:
    """What the journal says of these. content: with what was received and is to be sent."""
    reader = world.reader
    signals = [target.signal for target in targets]
    rows = await held.rows_of(reader, signals)
    grouped: dict[SignalId, list[Held]] = {}
    for row in rows:
        grouped.setdefault(row.signal, []).append(row)
    return TargetsFound(
        grouped,
        await held.signals_of(reader, signals) if content else {},
        await held.deliveries_of(reader, signals) if content else {},
        Keeper(await held.holds(reader, rows)),
    )


async def told(
    world: ActingWorld, what: str, who: str, done: Sequence["asyncio.Future[ActOutcome]"]
) -> list[ActOutcome]:
    """What became of each, once it is known; the event of it."""
    outcomes = await asyncio.gather(*done)
    if acted := [one.target for one in outcomes if one.done]:
        signals = dict.fromkeys(target.partition("/")[0] for target in acted)
        world.emit(MessagesActed(what, who, len(acted), tuple(signals)[:_NAMED]))
    return outcomes


def free(
    world: ActingWorld, keeper: Keeper, taken: list[Held], first: SignalId | None = None
) -> None:
    """What nothing keeps any more goes on. first: a Signal that runs before what waited."""
    for hold in keeper.let_go(taken):
        if hold.kind == "signal":
            world.running.free(hold.name, hold.agent, hold.lane, first)
        elif box := world.outbox(hold.name):
            box.free(hold.lane)


def expect(world: ActingWorld, delivery: Delivery) -> Outbox | None:
    """The outbox that will have it back; its own reading passes it by from now on."""
    box = world.outbox(delivery.destination)
    if box is not None:
        box.expect(delivery)
    return box


def put_back(world: ActingWorld, delivery: Delivery, box: Outbox | None) -> None:
    """It is committed. An outbox that has come since has read it from the journal."""
    if box is not None and box is world.outbox(delivery.destination):
        box.put_back(delivery)


def forgo(world: ActingWorld, destination: str, place: int) -> None:
    """Its outbox does not have it back: it is kept aside no more."""
    if box := world.outbox(destination):
        box.forgo(place)


def commit(
    world: ActingWorld, target: str, act: Act, made: str = "", back: Sequence[Delivery] = ()
) -> "asyncio.Future[ActOutcome]":
    """Its outcome, once it is known. back: what outboxes expect to have back of it."""
    done = stored(world.writer, act)

    async def outcome() -> ActOutcome:
        try:
            await done
        except JournalRefused:
            for one in back:
                forgo(world, one.destination, one.seq)
            return ActOutcome(target, False, "it has changed meanwhile")
        return ActOutcome(target, True, "", made)

    return asyncio.ensure_future(outcome())


def stored(writer: Writer, act: Act) -> "asyncio.Future[None]":
    """Hand it to the writer; done once it is stored, or with why nobody knows that it is."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(seq: int) -> None:
        try:
            act.stored(seq)
        finally:
            if not done.done():
                done.set_result(None)

    def failed(error: JournalError) -> None:
        if not done.done():
            done.set_exception(error)

    writer.act(replace(act, stored=told, failed=failed))
    return done


def _refused(target: Target, why: str, later: bool = False) -> "asyncio.Future[ActOutcome]":
    future: asyncio.Future[ActOutcome] = asyncio.get_running_loop().create_future()
    future.set_result(ActOutcome(target.text, False, why, later=later))
    return future


def _crowded(
    world: ActingWorld, back: Sequence[Delivery], waits: Sequence[tuple[int, SignalId, str]]
) -> bool:
    """What is released comes into memory, however much more waits: only so much at a time."""
    boxes = (world.outbox(one.destination) for one in back)
    crowded = any(world.dispatcher.crowded(origin, seq) for seq, _, origin in waits)
    return crowded or any(box and box.crowded for box in boxes)


def nothing(seq: int) -> None:
    """Memory follows in no way."""


def nobody(error: JournalError) -> None:
    """Who waits for `stored` hears of it."""


def _sent(taken: Sequence[Held]) -> list[Held]:
    return [row for row in taken if row.kind == "delivery"]
