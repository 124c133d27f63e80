"""The SFTP destination against a server that shares no code with it (paramiko)."""

import asyncio
import errno
import os
import threading
from types import SimpleNamespace

import pytest

from destinations.stalls import stall
from portico.clock import SystemClock
from portico.destinations.contract import Surroundings
from portico.destinations.sftp import SFTP
from portico.ids import SignalId
from portico.model.delivery import Answered, Delivery
from remote.peers import PosixPeer

SIGNAL = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))


def delivery(number=1, file="a.hl7", content=b"MSH|1", tries=0):
    """One Delivery."""
    return Delivery(SIGNAL, number, number, "out", "", content, file=file, tries=tries)


@pytest.fixture
def peer(tmp_path):
    """A server with a folder `in`."""
    (tmp_path / "served/in").mkdir(parents=True)
    one = PosixPeer(tmp_path / "served")
    yield one
    one.close()


@pytest.fixture
async def sent(tmp_path, peer):
    """`sent(delivery, **options)`: the attempt of a destination with these options."""
    made = {}

    async def send(one, **options):
        fixed = {"address": f"127.0.0.1:{peer.port}", "user": "lab", "path": "/in"}
        given = {
            "host_key": peer.fingerprint,
            "password": "${env:PASSWORD}",
            **fixed,
            **options,
        }
        kept = str(sorted(options.items()))
        if kept not in made:
            target = SFTP.options.model_validate(given)
            spec = SimpleNamespace(options=target, timeout=5.0, connect=5.0)
            send.spec = spec
            environ = {"PASSWORD": peer.password}
            around = Surroundings(None, SystemClock(), lambda _: None, tmp_path, environ)
            made[kept] = SFTP.build("out", spec, around)
        future = asyncio.get_running_loop().create_future()
        made[kept].deliver(one, future.set_result)
        return await asyncio.wait_for(future, 10)

    yield send
    for destination in made.values():
        await destination.stop(5)


async def test_a_delivery_becomes_a_file_and_nothing_else(sent, peer):
    """F3: under its name, with no temporary name left beside it."""
    got = await sent(delivery())

    assert (got.answered, got.code, got.answer) == (Answered.ANSWERED, "written", b"a.hl7")
    assert (peer.folder / "in/a.hl7").read_bytes() == b"MSH|1"
    assert os.listdir(peer.folder / "in") == ["a.hl7"]


async def test_a_file_is_never_seen_in_part(sent, peer):
    """F3: while it is written it has a hidden name; its own comes by a rename."""
    seen = []
    peer.hook = lambda what: seen.append(sorted(os.listdir(peer.folder / "in")))
    await sent(delivery(content=os.urandom(2 << 20)))

    assert seen == [[".019a3b1c-0000-7000-8000-0000deadbeef-1.part"]]


@pytest.mark.parametrize(
    ("exists", "code", "left"),
    [
        ("number", "written", {"a.hl7": b"old", "a-1.hl7": b"MSH|1"}),
        ("replace", "written", {"a.hl7": b"MSH|1"}),
        ("fail", "unsendable", {"a.hl7": b"old"}),
    ],
)
async def test_a_name_that_is_taken(sent, peer, exists, code, left):
    """`exists`: numbered, replaced, or told as unsendable."""
    (peer.folder / "in/a.hl7").write_bytes(b"old")
    got = await sent(delivery(), exists=exists)
    lying = {path.name: path.read_bytes() for path in (peer.folder / "in").iterdir()}

    assert (got.code, lying) == (code, left)


@pytest.mark.parametrize("exists", ["number", "replace"])
async def test_a_file_that_the_server_could_not_close_gets_no_name(sent, peer, exists):
    """A quota on NFS, or a gateway to other storage, is told at the end of the file alone."""
    full = [OSError(errno.EDQUOT, "Disk quota exceeded")]

    def closing():
        while full:
            raise full.pop()

    peer.closing = closing
    first = await sent(delivery(), exists=exists)
    lying = [one for one in os.listdir(peer.folder / "in") if one[0] != "."]
    second = await sent(delivery(tries=1), exists=exists)

    assert (first.answered, lying) == (Answered.NO_CONNECTION, [])
    assert (second.code, os.listdir(peer.folder / "in")) == ("written", ["a.hl7"])


async def test_a_name_never_leaves_its_folder(sent, peer):
    """F7: whatever a template made of a message."""
    got = await sent(delivery(file="../../etc/passwd"))

    assert got.code == "written"
    (name,) = os.listdir(peer.folder / "in")
    assert "/" not in name
    assert os.listdir(peer.folder) == ["in"]


async def test_a_folder_that_is_missing_is_told_clearly(sent):
    """Nothing was delivered: it is tried again, and the detail says what is missing."""
    got = await sent(delivery(), path="/nowhere")

    assert got.answered is Answered.NO_CONNECTION
    assert got.detail.endswith("/nowhere: there is no such file or folder")


async def test_an_unknown_host_key_gets_nothing(sent, peer):
    """F4: not a byte of a message to a server that shows another key."""
    got = await sent(delivery(), host_key="SHA256:" + "A" * 43)

    assert (got.answered, got.code) == (Answered.NO_CONNECTION, "host_key")
    assert peer.fingerprint in got.detail
    assert os.listdir(peer.folder / "in") == []


async def test_a_connection_lost_in_the_rename_is_unclear_and_heals(sent, peer):
    """It may be there: the next try finds its own file and makes no second one."""

    def broken(what):
        peer.hook = lambda what: None
        part = next((peer.folder / "in").glob(".*.part"))
        part.rename(peer.folder / "in/a.hl7")
        peer.cut()

    peer.hook = broken
    first = await sent(delivery())
    second = await sent(delivery(tries=1))

    assert first.answered is Answered.UNCLEAR
    assert (second.answered, second.answer) == (Answered.ANSWERED, b"a.hl7")
    assert os.listdir(peer.folder / "in") == ["a.hl7"]


async def test_a_stall_of_ours_is_not_taken_for_the_servers_silence(sent, peer):
    """The rename was done in time, and the server's word of it lies in the socket, unread, when
    the time is up: the file is delivered, and not sent a second time."""
    asked, stalled = threading.Event(), threading.Event()

    def renamed(what):
        asked.set()
        assert stalled.wait(10)

    await sent(delivery(1))
    for limit in (0.5, 3.0):  # the longer one for a machine that is busy
        asked.clear()
        stalled.clear()
        peer.hook, sent.spec.timeout = renamed, limit
        sending = asyncio.ensure_future(sent(delivery(2, "b.hl7")))
        while not (asked.is_set() or sending.done()):
            await asyncio.sleep(0.01)
        in_time = not sending.done()
        stall(3 * limit, stalled.set)
        got = await sending
        if in_time:
            break

    assert (got.answered, got.answer) == (Answered.ANSWERED, b"b.hl7")


async def test_a_server_that_is_down_costs_nothing_but_an_attempt(sent, peer):
    """No connection: tried again by `retry`, and it works when the server is back."""
    await sent(delivery(1, "a.hl7"))
    peer.cut()
    got = await sent(delivery(2, "b.hl7"))
    again = await sent(delivery(2, "b.hl7", tries=1))

    assert got.answered in (Answered.ANSWERED, Answered.NO_CONNECTION)
    assert again.answered is Answered.ANSWERED
    assert sorted(os.listdir(peer.folder / "in")) == ["a.hl7", "b.hl7"]


async def test_many_files_share_one_connection(sent, peer):
    """Eight at a time, each once."""
    got = await asyncio.gather(*(sent(delivery(n, f"{n}.hl7", b"%d" % n)) for n in range(8)))

    assert {one.code for one in got} == {"written"}
    assert len(peer.transports) == 1
