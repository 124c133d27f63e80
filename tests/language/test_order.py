"""Order keys beside the first: merges, moves and `with` (SITE, `order_by`)."""

import pytest

from portico.hl7.view import MessageView
from portico.language import order
from portico.language.context import Context
from portico.language.order import Order
from portico.language.place import Place
from portico.model import lane

HEAD = "MSH|^~\\&|HIS|ST|LAB|ST|2026||{kind}|1|P|2.5\rEVN|A40|2026\r"
PID = "PID|1||{}\r"


def keys(kind, *segments, by="PID-3.1", beside=()):
    """The keys of a message of that type."""
    content = (HEAD.format(kind=kind) + "\r".join(segments) + "\r").encode()
    view = MessageView(content)
    place = Place.parse(by)
    rules = order.beside(Order((place,), tuple(map(Place.parse, beside))))
    key = place.text(Context(view, {})) or "HIS|ST"
    if rules is None:
        return (key,)
    return lane.keys(order.widened(key, rules, kind, Context(view, {"type": kind})))


@pytest.mark.parametrize(
    "event",
    "A17 A18 A24 A30 A34 A35 A36 A37 A39 A40 A41 A42 A43 A44 A45 A46 A47 A48 A49 A50 A51"
    .split(),
)  # fmt: skip
def test_a_merge_or_move_belongs_to_both_patients(event):
    """HL7 v2.5.1 chapter 3: every event with an MRG segment."""
    assert keys(f"ADT^{event}", "PID|1||77^^^ST^MR", "MRG|88^^^ST^MR") == ("77", "88")


def test_an_admission_belongs_to_its_patient_alone():
    """Also when somebody sends MRG with it."""
    assert keys("ADT^A01", "PID|1||77", "MRG|88") == ("77",)


def test_every_repetition_and_every_patient_counts():
    """ADT_A39 repeats its group, and MRG-1 its ids."""
    found = keys("ADT^A40", "PID|1||77", "MRG|88~89^^^X", "PID|2||66", "MRG|55")

    assert found == ("77", "66", "88", "89", "55")


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ("PID-3.1", ("77", "88", "89")),
        ("PID-3[5=MR].1", ("77", "88", "89")),
        ("PID-3", ("77^^^ST^MR", "88^^^ST^MR~89^^^ST^PI")),
        ("PID-3.4", ("ST",)),
        ("PID-5.1", ("MUSTER",)),
    ],
)
def test_the_merged_id_has_the_shape_of_the_key(by, found):
    """An order by something else than PID-3 has no other patient's place to look at."""
    segments = "PID|1||77^^^ST^MR||MUSTER", "MRG|88^^^ST^MR~89^^^ST^PI"

    assert keys("ADT^A40", *segments, by=by) == found


def test_a_merge_without_ids_stays_in_its_lane():
    """No MRG, an empty or a deleted MRG-1, or the same id: one key."""
    for mrg in ("ZZZ|1", "MRG|", 'MRG|""', "MRG|77"):
        assert keys("ADT^A40", "PID|1||77", mrg) == ("77",)


def test_a_merge_without_a_patient_waits_for_the_merged_one():
    """PID-3 is empty: the default's lane, and MRG-1's."""
    assert keys("ADT^A40", "PID|1", "MRG|88") == ("HIS|ST", "88")


def test_with_names_lanes_of_any_message():
    """Whatever its type."""
    found = keys("ORU^R01", "PID|1||77", "PV1|1||||||||||||||||||V9", beside=["PV1-19"])

    assert found == ("77", "V9")
