"""The SFTP source against a server that shares no code with it (paramiko)."""

import asyncio
import os
import threading
from types import SimpleNamespace

import pytest

from listeners.fetching import NOT_STORED, STORED, Journal, poll, until
from portico.listeners import sftp
from portico.listeners.sftp import SFTP
from portico.remote.sftp import SftpSession
from remote.peers import PosixPeer, key


@pytest.fixture
def peer(tmp_path):
    """A server with a folder `out`."""
    (tmp_path / "served/out").mkdir(parents=True)
    one = PosixPeer(tmp_path / "served")
    yield one
    one.close()


@pytest.fixture
async def polled(tmp_path, peer):
    """`polled(**options)`: a started poller of `/out`, and its journal."""
    started = []

    async def start(journal=None, **options):
        journal = journal or Journal()
        given = {
            "address": f"127.0.0.1:{peer.port}",
            "user": "lab",
            "host_key": peer.fingerprint,
            "path": "/out",
            **({} if "key" in options else {"password": "${env:PASSWORD}"}),
            **options,
        }
        poller = await poll(SFTP, given, tmp_path, journal, {"PASSWORD": peer.password})
        started.append(poller)
        return SimpleNamespace(poller=poller, journal=journal, folder=peer.folder / "out")

    yield start
    for poller in started:
        await poller.stop(5)


async def test_a_file_is_brought_over_and_moved(polled, peer):
    """Its bytes go up, its file goes to `done` on the server; its peer says whence it came."""
    one = await polled()
    content = b"\0" + os.urandom(3 << 20)
    (one.folder / ".a").write_bytes(content)
    (one.folder / ".a").rename(one.folder / "a.bin")
    await until(lambda: (one.folder / "done/a.bin").exists())

    assert one.journal.contents() == [content]
    assert sorted(os.listdir(one.folder)) == [".portico-0badcafe", "done"]


async def test_a_large_file_lies_in_the_data_folder_while_it_is_read(polled, peer, tmp_path):
    """Without a name, and never in a folder that others may use."""
    journal, places = Journal(), []
    cut = journal.cut

    def placed(file, size):
        places.append(os.readlink(f"/proc/self/fd/{file.fileno()}"))
        return cut(file, size)

    journal.cut = placed
    one = await polled(journal)
    (one.folder / "a.bin").write_bytes(bytes(2 << 20))
    await until(lambda: (one.folder / "done/a.bin").exists())

    (place,) = places
    assert place.startswith(str(tmp_path / "scratch/"))
    assert os.listdir(tmp_path / "scratch") == []


async def test_an_unknown_host_key_is_refused(polled, peer):
    """F4: nothing is asked of a server that shows another key, and the key is told."""
    one = await polled(host_key="SHA256:" + "A" * 43)
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: one.journal.events)
    (told,) = one.journal.events

    assert told.code == "host_key" and peer.fingerprint in told.text
    assert peer.password not in told.text
    assert (one.folder / "a.hl7").exists()
    assert not one.poller.connections()


async def test_known_hosts_vouch_for_a_server(polled, peer, tmp_path):
    """A file as ssh(1) keeps it, in place of a pin."""
    line = f"[127.0.0.1]:{peer.port} {peer.host_key.get_name()} {peer.host_key.get_base64()}\n"
    (tmp_path / "known_hosts").write_text(line)
    one = await polled(host_key={"known_hosts": "known_hosts"})
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())


async def test_a_key_opens_what_a_wrong_password_does_not(polled, peer, tmp_path):
    """Log in by private key; a refusal names the user and no secret."""
    peer.allowed = key(tmp_path)
    good, peer.password = peer.password, "another"
    refused = await polled(password="${env:PASSWORD}")
    peer.password = good + "!"
    one = await polled(key="${file:key}")
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: one.journal.taken)
    await until(lambda: refused.journal.events)

    assert "does not let 'lab' in" in refused.journal.events[0].text
    assert "another" not in refused.journal.events[0].text


async def test_links_folders_and_pipes_are_not_taken(polled, peer, tmp_path):
    """F7: a link on the server could lead anywhere."""
    (tmp_path / "served/secret").write_bytes(b"secret")
    (tmp_path / "served/out/link.hl7").symlink_to(tmp_path / "served/secret")
    (tmp_path / "served/out/folder.hl7").mkdir()
    os.mkfifo(tmp_path / "served/out/pipe.hl7")
    one = await polled()
    (one.folder / "z.hl7").write_bytes(b"z")
    await until(lambda: (one.folder / "done/z.hl7").exists())

    assert one.journal.contents() == [b"z"]


async def test_a_lost_connection_is_told_once_and_made_again(polled, peer):
    """The server restarts: one event, then on; what was claimed is resumed."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal)
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: journal.owed)
    peer.cut()
    journal.receipt = STORED
    journal.owed.pop().answer(STORED)
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert len({identity for _, identity, _ in journal.taken}) == 1


async def test_a_server_that_answers_no_more_is_left(polled, peer, monkeypatch):
    """Its SSH lives, its SFTP hangs, on a dead disk say: another session may find it well."""
    monkeypatch.setattr(sftp, "_SILENCE", 0.2)
    hangs = [threading.Event()]
    peer.listing = lambda: hangs.pop().wait(20) if hangs else None
    (hanging,) = hangs
    one = await polled()
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())
    hanging.set()

    assert [told.text for told in one.journal.named("SourceLost")] == [
        f"lab@127.0.0.1:{peer.port}/out: the connection was lost"
    ]


async def test_what_the_journal_did_not_take_goes_back(polled):
    """P1 and F5 on a server: the claim is undone, the file comes again."""
    journal = Journal()
    journal.receipt = NOT_STORED
    one = await polled(journal)
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: journal.taken)
    await until(lambda: (one.folder / "a.hl7").exists())
    journal.receipt = STORED
    await until(lambda: (one.folder / "done/a.hl7").exists())


@pytest.mark.parametrize("after", [{"move": "done"}, "delete"])
async def test_folders_of_ours_that_somebody_took_away_are_made_again(polled, after):
    """`done` is put into an archive each month, empty folders are swept: no file is stuck."""
    one = await polled(after=after)
    await until(lambda: (one.folder / ".portico-0badcafe").exists())
    await until(lambda: after == "delete" or (one.folder / "done").exists())
    for place in one.folder.iterdir():
        place.rename(one.folder.parent / f"archive{place.name}")
    (one.folder / ".a").write_bytes(b"1")
    (one.folder / ".a").rename(one.folder / "a.hl7")
    await until(lambda: after == "delete" or (one.folder / "done/a.hl7").exists())
    await until(lambda: one.journal.taken and not list(one.folder.glob("a.hl7")))

    assert not list(one.folder.glob(".portico-*/*"))
    assert len({identity for _, identity, _ in one.journal.taken}) == 1


async def test_a_done_folder_that_is_gone_keeps_no_name_taken(polled):
    """What was journaled is moved as soon as it can be: the next file of its name is taken."""
    one = await polled()
    await until(lambda: (one.folder / "done").exists())
    (one.folder / "done").rename(one.folder / "2026-10")
    for content in (b"1", b"2"):
        (one.folder / ".a").write_bytes(content)
        (one.folder / ".a").rename(one.folder / "export.hl7")
        await until(lambda c=content: c in one.journal.contents())
    await until(lambda: (one.folder / "done/export-1.hl7").exists())

    assert one.journal.contents() == [b"1", b"2"]
    assert {told.code for told in one.journal.named("FileKept")} == {"unfinished"}


async def test_a_name_that_comes_for_years_is_not_asked_for_once_a_file(
    polled, peer, monkeypatch
):
    """Its number is found by halves, and is the first that is free."""
    asked, look = [], SftpSession.entry

    async def entry(self, path):
        if path.startswith("/out/done/"):
            asked.append(path)
        return await look(self, path)

    monkeypatch.setattr(SftpSession, "entry", entry)
    done = peer.folder / "out/done"
    done.mkdir()
    for number in range(300):
        (done / (f"a-{number}.hl7" if number else "a.hl7")).touch()
    (peer.folder / "out/a.hl7").write_bytes(b"1")
    await polled()
    await until(lambda: (done / "a-300.hl7").exists())

    assert len(asked) < 20


async def test_a_file_that_goes_back_while_another_has_its_name_comes_first(polled):
    """An export of a fixed name, during an outage of the journal: none of the two is stuck."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal, files="export.hl7")
    (one.folder / "export.hl7").write_bytes(b"1")
    await until(lambda: journal.owed)
    (one.folder / "export.hl7").write_bytes(b"2")
    journal.receipt = STORED
    journal.owed.pop().answer(NOT_STORED)
    await until(lambda: (one.folder / "done/export-1.hl7").exists())

    assert journal.contents() == [b"1", b"1", b"2"]
    assert journal.taken[0][1] == journal.taken[1][1]


async def test_a_file_that_grows_is_not_read(polled):
    """F1, with a server that tells times to the second: the size has to stay."""
    one = await polled(ready={"stable": "1s"})
    for _ in range(12):
        with (one.folder / "a.hl7").open("ab") as file:
            file.write(b"x")
        await asyncio.sleep(0.09)
        assert not one.journal.taken
    await until(lambda: one.journal.taken)

    assert one.journal.contents() == [b"x" * 12]


async def test_two_pollers_never_take_the_same_file(polled):
    """F2: a rename on the server succeeds for one of them."""
    first, second = Journal(), Journal()

    async def other():
        return "0ther000"

    second.memory.mark = other
    one = await polled(first)
    await polled(second)
    for n in range(60):
        (one.folder / f".{n}").write_bytes(b"%d" % n)
        (one.folder / f".{n}").rename(one.folder / f"{n}.hl7")
    await until(lambda: len(list(one.folder.glob("done/*"))) == 60, seconds=30)

    assert sorted(first.contents() + second.contents()) == sorted(b"%d" % n for n in range(60))


async def test_the_answer_to_a_file_is_placed_on_the_server(polled):
    """Whole or not at all, over an earlier one, before the file is finished."""
    one = await polled(replies="acks", after="delete")
    for content in (b"1", b"2"):
        (one.folder / ".a").write_bytes(content)
        (one.folder / ".a").rename(one.folder / "a.hl7")
        await until(lambda c=content: c in one.journal.contents())
        await until(lambda: not list(one.folder.glob(".portico-*/a.hl7")))
        assert (one.folder / "acks/a.hl7.ack").read_bytes() == content + b"|1 "
    assert os.listdir(one.folder / "acks") == ["a.hl7.ack"]
