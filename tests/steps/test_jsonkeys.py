"""portico.steps.jsonkeys: which keys of JSON and FHIR JSON say that a value tells a patient."""

import pytest

from portico.steps import jsonkeys

PATIENT = {
    "resourceType": "Patient",
    "id": "pat-77",
    "text": {"status": "generated", "div": "<div>Erika</div>"},
    "extension": [{"url": "http://x.example/birthPlace", "valueAddress": {"city": "Crowtown"}}],
    "identifier": [{"use": "usual", "system": "urn:oid:1.2", "value": "4711123",
                    "assigner": {"display": "St Vitus"}}],
    "name": [{"use": "official", "family": "Quill", "given": ["Erika", "Maria"]}],
    "telecom": [{"system": "phone", "value": "0171 9", "use": "home"}],
    "gender": "female",
    "birthDate": "1978-04-12",
    "deceasedDateTime": "2026-01-31T10:00:00Z",
    "address": [{"use": "home", "line": ["12 Linden Street"], "city": "Exampletown"}],
    "contact": [{"name": {"family": "Kin"}, "telecom": [{"value": "0171 8"}]}],
    "photo": [{"data": "A" * 100}],
    "maritalStatus": {"coding": [{"system": "s", "code": "M", "display": "Married"}]},
}  # fmt: skip
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "urn:loinc", "code": "2823-3", "display": "Potassium"}],
             "text": "Potassium"},
    "subject": {"reference": "Patient/pat-77", "display": "Erika Quill"},
    "performer": [{"display": "Dr. Osgood"}],
    "valueQuantity": {"value": 4.2, "unit": "mmol/L"},
    "note": [{"text": "seen at home"}],
}  # fmt: skip


def test_all_of_a_fhir_patient_is_told_and_no_word_of_the_standard():
    """Names, numbers, addresses, phones, dates, pictures; not uses, systems and codes."""
    said = {text: kind for kind, text in jsonkeys.leaves(PATIENT)}

    assert {text for text, kind in said.items() if kind == "name"} == {
        "Quill", "Erika", "Maria", "Kin", "St Vitus"
    }  # fmt: skip
    assert {text for text, kind in said.items() if kind == "phone"} == {"0171 9", "0171 8"}
    assert {text for text, kind in said.items() if kind == "address"} == {
        "12 Linden Street", "Exampletown", "Crowtown"
    }  # fmt: skip
    assert {"4711123", "pat-77", "A" * 100} <= set(said)
    assert said["1978-04-12"] == said["2026-01-31T10:00:00Z"] == "date"
    assert not {"usual", "official", "home", "M", "Married", "female", "phone"} & set(said)


def test_of_an_observation_the_patient_is_told_and_the_code_is_not():
    """A model that may not see what was measured is no use."""
    said = dict(reversed(pair) for pair in jsonkeys.leaves(OBSERVATION))

    assert said == {"Patient/pat-77": "id", "Erika Quill": "name", "Dr. Osgood": "name"}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("patientLastName", "name"),
        ("next_of_kin_phone", "phone"),
        ("homeAddress", "address"),
        ("insuranceNumber", "id"),
        ("MemberID", "id"),
        ("guarantor-name", "name"),
        ("emailAddress", "address"),
        ("drugName", ""),
        ("facilityName", ""),
        ("unit", ""),
        ("result", ""),
        ("dateOfBirth", "date"),
    ],
)
def test_a_key_counts_by_its_last_word(key, kind):
    """However its author writes it; things have names, too."""
    assert jsonkeys.kind(key, "") == kind


def test_dates_move_alike_in_every_resource_of_a_patient():
    """By the Patient's id, or the reference to it."""
    bundle = {"id": "b1", "entry": [{"resource": {"resourceType": "Encounter", "id": "e9"}},
                                    {"resource": PATIENT}]}  # fmt: skip

    assert jsonkeys.patient(bundle) == jsonkeys.patient(OBSERVATION) == "pat-77"
    assert jsonkeys.patient({"visit": {"id": 1}, "patient_id": 4711}) == "4711"
    assert jsonkeys.patient({"a": [1, {"b": None}]}) == ""
