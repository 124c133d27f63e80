"""FTP and FTPS, source and destination, against a server that shares no code with them."""

import asyncio
import os
import stat
import time
from functools import partial
from types import SimpleNamespace

import pytest
from pyftpdlib.handlers import FTPHandler

from listeners.fetching import NOT_STORED, STORED, Journal, poll, until
from portico.clock import SystemClock
from portico.destinations import contract as outbound
from portico.destinations.ftp import FTP as TARGET
from portico.ids import SignalId
from portico.listeners.ftp import FTP
from portico.model.delivery import Answered, Delivery
from portico.tls.certificates import Certificates
from remote.peers import FtpPeer

SIGNAL = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))
ENVIRON = {"PASSWORD": "correct horse"}


@pytest.fixture
def peers(tmp_path):
    """`peers()`: a server with a folder `out`; closed after the test."""
    made = []

    def make(**options):
        folder = tmp_path / f"served{len(made)}"
        (folder / "out").mkdir(parents=True)
        made.append(FtpPeer(folder, **options))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
async def polled(tmp_path):
    """`polled(peer, **options)`: a started poller of `/out`, and its journal."""
    started = []

    async def start(peer, journal=None, certificates=None, **options):
        journal = journal or Journal()
        given = {
            "address": f"localhost:{peer.port}",
            "user": "lab",
            "password": "${env:PASSWORD}",
            "path": "/out",
            **options,
        }
        poller = await poll(FTP, given, tmp_path, journal, ENVIRON, certificates)
        started.append(poller)
        return SimpleNamespace(poller=poller, journal=journal, folder=peer.folder / "out")

    yield start
    for poller in started:
        await poller.stop(5)


@pytest.fixture
async def sent(tmp_path):
    """`sent(peer, delivery, **options)`: the attempt of a destination with these options."""
    made = []

    async def send(peer, one, certificates=None, **options):
        fixed = {"address": f"localhost:{peer.port}", "user": "lab", "path": "/out"}
        target = TARGET.options.model_validate(
            {"password": "${env:PASSWORD}", **fixed, **options}
        )
        spec = SimpleNamespace(options=target, timeout=5.0, connect=5.0, connections=1)
        around = outbound.Surroundings(
            None,
            SystemClock(),
            lambda _: None,
            tmp_path,
            ENVIRON,
            certificates or Certificates(),
        )
        made.append(TARGET.build("out", spec, around))
        future = asyncio.get_running_loop().create_future()
        made[-1].deliver(one, future.set_result)
        return await asyncio.wait_for(future, 10)

    yield send
    for destination in made:
        await destination.stop(5)


def delivery(file="a.hl7", content=b"MSH|1", tries=0):
    """One Delivery."""
    return Delivery(SIGNAL, 1, 1, "out", "", content, file=file, tries=tries)


async def test_a_file_is_brought_over_and_moved(peers, polled):
    """Its bytes go up, its file goes to `done`; folders are not taken."""
    one = await polled(peers())
    content = os.urandom(2 << 20)
    (one.folder / "folder.hl7").mkdir()
    (one.folder / ".a").write_bytes(content)
    (one.folder / ".a").rename(one.folder / "a.bin")
    await until(lambda: (one.folder / "done/a.bin").exists())

    assert one.journal.contents() == [content]


async def test_what_the_journal_did_not_take_goes_back(peers, polled):
    """P1 on an FTP server."""
    journal = Journal()
    journal.receipt = NOT_STORED
    one = await polled(peers(), journal)
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: journal.taken)
    await until(lambda: (one.folder / "a.hl7").exists())
    journal.receipt = STORED
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert len({identity for _, identity, _ in journal.taken}) == 1


@pytest.mark.parametrize("after", ["delete", "keep"])
async def test_a_file_that_we_may_not_read_is_told_and_stays(peers, polled, after):
    """FTP says 550 to that as it does to a file that is gone: it is looked whether it is."""

    def shut(handler, file):
        handler.respond("550 Failed to open file.")

    peer = peers(commands={"ftp_RETR": shut})
    (peer.folder / "out/a.hl7").write_bytes(b"1")
    one = await polled(peer, after=after)
    await until(lambda: one.journal.named("FileKept"))
    await until(lambda: (one.folder / "a.hl7").exists())
    (told,) = one.journal.named("FileKept")

    assert (told.code, one.journal.taken) == ("unreadable", [])
    assert "no permission" in told.text


async def test_a_file_that_we_may_not_delete_is_told(peers, polled):
    """It is journaled, and stays among our claims until it can go."""

    def shut(handler, path):
        handler.respond("550 Permission denied.")

    peer = peers(commands={"ftp_DELE": shut})
    (peer.folder / "out/a.hl7").write_bytes(b"1")
    one = await polled(peer, after="delete")
    await until(lambda: one.journal.named("FileKept"))

    assert [told.code for told in one.journal.named("FileKept")] == ["unfinished"]
    assert one.journal.contents() == [b"1"]


async def test_files_are_deleted_where_the_site_says_so(peers, polled):
    """`after: delete`."""
    one = await polled(peers(), after="delete")
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: one.journal.taken and not list(one.folder.rglob("*.hl7")))


# RFC 959 and no more, as vsftpd, IIS and whatever lists by ls(1).
OLD = {name: how for name, how in FTPHandler.proto_cmds.items() if name[:3] != "MLS"}


def listing(line, first=""):
    """Commands of a server of that age; line: makes one of a name and its lstat."""

    def ftp_list(handler, path):
        names = sorted(os.listdir(path))
        text = "".join(line(one, os.lstat(f"{path}/{one}")) + "\r\n" for one in names)
        handler.push_dtp_data((first + text).encode(), cmd="LIST")
        return path

    return {"proto_cmds": OLD, "ftp_LIST": ftp_list}


def by_ls(name, status, when="%b %d %H:%M"):
    """As ls(1) says it; what is half a year old by its day: `%b %d  %Y`."""
    changed = time.strftime(when, time.gmtime(status.st_mtime))
    return f"{stat.filemode(status.st_mode)} 1 lab lab {status.st_size:9} {changed} {name}"


def by_dir(name, status, when="%m-%d-%y  %I:%M%p"):
    """As IIS says it, which takes it from `dir`."""
    what = "<DIR>         " if stat.S_ISDIR(status.st_mode) else f"{status.st_size:20}"
    return f"{time.strftime(when, time.gmtime(status.st_mtime))} {what} {name}"


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (by_ls, ""),
        (by_ls, "total 8\r\n"),
        (by_ls, "insgesamt 8\r\n\r\n"),
        (by_dir, ""),
        (partial(by_dir, when="%m-%d-%Y  %I:%M%p"), ""),
    ],
)
async def test_a_server_may_list_in_whatever_form_is_usual(peers, polled, line, first):
    """Names with blanks, sizes, folders; the sum that ls(1) puts first is no file."""
    peer = peers(commands=listing(line, first))
    (peer.folder / "out/folder.hl7").mkdir()
    (peer.folder / "out/a b.hl7").write_bytes(b"123")
    one = await polled(peer)
    await until(lambda: (one.folder / "done/a b.hl7").exists())

    assert one.journal.contents() == [b"123"]
    assert one.journal.named("SourceLost") == []


async def test_a_listing_in_no_form_that_we_know_is_told(peers, polled):
    """In words that say what is the matter."""
    one = await polled(peers(commands=listing(lambda *_: "?", "")))
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: one.journal.named("SourceLost"))

    assert "in a form that is not known" in one.journal.named("SourceLost")[0].text


async def test_a_kept_file_is_not_read_again_when_it_is_half_a_year_old(peers, polled):
    """Its time is listed by the day from then on: the same day and size are the same file."""
    form = ["%b %d %H:%M"]
    peer = peers(commands=listing(lambda *one: by_ls(*one, form[0])))
    (peer.folder / "out/a.hl7").write_bytes(b"1")
    journal = Journal()
    one = await polled(peer, journal, after="keep")
    await until(lambda: journal.memory.kept)
    form[0] = "%b %d  %Y"
    (peer.folder / "out/b.hl7").write_bytes(b"2")
    await until(lambda: "b.hl7" in journal.memory.kept)
    os.utime(one.folder / "b.hl7", (0, 0))
    await until(lambda: len(journal.taken) == 3)

    assert journal.contents() == [b"1", b"2", b"2"]


async def test_a_name_that_is_no_utf8_and_a_greeting_in_another_charset(peers, polled):
    """A file of an old Windows client, a server that greets in its country's words."""
    peer = peers(commands={"encoding": "latin-1", "banner": "grüß"})
    (peer.folder / "out/Müller.hl7").write_bytes(b"1")
    one = await polled(peer)
    await until(lambda: (one.folder / "done/Müller.hl7").exists())

    assert [file for _, _, file in one.journal.taken] == ["M\\xfcller.hl7"]
    assert one.journal.named("SourceLost") == []


async def test_a_wrong_password_is_told_without_it(peers, polled):
    """It is tried again; the event names the user and no secret."""
    peer = peers()
    peer.server.handler.authorizer.user_table["lab"]["pwd"] = "another"
    one = await polled(peer)
    await until(lambda: one.journal.named("SourceLost"), seconds=15)
    (told,) = one.journal.events

    assert "does not let 'lab' in" in told.text
    assert "horse" not in told.text


async def test_explicit_tls_protects_control_and_data(peers, polled, sent, papers, tmp_path):
    """FTPS both ways, with a server that insists on TLS for both connections."""
    served = papers.tls("server")
    key = tmp_path / served.key.target
    peer = peers(certificate=tmp_path / served.certificate, key=key)
    certificates = Certificates(papers.folder, {}, lambda event: None)
    trust = {"trust": papers.tls("client").trust}
    one = await polled(peer, certificates=certificates, tls=trust)
    (one.folder / "a.hl7").write_bytes(b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())
    got = await sent(peer, delivery("b.hl7"), certificates, tls=trust, path="/out/done")

    assert got.code == "written", got.detail
    assert (one.folder / "done/b.hl7").read_bytes() == b"MSH|1"


async def test_an_untrusted_certificate_gets_no_password(peers, sent, papers, tmp_path):
    """T2 for FTPS: the session ends before the login."""
    served = papers.tls("server")
    peer = peers(certificate=tmp_path / served.certificate, key=tmp_path / served.key.target)
    certificates = Certificates(papers.folder, {}, lambda event: None)
    got = await sent(peer, delivery(), certificates, tls={"trust": "system"})

    assert (got.answered, got.code) == (Answered.NO_CONNECTION, "tls_untrusted")
    assert "certificate is not trusted" in got.detail
    assert os.listdir(peer.folder / "out") == []


@pytest.mark.parametrize(
    ("exists", "code", "left"),
    [
        ("number", "written", {"a.hl7": b"old", "a-1.hl7": b"MSH|1"}),
        ("replace", "written", {"a.hl7": b"MSH|1"}),
        ("fail", "unsendable", {"a.hl7": b"old"}),
    ],
)
async def test_a_name_that_is_taken(peers, sent, exists, code, left):
    """`exists`: numbered, replaced, or told as unsendable; no temporary name is left."""
    peer = peers()
    (peer.folder / "out/a.hl7").write_bytes(b"old")
    got = await sent(peer, delivery(), exists=exists)
    lying = {path.name: path.read_bytes() for path in (peer.folder / "out").iterdir()}

    assert (got.code, lying) == (code, left)


async def test_a_folder_that_we_may_not_write_to_is_not_told_as_missing(peers, sent):
    """550 is what FTP has for both, so the detail names both."""

    def shut(handler, file, mode="w"):
        handler.respond("550 Permission denied.")

    got = await sent(peers(commands={"ftp_STOR": shut}), delivery())

    assert got.answered is Answered.NO_CONNECTION
    assert got.detail.endswith("/out: there is no such file or folder, or no permission")


@pytest.mark.parametrize("code", ["550", "553"])
async def test_a_server_that_renames_over_nothing_is_helped(peers, sent, code):
    """IIS and others: the old file is put aside, whichever of the two codes says no."""

    def shut(handler, path):
        if os.path.lexists(path):
            handler.respond(f"{code} Cannot create a file when that file already exists.")
        else:
            FTPHandler.ftp_RNTO(handler, path)

    peer = peers(commands={"ftp_RNTO": shut})
    (peer.folder / "out/a.hl7").write_bytes(b"old")
    got = await sent(peer, delivery(), exists="replace")

    assert (got.code, os.listdir(peer.folder / "out")) == ("written", ["a.hl7"]), got.detail
    assert (peer.folder / "out/a.hl7").read_bytes() == b"MSH|1"


@pytest.mark.parametrize("refused", ["", ".part"])
async def test_a_file_that_cannot_be_replaced_stays(peers, sent, refused):
    """On a server that lets nothing be renamed, or not to that name: nobody misses it."""

    def shut(handler, path):
        if handler._rnfr.endswith(refused):
            handler.respond("553 Not allowed.")
        else:
            FTPHandler.ftp_RNTO(handler, path)

    peer = peers(commands={"ftp_RNTO": shut})
    (peer.folder / "out/a.hl7").write_bytes(b"old")
    (peer.folder / "out/.a.hl7.old").write_bytes(b"older")
    got = await sent(peer, delivery(), exists="replace")

    assert got.answered is Answered.NO_CONNECTION
    assert (peer.folder / "out/a.hl7").read_bytes() == b"old"


async def test_a_folder_that_is_missing_and_a_server_that_is_down(peers, sent):
    """Nothing was delivered: it is tried again."""
    peer = peers()
    missing = await sent(peer, delivery(), path="/nowhere")
    peer.close()
    down = await sent(peer, delivery())

    assert missing.answered is Answered.NO_CONNECTION
    assert "/nowhere: there is no such file or folder" in missing.detail
    assert down.answered is Answered.NO_CONNECTION


async def test_of_two_journals_that_claim_a_file_at_once_one_has_it(peers, polled):
    """F2: both have said RNFR before one says RNTO, and the server's rename works once."""
    asking, arrived = [], FTPHandler.ftp_RNFR

    def from_both(handler, path):
        asking.append((handler, path))
        if len(asking) == 2:
            for each in asking:
                arrived(*each)
        elif len(asking) > 2:
            arrived(handler, path)

    peer = peers(commands={"ftp_RNFR": from_both})
    (peer.folder / "out/a.hl7").write_bytes(b"1")
    first, second = Journal(), Journal()

    async def other():
        return "0ther000"

    second.memory.mark = other
    await polled(peer, first)
    await polled(peer, second)
    await until(lambda: (peer.folder / "out/done/a.hl7").exists())

    assert [path for _, path in asking[:2]] == [str(peer.folder / "out/a.hl7")] * 2
    assert first.contents() + second.contents() == [b"1"]


async def test_the_answer_to_a_file_is_placed_on_the_server(polled, peers):
    """Whole or not at all, over an earlier one, before the file is finished."""
    one = await polled(peers(), replies="acks", after="delete")
    for content in (b"1", b"2"):
        (one.folder / ".a").write_bytes(content)
        (one.folder / ".a").rename(one.folder / "a.hl7")
        await until(lambda c=content: c in one.journal.contents())
        await until(lambda: not list(one.folder.glob(".portico-*/a.hl7")))
        assert (one.folder / "acks/a.hl7.ack").read_bytes() == content + b"|1 "
    assert os.listdir(one.folder / "acks") == ["a.hl7.ack"]
