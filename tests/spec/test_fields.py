"""spec/fields.py: values of site files, and the words for wrong ones."""

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from portico.spec import fields
from portico.spec.fields import (
    ONE_OR_MANY,
    Address,
    Count,
    Duration,
    HostPort,
    Inner,
    Later,
    Name,
    Options,
    Size,
    Switch,
    Text,
    nearest,
)
from portico.spec.rules import TemplateField


def read(kind, value):
    return TypeAdapter(kind).validate_python(value)


def refused(kind, value):
    """Code, text and hint of the only complaint."""
    with pytest.raises(ValidationError) as raised:
        read(kind, value)
    (line,) = raised.value.errors()
    return line["type"], line["ctx"]["text"], line["ctx"]["hint"]


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        (Duration, "1.5m", 90.0),
        (Duration, "forever", float("inf")),
        (Size, "16MiB", 16 << 20),
        (Switch, "no", False),
        (Count, "007", 7),
        (Address, "[::1]:2575", HostPort("::1", 2575)),
        (Name, "adt_in", "adt_in"),
        (Text, "007", "007"),
    ],
)
def test_a_text_becomes_the_value_that_its_key_wants(kind, typed, value):
    """The key gives the type, never the look of the text."""
    assert read(kind, typed) == value


@pytest.mark.parametrize(
    ("kind", "typed", "code", "hint"),
    [
        (Duration, "5 min", "config.duration", "try '30s', '5m', '3d' or 'forever'"),
        (Size, "16 mb", "config.size", "try '16MiB'"),
        (Switch, "true", "config.switch", "write yes or no"),
        (Count, "-1", "config.count", ""),
        (Address, "localhost", "config.host_port", "try 'localhost:2575'"),
        (Address, "9464", "config.host_port", "try '127.0.0.1:9464'"),
        (Address, "host:70000", "config.host_port", "try '127.0.0.1:2575'"),
        (Name, "ADT In", "config.name", "try 'adt_in'"),
        (Name, "2nd", "config.name", "try 'n_2nd'"),
    ],
)
def test_a_wrong_text_says_what_would_be_right(kind, typed, code, hint):
    """Each kind has a code of its own."""
    said, text, suggestion = refused(kind, typed)

    assert (said, suggestion) == (code, hint)
    assert repr(typed) in text


@pytest.mark.parametrize("kind", [Duration, Size, Switch, Count, Address, Name, Text])
def test_a_list_or_mapping_is_no_text(kind):
    """The finding says what was found."""
    assert refused(kind, ["x"])[:2] == ("config.type", "expected one text, found a list")
    assert refused(kind, {"x": "y"})[:2] == (
        "config.type",
        "expected one text, found a mapping",
    )


@pytest.mark.parametrize("kind", [Duration, Name, Text, Address])
def test_a_secret_is_refused_where_none_belongs(kind):
    """A reference that nobody resolves would be used as a text."""
    assert refused(kind, "${file:x}")[0] == "config.secret"


def test_a_template_that_yaml_takes_for_a_mapping_is_to_be_quoted():
    """`PV1-6: {PV1-2}` without quotes."""
    assert refused(TemplateField, {"PV1-2": ""}) == (
        "config.template",
        "expected one text, found a mapping",
        "quote a text that begins with {",
    )


class Part(Options):
    """A shape within a shape, with a short form."""

    short: ClassVar[str] = "name"
    name: Text
    more: Count = 0


class Told(Options):
    """A mapping without a short form."""

    when: Literal["now", "later"] = "now"
    more: Count = 0


class Only(Options):
    """A mapping of one key."""

    listen: Text = ""


class Whole(Options):
    """What the tests below read."""

    beneath = {"name": "part"}  # noqa: RUF012
    part: Part | None = None
    parts: Annotated[tuple[Part, ...], ONE_OR_MANY] = ()
    for_: Text = Field("", alias="for")
    tls: Annotated[str, Later("TLS", "no")] = "no"
    told: Told = Told()
    only: Only = Only()
    filled: Inner = Field(None, exclude=True)


def complaints(value):
    with pytest.raises(ValidationError) as raised:
        Whole.model_validate(value)
    return [(e["loc"], e["type"], e.get("ctx", {}).get("hint")) for e in raised.value.errors()]


def test_a_bare_text_is_the_short_form():
    """`charset: utf-8` stands for `charset: {name: utf-8}`."""
    assert Whole.model_validate({"part": "x"}).part == Part(name="x")


def test_one_item_stands_for_a_list_of_one():
    """Lists of one need no brackets."""
    assert Whole.model_validate({"parts": {"name": "x"}}).parts == (Part(name="x"),)
    assert Whole.model_validate({"parts": ["x", "y"]}).parts == (Part(name="x"), Part(name="y"))


def test_unknown_keys_at_any_depth_are_corrected_by_their_own_mapping():
    """The hint of an inner key comes from the inner shape; all errors come at once."""
    said = complaints(
        {"part": {"nam": "x", "name": "y"}, "fro": "z", "parts": [{"name": "a", "moer": "1"}]}
    )

    assert said == [
        (("part", "nam"), "config.unknown_key", "did you mean 'name'?"),
        (("parts", 0, "moer"), "config.unknown_key", "did you mean 'more'?"),
        (("fro",), "config.unknown_key", "did you mean 'for'?"),
    ]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"told": "later"}, "try {when: later}"),
        ({"told": "whenever"}, "its keys: when, more"),
        ({"told": ["later"]}, "its keys: when, more"),
        ({"only": "127.0.0.1:1"}, "try {listen: ...}"),
    ],
)
def test_a_bare_value_in_place_of_a_mapping_is_told_the_keys(value, hint):
    """The one that takes this word, or all there are."""
    assert complaints(value) == [((*value,), "config.type", hint)]


def test_a_key_of_another_floor_is_told_where_it_stands():
    """`listen` of a channel stands under `source`."""
    assert complaints({"name": "x"}) == [
        (("name",), "config.unknown_key", "it stands under 'part'")
    ]


def test_an_error_inside_keeps_its_code():
    """Passing through outer shapes changes nothing."""
    assert complaints({"part": {"name": "x", "more": "few"}}) == [
        (("part", "more"), "config.count", "")
    ]


def test_a_key_that_comes_later_takes_only_what_changes_nothing():
    """`tls: no` is what holds anyway; anything else is named as not built."""
    assert Whole.model_validate({"tls": "no"}).tls == "no"
    assert complaints({"tls": "partners"}) == [(("tls",), "site.not_yet", "")]


def test_a_key_that_code_fills_is_no_key_of_a_file():
    """It is not known, and not offered."""
    assert complaints({"filled": "x"})[0][:2] == (("filled",), "config.unknown_key")
    assert Whole.keys() == ("part", "parts", "for", "tls", "told", "only")


def test_shapes_are_frozen():
    """What was checked cannot change under those who hold it."""
    with pytest.raises(ValidationError):
        Part(name="x").name = "y"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lbb", "did you mean 'lab'?"),
        ("radiology", "known: lab, pacs"),
        ("", "known: lab, pacs"),
    ],
)
def test_the_nearest_name_or_all_of_them(text, hint):
    """A typing mistake is corrected, anything else answered with what there is."""
    assert nearest(text, ["pacs", "lab"]) == hint


def test_nothing_known_gives_no_hint():
    """No empty list is printed."""
    assert nearest("x", []) == ""


def test_an_address_prints_as_it_is_typed():
    """IPv6 keeps its brackets."""
    for text in ("127.0.0.1:2575", "[::1]:2575", "lab.internal:2575"):
        assert str(fields.host_port(text)) == text
