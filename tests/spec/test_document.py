"""spec/document.py: YAML as texts with lines, within bounds."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from portico.spec.document import MOST_BYTES, MOST_DEPTH, parse, read


def values(text):
    """The values of configuration documents, which must be sound."""
    documents, findings = parse(text, "x.yaml", nouns=False)
    assert findings == []
    return [each.value for each in documents]


def said(text):
    """Code and line of every finding."""
    return [(each.code, each.line) for each in parse(text, "x.yaml", nouns=False)[1]]


@pytest.mark.parametrize(
    "typed",
    ["NO", "yes", "007", "2.10", "1e3", "0x10", "null", "~", "2026-03-14", "true", "12:30"],
)
def test_a_scalar_stays_the_text_that_was_typed(typed):
    """Nothing becomes a number, a boolean, a date or nothing at all."""
    assert values(f"key: {typed}\nlist: [{typed}]\n") == [{"key": typed, "list": [typed]}]


def test_quoted_and_block_texts_are_what_yaml_says():
    """Quotes, folding and literal blocks keep their meaning."""
    text = "a: \"x\\ty\"\nb: 'it''s'\nc: |\n  one\n  two\nd: >-\n  one\n  two\ne:\n"

    assert values(text) == [
        {"a": "x\ty", "b": "it's", "c": "one\ntwo\n", "d": "one two", "e": ""}
    ]


def test_every_place_knows_its_line():
    """Keys point at the key, items at the item, in flow style too."""
    text = "# comment\na:\n  b: [x,\n    {c: y}]\n---\nd:\n- e\n- f: |\n    g\n"

    first, second = parse(text, "x.yaml", nouns=False)[0]

    assert first.lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
    }
    assert second.lines == {(): 6, ("d",): 6, ("d", 0): 7, ("d", 1): 8, ("d", 1, "f"): 8}


def test_a_place_that_is_not_there_has_the_line_of_what_would_hold_it():
    """A missing key is reported at its mapping; parts of the models' making are skipped."""
    (one,) = parse("a:\n  b: x\n", "x.yaml", nouns=False)[0]

    assert one.line_of(("a", "missing")) == 1
    assert one.line_of(("a", "tag", "b")) == 2
    assert one.line_of(("nowhere",)) == 1


def test_documents_and_comments_in_between():
    """Empty documents are none; a marker may carry its document."""
    assert values("# nothing\n---\n---\na: 1\n--- {b: 2}\n...\n# end\n") == [
        {"a": "1"},
        {"b": "2"},
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &x 1\n", "yaml.anchor"),
        ("a: *x\n", "yaml.alias"),
        ("files: *.hl7\n", "yaml.alias"),
        ("a: !int 1\n", "yaml.tag"),
        ("a: !!python/object:os.system x\n", "yaml.tag"),
        ("<<: *x\n", "yaml.alias"),
        ("a: [&x {b: c}]\n", "yaml.anchor"),
        ("? [a]\n: b\n", "yaml.key"),
        ("{{PID-3.1}: x}\n", "yaml.key"),
    ],
)
def test_what_the_language_does_not_have_is_refused(text, code):
    """Anchors, aliases, tags and keys that are no text."""
    assert said("z: 1\n---\n" + text) == [(code, 3)]


def test_a_repeated_key_names_the_first_and_is_ignored():
    """YAML would silently take the last."""
    documents, (finding,) = parse("a: 1\nb: 2\na: 3\n", "x.yaml", nouns=False)

    assert (finding.code, finding.line, finding.hint) == ("yaml.duplicate_key", 3, "see line 1")
    assert documents[0].value == {"a": "1", "b": "2"}


def test_two_documents_that_nothing_parts_are_told_what_does():
    """The commonest cause of a noun that comes twice."""
    _, (finding,) = parse("channel: a\nchannel: b\n", "x.yaml")

    assert finding.hint == "see line 1; a line --- parts two documents"


def test_what_a_repeated_key_holds_is_dropped_whole():
    """Nothing inside it has a line, since nothing of it is in the value."""
    (one,), _ = parse("a: {b: 1}\na: {c: [2, {d: 3}], c: 4}\ne: 5\n", "x.yaml", nouns=False)

    assert one.value == {"a": {"b": "1"}, "e": "5"}
    assert one.lines == {(): 1, ("a",): 1, ("a", "b"): 1, ("e",): 3}


OPEN = 'a { or [ is not closed, here or above; or quote a text that holds ": "'
COLUMN = "the keys of one mapping begin in the same column, and so do the - of one list"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("on: {OBX[*]-5: x}", 'inside {} a path with [ is quoted: {"OBX[*]-5": ...}'),
        ("on: {PID-3[5=MR].1: x}", 'inside {} a path with [ is quoted: {"OBX[*]-5": ...}'),
        ("auth: {password: ${env:X}}", 'inside {} a reference is quoted: "${env:NAME}"'),
        ("file: {PID-3.1}.pdf", 'a text that begins with { is quoted: "{PID-3.1}.pdf"'),
        ("file: %Y.hl7", "quote the text"),
        ("on: {channel: adt, type: *}", "quote the text"),
        ("  listen: 2575", f"{COLUMN}; or quote a text that ends with :"),
        ("\tx: 1", "indent with spaces, not with tabs"),
        ("on: {type: [A, B}", OPEN),
        ("on: {a: {b: c}\nc: d", OPEN),
        ("- a: {b: c}", COLUMN),
        ("goal: one: two", 'quote a text that holds ": " or begins with a sign'),
    ],
)
def test_a_syntax_error_says_what_is_mostly_meant(line, hint):
    """YAML's own words are about tokens; an analyst wants to know what to type."""
    documents, (finding,) = parse(f"a: 1\n---\nb: 2\n{line}\n", "x.yaml", nouns=False)

    assert (finding.code, finding.hint) == ("yaml.syntax", hint)
    assert finding.line in (4, 5)
    assert [each.value for each in documents] == [{"a": "1"}]


def test_a_character_that_yaml_does_not_take_is_told_with_its_line():
    """Nobody sees it in an editor: a vertical tab of a spreadsheet, the mark of a frame."""
    text = "a: 1\n---\nb: 2\nc: 'x\x0by'\nd: 3\n"
    _, (finding,) = parse(text, "x.yaml", nouns=False)

    assert (finding.line, finding.code) == (4, "yaml.syntax")
    assert finding.text == "a character that YAML does not take: U+000B"
    assert finding.hint == 'take it out; inside of double quotes it is written "\\u000b"'
    assert parse(text.replace("'x\x0by'", '"x\\u000by"'), "x.yaml", nouns=False)[1] == []


INDENTS = "\n".join(" " * depth + "a:" for depth in range(1_000))


@pytest.mark.parametrize(
    "bomb",
    ["[" * 40_000, "{a: " * 40_000, "- " * 40_000, "? " * 40_000, INDENTS],
    ids=["lists", "mappings", "blocks", "keys", "indents"],
)
def test_a_bomb_of_depth_is_a_finding(bomb):
    """Depth 40,000 neither recurses nor takes longer than a moment."""
    began = time.process_time()

    findings = parse(bomb, "x.yaml")[1]

    assert findings[0].code in ("yaml.depth", "yaml.key")
    assert time.process_time() - began < 2


def test_the_deepest_that_is_allowed_is_read():
    """The bound is exact."""
    assert said("[" * MOST_DEPTH + "]" * MOST_DEPTH) == []
    assert said("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1)) == [("yaml.depth", 1)]


def test_a_file_of_a_hundred_megabytes_is_not_even_read(tmp_path):
    """Its size is looked at first."""
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    began = time.process_time()

    documents, (finding,) = read(path, "x.yaml")

    assert (documents, finding.code) == ([], "yaml.size")
    assert time.process_time() - began < 1


def test_a_file_of_the_greatest_size_is_read(tmp_path):
    """The bound is exact here too."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * MOST_BYTES)
    assert read(path, "x.yaml") == ([], [])

    path.write_bytes(b"#" * (MOST_BYTES + 1))
    assert [each.code for each in read(path, "x.yaml")[1]] == ["yaml.size"]


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path):
    """A file saved by an old editor."""
    path = tmp_path / "x.yaml"
    path.write_bytes("a: 1\nb: Müller\n".encode("latin-1"))

    assert [(e.code, e.line) for e in read(path, "x.yaml")[1]] == [("yaml.encoding", 2)]


def test_a_byte_order_mark_is_skipped(tmp_path):
    """Windows editors write one."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfchannel: a\n")

    documents, findings = read(path, "x.yaml")

    assert (documents[0].noun, findings) == ("channel", [])


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path):
    """A folder of that name, a permission, a file that has just gone."""
    (tmp_path / "x.yaml").mkdir()

    assert [e.code for e in read(tmp_path / "x.yaml", "x.yaml")[1]] == ["yaml.unreadable"]
    assert [e.code for e in read(tmp_path / "y.yaml", "y.yaml")[1]] == ["yaml.unreadable"]


def test_the_first_key_names_the_document():
    """Its value is the name; a `channel:` key of another noun does not confuse that."""
    documents, findings = parse("case: x\nchannel: y\n---\nagent: z\n", "x.yaml")

    assert [(each.noun, each.name) for each in documents] == [("case", "x"), ("agent", "z")]
    assert findings == []


def test_a_noun_that_is_not_first_is_found_with_a_warning():
    """Formatters sort keys; nothing else depends on their order."""
    (one,), (finding,) = parse("goal: g\nagent: z\n", "x.yaml")

    assert one.noun == "agent"
    assert (finding.code, finding.severity, finding.line) == ("config.noun_first", "warning", 2)


def test_a_line_in_a_column_of_its_own_is_said_in_plain_words():
    """Not in the tokens of a parser."""
    _, (finding,) = parse("channel: x\nsource:\n  type: mllp\n limit: 1\n", "x.yaml")

    assert (finding.line, finding.hint) == (4, COLUMN)
    assert finding.text == "this line begins in another column than those it goes with"


def test_a_forgotten_line_between_documents_is_one_finding_for_each():
    """Each part is read as what it is, so that no key is said to be unknown."""
    documents, findings = parse("channel: x\nowner: o\nagent: y\ndestination: z\n", "x.yaml")

    assert [(each.noun, each.name, each.line) for each in documents] == [
        ("channel", "x", 1), ("agent", "y", 3), ("destination", "z", 4),
    ]  # fmt: skip
    assert [(one.code, one.line) for one in findings] == [
        ("config.noun_apart", 3), ("config.noun_apart", 4),
    ]  # fmt: skip
    assert [each.lines for each in documents] == [
        {(): 1, ("channel",): 1, ("owner",): 2},
        {(): 3, ("agent",): 3},
        {(): 4, ("destination",): 4},
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [("chanel: x\n", "did you mean 'channel'?"), ("- a\n", ""), ("text\n", ""), ("x: y\n", "")],
)
def test_a_document_without_a_noun_is_refused(text, hint):
    """It is no channel, agent or destination, so nobody would read it."""
    documents, (finding,) = parse(text, "x.yaml")

    assert (documents, finding.code, finding.hint) == ([], "config.noun", hint)


@given(st.text(max_size=300))
def test_any_text_gives_documents_or_findings(text):
    """No text raises."""
    parse(text, "x.yaml")


_SCALARS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")))
_KEYS = st.text("abcdefgh", min_size=1, max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_what_another_yaml_writer_writes_is_read_back(value):
    """ruamel's dumper, block style: the same nested texts come out."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(value, stream)

    assert values(stream.getvalue()) == [value]
