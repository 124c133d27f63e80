"""The data folder: private, one engine's alone, on a path of any length."""

import os
import socket
import subprocess
import sys

import pytest

from portico.errors import ConfigError, JournalLocked
from portico.journal import backup
from portico.journal.folder import SOCKET, Folder, write_durably


@pytest.fixture
def opened():
    """Opens folders, closes them after the test."""
    folders = []

    def make(path) -> Folder:
        folders.append(Folder(path))
        return folders[-1]

    yield make
    for folder in folders:
        folder.close()


def test_a_new_folder_is_private(tmp_path, opened):
    """Nobody else on the machine reads messages from it."""
    folder = opened(tmp_path / "made" / "var")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.run.stat().st_mode & 0o777 == 0o700


def test_scratch_is_private_and_empty_at_each_start(tmp_path, opened):
    """What a crash has left there is gone; a link leads nowhere."""
    scratch, kept = tmp_path / "var/scratch", tmp_path / "kept"
    (scratch / "folder").mkdir(parents=True)
    scratch.chmod(0o755)
    (scratch / "folder/left").write_text("of a patient")
    (scratch / "left").write_text("of a patient")
    kept.mkdir()
    (kept / "file").touch()
    (scratch / "link").symlink_to(kept)
    opened(tmp_path / "var")

    assert list(scratch.iterdir()) == []
    assert scratch.stat().st_mode & 0o777 == 0o700
    assert (kept / "file").exists()


def test_a_restore_that_was_killed_leaves_nothing_to_run_on(tmp_path, opened):
    """Half of a database, or a whole one whose destinations are not paused, would be run, and
    would send again what was sent after the backup."""
    source, data = tmp_path / "kept", tmp_path / "new"
    for name in ("postgres/base", "data"):
        (source / name).mkdir(parents=True)
    backup.put_back(source, data)

    with pytest.raises(ConfigError, match="cut short; remove it and restore again"):
        opened(data)
    assert not (data / "run").exists()

    Folder(data, restoring=True).close()
    backup.finish(data)
    opened(data)


def test_a_second_engine_is_refused_with_the_first_ones_pid(tmp_path, opened):
    """Two servers on one folder would destroy it; the text says whom to stop."""
    opened(tmp_path)
    with pytest.raises(JournalLocked, match=rf"process {os.getpid()}\b.*PORTICO_DATA"):
        opened(tmp_path)


def test_a_closed_folder_can_be_opened_again(tmp_path, opened):
    """The lock goes with close()."""
    first = opened(tmp_path)
    first.close()
    first.close()
    opened(tmp_path)


def test_a_killed_engine_leaves_no_lock(tmp_path, opened):
    """The kernel gives the lock back; a stale pid in the file means nothing."""
    script = (
        "import os, pathlib, sys; from portico.journal.folder import Folder; "
        "folder = Folder(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert (tmp_path / "engine.lock").read_text().strip().isdigit()
    opened(tmp_path)


def test_a_child_process_does_not_inherit_the_lock(tmp_path, opened):
    """A worker that outlives the engine must not keep the next engine out."""
    first = opened(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    first.close()
    opened(tmp_path)
    child.communicate(b"\n")


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path):
    """A file in the way is named, with what is wrong."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/var cannot be used: Not a directory"):
        Folder(tmp_path / "file" / "var")


@pytest.mark.parametrize("name", ["short", "with space", "a,comma", "long" * 60])
def test_the_socket_can_be_reached_on_any_path(tmp_path, opened, name):
    """A socket's address ends at 107 bytes and libpq splits hosts at commas."""
    folder = opened(tmp_path / name)
    host = folder.socket_folder()
    assert len(f"{host}/{SOCKET}") <= 107
    assert "," not in host
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(f"{host}/{SOCKET}")
        listening.listen()
        client.connect(f"{folder.socket_folder()}/{SOCKET}")
    assert (folder.run / SOCKET).is_socket()


def test_the_password_is_made_once_and_kept_private(tmp_path, opened):
    """Every start connects with the password of the first."""
    folder = opened(tmp_path)
    password = folder.password()
    assert len(password) >= 32
    assert folder.password() == password
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_durable_file_replaces_what_a_crash_left(tmp_path):
    """A half-written draft of an earlier try is neither used nor in the way."""
    (tmp_path / "secret.new").write_text("half")
    write_durably(tmp_path / "secret", "whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
