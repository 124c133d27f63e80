"""The samples are what their README says they are."""

import re
from pathlib import Path

import pytest

from portico.errors import NotHl7
from portico.hl7.view import MessageView

SAMPLES = Path(__file__).parents[2] / "samples/hl7"
README = (SAMPLES / "README.md").read_text()
BROKEN = {
    name: reader
    for name, reader in re.findall(
        r"^\| `(\w+\.hl7)` \| [^|]+ \| `([\w.]+)` \| [^|]+ \|$", README, re.M
    )
}
WHOLE = dict(re.findall(r"^\| `(\w+\.hl7)` \| (\w+\^\w+), [^|]+ \| [^|]+ \|$", README, re.M))


def test_every_sample_is_in_the_readme_and_the_other_way_round():
    """A newcomer finds what each file is; no row leads nowhere."""
    assert {f.name for f in SAMPLES.glob("*.hl7")} == set(WHOLE)
    assert {f.name for f in (SAMPLES / "broken").glob("*.hl7")} == set(BROKEN)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_whole_sample_is_read_with_the_type_that_the_readme_gives(name):
    """Each ends its segments with CR and is decodable by its own MSH-18."""
    content = (SAMPLES / name).read_bytes()
    view = MessageView(content)

    assert view.header.type == WHOLE[name]
    assert content.endswith(b"\r")
    assert b"\n" not in content
    assert all(isinstance(view.text(f"{s}-1"), str) for s in view.names if s in ("PID", "OBX"))


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_sample_is_read_or_refused_as_the_readme_says(name):
    """The reader never fails in another way than by its own error."""
    content = (SAMPLES / "broken" / name).read_bytes()
    try:
        reader = "read" if MessageView(content).header else ""
    except NotHl7 as error:
        reader = error.code

    assert reader == BROKEN[name]


def test_the_control_ids_of_the_samples_differ():
    """Sending all samples in a row makes no duplicate."""
    ids = [MessageView((SAMPLES / name).read_bytes()).header.control_id for name in WHOLE]

    assert len(ids) == len(set(ids))
