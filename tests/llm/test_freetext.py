"""portico.llm.freetext: what a note tells of somebody, and what it only tells of a disease."""

import re
import time

import pytest

from portico.llm import freetext
from portico.llm.deidentify import TOKEN, Deidentifier

# What must not leave stands in braces.
NOTES = (
    "Spoke with Mrs. {Quill}, tel. {0171 234 5678}, on {12 April 2026}.",
    "Seen by Dr {Osgood}; cc {j.osgood@ward.example}. BP 120/80, HR 98, temp 37.5.",
    "PATIENT {JOHN} {SMITH} COMPLAINS OF CHEST PAIN. MRN {123456}.",
    "Lives at {12 Linden Street}, moved from {Springfield, IL 62704} in May.",
    "Wohnhaft {Lindenstraße 5}, {10115 Berlin}. Frau {Quitte} kam am {03.04.2026}.",
    "Patient: {Okonkwo}. Mother {Adaeze} {Okonkwo} was informed on {4/12/26}.",
    "{Miller}, {Anna}, born {1-Apr-1978}, case no. {4711}, SSN {123-45-6789}.",
    "Call {555-0199} or {(312) 555-0142}, fax {+49 30 1234567}.",
    "A {94}-year-old man. Signed: {J}. {R}. {Hartley}.",
    "See https://{} and {10.0.0.17}; sample {FL5002}.".replace(
        "https://{}", "{https://pacs.example/4711}"
    ),
    "Herr {van} {Dyck}".replace("{van} ", "van ") + " and his daughter {Imke}.",
    "dr {quill} agrees with the plan.",
)
# Medicine that nobody can be told by.
CLINICAL = (
    "No focal consolidation. Heart size normal. Degenerative changes of the thoracic spine.",
    "L4/L5 stenosis, T2 signal, HbA1c 7.2 %, SpO2 97 %, INR 2.5, pH 7.35, 100-200 mg daily.",
    "Right lower lobe pneumonia. Recommend CT in 6 weeks. Grade 2/6 murmur. Vitamin B12 low.",
    "WBC 12.5, platelets 220 x10^9/L, CRP 45 mg/L; 5 mg twice daily for 10 days. eGFR > 60.",
    "Keine Fraktur. Leber und Milz unauffällig. Zeichen einer Pneumonie rechts basal.",
)


def told(marked):
    """(text, the texts in braces)."""
    return re.sub(r"[{}]", "", marked), re.findall(r"\{([^}]*)\}", marked)


@pytest.mark.parametrize("number", range(len(NOTES)))
def test_what_tells_somebody_is_found(number):
    """Every marked word is replaced, and put back."""
    note, marked = told(NOTES[number])
    veil = Deidentifier(b"k" * 32, "p", [], detect=True)
    left = veil.out("free", note)

    for one in marked:
        assert not re.search(rf"(?<!\w){re.escape(one)}(?!\w)", left), left
    assert veil.back(left) == note


@pytest.mark.parametrize("number", range(len(CLINICAL)))
def test_medicine_stays(number):
    """A model cannot judge what it does not see."""
    assert freetext.found(CLINICAL[number]) == []


def test_it_is_an_extra():
    """Without `detect` only what the message's own fields hold is replaced."""
    note, _ = told(NOTES[0])

    assert Deidentifier(b"k" * 32, "p", []).out("free", note) == note


def test_what_a_field_knows_goes_first_and_the_rest_of_a_name_follows():
    """The same token as in the field; and nothing is replaced twice."""
    veil = Deidentifier(b"k" * 32, "p", [("name", "Smith"), ("date", "19780401")], detect=True)

    left = veil.out("free", "Mr. Kelvin Smith, born 1 April 1978")

    assert veil.out("name", "SMITH")[:13] in left
    assert "Kelvin" not in left
    assert len(TOKEN.findall(left)) == 2
    assert veil.back(left) == "Mr. Kelvin Smith, born 1 April 1978"


@pytest.mark.parametrize(
    "text",
    ["a", "A-", "1 ", "a1", "A. ", "+1", "12 12 ", "1/", "a@", "John ", "00 ", "1.", "May "],
)
def test_no_text_takes_longer_than_it_is_long(text):
    """What a peer sends cannot hold the engine: 100 KB of one pattern take a second or two."""
    began = time.process_time()
    freetext.found(text * (100_000 // len(text)))

    assert time.process_time() - began < 5
