"""What becomes of an act that the journal does not store."""

import asyncio
from types import SimpleNamespace
from uuid import UUID

import pytest

from portico.errors import JournalRefused, JournalUnclear
from portico.flow.acts import acting
from portico.flow.acts.releasing import Target
from portico.flow.deliveries.lanes import Lanes
from portico.ids import SignalId
from portico.journal.contract import Act
from portico.model.delivery import Delivery

PARKED = Delivery(SignalId(bytes(16)), 1, 7, "lab", "k", b"MSH|", "1", "", 0)


class Refusing:
    """A journal that does not store, for this reason."""

    def __init__(self, error):
        self.error = error

    def act(self, act):
        """As journal.writer, at once."""
        act.failed(self.error)


def world(error):
    """A destination whose lanes expect one back."""
    lanes = Lanes()
    lanes.expect(PARKED.seq)
    outboxes = {"lab": SimpleNamespace(lanes=lanes, forgo=lanes.forgo)}
    return SimpleNamespace(writer=Refusing(error), outbox=outboxes.get), lanes


def act():
    """A release."""
    return Act((), acting.nothing, acting.nobody)


async def test_a_refused_release_leaves_nothing_behind():
    """It is said, and the lanes no longer keep its place aside."""
    around, lanes = world(JournalRefused("gone", "22012"))
    told = await acting.commit(around, "ID/d1", act(), back=[PARKED])
    assert (told.done, told.text) == (False, "it has changed meanwhile")
    assert not lanes.aside


async def test_a_release_that_may_be_stored_keeps_its_place():
    """Nobody knows; should it be, the lanes are told and bring it once."""
    around, lanes = world(JournalUnclear("no answer"))
    with pytest.raises(JournalUnclear):
        await acting.commit(around, "ID/d1", act(), back=[PARKED])
    assert lanes.aside == {7}


class Storing:
    """A journal with one parked Delivery, which stores at once. asked: what was read of it."""

    def __init__(self):
        self.asked = []

    async def rows(self, name, params):
        """As journal.reader."""
        self.asked.append(name)
        row = UUID(int=0), "delivery", 1, 7, "lab", "", "k", False, "AE", 1, False
        return [row] if name == "parked_rows" else []

    def act(self, act):
        """As journal.writer."""
        act.stored(0)


async def test_what_is_given_up_is_not_read_from_the_journal(time):
    """500 scanned letters are discarded with one request: nobody needs their bytes for that."""
    journal, around = Storing(), world(None)[0]
    more = {"clock": time, "lock": asyncio.Lock(), "destinations": lambda: ["lab"]}
    around = SimpleNamespace(
        writer=journal, reader=journal, outbox=around.outbox, emit=print, **more
    )

    target = Target(PARKED.signal, "delivery", 1)
    [told] = await acting.Acting(around).discard([target], "anna", "not wanted")

    assert told.done
    assert journal.asked == ["parked_rows"]
