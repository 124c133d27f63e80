"""From documents to the values that flow decides by."""

from types import SimpleNamespace

import pytest

from portico.check.site import load_site
from portico.ids import IdMaker, text
from portico.server import terms

IDS = IdMaker(SimpleNamespace(time_ns=lambda: 1_773_475_200 * 10**9), bytes)

SITE = """
channel: adt
source: {type: mllp, listen: "127.0.0.1:2575"}
duplicates: {window: forever, changed: park}
acknowledge: {when: processed, timeout: 5s, on_refuse: AR}
unmatched: refuse
---
agent: a
goal: g
on: {channel: adt}
on_error: continue
retry: {first: 2s, for: 1h}
steps: [{send: [his, all, none]}]
---
{destination: his, type: mllp, address: "127.0.0.1:9", on_reject: stop, answers: {AE: done}}
---
{destination: all, type: log, order: all}
---
{destination: none, type: log, order: none}
"""


@pytest.fixture
def site(tmp_path):
    """A site with settings of every kind."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/all.yaml").write_text(SITE)
    return load_site(tmp_path, {})


def test_a_channels_settings_reach_its_intake(site):
    """`forever` is a number that an id's time can be counted back by."""
    policy = terms.policy_of(site.channels["adt"])

    assert (policy.timeout, policy.unmatched) == (5.0, "refuse")
    assert (policy.answering.when, policy.answering.on_refuse) == ("processed", "AR")
    assert policy.duplicates.changed == "park"
    assert 90 < policy.duplicates.window / (365 * 86_400) < 110


def test_a_destinations_answers_add_to_those_of_hl7(site):
    """What the file says wins, the rest stands."""
    found = terms.delivery_terms(site.destinations["his"])

    assert (found.answers["AE"], found.answers["AR"]) == ("done", "reject")
    assert found.stop_on_reject


def test_what_only_a_step_can_do_is_not_done_when_none_could(site):
    """on_error: continue has no meaning for a dead worker: it is parked."""
    found = terms.run_terms(site.agents["a"], "v1")

    assert (found.on_fault, found.first, found.lasting) == ("park", 2.0, 3600.0)


@pytest.mark.parametrize(
    ("destination", "key", "lane"),
    [("his", "4711", "4711"), ("all", "4711", ""), ("none", "4711", None), ("his", "", None),
     ("gone", "4711", "4711")],
)  # fmt: skip
def test_lanes_are_named_by_the_destinations_order(site, destination, key, lane):
    """None: a lane of its own, named as the Delivery."""
    signal = IDS.next()
    named = terms.lane_namer(lambda: site.destinations)(destination, key, signal, 2)

    assert named == (f"{text(signal)}/d2" if lane is None else lane)
