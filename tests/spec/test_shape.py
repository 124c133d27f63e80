"""spec/shape.py and spec/finding.py: complaints with the lines of a document."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from portico.spec.document import parse
from portico.spec.fields import Count, Name, Options
from portico.spec.finding import Finding, Severity, errors, key_text
from portico.spec.shape import fit


class Inner(Options):
    """A shape inside another."""

    colour: Literal["red", "green"]
    size: Annotated[Count, Field(ge=1)] = 1


class Outer(Options):
    """A shape with a list and a mapping of others."""

    name: Name
    many: tuple[Inner, ...] = ()
    by_name: dict[Name, Inner] = Field(default_factory=dict)


def said(text):
    ((one,), _) = parse(text, "x.yaml", nouns=False)
    return [
        (each.line, each.key, each.code, each.text, each.hint)
        for each in fit(Outer, one.value, one)[1]
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("many: []", (1, "name", "config.missing_key", "'name' is missing", "")),
        (
            "name: a\nmany:\n  - colour: red\n  - colour: gren",
            (
                4,
                "many[2].colour",
                "config.choice",
                "'gren' is not a choice here",
                "did you mean 'green'?",
            ),
        ),
        (
            "name: a\nmany:\n  - colour: blue",
            (
                3,
                "many[1].colour",
                "config.choice",
                "'blue' is not a choice here",
                "one of red, green",
            ),
        ),
        (
            "name: a\nmany:\n  - colour: [red]",
            (
                3,
                "many[1].colour",
                "config.type",
                "expected one of red, green, found a list",
                "",
            ),
        ),
        ("name: a\nmany: x", (2, "many", "config.type", "expected a list, found a text", "")),
        (
            "name: a\nby_name: [x]",
            (2, "by_name", "config.type", "expected a mapping, found a list", ""),
        ),
        (
            "name: a\nby_name:\n  x: {colour: red, size: 0}",
            (
                3,
                "by_name.x.size",
                "config.value",
                "input should be greater than or equal to 1",
                "",
            ),
        ),
        (
            "name: a\nby_name:\n  x: red",
            (
                3,
                "by_name.x",
                "config.type",
                "expected a mapping, found a text",
                "try {colour: red}",
            ),
        ),
    ],
)
def test_a_complaint_has_line_key_code_text_and_hint(text, finding):
    """Items count from 1, as in paths; a missing key has the line of its mapping."""
    assert said(text + "\n") == [finding]


def test_the_key_of_a_mapping_is_checked_like_a_value():
    """A name that is none is a finding at its entry."""
    (finding,) = said("name: a\nby_name:\n  X Y: {colour: red}\n")

    assert finding[:3] == (3, "by_name.X Y", "config.name")


def test_what_fits_comes_typed():
    """No finding, and the model."""
    ((one,), _) = parse("name: a\nmany: [{colour: red}]\n", "x.yaml", nouns=False)

    assert fit(Outer, one.value, one) == (Outer(name="a", many=(Inner(colour="red"),)), [])


def test_a_location_reads_as_people_count():
    """From 1, with dots between keys."""
    assert key_text(("steps", 0, "route", 1, "send")) == "steps[1].route[2].send"
    assert key_text(()) == ""


def test_a_finding_of_a_whole_file_has_no_line():
    """And one that is no error says what it is."""
    finding = Finding("a.yml", 0, "", "is not read", "", "site.yml", Severity.WARNING)

    assert str(finding) == "a.yml: warning: is not read  [site.yml]"
    assert errors([finding]) == ()
