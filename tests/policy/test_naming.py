"""File names of Deliveries: the destination's template, one name for each part."""

from portico.clock import SystemClock
from portico.ids import IdMaker, text
from portico.language.content import Content
from portico.language.template import Template
from portico.policy import naming

ADT = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|M/1|P|2.5\rPID|1||4711\r"
SIGNAL = IdMaker(SystemClock()).next()
ENVELOPE = {"channel": "adt_in", "received": 1_700_000_000_000_000_000}


def named(template: str, number: int = 1, content: bytes = ADT) -> str:
    """The name that a template makes."""
    return naming.file_name(Template.parse(template), content, ENVELOPE, SIGNAL, number)


def test_the_default_template_is_time_and_id():
    """SITE, destination: `{received:%Y%m%d%H%M%S}-{id}.hl7`."""
    assert named("{received:%Y%m%d%H%M%S}-{id}.hl7") == f"20231114221320-{text(SIGNAL)}.hl7"


def test_a_place_of_the_message_is_made_harmless():
    """F7: what a message holds cannot name a folder."""
    assert named("{MSH-10}_{PID-3}.hl7") == "M_1_4711.hl7"


def test_parts_of_one_message_have_names_of_their_own():
    """The second Delivery of a Signal does not meet the first one's file."""
    assert [named("{PID-3}.hl7", number) for number in (1, 2, 3)] == [
        "4711.hl7",
        "4711-2.hl7",
        "4711-3.hl7",
    ]


def test_content_that_the_template_cannot_read_leaves_the_name_to_the_destination():
    """Bytes that are no HL7 have no PID-3: the name is what is left of the template."""
    assert named("{PID-3}x.bin", content=b"\x00\x01") == "x.bin"


def test_a_cell_of_csv_may_name_the_file():
    """By the content of the channel: nothing in the bytes says that they are CSV."""
    made = Template.parse("{/id}.csv")
    content, form = b"id;name\n7/8;x\n", Content("csv", separator=";")
    assert naming.file_name(made, content, ENVELOPE, SIGNAL, 1, form) == "7_8.csv"
