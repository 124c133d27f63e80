"""What becomes of an act that the journal does not store."""

from types import SimpleNamespace

import pytest

from portico.errors import JournalRefused, JournalUnclear
from portico.flow.acts import acting
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
