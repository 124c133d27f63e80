"""Family names come out as the HIS searches them."""

from pathlib import Path

from portico.authoring import Message
from transforms import names

SAMPLES = Path(__file__).parents[2] / "samples/hl7"


def test_a_family_name_is_trimmed_and_in_upper_case():
    """Blanks and lower case come from the keyboard; given names keep their case."""
    msg = Message((SAMPLES / "adt_a01.hl7").read_bytes())
    names.normalize(msg)

    assert msg["PID-5.1"] == "MUSTER"
    assert msg["PID-5.2"] == "Erika"


def test_umlauts_keep_their_character_set():
    """An upper case sharp s is two letters, and Latin-1 stays Latin-1."""
    msg = Message((SAMPLES / "adt_a08_latin1.hl7").read_bytes())
    names.normalize(msg)

    assert msg.raw("PID-5.1") == "GRÖSSENWAHN".encode("latin-1")


def test_the_name_in_a_merge_is_normalised_too():
    """MRG-7 names the patient that goes away."""
    msg = Message((SAMPLES / "adt_a40.hl7").read_bytes())
    names.normalize(msg)

    assert msg["MRG-7.1"] == "MUSTER"


def test_only_the_names_change():
    """Every other byte of the message is as it came."""
    content = (SAMPLES / "adt_a01.hl7").read_bytes()
    msg = Message(content)
    names.normalize(msg)

    assert msg.content == content.replace(b"||  muster^Erika", b"||MUSTER^Erika")


def test_a_clean_name_keeps_the_message_as_it_is():
    """A second time changes nothing."""
    msg = Message((SAMPLES / "adt_a01.hl7").read_bytes())
    names.normalize(msg)
    once = msg.content
    again = Message(once)
    names.normalize(again)

    assert again.content == once
