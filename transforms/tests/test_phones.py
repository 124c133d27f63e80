"""Numbers as people type them become numbers that machines dial."""

from pathlib import Path

import pytest

from portico.authoring import Message
from transforms import phones

SAMPLES = Path(__file__).parents[2] / "samples/hl7"


@pytest.mark.parametrize(
    ("typed", "prefix", "trunk", "dialled"),
    [
        ("(030) 23125-820", "49", "0", "+493023125820"),
        ("030/23125-140", "49", "0", "+493023125140"),
        ("0049 30 23125820", "49", "0", "+493023125820"),
        ("+49 (30) 23125 820", "49", "0", "+493023125820"),
        ("(312) 555-0142", "1", "1", "+13125550142"),
        ("1-312-555-0142", "1", "1", "+13125550142"),
        ("02 5550 1234", "39", "", "+390255501234"),
    ],
)
def test_a_number_gets_its_country(typed, prefix, trunk, dialled):
    """National and international ways to type one number give the same number."""
    assert phones.e164(typed, prefix, trunk) == dialled


@pytest.mark.parametrize(
    "typed", ["", "none", "ask the ward", "112", "030 23125820 ext 7", "0" * 30]
)
def test_what_cannot_be_dialled_is_left_alone(typed):
    """A remark, a short code or an extension stays for a person to read."""
    assert phones.e164(typed, "49", "0") == ""


def test_every_repetition_of_both_fields_is_normalised():
    """PID-13 and PID-14 may repeat; the other components stay."""
    msg = Message((SAMPLES / "adt_a08.hl7").read_bytes())
    phones.normalize(msg)

    assert msg.raw("PID-13") == b"+491713920034^PRN^CP~+493023125820^PRN^PH"


def test_a_deleted_number_stays_deleted():
    """HL7's delete is an order to the receiver, not an absent number."""
    msg = Message((SAMPLES / "adt_a08.hl7").read_bytes())
    phones.normalize(msg)

    assert msg.raw("PID-14") == b'""'


def test_a_message_without_numbers_keeps_its_bytes():
    """Nothing to do changes nothing."""
    content = b"MSH|^~\\&|HIS||LAB||20260314||ADT^A01|1|P|2.5\rPID|1||100001||Muster\r"
    msg = Message(content)
    phones.normalize(msg)

    assert msg.content == content
