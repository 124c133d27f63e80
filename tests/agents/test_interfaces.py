"""The ten interfaces of the site reference: their agents compile, and do what they say."""

from pathlib import Path

import pytest

from portico.model.verdict import Kind, Refusal

PAGE = (Path(__file__).parent / "interfaces.yaml").read_text()
TABLES = {
    "catalogue": "code,name,lab_code\nCRP,C-reactive protein,L17\n",
    "facilities": "code,name,region\nHOSP1,One,north\nHOSP2,Two,south\nHOSP3,Three,west\n",
}


@pytest.fixture
def interfaces(site):
    """All agents of the page, with the tables that they name."""
    for name, text in TABLES.items():
        site.write(f"transforms/tables/{name}.csv", text)
    site.write("transforms/prompts/urgent.md", "Is it urgent? {OBX[*]-5}")
    site.write("transforms/urgent.schema.json", '{"type": "object"}')
    site.write("transforms/tables/urgent.csv", "code,text\nX1,bleeding\n")
    site.write("transforms/patient.schema.json", '{"type": "object", "required": ["mrn"]}')
    site.read(PAGE)
    site.documents["census"]["tools"] = {
        "bedboard.census": {"input": '{"properties": {"at": {"type": "string"}}}', "output": ""}
    }
    return site


def message(kind, *segments, sender="HOSP1"):
    head = f"MSH|^~\\&|HIS|{sender}|ENGINE||20260131120000||{kind}|4711|P|2.5.1"
    return "".join(f"{line}\r" for line in (head, *segments)).encode()


def sent(result):
    return {output.destination: output.content for output in result.outputs}


def test_the_page_has_the_agents_of_all_ten(interfaces):
    """Twelve agents."""
    assert len(interfaces.documents) == 12


def test_each_agent_compiles(interfaces):
    """With the files that it names."""
    for name in interfaces.documents:
        assert interfaces.plan(name).agent == name


PATIENT = "PID|1||123^^^HOSP^MR||MUSTER^MAX||19800131|M"


def test_1_an_admission_goes_to_lab_and_pacs_an_inpatient_to_the_kitchen_too(interfaces):
    """Each with its own MSH-5, nothing else changed."""
    given = message("ADT^A01", PATIENT, "PV1|1|I")
    out = sent(interfaces.run("adt_fanout", given, type="ADT^A01"))

    assert out == {
        "lab": given.replace(b"|ENGINE|", b"|LAB|"),
        "pacs": given.replace(b"|ENGINE|", b"|PACS|"),
        "kitchen": given.replace(b"|ENGINE|", b"|MENU|"),
    }
    assert set(sent(interfaces.run("adt_fanout", message("ADT^A01", PATIENT, "PV1|1|O")))) == {
        "lab", "pacs",
    }  # fmt: skip


def test_1_a_test_patient_is_dropped_by_name(interfaces):
    """The rule is the step's name."""
    given = message("ADT^A01", PATIENT.replace("MUSTER", "ZZTEST7"), "PV1|1|I")
    result = interfaces.run("adt_fanout", given)

    assert (result.kind, result.step) == (Kind.DROP, "test_patients")


def test_2_each_pdf_becomes_a_file_and_the_result_goes_on_without(interfaces):
    """Decoded, named by patient, filler number and part."""
    given = message(
        "ORU^R01", PATIENT, "OBR|1|P1|F1|CT", "OBX|1|TX|T||text|||||F",
        "OBX|2|ED|PDF||^AP^^Base64^JVBERi0x", "OBX|3|ED|PDF||^AP^^Base64^JVBERi0y",
    )  # fmt: skip
    result = interfaces.run("reports", given)

    assert [(o.destination, o.content, o.file) for o in result.outputs[:2]] == [
        ("pdfs", b"%PDF-1", "123_F1_1.pdf"), ("pdfs", b"%PDF-2", "123_F1_2.pdf"),
    ]  # fmt: skip
    assert result.outputs[2].destination == "his"
    assert result.outputs[2].content == given[: given.index(b"OBX|2|")]


def test_3_a_vaccination_without_birth_date_is_refused(interfaces):
    """The clinic is told where and why."""
    good = message("VXU^V04", PATIENT, "ORC|RE", "RXA|0|1|20260131||08^HepB^CVX|1")
    assert sent(interfaces.run("vxu", good)) == {"registry": None}

    for wrong, code, location in [
        (good.replace(b"19800131", b""), "101", "PID-7"),
        (good.replace(b"CVX", b"XXX"), "103", "RXA-5.3"),
    ]:
        result = interfaces.run("vxu", wrong)
        assert result.kind is Kind.REFUSE
        assert (result.refusal.code, result.refusal.location) == (code, location)


def test_4_final_results_reach_the_his_one_message_an_order(interfaces):
    """One order that is not final, or has no status, holds all of them back."""
    orders = ["OBR|1||F1" + "|" * 22 + "F", "OBX|1|TX|A", "OBR|2||F2" + "|" * 22 + "C"]
    result = interfaces.run("reflab_results", message("ORU^R01", PATIENT, *orders))

    assert [output.control_id for output in result.outputs] == ["4711.1", "4711.2"]
    assert b"OBX" not in result.outputs[1].content
    for last in ("OBR|2||F2" + "|" * 22 + "P", "OBR|2||F2"):
        other = interfaces.run("reflab_results", message("ORU^R01", *orders[:2], last))
        assert (other.kind, other.step) == (Kind.DROP, "filter_1")


ORDER = ("ORC|NW|P7||||||||||77^DOCTOR", "OBR|1|P7||CRP^C-reactive protein")


def test_5_an_order_that_the_lab_can_do_is_translated(interfaces):
    """The lab's own code stands in OBR-4.1."""
    given = message("OML^O21", PATIENT, *ORDER)

    assert sent(interfaces.run("orders", given)) == {"lis": given.replace(b"|CRP^", b"|L17^")}


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("ORC|NW", "ORC|ZZ",
         Refusal("AR", "103", "Order control ZZ is not supported", "ORC-1",
                 "Order control {ORC-1} is not supported")),
        ("77^DOCTOR", "",
         Refusal("AE", "101", "Patient, placer number and orderer are needed", "ORC-12")),
        ("|CRP^", "|QQQ^",
         Refusal("AE", "103", "Test QQQ is not in the catalogue", "OBR-4.1",
                 "Test {OBR-4.1} is not in the catalogue")),
    ],
)  # fmt: skip
def test_5_what_it_cannot_do_is_refused_with_reason(interfaces, old, new, refusal):
    """Ack, code and text are the author's, the location is the rule's."""
    given = message("OML^O21", PATIENT, *ORDER).replace(old.encode(), new.encode())
    result = interfaces.run("orders", given)

    assert (result.kind, result.refusal, result.outputs) == (Kind.REFUSE, refusal, ())


def test_6_a_patient_of_the_portal_becomes_an_adt_message(interfaces):
    """What the schema refuses is not sent."""
    interfaces.documents["portal_to_adt"] |= {"content": "json"}
    given = (
        b'{"event": "registered", "mrn": "77", "born": "1980-01-31",'
        b' "name": {"family": "Muster", "given": ["Max"]}}'
    )
    content = sent(interfaces.run("portal_to_adt", given))["his"]

    assert b"|HIS||20260921141320+0000||ADT^A28^ADT_A05|" in content
    assert content.endswith(b"\rPID|||77^^^^MR||MUSTER^Max||19800131\r")
    refused = interfaces.run("portal_to_adt", given.replace(b"mrn", b"nrm"))
    assert refused.refusal == Refusal("AE", "101", "/mrn is missing", "/mrn")


def test_7_the_kitchen_gets_a_file_for_each_ward(interfaces):
    """From the Signal that the census emits; a replaced file is named by its ward."""
    given = b'{"ward": "W 1", "occupied": 12}'
    result = interfaces.run("census_to_kitchen", given, channel=None, signal="ward_census")

    (output,) = result.outputs
    assert (output.destination, output.content, output.file) == ("kitchen", None, "W_1.json")


@pytest.mark.parametrize(
    ("name", "kind"), [("partner_adt", "ADT^A01"), ("rad_forward", "ORU^R01")]
)
def test_8_and_9_forward_the_very_bytes(interfaces, name, kind):
    """Nothing is touched."""
    assert sent(interfaces.run(name, message(kind, PATIENT))) == {"his": None}


@pytest.mark.parametrize(("sender", "to"), [("HOSP1", "north"), ("HOSP2", "south")])
def test_10_a_patient_goes_to_its_region(interfaces, sender, to):
    """By the table of facilities."""
    result = interfaces.run(
        "by_region", message("ADT^A01", PATIENT, sender=sender), type="ADT^A01"
    )

    assert sent(result) == {to: None}


def test_10_a_merge_goes_to_all_regions_and_needs_both_patients(interfaces):
    """An A40 without MRG-1 is refused."""
    merge = message("ADT^A40", PATIENT, "MRG|99^^^HOSP^MR")
    result = interfaces.run("by_region", merge, type="ADT^A40")
    without = interfaces.run("by_region", message("ADT^A40", PATIENT), type="ADT^A40")

    assert sent(result) == {"north": None, "south": None}
    assert (without.kind, without.refusal.location) == (Kind.REFUSE, "MRG-1")


def test_10_what_no_region_wants_is_parked_and_an_unknown_sender_too(interfaces):
    """For a person, with the route's name; the table has no west."""
    west = interfaces.run("by_region", message("ADT^A01", PATIENT, sender="HOSP3"))
    unknown = interfaces.run("by_region", message("ADT^A01", PATIENT, sender="HOSP9"))

    assert (west.kind, west.failure.step, west.failure.text) == (
        Kind.FAULT, "route_1", "no branch of the route holds",
    )  # fmt: skip
    assert (unknown.kind, unknown.failure.step) == (Kind.FAULT, "lookup_1")
