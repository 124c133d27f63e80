"""Sessions that have no verdict: where they are, and how a person ends them (promise P4)."""

import asyncio

import pytest

from portico.errors import RequestError
from portico.flow.sessions.asking import Broker
from portico.flow.sessions.looking import Looking
from portico.flow.sessions.withdrawing import Withdrawing
from portico.model.call import Call
from portico.model.states import SignalState as State
from portico.model.verdict import Kind, SessionResult
from portico.workers.crew import ItemLook


def withdrawing(engine):
    """Of what is paused."""
    parts = engine.shelf, engine.dispatcher, engine.running
    return Withdrawing(*parts, engine.journal.place_of, engine.journal.waiting_at)


class Door:
    """The pool twin as sessions look into it: everything of it waits in a queue."""

    def __init__(self, pool):
        self.pool = pool

    def look(self, agent, signal):
        """As workers.pool."""
        places = [item.signal for name, item, _, _ in self.pool.items if name == agent]
        return ItemLook(places.index(signal) + 1) if signal in places else None

    def cancel(self, agent, signal, failure):
        """As workers.pool, at once."""
        for at, (name, item, _, _) in enumerate(self.pool.items):
            if (name, item.signal) == (agent, signal):
                self.pool.answer(SessionResult(Kind.FAULT, failure=failure), at)
                return True
        return False


class RecordTwin:
    """The journal's calls: none was made before."""

    async def find(self, signal, agent, call):
        """As journal.calls."""
        return None


class Bench:
    """An engine with some messages of one order key, and who looks at it."""

    def __init__(self, engine, doer):
        self.engine = engine
        self.broker = Broker(RecordTwin(), {"llm": doer}, engine.events.append)
        door = Door(engine.pool)
        around = lambda: ("a", "b"), engine.events.append, lambda asked: "", withdrawing(engine)
        self.looking = Looking(engine.running, door, self.broker, *around)

    def signal(self, number):
        """The id of the message that came in that place."""
        return list(self.engine.journal.signals.values())[number].id

    def where(self, number):
        """`state place` of its one session."""
        return [f"{one.state} {one.place}" for one in self.looking.places(self.signal(number))]


@pytest.fixture
async def bench(start):
    """Three messages in order."""
    engine = await start()
    for control_id in "123":
        engine.send(control_id)
    engine.journal.commit()

    async def doer(asked):
        await asyncio.Event().wait()

    return Bench(engine, doer)


async def test_what_waits_for_a_retry_ends_at_once_and_the_key_goes_on(bench):
    """Those behind it run in their order; its own timer finds nothing more to do."""
    engine = bench.engine
    engine.pool.fault(transient=True)
    engine.pool.answer()
    engine.pool.answer()
    assert bench.where(0) == bench.where(2) == ["waiting 0"]

    assert await bench.looking.cancel(bench.signal(0), "ann") == ["a"]
    engine.journal.commit()

    assert engine.pool.control_ids == ["2", "3"]
    assert bench.where(2) == ["queued 2"]
    (end,) = engine.journal.ends
    assert (end.parked.code, end.parked.reason) == ("step.cancelled", "cancelled by ann")
    assert end.state is State.PARKED
    engine.time.pass_(100)
    assert engine.pool.control_ids == ["2", "3"]


async def test_what_waits_behind_another_ends_when_its_turn_comes(bench):
    """The one before it keeps its wait."""
    engine = bench.engine
    engine.pool.fault(transient=True)
    engine.pool.answer()
    engine.pool.answer()

    await bench.looking.cancel(bench.signal(1), "ann")
    assert not engine.journal.ends and not engine.pool.items
    engine.time.pass_(2)

    assert engine.pool.control_ids == ["1", "3"]


async def test_a_session_that_waits_for_a_model_ends_and_nobody_is_asked_again(bench):
    """The call is given up, and what stood behind goes on."""
    engine = bench.engine
    call = Call("llm", "triage", 1, b"{}")
    engine.pool.answer(SessionResult(Kind.CALL, "triage", call=call))
    engine.pool.answer()
    engine.pool.answer()
    ((agent, _, replied),) = engine.asked
    run = engine.running.waiting(bench.signal(0))[0].run
    bench.broker.ask(agent, run, call, replied)
    await asyncio.sleep(0)
    assert bench.where(0) == ["asking 0"]

    assert await bench.looking.cancel(bench.signal(0), "ann") == ["a"]
    while bench.broker.open:
        await asyncio.sleep(0)
    engine.journal.commit()

    assert [end.parked.code for end in engine.journal.ends] == ["step.cancelled"]
    assert engine.pool.control_ids == ["2", "3"]


async def test_what_has_a_verdict_cannot_be_ended(bench):
    """Nothing changes, and it is said."""
    bench.engine.pool.deliver("his")

    with pytest.raises(RequestError, match="no session of this Signal"):
        await bench.looking.cancel(bench.signal(0), "ann")
    assert not [one for one in bench.engine.events if "Cancelled" in type(one).__name__]
