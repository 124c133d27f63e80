"""Random walks: sessions that ask models and people while people step in at any moment (P2)."""

import asyncio
import json
import random
from collections import Counter

import pytest

from portico.errors import RequestError, StepError
from portico.flow.sessions import dispatch, resuming, reviewing
from portico.flow.sessions.asking import Broker
from portico.flow.sessions.looking import Looking
from portico.flow.sessions.reviewing import Reviewing
from portico.flow.sessions.withdrawing import Withdrawing
from portico.journal.calls import Called
from portico.model.call import Reply
from portico.model.states import SignalState as State
from portico.model.verdict import Failure, Kind, Output, SessionResult
from portico.steps.asking import Asking, Suspended
from portico.workers.backlog import NOT_RUN, Outcome


class RecordTwin:
    """The journal's calls; an answer takes a moment."""

    def __init__(self):
        self.rows = {}

    async def find(self, signal, agent, call):
        """As journal.calls."""
        await asyncio.sleep(0)
        return self.rows.get((signal, agent, call.digest))

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        await asyncio.sleep(0)
        return "opened"

    async def keep(self, signal, agent, call, called, opened=None):
        """As journal.calls; nothing that is settled is asked again."""
        await asyncio.sleep(0)
        key, reply = (signal, agent, call.digest), called.reply
        assert key not in self.rows, "it was recorded before"
        if not reply.transient:
            self.rows[key] = reply


class Walk:
    """An engine, and all who act on it."""

    def __init__(self, engine, seed):
        self.engine, self.chance, self.version = engine, random.Random(seed), 1
        self.record, self.acts, self.sent = RecordTwin(), [], 0
        told = engine.events.append
        self.reviewing = Reviewing(self.record, engine.time, told)
        self.broker = Broker(
            self.record, {"llm": self._model, "review": self.reviewing.do}, told
        )
        engine.ask = self.broker.ask
        parts = engine.shelf, engine.dispatcher, engine.running
        withdrawing = Withdrawing(*parts, engine.journal.place_of, engine.journal.waiting_at)
        engine.pool.cancel = lambda agent, signal, failure: False
        about = engine.running, engine.pool, self.broker, lambda: ("a", "b"), told
        self.looking = Looking(*about, lambda asked: "", withdrawing)

    async def _model(self, asked):
        await asked.leaves("sim:m", b"out")
        for _ in range(self.chance.randrange(6)):
            await asyncio.sleep(0)
        error, transient = self.chance.choice([*[("", False)] * 6, ("llm.http_429", True)])
        return Called(Reply(asked.call.digest, b"1", error, "", transient), "sim:m")

    def work(self):
        """The oldest item runs, by the version in force or, begun before, the one before."""
        pool = self.engine.pool
        agent, item, group, done = pool.items.pop(0)
        version = f"v{max(1, self.version - (self.chance.random() < 0.1))}"
        asking = Asking(item.replies, item.asked in ("", version))
        try:
            for verb, edition in (("llm", ""), ("llm", version), ("review", version)):
                about = {"answer": 1, "into": "found", "edition": edition}
                asking.ask(verb, "s", json.dumps(about).encode())
            result = SessionResult(Kind.DELIVER, outputs=(Output("lab"),))
        except Suspended as asks:
            result = SessionResult(Kind.CALL, "s", call=asks.call)
        except StepError as error:
            assert "do the same" not in str(error)
            transient = "llm.http_429" in str(error)
            failure = Failure("step", str(error), "s", transient=transient)
            result = SessionResult(Kind.FAULT, failure=failure)
        done(Outcome(result, version))
        if result.call or (result.failure and result.failure.transient):
            for one in [one for one in pool.items if (one[0], one[2]) == (agent, group)]:
                pool.items.remove(one)
                one[3](NOT_RUN)  # as workers.backlog: what stands behind it is given back

    async def _quietly(self, act):
        try:
            await act
        except RequestError:
            pass  # it was too late, or not yet

    def act(self, act):
        """A person does something that takes a while."""
        self.acts.append(asyncio.ensure_future(self._quietly(act)))

    def decide(self, verdicts):
        """A person decides what has waited longest."""
        for name in list(self.reviewing.waiting)[:1]:
            verdict = self.chance.choice(verdicts)
            self.act(self.reviewing.decide(name, verdict, "ann", 2))

    def step(self):
        """Something happens."""
        engine, chance = self.engine, self.chance
        what = chance.randrange(12)
        if what == 0:
            engine.resuming.follow([one for one in "ab" if chance.random() < 0.5])
        elif what == 1:
            self.sent += 1
            engine.send(str(self.sent), chance.choice("78"))
        elif what == 2:
            engine.journal.commit()
        elif what == 3 and engine.journal.waiting_rows:
            one = chance.choice(list(engine.journal.waiting_rows.values()))
            self.act(self.looking.cancel(one.id, "ann"))
        elif what == 4:
            self.decide(("approved", "edited", "rejected"))
        elif what == 5:
            engine.time.pass_(1)
        elif what == 6 and chance.random() < 0.2:
            self.version += 1
        elif engine.pool.items:
            self.work()

    async def home(self):
        """All goes on, until nothing does."""
        self.engine.resuming.follow([])
        for _ in range(4000):
            self.engine.journal.commit()
            self.decide(("approved",))
            self.engine.time.pass_(1)
            while self.engine.pool.items:
                self.work()
            await asyncio.sleep(0)
            if not self.engine.journal.waiting_rows:
                break
        self.engine.time.pass_(100)
        await asyncio.gather(*self.acts)
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_people_do_each_session_ends_once_and_memory_is_empty(
    start, monkeypatch, seed
):
    """Pauses, cancels, decisions and reloads while two agents ask a model and a person."""
    for module, name, value in (
        (dispatch, "WINDOW", 8), (dispatch, "PAGE", 2), (resuming, "PAGE", 2),
        (resuming, "_TURN", 0), (reviewing, "_LOOK", 0),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    engine = await start(agents=("a", "b"))
    walk = Walk(engine, seed)
    for _ in range(500):
        walk.step()
        await asyncio.sleep(0)
    await walk.home()

    ends = Counter((end.signal, end.row.agent) for end in engine.journal.ends)
    signals = engine.journal.signals.values()
    assert ends == {(one.id, agent): 1 for one in signals for agent in "ab"}
    assert {State.PARKED, State.DONE} <= set(engine.journal.states())
    assert (engine.dispatcher.count, engine.journal.waiting_rows) == (0, {})
    assert (walk.broker.open, dict(walk.reviewing.waiting)) == (0, {})
    assert not engine.shelf.paused
    assert not any(engine.running.waiting(one.id) for one in signals)
