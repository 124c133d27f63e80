"""Amending: a changed copy of what is parked takes its place; sent bytes are sent once more."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from portico import ids
from portico.errors import NounUnknown, RequestError
from portico.flow.acts import acting, releasing
from portico.flow.acts.acting import ActingWorld, ActOutcome, TargetsFound
from portico.flow.acts.releasing import Target, Word
from portico.flow.acts.remaking import Remade
from portico.flow.arrivals.recalling import had_of
from portico.hl7 import header
from portico.ids import SignalId
from portico.journal import held
from portico.journal.contract import Act, ActRow, Added, Owed
from portico.journal.held import Held, Sent
from portico.language.content import AUTO
from portico.language.place import Place
from portico.model.delivery import Delivery
from portico.model.signal import Signal
from portico.model.states import SignalState
from portico.steps.body import open_body


class Amending:
    """The verbs. Each raises JournalError when nobody knows what was stored."""

    def __init__(self, world: ActingWorld) -> None:
        self._world = world

    async def edit(
        self, target: Target, change: Callable[[bytes], bytes], who: str
    ) -> ActOutcome:
        """A changed copy takes its place; the original is kept, and discarded. Agents that have
        concluded the original do not run the copy.

        Raises RequestError, and what `change` raises; then nothing is stored.
        """
        world = self._world
        async with world.lock:
            found = await acting.find(world, [target])
            taken = found.take(target)
            if not found.whole(taken):
                raise RequestError(f"{target.text}: its bytes are not in the journal any more")
            if why := releasing.obstacle(taken, world.destinations(), True):
                raise RequestError(f"{target.text}: {why}")
            if len({(row.kind, row.kind == "delivery" and row.number) for row in taken}) > 1:
                raise RequestError(f"several things of {target.text} are parked; name one")
            word = Word(who, world.clock.time_ns())
            edit = self._edit_delivery if taken[0].kind == "delivery" else self._edit_signal
            act, made = await edit(taken, found, change, word)
            back = found.deliveries_of(taken)
            done = acting.commit(world, target.text, act, made, back)
            (told,) = await acting.told(world, "edit", who, [done])
            return told

    async def resend(
        self, target: Target, to: str, received: bool, who: str
    ) -> list[ActOutcome]:
        """The same bytes once more, as new Deliveries of the same Signal.

        received: the bytes that came in; else those that a Delivery sent: the one named, or
        all that went to this destination. Raises RequestError, NounUnknown.
        """
        world = self._world
        async with world.lock:
            if to not in world.destinations():
                raise NounUnknown("destination", to, world.destinations())
            signal = await self._ended(target)
            sent = await held.sent(world.reader, signal.id)
            picked = _pick(target, sent, to, received)
            word = Word(who, world.clock.time_ns())
            first = max((one.number for one in sent), default=0) + 1
            parts = [
                self._again(signal.id, signal.order_key, one, to, first + n)
                for n, one in enumerate(picked)
            ]
            act_rows = tuple(
                ActRow(signal.id, "delivery", one.owed.number, "resend", who, word.at, origin)
                for one, origin in zip(parts, map(_origin, picked), strict=True)
            )
            content = [one.content if one.number else signal.content for one in picked]

            def stored(seq: int) -> None:
                for n, (one, sends) in enumerate(zip(parts, content, strict=True)):
                    world.queue(_delivery(one, seq + n, sends, signal.received))

            act = Act(act_rows, stored, acting.nobody, added=tuple(parts))
            made = ids.delivery_text(signal.id, first)
            done = [acting.commit(world, target.text, act, made)]
            return await acting.told(world, "resend", who, done)

    async def _ended(self, target: Target) -> Signal:
        """The Signal with its bytes, which nobody works on. Raises RequestError."""
        reader = self._world.reader
        state = await reader.state_of(target.signal)
        found = await held.originals(reader, [target.signal])
        if not found:
            raise RequestError(f"the journal has no bytes of Signal {target.text}")
        if state is SignalState.WAITING:
            raise RequestError(f"{target.text} is still being worked on")
        return found[0].recovered.signal

    async def _edit_signal(
        self,
        taken: list[Held],
        found: TargetsFound,
        change: Callable[[bytes], bytes],
        word: Word,
    ) -> tuple[Act, str]:
        world, recovered = self._world, found.signals[taken[0].signal]
        old = recovered.signal
        had = had_of(old).union(filter(None, recovered.agents))
        made = Remade(world.recaller, old, _changed(old.content, change), had=had)
        if made.why_not:
            raise RequestError(f"as edited, {made.why_not}; nothing was changed")
        text = ids.text(made.signal.id)
        word = Word(word.who, word.at, f"replaced by {text}")
        act = Act(
            releasing.act_rows(taken, "edit", word, made.signal.id),
            lambda seq: acting.free(world, found.keeper, taken, made.signal.id),
            acting.nobody,
            freed=releasing.keys(taken),
            arrived=(made,),
            books=releasing.books(taken, False),
        )
        return act, text

    async def _edit_delivery(
        self,
        taken: list[Held],
        found: TargetsFound,
        change: Callable[[bytes], bytes],
        word: Word,
    ) -> tuple[Act, str]:
        (row,), world = taken, self._world
        if row.waits:
            raise RequestError("other agents still work on its Signal; try again later")
        old = found.deliveries[row.signal, row.number]
        content = _changed(old.content, change)
        sent = await held.sent(world.reader, row.signal)
        number = max(one.number for one in sent) + 1
        control_id = (header.control_id(content) or b"").decode("latin-1")
        text = ids.delivery_text(row.signal, number)
        new = replace(
            old, number=number, content=content, control_id=control_id, tries=0, spent=0
        )
        box = acting.expect(world, new)

        def stored(seq: int) -> None:
            acting.put_back(world, new, box)
            acting.free(world, found.keeper, taken)

        word = Word(word.who, word.at, f"replaced by {text}")
        act = Act(
            releasing.act_rows(taken, "edit", word),
            stored,
            acting.nobody,
            freed=releasing.keys(taken),
            added=(releasing.edited(old, number, content, control_id),),
            books=releasing.books(taken, False),
        )
        return act, text

    def _again(self, signal: SignalId, key: str, one: Sent, to: str, number: int) -> Added:
        lane = self._world.lane(to, key, signal, number)
        return Added(signal, Owed(number, to, lane, one.part, None, one.control_id, one.file))


def _changed(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    made = change(content)
    if made == content:
        raise RequestError("the edit changes nothing; release it as it is")
    return made


def _pick(target: Target, sent: list[Sent], to: str, received: bool) -> list[Sent]:
    """What is to be sent once more. Raises RequestError."""
    if received:
        return [Sent(0, 0, to, "", 0, "", "", b"")]
    if target.kind == "delivery":
        picked = [one for one in sent if one.number == target.number]
    else:
        picked = [one for one in sent if one.destination == to and one.session]
    if picked:
        return picked
    there = ", ".join(f"d{one.number} (to {one.destination})" for one in sent) or "none"
    raise RequestError(
        f"{target.text} sent nothing to {to}; its Deliveries are: {there}. "
        "Name one, or ask for the bytes as received"
    )


def _origin(one: Sent) -> str:
    return f"as d{one.number}" if one.number else "as received"


def _delivery(one: Added, seq: int, content: bytes, received: int) -> Delivery:
    o = one.owed
    return Delivery(
        one.signal,
        o.number,
        seq,
        o.destination,
        o.lane,
        content,
        o.control_id,
        o.file,
        received,
    )


def editor(places: Mapping[str, str], content: bytes | None) -> Callable[[bytes], bytes]:
    """The change: other bytes, or the old ones, with these texts written at these places.

    MSH goes first: MSH-18 rules how the rest is written. The change raises MessageError when a
    place or a text does not fit the content.
    """

    def change(old: bytes) -> bytes:
        begun = old if content is None else content
        if not places:
            return begun
        body = open_body(AUTO, begun).fork()
        for place, text in sorted(places.items(), key=_headers_first):
            body.write(Place.parse(place), text)
        return body.content()

    return change


def _headers_first(written: tuple[str, str]) -> bool:
    return not written[0].startswith("MSH")
