"""Which Signals a replay takes, as it is written down."""

from portico import ids
from portico.flow.acts import choosing
from portico.flow.acts.choosing import ReplayChoice
from portico.ids import SignalId

ONE, TWO, THREE = (SignalId(bytes(15) + bytes([n])) for n in (1, 2, 3))


def test_what_is_written_down_is_read_back():
    """A job goes on after a restart with just what was asked for."""
    wanted = ReplayChoice(channel="adt", patient="4711", before="x", as_recorded=True, rate=5.0)
    assert choosing.load(choosing.dump(wanted)) == wanted


def test_named_signals_go_in_the_order_of_their_arrival_each_once():
    """However they were named."""
    wanted = ReplayChoice(tuple(map(ids.text, (THREE, ONE, TWO, ONE))))
    assert choosing.listed(wanted, None, 2) == [ONE, TWO]
    assert choosing.listed(wanted, TWO, 2) == [THREE]


def test_no_patient_is_told():
    """The words stand in logs and lists."""
    assert "4711" not in ReplayChoice(channel="adt", patient="4711").told()
