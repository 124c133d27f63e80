"""Messages that others published, read from raw bytes. See the corpus' own README."""

import csv
import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from portico.errors import MessageError, NotHl7
from portico.hl7 import ack, header, mask
from portico.hl7.edit import MessageEdit
from portico.hl7.view import MessageView

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
WHITE = b" \t\x0b\x0c\x1c"


@pytest.fixture(scope="module")
def corpus():
    """(row of the index, content) for each published message."""
    if not (CORPUS / "index.csv").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the corpus is missing beside the project")
        pytest.skip("the corpus lies beside the project only in its own workshop")
    with (CORPUS / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row, (CORPUS / "v2" / row["file"]).read_bytes()) for row in rows]


def tokens(content):
    """Lines that hold something, as a program without our code would cut them."""
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    return [line for line in re.split(rb"[\r\n]+", content) if line.strip(WHITE)]


def well_formed(row, content):
    return "malformed" not in row["features"] and tokens(content)[0][:3] == b"MSH"


def test_every_well_formed_message_has_the_segments_that_a_plain_tokeniser_finds(corpus):
    """E5, M9: 100 % parse from raw bytes, whatever ends their lines."""
    wrong, sources = [], Counter()
    for row, content in corpus:
        if well_formed(row, content):
            lines = tokens(content)
            expected = [line.split(lines[0][3:4])[0].decode() for line in lines]
            sources[row["source"]] += 1
            if list(MessageView(content).names) != expected:
                wrong.append(row["file"])
    assert wrong == []
    assert sum(sources.values()) > 1300, sources


def test_an_untouched_message_encodes_to_its_own_bytes(corpus):
    """E2: for all that have a usable MSH, well-formed or not, and after an edit undone."""
    wrong, seen = [], 0
    for row, content in corpus:
        try:
            view = MessageView(content)
        except NotHl7:
            continue
        seen += 1
        edit = MessageEdit(view)
        opened = MessageEdit(view)
        opened.remove("ZZ9-1")
        if edit.encode() is not content or opened.encode() != content:
            wrong.append(row["file"])
    assert wrong == []
    assert seen > 1600


def test_one_changed_field_changes_no_other_byte(corpus):
    """E2: the other lines, and the other fields of its line, stay as they were."""
    wrong = []
    for row, content in corpus:
        if not well_formed(row, content):
            continue
        edit = MessageEdit(MessageView(content))
        edit.set("MSH-10", "CHANGED")
        before, after = tokens(content), tokens(edit.encode())
        separator = before[0][3:4]
        old, new = before[0].split(separator), after[0].split(separator)
        old += [b""] * (len(new) - len(old))
        changed = [n for n, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
        if before[1:] != after[1:] or changed != [9] or new[9] != b"CHANGED":
            wrong.append(row["file"])
    assert wrong == []


def test_whatever_is_malformed_ends_in_a_typed_error_or_none_within_a_second(corpus):
    """P10: reading, acknowledging, masking and editing raise MessageError or nothing."""
    for row, content in corpus:
        begun = time.process_time()
        try:
            head = header.read(content)
            ack.build(head, code="AE", control_id="1", at_ns=0, text="no")
            view = MessageView(content)
            view.charset_fault()
            for path in ("PID-3[5=MR].1", "OBX[*2=ED]-5", "MSH-9", "OBX[3]-5.2.1", "ZZZ-9"):
                view.texts(path)
            edit = MessageEdit(view)
            edit.set("PID-5.2", "Né|^")
            edit.view.text("PID-5.2")
        except MessageError as error:
            assert error.code.startswith("message."), row["file"]
        mask.mask(content)
        assert time.process_time() - begun < 1, row["file"]


def measured(row, content):
    """What one message is and does: the columns of the table that it counts in."""
    begun = time.process_time()
    found = {"messages"}
    sound = tokens(content) and well_formed(row, content)
    found |= {"well-formed"} if sound else {"malformed"}
    try:
        view = MessageView(content)
        lines = tokens(content)
        names = [line.split(lines[0][3:4])[0].decode() for line in lines]
        found |= {"parsed"} if sound and list(view.names) == names else set()
        found |= {"identical"} if MessageEdit(view).encode() == content else set()
        edit = MessageEdit(view)
        edit.set("MSH-10", "CHANGED")
        before, after = view.raw("MSH-10") or b"", edit.encode()
        at = after.find(b"CHANGED")
        rest = after[:at] + before + after[at + 7 :]
        found |= {"edited"} if sound and rest.rstrip() == content.rstrip() else set()
        found |= {"read"} if not sound else set()
    except MessageError:
        found |= {"typed"} if not sound else set()
    return found, time.process_time() - begun


def test_the_table_of_each_source(corpus, capsys):
    """Issue 3: parsed and edited 100 % of the well-formed, identical 100 % of them and 99 % of
    all that have an MSH, each malformed one a typed error or read, within a second."""
    columns = (
        "messages",
        "well-formed",
        "parsed",
        "edited",
        "identical",
        "malformed",
        "typed",
        "read",
    )
    table, slowest = {}, Counter()
    for row, content in corpus:
        found, seconds = measured(row, content)
        table.setdefault(row["source"], Counter()).update(found)
        slowest[row["source"]] = max(slowest[row["source"]], seconds)
    with capsys.disabled():
        print(f"\n{'source':<58}" + "".join(f"{name:>12}" for name in (*columns, "slowest ms")))
        sums = ("all", sum(table.values(), Counter()))
        slowest["all"] = max(slowest.values())
        for source, counts in (*sorted(table.items()), sums):
            cells = [counts[name] for name in columns] + [round(slowest[source] * 1000, 1)]
            print(f"{source:<58}" + "".join(f"{cell:>12}" for cell in cells))
    total = sum(table.values(), Counter())
    assert total["parsed"] == total["edited"] == total["well-formed"] > 1300
    assert total["identical"] >= 0.99 * (total["messages"] - total["typed"])
    assert total["typed"] + total["read"] == total["malformed"] > 0
    assert max(slowest.values()) < 1


def test_batches_and_fragments_are_no_message(corpus):
    """B1: what does not begin with MSH is NotHl7 here; taking files apart is another room's."""
    for _, content in corpus:
        if tokens(content) and tokens(content)[0][:3] != b"MSH":
            with pytest.raises(NotHl7):
                MessageView(content)


def test_published_iso_2022_messages_keep_their_fields(corpus):
    """C3: kanji bytes that look like `|` or `^` do not divide a name."""
    seen = 0
    for row, content in corpus:
        if row["encoding"] == "iso-2022-jp":
            view = MessageView(content, on_charset_error="refuse")
            assert view.charset_fault() is None, row["file"]
            assert view.text("PID-5.1"), row["file"]
            assert view.text("PID-5[1].8") == "I" or view.text("PID-5.7") == "L", row["file"]
            seen += 1
    assert seen == 7
