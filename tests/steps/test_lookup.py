"""`lookup`."""

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind, Refusal

TABLE = "code,region,lab_code\nHOSP,north,L1\nI,stationary,S\n"


@pytest.fixture(autouse=True)
def facilities(trial):
    trial.table("facilities", TABLE)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"key": "MSH-4.1"}, b"|HIS|north|"),
        ({"key": "MSH-4.1", "column": "lab_code"}, b"|HIS|L1|"),
        ({"key": "PV1-2", "into": "PV1-3"}, b"PV1|1|I|stationary"),
        ({"key": "MSH-5", "missing": "keep"}, b"|HOSP|LAB|"),
        ({"key": "MSH-5", "missing": {"default": "no {MSH-5}"}}, b"|HOSP|no LAB|"),
        ({"key": "PID-99", "into": "ZPI-1", "missing": {"default": "none"}}, b"ZPI|none\r"),
    ],
    ids=str,
)
def test_it_writes_what_the_table_says(trial, options, place):
    """The second column, another column, another place; what is missing as asked."""
    assert place in trial.out({"lookup": {"table": "facilities", **options}})


def test_into_a_name_puts_it_aside(trial):
    """Later steps read it as a place."""
    result = trial.run(
        {"lookup": {"table": "facilities", "key": "MSH-4", "into": "region"}},
        {"send": "north", "when": {"region": "north"}},
        {"send": "south", "when": {"region": "south"}},
    )

    assert [output.destination for output in result.outputs] == ["north"]
    assert result.outputs[0].content is None


def test_a_missing_key_is_an_error_with_place_and_code(trial):
    """By default a fault; to the sender it is table 0357's `table value not found`."""
    step = {"lookup": {"table": "facilities", "key": "MSH-5"}}
    fault = trial.run(step).failure
    refused = trial.run({**step, "on_error": {"refuse": "Unknown {MSH-5}"}})

    assert (fault.code, fault.location, fault.at) == (
        "step.rule_broken", "MSH-5", "channels/a.yaml:1",
    )  # fmt: skip
    assert "LAB" not in fault.text
    assert refused.kind is Kind.REFUSE
    assert refused.refusal == Refusal("AE", "103", "Unknown LAB", "MSH-5", "Unknown {MSH-5}")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"table": "none", "key": "PID-3"}, "no transforms/tables/none.csv"),
        ({"table": "facilities", "key": "PID-3", "column": "x"}, "code, region, lab_code"),
        ({"table": "facilities", "key": "type"}, "into: NAME"),
        ({"table": "facilities", "key": "OBX[*]-5"}, "into: PLACE"),
        ({"table": "facilities"}, "key"),
        ({"table": "facilities", "key": "PID-3", "missing": "drop"}, "keep"),
    ],
    ids=str,
)
def test_a_wrong_lookup_says_what_would_be_right(trial, wrong, said):
    """Tables are read when the plan is made."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"lookup": wrong})
