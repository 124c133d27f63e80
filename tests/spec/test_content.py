"""portico.spec.content: `content:` of a channel."""

import pytest

from portico.language.content import Content as Form
from portico.language.place import Place
from portico.spec.content import Content, misfit


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("xml", Form("xml")),
        ({"type": "csv", "separator": ";", "header": "no"}, Form("csv", (), 64, ";", False)),
        ({"type": "csv", "separator": "tab"}, Form("csv", separator="\t")),
        (
            {"type": "xml", "namespaces": {"o": "urn:o", "a": "urn:a"}, "depth": "9"},
            Form("xml", (("a", "urn:a"), ("o", "urn:o")), 9),
        ),
        ({"type": "json", "depth": "64"}, Form("json")),
    ],
)
def test_a_content_is_a_name_or_a_kind_with_its_options(raw, form):
    """An option of another kind may be said where it says the default, as `--explain` does."""
    assert Content.model_validate(raw).form == form


@pytest.mark.parametrize(
    ("form", "place"),
    [(Form("auto"), "PID-3"), (Form("auto"), "/a[@b='c']"), (Form("json"), "type"),
     (Form("csv", header=False), "/"), (Form("xml"), "/a/@xml:lang"), (Form("bytes"), "file"),
     (Form("json"), "finding/code")],
)  # fmt: skip
def test_places_of_the_envelope_and_what_steps_put_aside_fit_anything(form, place):
    """And so does everything where the kind is told by the first bytes."""
    assert misfit(form, Place.parse(place)) == ""
