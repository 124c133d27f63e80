"""`validate`."""

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
        "AR", "103", "no M", "PID-99"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "checks nothing"),
        ({"schema": "a.json"}, "not built yet"),
        ({"require": "PID-3", "profile": "a.xml"}, "not built yet"),
        ({"require": "PID-3", "structure": "yes"}, "not built yet"),
        ({"formats": {"PID-7": "datum"}}, "date"),
        ({"values": {"PV1-2": {"lte": "5"}}}, "'lt'|'le'"),
    ],
    ids=str,
)
def test_what_is_wrong_or_not_built_yet_is_said_at_configure_time(trial, wrong, said):
    """Schemas, profiles and structures come later; the error says so."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"validate": wrong})


def test_structure_may_be_said_to_be_off(trial):
    """`structure: no` is the default."""
    assert trial.plan({"validate": {"require": "PID-3", "structure": "no"}})
