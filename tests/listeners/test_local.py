"""Files of this machine as a source takes them (listeners/local.py)."""

import os

import pytest

from portico.listeners import local


def test_a_move_that_a_crash_cut_short_leaves_one_file(tmp_path):
    """Linked there and not yet gone from here: it is the same file, and gets no second name."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "a.hl7").write_text("A")
    (there / "a.hl7").hardlink_to(here / "a.hl7")
    source, target = (os.open(folder, os.O_DIRECTORY) for folder in (here, there))

    local._move(source, target, "a.hl7", ("a.hl7", "a-1.hl7"))

    assert (os.listdir(here), os.listdir(there)) == ([], ["a.hl7"])
    for number in (source, target):
        os.close(number)


def test_a_move_that_finds_every_name_taken_says_so(tmp_path):
    """The file lies where it was, and whoever asked does not take it for moved."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "a.hl7").touch()
    source, target = (os.open(folder, os.O_DIRECTORY) for folder in (here, there))

    with pytest.raises(FileExistsError):
        local._move(source, target, "a.hl7", ("a.hl7",))

    for number in (source, target):
        os.close(number)
