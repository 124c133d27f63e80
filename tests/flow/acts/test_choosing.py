"""Which Signals a replay takes, as it is written down."""

from portico import ids
from portico.flow.acts import choosing
from portico.flow.acts.choosing import Wanted
from portico.ids import SignalId
from portico.journal.contract import Recovered
from portico.journal.held import Original
from portico.model.signal import Signal

ONE, TWO, THREE = (SignalId(bytes(15) + bytes([n])) for n in (1, 2, 3))


def original(*ran):
    """A Signal that these (agent, version) ran."""
    return Original(Recovered(1, Signal(ONE, "adt", 0, b"", b""), (), 0, ()), ran)


def test_what_is_written_down_is_read_back():
    """A job goes on after a restart with just what was asked for."""
    wanted = Wanted(channel="adt", patient="4711", before="x", as_recorded=True, rate=5.0)
    assert choosing.load(choosing.dump(wanted)) == wanted


def test_named_signals_go_in_the_order_of_their_arrival_each_once():
    """However they were named."""
    wanted = Wanted(tuple(map(ids.text, (THREE, ONE, TWO, ONE))))
    assert choosing.listed(wanted, None, 2) == [ONE, TWO]
    assert choosing.listed(wanted, TWO, 2) == [THREE]


def test_no_patient_is_told():
    """The words stand in logs and lists."""
    assert "4711" not in Wanted(channel="adt", patient="4711").told()


def test_as_recorded_needs_the_same_agents_in_the_same_versions():
    """A new agent, an old one that is gone, another version: each is named."""
    ran = original(("a", "v1"))
    assert choosing.unrecorded(ran, {"a"}, {"a": "v1"}) == ""
    assert choosing.unrecorded(ran, {"a"}, {"a": "v2"}) == "a ran it as v1 and is v2 now"
    assert choosing.unrecorded(ran, set(), {}) == "a ran it as v1 and is gone now"
    assert "b ran it as nothing" in choosing.unrecorded(ran, {"a", "b"}, {"a": "v1", "b": "v1"})
    assert choosing.unrecorded(original(), {"a"}, {"a": "v1"}) == "no agent has run it"
