"""check/explain.py: the settings that hold, as files of a site."""

import shutil
from pathlib import Path

import pytest

from portico.check import report
from portico.check.explain import DEFAULT, explain
from portico.check.site import load_site

ROOT = Path(__file__).parents[2]
FULL = """\
channel: adt_in
source: {type: mllp, listen: "127.0.0.1:2575", allow: 10.0.0.0/8}
charset: {name: utf-8, on_error: {fallback: latin-1}}
order_by: {key: [PID-3.1, PID-2.1], with: [MRG-1.1]}
---
agent: a
goal: "Yes: no"
on: {channel: adt_in, "OBX[*]-2": [ED, {matches: "F.*"}]}
on_error: {steps: [{send: his}]}
steps:
  - lookup: {table: t, key: MSH-3, into: region, missing: {default: "{MSH-4}"}}
    on_error: {refuse: {ack: AR, code: 103, text: "no {MSH-3}"}}
  - map: {set: {PID-5.1: '""'}, format: {PID-7: {date: "%Y"}}}
  - validate: {values: {PID-8: [M, F]}, formats: {PID-7: date}}
  - when: {region: north}
    steps:
      - route:
          - {when: {PV1-2: I}, send: [his, log]}
          - otherwise: {steps: [{send: log}]}
---
{destination: his, type: mllp, address: "[::1]:2575", answers: {AE: {retry: 7}}}
---
{destination: log, type: log}
"""


@pytest.fixture
def explained(site):
    """A site that uses much of the language, and what `explain` says of it."""
    site.write({"channels/a.yaml": FULL, "transforms/tables/t.csv": "a,b\n1,2\n"})
    return explain(load_site(site.root, {}))


def again(site, text):
    """The site that the explanation describes."""
    config, _, rest = text.partition("---\n")
    site.write({"config/portico.yaml": config, "channels/a.yaml": rest})
    loaded, found = site.examine()
    assert loaded is not None, report.text(found)
    return loaded


def test_an_explanation_is_itself_a_site(site, explained):
    """What is printed may be copied into a file: it is sound, and explains to the same."""
    second = explain(again(site, explained))

    assert second.replace(DEFAULT, "") == explained.replace(DEFAULT, "")


SIGNS = """\
channel: in
source: {type: folder, path: var/in}
---
agent: a
goal: "-"
on: {channel: in, type: "*^A01"}
steps:
  - filter: {drop: {PID-8: "*", PV1-2: ["-", "--x"]}}
  - map: {set: {PID-9: "-", PID-10: "&", PID-11: "!x", PID-12: "---"}}
  - send: out
---
{destination: out, type: log}
"""


def test_a_text_that_begins_with_a_sign_is_printed_in_quotes(site):
    """`files: *` is what every folder has by default, and in YAML it would be an alias."""
    site.write({"channels/a.yaml": SIGNS})
    explained = explain(load_site(site.root, {}))

    assert 'files: ["*"]' in explained
    assert explain(again(site, explained)).replace(DEFAULT, "") == explained.replace(
        DEFAULT, ""
    )


def test_our_own_site_explains_to_itself(site):
    """The same for the channels of this repository."""
    shutil.copytree(ROOT / "transforms", site.root / "transforms")
    original = load_site(ROOT, {})

    copy = again(site, explain(original))

    assert copy.config == original.config
    assert copy.channels == original.channels
    assert copy.agents.keys() == original.agents.keys()


def test_every_default_is_printed_and_marked(explained):
    """What nobody wrote is told apart from what somebody did."""
    lines = explained.splitlines()

    assert "  limit: 16MiB  # default" in lines
    assert "  allow: [10.0.0.0/8]" in lines
    assert "  listen: 127.0.0.1:9464  # default" in lines


def test_answers_are_shown_with_those_that_hold_anyway(explained):
    """A table that says one code still has the others."""
    (line,) = [line for line in explained.splitlines() if "retry: 7" in line]

    assert "AE: {retry: 7}" in line
    assert "AR: reject" in line


def test_a_secret_stays_a_reference(site):
    """An explanation may be pasted into a ticket."""
    site.write(
        {
            "config/portico.yaml": "journal: {url: '${file:journal}'}\n",
            "journal": "postgresql://user:hidden@db/x",
            "channels/a.yaml": FULL.replace("retry: 7", "retry: 8"),
            "transforms/tables/t.csv": "a,b\n1,2\n",
        }
    )

    text = explain(load_site(site.root, {}))

    assert "${file:journal}" in text
    assert "hidden" not in text


def test_a_step_that_says_its_own_time_limit_is_shown_as_typed(site):
    """A duration of the file is not spelled anew: `90s` stays `90s`."""
    site.write({"transforms/__init__.py": "", "transforms/t.py": "def f(msg): pass\n"})
    site.said(
        'channel: in\nsource: {type: mllp, listen: "127.0.0.1:2575"}\n',
        "agent: one\ngoal: To see\non: {channel: in}\n"
        "steps: [{python: {call: transforms.t:f, timeout: 90s}}]\n",
    )
    found, _ = site.examine()

    assert "timeout: 90s" in explain(found)
