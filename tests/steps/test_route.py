"""`route`."""

import pytest

from portico.errors import ConfigError
from portico.model.verdict import Kind

LAB = {"when": {"PV1-2": "I"}, "send": "lab"}
NEVER = {"when": {"PV1-2": "O"}, "send": "never"}


def sent(result):
    return [output.destination for output in result.outputs]


def test_the_first_step_whose_when_holds_is_taken(trial):
    """Alone; afterwards the steps behind the route run."""
    result = trial.run(
        {"route": [NEVER, LAB, {**LAB, "send": "second"}, {"otherwise": "park"}]},
        {"send": "all"},
    )

    assert sent(result) == ["lab", "all"]


def test_a_group_shares_its_when(trial):
    """`steps` holds several."""
    group = {"when": {"PV1-2": "I"}, "steps": [{"send": "a"}, {"send": "b"}]}

    assert sent(trial.run({"route": [group, {"otherwise": "park"}]})) == ["a", "b"]


@pytest.mark.parametrize(
    ("otherwise", "kind", "destinations"),
    [
        ("drop", Kind.DROP, []),
        ("park", Kind.FAULT, []),
        ("refuse", Kind.REFUSE, []),
        ("continue", Kind.DELIVER, ["all"]),
        ({"steps": [{"send": "rest"}]}, Kind.DELIVER, ["rest", "all"]),
    ],
    ids=str,
)
def test_otherwise_says_what_becomes_of_the_rest(trial, otherwise, kind, destinations):
    """Each choice, under the route's name."""
    result = trial.run({"route": [NEVER, {"otherwise": otherwise}]}, {"send": "all"})

    assert (result.kind, sent(result)) == (kind, destinations)
    assert result.step == ("" if kind is Kind.DELIVER else "route_1")
    if kind is Kind.FAULT:
        assert result.failure.at == "channels/a.yaml:1"


def test_a_filter_in_a_branch_ends_the_signal(trial):
    """A branch is no split."""
    branch = {"when": {"PV1-2": "I"}, "filter": {"drop": {"PV1-2": "I"}}}

    assert (
        trial.run({"route": [branch, {"otherwise": "park"}]}, {"send": "x"}).step == "filter_1"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([LAB], "ends with otherwise"),
        ([{"otherwise": "park"}, LAB], "ends with otherwise"),
        ([{"send": "lab"}, {"otherwise": "park"}], "has no when"),
        ([LAB, {"otherwise": "ignore"}], "drop, park, refuse, continue"),
        ([LAB, {"otherwise": "drop"}, {"otherwise": "park"}], "once, and last"),
        ([], "ends with otherwise|at least 1"),
        ("lab", "list"),
        ({"branches": [LAB, {"otherwise": "park"}]}, "a route is a list"),
    ],
    ids=str,
)
def test_a_wrong_route_says_what_would_be_right(trial, wrong, said):
    """`otherwise` is required, so nothing is lost by accident."""
    with pytest.raises(ConfigError, match=said):
        trial.plan({"route": wrong})
