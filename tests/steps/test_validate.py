"""`validate`."""

import subprocess
import sys

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind, Refusal


@pytest.mark.parametrize(
    "rules",
    [
        {"require": "PID-3"},
        {"require": ["PID-3", "OBX[*]-3"]},
        {"values": {"PV1-2": ["I", "O"], "type": "ADT^*"}},
        {"values": {"OBX[*]-2": {"every": ["NM", "ED", "TX"]}}},
        {"formats": {"PID-7": "date", "OBX-5": "number", "MSH-7": "time", "PID-99": "date"}},
        {"formats": {"PID-10": "date"}},
    ],
    ids=str,
)
def test_what_keeps_the_rules_goes_on(trial, rules):
    """Formats ask nothing of what is absent or deleted."""
    assert trial.run({"validate": rules}).kind is Kind.DELIVER


@pytest.mark.parametrize(
    ("rules", "code", "location"),
    [
        ({"require": ["PID-3", "PID-99"]}, "101", "PID-99"),
        ({"require": "PID-10"}, "101", "PID-10"),
        ({"require": "OBX[*]-5.5"}, "101", "OBX[*]-5.5"),
        ({"require": "ZZZ[*]-1"}, "101", "ZZZ[*]-1"),
        ({"values": {"PV1-2": "O"}}, "103", "PV1-2"),
        ({"values": {"PID-99": "x"}}, "103", "PID-99"),
        ({"values": {"type": "ORU^*"}}, "103", ""),
        ({"formats": {"PID-5.1": "date"}}, "102", "PID-5.1"),
        ({"formats": {"OBX[3]-5": "number"}}, "102", "OBX[3]-5"),
        ({"formats": {"PID-7": "time"}}, "102", "PID-7"),
    ],
    ids=str,
)
def test_a_broken_rule_is_told_to_the_sender(trial, rules, code, location):
    """Its default is `refuse`: ERR-2 is the place, ERR-3 the code; no value is quoted."""
    result = trial.run({"validate": rules}, {"send": "lab"}, on_error="park")

    assert result.kind is Kind.REFUSE
    assert result.step == "validate_1"
    assert (result.refusal.ack, result.refusal.code) == ("AE", code)
    assert result.refusal.location == location
    assert "muster" not in result.refusal.text
    assert result.outputs == ()


def test_its_on_error_can_be_another(trial):
    """`park` keeps it for a person; `refuse` with ack, code and text says just that."""
    step = {"validate": {"require": "PID-99"}}

    assert trial.run({**step, "on_error": "park"}).kind is Kind.FAULT
    told = {"refuse": {"ack": "AR", "code": "103", "text": "no {PID-8}"}}
    assert trial.run({**step, "on_error": told}).refusal == Refusal(
        "AR", "103", "no M", "PID-99", "no {PID-8}"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "checks nothing"),
        ({"schema": "a.json"}, "schema a.json: No such file"),
        ({"structure": "maybe"}, "yes or no"),
        ({"profile": "a.xml"}, "profile a.xml: No such file"),
        ({"formats": {"PID-7": "datum"}}, "date"),
        ({"values": {"PV1-2": {"lte": "5"}}}, "'lt'|'le'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_at_configure_time(trial, wrong, said):
    """JSON Schemas come later; the error says so."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"validate": wrong})


def test_structure_may_be_said_to_be_off(trial):
    """`structure: no` is the default."""
    assert trial.plan({"validate": {"require": "PID-3", "structure": "no"}})


ADT = (
    b"MSH|^~\\&|HIS|HOSP|LAB|L|20260131120000||ADT^A04^ADT_A01|77|P|2.5.1\r"
    b"EVN|A04|20260131120000\r"
    b"PID|1||123^^^HOSP^MR~9^^^STATE^SS||muster^max||19800131|M\r"
    b"PV1|1|I\r"
    b"ZPV|1|2\r"
    b"OBX|1|NM|8302-2^HEIGHT^LN||170|cm|||||F\r"
)


def test_a_message_of_the_standards_structure_goes_on(trial):
    """Z segments may stand anywhere; the structure is found without MSH-9.3 too."""
    step = {"validate": {"structure": "yes"}}
    assert trial.run(step, given=ADT).kind is Kind.DELIVER
    older = ADT.replace(b"^ADT_A01", b"").replace(b"2.5.1", b"2.4")
    assert trial.run(step, given=older).kind is Kind.DELIVER


@pytest.mark.parametrize(
    ("old", "new", "code", "location"),
    [
        (b"PV1|1|I\r", b"", "101", "PV1"),
        (b"EVN|A04|20260131120000\r", b"", "101", "EVN"),
        (b"||muster^max|", b"|||", "101", "PID-5"),
        (b"PV1|1|I\r", b"PV1|1\r", "101", "PV1-2"),
        (b"PV1|1|I\r", b"PV1|1|I\rSPM|1\r", "100", "SPM"),
        (b"PV1|1|I\r", b"PV1|1|I\rPV1|2|I\r", "100", "PV1[2]"),
        (b"EVN|A04|20260131120000\r", b"EVN|A04|2026-01-31\r", "102", "EVN-2.1"),
        (b"|19800131|", b"|19801331|", "102", "PID-7.1"),
        (b"||170|", b"||tall|", "102", "OBX-5"),
        (b"OBX|1|", b"OBX|one|", "102", "OBX-1"),
        (b"|M\r", b"|M~F\r", "102", "PID-8"),
        (b"2.5.1", b"2.99", "203", "MSH-12"),
        (b"ADT^A04^ADT_A01", b"ADT^X99", "200", "MSH-9"),
        (b"PV1|1|I\r", b"PV1|1|I\rhello world\r", "100", ""),
    ],
)
def test_a_broken_structure_is_told_to_the_sender(trial, old, new, code, location):
    """By place and code of table 0357; no value is quoted."""
    given = ADT.replace(old, new)
    assert given != ADT
    result = trial.run({"validate": {"structure": "yes"}}, given=given)
    assert result.kind is Kind.REFUSE
    assert (result.refusal.code, result.refusal.location) == (code, location)
    assert not any(word in result.refusal.text for word in ("muster", "tall", "hello"))


def test_separators_alone_are_no_value_whichever_they_are(trial):
    """And what only looks like the usual ones is a value."""
    odd = ADT.translate(bytes.maketrans(b"^&", b"@!"))
    step = {"validate": {"structure": "yes"}}
    assert trial.run(step, given=odd).kind is Kind.DELIVER

    empty = trial.run(step, given=odd.replace(b"muster@max", b"@!@"))
    assert (empty.refusal.code, empty.refusal.location) == ("101", "PID-5")
    value = trial.run(step, given=odd.replace(b"123@@@HOSP@MR~9@@@STATE@SS", b"^"))
    assert value.kind is Kind.DELIVER


PROFILE = """<?xml version="1.0"?>
<HL7v2xConformanceProfile HL7Version="2.5.1" ProfileType="Constrainable">
  <MetaData Name="x" OrgName="y"/>
  <HL7v2xStaticDef MsgType="ADT" EventType="A04" MsgStructID="ADT_A01">
    <Segment Name="MSH" Usage="R" Min="1" Max="1"/>
    <Segment Name="EVN" Usage="O" Min="0" Max="1"/>
    <SegGroup Name="PATIENT" Usage="R" Min="1" Max="1">
      <Segment Name="PID" Usage="R" Min="1" Max="1">
        <Field Name="Set" Usage="X" Datatype="SI"/>
        <Field Name="Old" Usage="O" Datatype="CX"/>
        <Field Name="Ids" Usage="R" Min="2" Max="3" Datatype="CX">
          <Component Name="Id" Usage="R" Datatype="ST" Length="5"/>
          <Component Name="Digit" Usage="X" Datatype="ST"/>
          <Component Name="Scheme" Usage="O" Datatype="ID"/>
          <Component Name="Authority" Usage="R" Datatype="HD">
            <SubComponent Name="Namespace" Usage="R" Datatype="IS" ConstantValue="HOSP"/>
          </Component>
        </Field>
      </Segment>
      <Segment Name="PV1" Usage="O" Min="0" Max="*"/>
    </SegGroup>
  </HL7v2xStaticDef>
</HL7v2xConformanceProfile>
"""
HEAD = b"MSH|^~\\&|HIS|HOSP|LAB|L|2026||ADT^A04^ADT_A01|77|P|2.5.1\r"


def profiled(trial, text=PROFILE):
    (trial.root / "transforms").mkdir(exist_ok=True)
    (trial.root / "transforms/adt.xml").write_text(text)
    return {"validate": {"profile": "transforms/adt.xml"}}


@pytest.mark.parametrize(
    ("rest", "code", "location"),
    [
        (b"PID|||1^^^HOSP~2^^^HOSP\rPV1|1\rPV1|2\r", None, None),
        (b"EVN|1\rPID|||1^^^HOSP&x~2^^^HOSP~3^^^HOSP\r", None, None),
        (b"EVN|1\r", "101", "PID"),
        (b"PID|1||1^^^HOSP~2^^^HOSP\r", "102", "PID-1"),
        (b"PID|||1^^^HOSP\r", "101", "PID-3"),
        (b"PID|||1^^^HOSP~2^^^HOSP~3^^^HOSP~4^^^HOSP\r", "102", "PID-3"),
        (b"PID|||1^^^HOSP~^^^HOSP\r", "101", "PID-3[2].1"),
        (b"PID|||1^^^HOSP~123456^^^HOSP\r", "102", "PID-3[2].1"),
        (b"PID|||1^^^HOSP~2^0^^HOSP\r", "102", "PID-3[2].2"),
        (b"PID|||1^^^HOSP~2\r", "101", "PID-3[2].4"),
        (b"PID|||1^^^HOSP~2^^^LAB\r", "103", "PID-3[2].4.1"),
        (b"PID|||1^^^HOSP~2^^^HOSP\rZZZ|1\r", "100", "ZZZ"),
    ],
)
def test_a_profile_is_held_to(trial, rest, code, location):
    """Usage, cardinality, length and constants; what it does not name is refused."""
    result = trial.run(profiled(trial), given=HEAD + rest)
    if code is None:
        assert result.kind is Kind.DELIVER
    else:
        assert (result.refusal.code, result.refusal.location) == (code, location)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<a/>", "no message profile"),
        ("no xml", "line 1 is not well-formed"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "document type"),
        ("<a>" * 100, "nested"),
        (PROFILE.replace('Max="3"', 'Max="three"'), "Max of 'Ids' is no number"),
        (
            PROFILE.replace("Segment ", "Segments ").replace("/Segment>", "/Segments>"),
            "no segment",
        ),
    ],
)
def test_what_is_no_profile_is_said_at_configure_time(trial, text, said):
    """In bounded time, whatever the file is."""
    with pytest.raises(ConfigError, match=said):
        trial.plan(profiled(trial, text))


def test_only_hl7_has_a_structure(trial):
    """JSON content is refused as what it is."""
    step = {"validate": {"structure": "yes"}}
    result = trial.run(step, given=b"{}", content="json")
    assert result.kind is not Kind.DELIVER


def test_a_hostile_message_takes_no_more_than_the_agents_time(trial):
    """It is broken off inside the worker."""
    given = HEAD + b"PID|1\rPV1|1|I\r" + b"OBX|1|NM|a||1\r" * 200_000
    step = {"validate": {"structure": "yes"}, "on_error": "park"}
    result = trial.run(step, given=given, limits={"time": 0.2})
    assert result.failure.code == "step.timeout"


def test_hl7apy_is_loaded_only_when_a_structure_is_asked_for():
    """A worker whose agents do not ask pays nothing."""
    code = "import sys, portico.steps.validate; print('hl7apy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
