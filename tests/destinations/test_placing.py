"""Files: whole when seen, on disk when told, and never outside their folder (F3, F7)."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.destinations import placing
from portico.destinations.placing import place, safe_name


def files(folder) -> dict[str, bytes]:
    """Every file of the folder, hidden ones too."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("a.hl7", "a.hl7"),
        ("Müller 1.hl7", "Müller 1.hl7"),
        ("../../etc/passwd", "___.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..", "__"),
        (".hidden", "_hidden"),
        ("a\\b\x00c\nd\u202e", "a_b_c_d_"),
        ("", ""),
    ],
)
def test_a_name_loses_what_could_lead_out_of_its_folder(asked, name):
    """F7: separators, dots in front, control characters."""
    assert safe_name(asked) == name


@given(st.text())
def test_any_text_is_a_name_or_nothing(asked):
    """Whatever a message puts into a template."""
    name = safe_name(asked)

    assert len(name.encode()) <= 200
    assert not name.startswith(".")
    assert not set(name) & set("/\\\x00\n\r")


def test_a_long_name_keeps_its_suffix():
    """A program that picks files up by suffix still finds it."""
    assert safe_name("ä" * 300 + ".hl7").endswith("ä.hl7")


def test_a_file_is_placed_whole_and_alone(tmp_path):
    """F3: under its name, with no temporary file left, unreadable to others."""
    folder = tmp_path / "new" / "out"

    assert place(folder, "a.hl7", b"content", "d1", "fail") == "a.hl7"

    assert files(folder) == {"a.hl7": b"content"}
    for made in (folder / "a.hl7", folder, folder.parent):
        assert os.stat(made).st_mode & 0o007 == 0


def test_the_name_appears_after_the_bytes_are_on_disk(tmp_path, monkeypatch):
    """F3: file flushed, named, folder flushed: in this order."""
    steps = []
    fsync, link = os.fsync, os.link

    def flush(file: int) -> None:
        steps.append("flush folder" if os.path.isdir(f"/proc/self/fd/{file}") else "flush file")
        fsync(file)

    def name(*args, **kwargs) -> None:
        steps.append("name")
        link(*args, **kwargs)

    monkeypatch.setattr(placing.os, "fsync", flush)
    monkeypatch.setattr(placing.os, "link", name)
    place(tmp_path, "a.hl7", b"content", "d1", "number")

    assert steps == ["flush file", "name", "flush folder"]


def test_number_makes_a_name_of_its_own(tmp_path):
    """Nothing that is there is overwritten."""
    got = [place(tmp_path, "a.hl7", b"%d" % i, f"d{i}", "number") for i in range(3)]

    assert got == ["a.hl7", "a-1.hl7", "a-2.hl7"]
    assert files(tmp_path) == {"a.hl7": b"0", "a-1.hl7": b"1", "a-2.hl7": b"2"}


def test_fail_leaves_the_other_file(tmp_path):
    """And leaves no temporary file."""
    place(tmp_path, "a.hl7", b"first", "d1", "fail")

    with pytest.raises(FileExistsError):
        place(tmp_path, "a.hl7", b"other", "d2", "fail")

    assert files(tmp_path) == {"a.hl7": b"first"}


def test_replace_swaps_the_file(tmp_path):
    """A reader sees the old or the new one, never none."""
    place(tmp_path, "a.hl7", b"first", "d1", "replace")
    place(tmp_path, "a.hl7", b"second", "d2", "replace")

    assert files(tmp_path) == {"a.hl7": b"second"}


@pytest.mark.parametrize("exists", ["fail", "number", "replace"])
def test_a_second_try_of_one_delivery_makes_no_second_file(tmp_path, exists):
    """After a crash between the file and its mark; the same bytes come again."""
    place(tmp_path, "a.hl7", b"content", "d1", exists)
    (tmp_path / ".d1.part").write_bytes(b"cont")  # what the crash of an earlier try left

    assert place(tmp_path, "a.hl7", b"content", "d1", exists) == "a.hl7"

    assert files(tmp_path) == {"a.hl7": b"content"}


def test_equal_content_of_another_delivery_is_another_file(tmp_path):
    """Two reports may be equal; both were owed."""
    place(tmp_path, "a.hl7", b"same", "d1", "number")
    try:
        os.getxattr(tmp_path / "a.hl7", "user.portico.delivery")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")

    assert place(tmp_path, "a.hl7", b"same", "d2", "number") == "a-1.hl7"


def test_without_attributes_equal_content_is_the_same_delivery(tmp_path, monkeypatch):
    """The best that can be known there."""

    def refuse(*_args: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no attributes")

    monkeypatch.setattr(placing.os, "setxattr", refuse)
    monkeypatch.setattr(placing.os, "getxattr", refuse)
    place(tmp_path, "a.hl7", b"same", "d1", "number")

    assert place(tmp_path, "a.hl7", b"same", "d1", "number") == "a.hl7"
    assert place(tmp_path, "a.hl7", b"othr", "d2", "number") == "a-1.hl7"


def test_without_hard_links_nothing_is_overwritten_either(tmp_path, monkeypatch):
    """Network and FAT file systems."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(placing.os, "link", refuse)

    assert place(tmp_path, "a", b"1", "d1", "number") == "a"
    assert place(tmp_path, "a", b"2", "d2", "number") == "a-1"


@pytest.mark.parametrize("exists", ["number", "replace"])
def test_a_link_in_the_folder_is_never_followed(tmp_path, exists):
    """F7: what it points to stays as it is."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.hl7").symlink_to(outside)
    (folder / ".d1.part").symlink_to(outside)

    placed = place(folder, "a.hl7", b"precious", "d1", exists)

    assert placed == ("a-1.hl7" if exists == "number" else "a.hl7")
    assert not (folder / placed).is_symlink()
    assert outside.read_bytes() == b"precious"


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    """A full disk: no half file, under no name."""

    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(placing.os, "write", full)

    with pytest.raises(OSError, match="full"):
        place(tmp_path, "a.hl7", b"content", "d1", "number")

    assert files(tmp_path) == {}
