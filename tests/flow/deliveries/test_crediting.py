"""flow/deliveries/crediting.py: to which Delivery another connection's answer belongs (A12)."""

import pytest

from portico.destinations.contract import Creditor
from portico.flow.deliveries import crediting


class Waiting:
    """A destination that waits for the answer to `M1`, sent to this receiver."""

    def __init__(self, receiver=(b"LAB", b"ST")):
        self.ack_on, self.receiver, self.ended = "replies", receiver, []
        self.aside = None

    def credit(self, told, content, sender):
        """As destinations/mllp.py."""
        if told.control_id != b"M1" or (sender is not None and sender != self.receiver):
            return False
        self.ended.append((told.code, content))
        return True


def answer(code="AA", control_id="M1", sender="LAB|ST"):
    """A peer's answer."""
    head = f"MSH|^~\\&|{sender}|HIS|H|2026||ACK|9|P|2.5"
    return f"{head}\rMSA|{code}|{control_id}\r".encode()


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
def test_an_application_answer_ends_what_waits_for_it(code):
    """Whatever it says: what it means is the destination's `answers`."""
    lab = Waiting()

    assert isinstance(lab, Creditor)
    assert crediting.credit([lab], answer(code, sender="OTHER|X"))
    assert lab.ended == [(code, answer(code, sender="OTHER|X"))]


@pytest.mark.parametrize(
    "content", [answer("CA"), answer(control_id="M2"), b"MSH|^~\\&|A|B\r", b"not HL7"]
)
def test_what_is_no_application_answer_to_it_ends_nothing(content):
    """An accept code, another id, no MSA, no HL7."""
    lab = Waiting()

    assert not crediting.credit([lab], content)
    assert lab.ended == []


def test_of_several_destinations_the_one_that_answered_is_credited():
    """The same message is under way to both; MSH-3 and MSH-4 tell whose answer it is."""
    lab, pacs = Waiting(), Waiting((b"PACS", b"ST"))

    assert crediting.credit([lab, pacs], answer(sender="PACS|ST"))
    assert not crediting.credit([lab, pacs], answer(sender="KITCHEN|ST"))
    assert (len(lab.ended), len(pacs.ended)) == (0, 1)
