"""What an act on parked messages does, as values: targets, books, what is let go."""

import pytest

from portico import ids
from portico.flow.acts import releasing
from portico.flow.acts.releasing import Keeper, Target
from portico.ids import SignalId
from portico.journal.held import Held, KeptKey
from portico.model import lane as names

ONE, TWO = SignalId(bytes(15) + b"\1"), SignalId(bytes(15) + b"\2")


def row(signal=ONE, kind="delivery", number=1, name="lab", **fields):
    """A parked row."""
    values = {"seq": 7, "agent": "", "lane": "k", "hold": False, "code": "AR", "tries": 2}
    return Held(signal, kind, number, **{"name": name, "waits": False, **values, **fields})


@pytest.mark.parametrize(
    ("part", "covered"),
    [("", [1, 1, 2]), ("/s", [1]), ("/s9", [1]), ("/d2", [2]), ("/d3", [])],
)
def test_a_target_is_a_signal_its_sessions_or_one_delivery(part, covered):
    """A Signal's parked sessions go together."""
    rows = [row(kind="signal"), row(), row(number=2), row(TWO)]
    target = releasing.parse(ids.text(ONE) + part)
    assert [one.number for one in rows if target.covers(one)] == covered
    assert releasing.parse(target.text) == target


@pytest.mark.parametrize("text", ["", "x", ids.text(ONE) + "/x1", ids.text(ONE) + "/d"])
def test_what_is_no_target_is_said(text):
    """Before anything is asked of the journal."""
    with pytest.raises(ValueError):
        releasing.parse(text)


def test_what_other_agents_still_work_on_waits():
    """Its Deliveries do not."""
    busy = row(kind="signal", waits=True)
    assert "still work" in releasing.obstacle([busy], ["lab"], True)
    assert not releasing.obstacle([row(waits=True)], ["lab"], True)


def test_a_delivery_to_a_destination_that_is_gone_can_only_be_discarded():
    """It would be queued for nobody."""
    assert "no destination lab" in releasing.obstacle([row()], ["his"], True)
    assert not releasing.obstacle([row()], ["his"], False)


@pytest.mark.parametrize("back", [True, False])
def test_the_books_move_each_thing_once(back):
    """A Signal with two parked sessions is one Signal."""
    rows = [row(kind="signal", name="adt"), row(kind="signal", number=2, name="adt"), row()]
    sums = {}
    for scope, _, state, change in releasing.books(rows, back):
        sums[scope, state] = sums.get((scope, state), 0) + change
    channel, destination = ("waiting", "queued") if back else ("discarded", "discarded")
    assert sums == {
        ("channel", "parked"): -1,
        ("channel", channel): 1,
        ("destination", "parked"): -1,
        ("destination", destination): 1,
    }


def hold(signal, number=1, lane="k", kind="delivery"):
    """What a parked row keeps."""
    return KeptKey(kind, "lab", "", lane, signal, number)


def test_a_lane_that_another_keeps_is_not_let_go():
    """It goes on with the last of them."""
    keeper = Keeper([hold(ONE), hold(TWO)])
    assert keeper.let_go([row(ONE)]) == []
    assert [one.lane for one in keeper.let_go([row(TWO)])] == ["k"]


def test_a_barrier_lets_go_each_lane_for_itself():
    """One of its lanes may be kept by another."""
    keeper = Keeper([hold(ONE, lane=names.joined(["a", "b"])), hold(TWO, lane="b")])
    assert [one.lane for one in keeper.let_go([row(ONE)])] == ["a"]


def test_targets_are_written_as_people_name_them():
    """As `portico parked` lists them."""
    assert Target(ONE, "delivery", 2).text == f"{ids.text(ONE)}/d2"
