"""spec/channel.py: `channel:` documents."""

import pytest

from portico.language.place import Place
from portico.spec.channel import Channel
from portico.spec.document import parse
from portico.spec.shape import fit

HEAD = "channel: a\nsource: {type: mllp, listen: 'x:1'}\n"


def read(text):
    ((one,), _) = parse(HEAD + text, "x.yaml")
    return fit(Channel, one.value, one)


def sound(text):
    channel, findings = read(text)
    assert findings == []
    return channel


def said(text):
    return [(each.code, each.line, each.key) for each in read(text)[1]]


def test_every_default_is_the_references():
    """SITE reference, section 3; docs/site.md prints the same."""
    channel = sound("")

    assert (channel.content.type, channel.charset.name, channel.charset.on_error) == (
        "hl7",
        "ascii",
        "refuse",
    )
    assert (channel.order_by.keys, channel.unmatched, channel.start) == (
        ("sender",),
        "drop",
        "running",
    )
    assert [str(place) for place in channel.duplicates.key] == ["MSH-3", "MSH-4", "MSH-10"]
    assert (channel.duplicates.window, channel.duplicates.same) == (604_800, "answer")
    assert (channel.acknowledge.when, channel.acknowledge.mode) == ("journaled", "auto")
    assert (channel.acknowledge.timeout, channel.acknowledge.on_error) == (30, "AE")
    assert (channel.retention.bodies, channel.retention.headers) == (30 * 86_400, 365 * 86_400)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("sender", ("sender",)),
        ("none", ("none",)),
        ("PID-3[5=MR].1", (Place.parse("PID-3[5=MR].1"),)),
        ("[PID-3.1, PID-2.1]", (Place.parse("PID-3.1"), Place.parse("PID-2.1"))),
        ("/mrn", (Place.parse("/mrn"),)),
    ],
)
def test_order_is_by_a_word_or_by_places(text, keys):
    """A list: the first valued one counts."""
    assert sound(f"order_by: {text}\n").order_by.keys == keys


@pytest.mark.parametrize("text", ["PID.3", "[]", "[[PID-3]]", "{key: PID-3}", '"PID-3["'])
def test_an_order_that_is_none_is_refused(text):
    """With what would be right."""
    _, (finding,) = read(f"order_by: {text}\n")

    assert finding.key.startswith("order_by")
    assert finding.hint


@pytest.mark.parametrize(
    "text", ["batch: no", "acknowledge: {reply: ack}", "content: {type: json}"]
)
def test_what_changes_nothing_is_taken(text):
    """A key that comes later may say what holds anyway."""
    sound(text + "\n")


@pytest.mark.parametrize(
    ("text", "on_error"),
    [
        ("utf-8", "refuse"),
        ("{name: utf-8, on_error: replace}", "replace"),
        ("{name: utf-8, on_error: {fallback: 8859/1}}", "8859/1"),
    ],
)
def test_a_charset_has_a_short_and_a_long_form(text, on_error):
    """A byte outside it is refused, replaced, or read by another."""
    charset = sound(f"charset: {text}\n").charset

    assert (charset.name, charset.on_error) == ("utf-8", on_error)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("charset: utf-9", "config.charset"),
        ("charset: {name: ascii, on_error: {fallback: klingon}}", "config.charset"),
        ("charset: {on_error: ignore}", "config.choice"),
        ("charset: {on_error: {fallback: replace}}", "config.choice"),
        ("charset: {on_error: {fall: x}}", "config.choice"),
        ("acknowledge: {when: later}", "config.choice"),
        ("acknowledge: {text: '{PID-3'}", "config.template"),
        ("duplicates: {key: PID.3}", "config.place"),
        ("duplicates: {window: 7}", "config.duration"),
        ("acknowledge: processed", "config.type"),
        ("content: yaml", "config.choice"),
        ("unmatched: [drop]", "config.type"),
    ],
)
def test_what_is_wrong_has_a_code(text, code):
    """One finding, on its line."""
    assert [(c, line) for c, line, _ in said(text + "\n")] == [(code, 3)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("channel: a\n", "config.missing_key"),
        ("channel: a\nsource: mllp\n", "config.type"),
        ("channel: a\nsource: {listen: x}\n", "config.missing_key"),
        ("channel: [a]\nsource: {type: mllp}\n", "config.type"),
    ],
)
def test_a_channel_needs_a_name_and_a_source_with_a_type(text, code):
    """The rest has defaults."""
    ((one,), _) = parse(text, "x.yaml")

    _, (finding,) = fit(Channel, one.value, one)

    assert finding.code == code


def test_the_source_keeps_its_options_for_the_type():
    """What they mean is the listener type's to say."""
    source = sound("").source

    assert (source.type, source.options) == ("mllp", {"listen": "x:1"})
