"""portico.flow.sessions.once: what may do harm when it is done twice is done once."""

import asyncio

import pytest

from portico.clock import moment
from portico.flow.runs import Run
from portico.flow.sessions.asking import Broker
from portico.flow.sessions.once import Once
from portico.ids import SignalId
from portico.journal.calls import OPEN, Called, Made
from portico.model.call import Call, Reply
from portico.model.signal import Signal

CALL = Call("plugin", "book", 1, b"{}")
GOOD = Reply(CALL.digest, b"{}")
AT = moment(7_000)


class RecordTwin:
    """The journal's calls: what an engine before this one left open, and what is kept."""

    def __init__(self, *left):
        self.left, self.kept = left, []

    async def find(self, signal, agent, call):
        """As journal.calls."""

    async def made(self, signal, agent, step):
        """As journal.calls."""
        return list(self.left)

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        return AT

    async def keep(self, signal, agent, call, called, opened=None):
        """As journal.calls."""
        self.kept.append((called.reply.error, called.sent, opened))


def begun(record, doer):
    """The broker, the doer's guard, and the reply to come."""
    replied, events = asyncio.get_running_loop().create_future(), []
    once = Once(doer, events.append)
    broker = Broker(record, {"plugin": once.do}, events.append)
    run = Run(Signal(SignalId(b"\1" * 16), "in", 0, b"", b""), 1, {"a"}, {})
    broker.ask("a", run, CALL, replied.set_result)
    return broker, once, replied, events


@pytest.mark.parametrize(("own", "error"), [(True, "plugin.unclear"), (False, "")])
async def test_what_a_dead_engine_left_open_is_not_done_again(own, error):
    """Its row is closed with what had left; another Signal's row says nothing of this one."""
    made = Made(CALL.digest, b"", OPEN, AT, own, target="beds.book", sent=b"out")
    record, done = RecordTwin(made), []

    async def doer(asked):
        done.append(asked)
        return Called(GOOD, sent=b"out")

    _, _, replied, events = begun(record, doer)
    reply = await replied

    assert (reply.error, reply.transient) == (error, False)
    assert record.kept == [(error, b"out", AT if own else None)]
    assert (len(done), len(events)) == ((0, 1) if own else (1, 0))


async def test_what_was_sent_is_kept_though_the_engine_stops():
    """Else the next one would have to call it unclear."""
    record, go, sent = RecordTwin(), asyncio.Event(), asyncio.Event()

    async def doer(asked):
        await asked.leaves("beds.book", b"out")
        sent.set()
        await go.wait()
        return Called(GOOD, sent=b"out")

    broker, once, replied, _ = begun(record, doer)
    await sent.wait()
    broker.stop()
    while broker.open:
        await asyncio.sleep(0)
    go.set()
    await once.settle(5)

    assert record.kept == [("", b"out", AT)]
    assert not replied.done()


async def test_what_a_person_ends_goes_on_no_longer():
    """Its row says who ended it."""
    record, ended, sent = RecordTwin(), asyncio.Event(), asyncio.Event()

    async def doer(asked):
        await asked.leaves("beds.book", b"out")
        sent.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    broker, _, _, _ = begun(record, doer)
    await sent.wait()
    [asked] = broker.asked(SignalId(b"\1" * 16))
    broker.cancel(asked)
    await asyncio.wait_for(ended.wait(), 5)
    while broker.open:
        await asyncio.sleep(0)

    assert [error for error, _, _ in record.kept] == ["call.cancelled"]
