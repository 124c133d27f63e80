"""`filter`."""

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ({"keep": {"PV1-2": "I"}}, Kind.DELIVER),
        ({"keep": {"PV1-2": "O"}}, Kind.DROP),
        ({"drop": {"PV1-2": "I"}}, Kind.DROP),
        ({"drop": {"PV1-2": "O"}}, Kind.DELIVER),
    ],
    ids=str,
)
def test_it_goes_the_way_that_it_says(trial, way, kind):
    """`keep` ends what does not fit, `drop` what does; the rule has the step's name."""
    result = trial.run({"filter": way, "name": "inpatients"}, {"send": "lab"})

    assert result.kind is kind
    assert result.step == ("inpatients" if kind is Kind.DROP else "")
    assert len(result.outputs) == (kind is Kind.DELIVER)


@pytest.mark.parametrize(
    "wrong", [{}, {"PV1-2": "I"}, {"keep": {"PV1-2": "I"}, "drop": {"PV1-2": "O"}}], ids=str
)
def test_it_is_never_bare(trial, wrong):
    """A filter that does not say which way is an error with file and line."""
    with pytest.raises(ConfigError, match=r"channels/a\.yaml:1 filter_1"):
        trial.plan({"filter": wrong})


def test_what_was_sent_before_a_drop_still_goes(trial):
    """The message is delivered where it was sent; the filter ends only the way after it."""
    result = trial.run(
        {"send": "archive"}, {"filter": {"keep": {"PV1-2": "O"}}}, {"send": "lab"}
    )

    assert result.kind is Kind.DELIVER
    assert [output.destination for output in result.outputs] == ["archive"]
