"""check/renaming.py: `was` names a noun that is gone, and one noun claims it."""

import pytest

from portico.check.site import examine

SITE = """
channel: adt
{first}
source: {{type: mllp, listen: "127.0.0.1:2575"}}
---
channel: oru
{second}
source: {{type: mllp, listen: "127.0.0.1:2576"}}
---
agent: a
goal: All
on: {{channel: [adt, oru]}}
steps: [{{send: log}}]
---
{{destination: log, type: log}}
"""


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("was: oru", "", "there is still a channel 'oru'"),
        ("was: adt", "", "there is still a channel 'adt'"),
        ("was: old", "was: old", "channel 'adt' was 'old', too"),
    ],
)
def test_a_name_in_use_or_claimed_twice_is_found(tmp_path, first, second, text):
    """With its line."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/all.yaml").write_text(SITE.format(first=first, second=second))
    site, (finding,) = examine(tmp_path, {})
    assert site is None
    assert (finding.code, finding.text) == ("site.was", text)
    assert finding.line in (3, 7)


def test_a_name_that_is_gone_may_be_named_for_ever(tmp_path):
    """A channel `was` what an agent is called: names are apart by noun."""
    (tmp_path / "channels").mkdir()
    text = SITE.format(first="was: a", second="")
    (tmp_path / "channels/all.yaml").write_text(text)
    site, found = examine(tmp_path, {})
    assert site is not None and not found
    assert site.channels["adt"].was == "a"
