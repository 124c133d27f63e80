"""server/pressure.py: which channels a full queue holds."""

from portico.check.site import load_site
from portico.server.pressure import feeders

SITE = """
channel: adt
source: {type: mllp, listen: "127.0.0.1:2575"}
---
channel: oru
source: {type: mllp, listen: "127.0.0.1:2576"}
---
agent: router
goal: All ways
on: {channel: adt}
steps:
  - route:
      - when: {type: ADT^A01}
        steps: [{send: lab}]
      - otherwise: {steps: [{emit: {signal: odd}}]}
---
agent: odd_ones
goal: What came by another agent
on: {signal: odd}
steps:
  - split: {at: PID, steps: [{send: {to: archive}}]}
---
agent: results
goal: Two places
on: {channel: oru}
on_error: {steps: [{send: failures}]}
steps: [{send: [lab, his]}]
---
{destination: lab, type: log}
---
{destination: his, type: log}
---
{destination: archive, type: log}
---
{destination: failures, type: log}
---
{destination: nobody, type: log}
"""


def test_a_queue_is_fed_by_every_way_there_is(tmp_path):
    """By branches, splits, steps for errors, lists, and signals that agents emit."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/all.yaml").write_text(SITE)
    site = load_site(tmp_path, {})

    assert feeders(site) == {
        "lab": {"adt", "oru"},
        "his": {"oru"},
        "archive": {"adt"},
        "failures": {"oru"},
    }
