"""What the repository is still owed, as files."""

import os

import pytest

from portico.audit.spool import Full, Spool


def test_what_is_put_is_given_oldest_first_and_dropped(tmp_path):
    """By time, then in the order in which it was put."""
    spool = Spool(tmp_path / "data", 1000)
    for at, text in ((2, b"b"), (1, b"a"), (2, b"c")):
        spool.put(text, at)
    names = spool.look()

    assert spool.read(names) == [b"a", b"b", b"c"]
    spool.drop(names[:2])
    assert spool.read(spool.look()) == [b"c"]
    assert spool.size == 1


def test_it_holds_no_more_than_it_may(tmp_path):
    """The oldest stay: what began a story is not lost to what follows it."""
    spool = Spool(tmp_path / "data", 10)
    spool.put(b"12345678", 1)

    with pytest.raises(Full):
        spool.put(b"123", 2)
    spool.put(b"12", 2)
    assert Spool(tmp_path / "data", 10).read(spool.look()) == [b"12345678", b"12"]


def test_others_cannot_read_it(tmp_path):
    """The folder and what it had to make above it are the owner's alone."""
    spool = Spool(tmp_path / "data", 1000)
    spool.put(b"x", 1)
    (file,) = spool.folder.iterdir()

    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert spool.folder.stat().st_mode & 0o077 == 0
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_not_whole_is_not_given(tmp_path):
    """A draft that a crash left is none of the messages."""
    spool = Spool(tmp_path / "data", 1000)
    spool.put(b"x", 1)
    (spool.folder / "00000000000000000000-1-000000.new").write_bytes(b"hal")

    assert spool.read(spool.look()) == [b"x"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can put what another user is to read")
def test_what_root_puts_is_the_engines_to_read(tmp_path):
    """One file that the engine's user may not read would keep all others back for ever."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 1234, 5678)
    spool = Spool(data, 1000)
    spool.put(b"x", 1)

    made = (spool.folder, *spool.folder.iterdir())
    assert [(path.stat().st_uid, path.stat().st_gid) for path in made] == [(1234, 5678)] * 2
