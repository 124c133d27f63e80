"""The SFTP server against clients that share no code with it: paramiko, OpenSSH, curl."""

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import time
from functools import partial
from types import SimpleNamespace

import paramiko
import pytest

from listeners.fetching import NOT_STORED, STORED, Journal, until
from portico.clock import SystemClock
from portico.listeners import inbox
from portico.listeners.contract import Surroundings
from portico.listeners.sftpserver import SFTP_SERVER
from portico.model.receipt import Receipt, Told
from remote.peers import key


async def off(call, *args, **kwargs):
    """A blocking client's call, in a thread."""
    return await asyncio.wait_for(asyncio.to_thread(partial(call, *args, **kwargs)), 20)


@pytest.fixture
async def served(tmp_path):
    """`served(**options)`: a running server, its port and its journal."""
    started = []
    host_key, mine = key(tmp_path, "host"), key(tmp_path, "mine")

    async def start(journal=None, **options):
        journal = journal or Journal()
        public = f"{mine.get_name()} {mine.get_base64()}"
        users = {
            "lab": {"password": "${env:PASSWORD}", "folder": "lab"},
            "ward": {"key": public, "folder": "ward"},
        }
        given = {
            "listen": "127.0.0.1:0",
            "path": "inbox",
            "host_key": "${file:host}",
            "users": users,
            **options,
        }
        environ = {"PASSWORD": "correct horse"}
        around = Surroundings(
            None, SystemClock(), journal.events.append, tmp_path, environ, fetching=journal
        )
        source = SFTP_SERVER.options.model_validate(given)
        server = SFTP_SERVER.build("lab", source, lambda arrival: None, around)
        await server.start()
        started.append(server)
        folder = tmp_path / "inbox/lab"
        return SimpleNamespace(
            server=server, journal=journal, folder=folder, port=server.address.port,
            host_key=host_key, key=mine, key_file=tmp_path / "mine",
        )  # fmt: skip

    yield start
    for server in started:
        await server.stop(2)


OPENSSH = pytest.mark.skipif(
    shutil.which("sftp") is None, reason="OpenSSH's sftp is not installed"
)


def openssh(one, folder, batch, *keys):
    """OpenSSH's sftp as ward, with these of the folder's keys in turn."""
    known = f"[127.0.0.1]:{one.port} {one.host_key.get_name()} {one.host_key.get_base64()}\n"
    (folder / "known").write_text(known)
    (folder / "batch").write_text(batch)
    shown = []
    for name in keys:
        (folder / name).chmod(0o600)
        shown += ["-i", str(folder / name)]
    command = [
        "sftp", "-b", f"{folder}/batch", "-F", "/dev/null", *shown, "-P", str(one.port),
        "-oIdentitiesOnly=yes", "-oBatchMode=yes", f"-oUserKnownHostsFile={folder}/known",
        "ward@127.0.0.1",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=20)


class Client:
    """A paramiko session."""

    def __init__(self, one, user="lab", password="correct horse", pkey=None):
        self.transport = paramiko.Transport(("127.0.0.1", one.port))
        if pkey is not None:
            password = None
        try:
            self.transport.connect(one.host_key, user, password, pkey)
        except paramiko.SSHException:
            self.transport.close()
            raise
        self.sftp = paramiko.SFTPClient.from_transport(self.transport)

    def put(self, name, content):
        """Open, write, close."""
        with self.sftp.open(name, "wb") as file:
            file.write(content)

    def close_of(self, name, content):
        """The answer to CLOSE itself, which paramiko's own close() does not look at."""
        file = self.sftp.open(name, "wb")
        file.write(content)
        file.flush()
        self.sftp._request(paramiko.sftp.CMD_CLOSE, file.handle)

    def close(self):
        """Log out."""
        self.transport.close()


@pytest.fixture
async def client():
    """`client(one, user)`: a logged-in paramiko session; closed after the test."""
    made = []

    async def connect(one, **options):
        made.append(await off(Client, one, **options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


async def test_a_session_that_lasts_may_put_any_number_of_files(served, client, monkeypatch):
    """Other engines hold one for months: what was stored first is no longer listed then."""
    monkeypatch.setattr(inbox, "_MOST", 4)
    one = await served()
    lab = await client(one)
    await off(lab.put, "unfinished.part", b"0")
    for number in range(9):
        await off(lab.put, f"{number}.hl7", b"%d" % number)
    await off(lab.sftp.rename, "unfinished.part", "9.hl7")

    assert one.journal.contents() == [*(b"%d" % number for number in range(9)), b"0"]
    assert sorted(await off(lab.sftp.listdir)) == ["7.hl7", "8.hl7", "9.hl7"]


async def test_an_upload_is_a_message_once_it_is_closed(served, client):
    """Its bytes go up with its name and its user; the client may look whether it arrived."""
    one = await served()
    lab = await client(one)
    content = os.urandom(300_000)
    await off(lab.put, "a.hl7", content)
    seen = await off(lab.sftp.stat, "a.hl7")
    ((taken, _, file),) = one.journal.taken

    assert (taken, file, seen.st_size) == (content, "a.hl7", 300_000)
    assert os.listdir(one.folder) == []


async def test_close_is_answered_after_the_commit(served, client):
    """P1: as long as there is no Receipt, the client waits."""
    journal = Journal()
    journal.receipt = None
    one = await served(journal)
    lab = await client(one)
    putting = asyncio.ensure_future(off(lab.put, "a.hl7", b"1"))
    await until(lambda: journal.owed)
    await asyncio.sleep(0.09)
    waited = not putting.done()
    journal.owed.pop().answer(STORED)
    await putting

    assert waited


async def test_what_is_asked_behind_a_close_waits_for_the_commit_too(served, client):
    """P1: a client that sends CLOSE and RENAME in one go gets no yes to the second before."""
    journal = Journal()
    journal.receipt = None
    one = await served(journal)
    lab = await client(one)
    file = await off(lab.sftp.open, "a.hl7", "wb")
    lab.sftp._async_request(type(None), paramiko.sftp.CMD_CLOSE, file.handle)
    renamed = lab.sftp._async_request(type(None), paramiko.sftp.CMD_RENAME, "a.hl7", "b.hl7")
    told = asyncio.ensure_future(off(lab.sftp._read_response, renamed))
    await until(lambda: journal.owed)
    await asyncio.sleep(0.09)
    waited = not told.done()
    journal.owed.pop().answer(NOT_STORED)

    with pytest.raises(OSError):
        await told
    assert waited


async def test_a_client_is_told_when_nothing_was_stored(served, client):
    """P1: SSH_FX_FAILURE to CLOSE; sent again, it goes through."""
    journal = Journal()
    journal.receipt = NOT_STORED
    one = await served(journal)
    lab = await client(one)
    with pytest.raises(OSError, match="not stored; send it again"):
        await off(lab.close_of, "a.hl7", b"1")
    with pytest.raises(FileNotFoundError):
        await off(lab.sftp.stat, "a.hl7")
    journal.receipt = STORED
    await off(lab.put, "a.hl7", b"1")

    assert journal.contents() == [b"1", b"1"]
    assert len({identity for _, identity, _ in journal.taken}) == 2


async def test_refused_content_is_a_failure(served, client):
    """The sender has to repair it, so it is told."""
    journal = Journal()
    journal.receipt = Receipt(Told.REFUSED, code="message.not_hl7")
    one = await served(journal)
    lab = await client(one)
    with pytest.raises(OSError, match="the content was refused"):
        await off(lab.close_of, "a.hl7", b"1")
    with pytest.raises(FileNotFoundError):
        await off(lab.sftp.stat, "a.hl7")

    assert journal.named("MessagesRefused")


async def test_a_temporary_name_is_a_message_when_it_is_renamed(served, client):
    """Clients that put `a.hl7.part` and rename it: one message, under the last name."""
    one = await served()
    lab = await client(one)
    await off(lab.put, "a.hl7.part", b"1")
    before = list(one.journal.taken)
    await off(lab.sftp.rename, "a.hl7.part", "a.hl7")
    names = await off(lab.sftp.listdir)

    assert before == []
    assert [(c, f) for c, _, f in one.journal.taken] == [(b"1", "a.hl7")]
    assert names == ["a.hl7"]


async def test_what_was_not_stored_under_its_last_name_has_to_be_sent_again(served, client):
    """P1: the rename is refused, and refused again: its bytes are gone, and clients that look
    find no file."""
    journal = Journal()
    journal.receipt = NOT_STORED
    one = await served(journal)
    lab = await client(one)
    await off(lab.put, "a.hl7.part", b"1")
    for _ in range(2):
        with pytest.raises(OSError, match=r"not stored|no such file"):
            await off(lab.sftp.rename, "a.hl7.part", "a.hl7")
        journal.receipt = STORED
    left = await off(lab.sftp.listdir)
    await off(lab.put, "a.hl7.part", b"1")
    await off(lab.sftp.rename, "a.hl7.part", "a.hl7")

    assert left == []
    assert journal.contents() == [b"1", b"1"]


async def test_a_file_whose_last_bytes_find_no_room_is_not_there(served, client):
    """They are written when it is closed. Clients that look whether it arrived find nothing."""
    one = await served()
    lab = await client(one)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = await off(lab.sftp.open, "a.hl7", "wb")
    await off(file.write, bytes(294_912))
    await off(file.flush)
    await off(file.write, b"the last")
    await off(file.flush)
    resource.setrlimit(resource.RLIMIT_FSIZE, (294_912, hard))  # what is beyond has no room
    try:
        with pytest.raises(OSError):
            await off(lab.sftp._request, paramiko.sftp.CMD_CLOSE, file.handle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(FileNotFoundError):
        await off(lab.sftp.stat, "a.hl7")

    assert one.journal.taken == []


async def test_a_stored_file_that_is_renamed_is_no_second_message(served, client):
    """Put, then renamed to mark it as sent."""
    one = await served()
    lab = await client(one)
    await off(lab.put, "a.hl7", b"1")
    await off(lab.sftp.rename, "a.hl7", "a.ready")

    assert len(one.journal.taken) == 1


async def test_a_client_that_dies_in_the_middle_leaves_no_message(served, client):
    """A file that was not closed by its client is no whole file; it is told, nothing stays."""
    one = await served()
    lab = await client(one)
    file = await off(lab.sftp.open, "a.hl7", "wb")
    await off(file.write, b"half")
    await off(file.flush)
    lab.transport.sock.shutdown(socket.SHUT_RDWR)
    await until(lambda: one.journal.named("UploadDropped"))

    assert one.journal.taken == []
    assert os.listdir(one.folder) == []


async def test_a_session_that_ends_orderly_with_an_open_file_leaves_no_message(served, client):
    """The same where the client ends its channel and not the connection."""
    one = await served()
    lab = await client(one)
    file = await off(lab.sftp.open, "a.hl7", "wb")
    await off(file.write, b"half")
    await off(file.flush)
    await off(lab.sftp.sock.close)
    await until(lambda: one.journal.named("UploadDropped"))

    assert one.journal.taken == []


@pytest.mark.parametrize(
    "name", ["../../up.hl7", "/../../up.hl7", "./up.hl7", "\\..\\up.hl7", "up\n.hl7"]
)
async def test_no_name_reaches_the_file_system(served, client, tmp_path, name):
    """F7: `..` ends at the top, and nothing that a client names is made on disk."""
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    one = await served()
    lab = await client(one)
    await off(lab.put, name, b"1")
    after = sorted(str(path) for path in tmp_path.rglob("*") if "inbox" not in str(path))

    assert len(one.journal.taken) == 1
    assert set(after) - set(before) == set()
    assert [path for path in (tmp_path / "inbox").rglob("*") if path.is_file()] == []


async def test_links_and_reading_and_other_folders_are_denied(served, client, tmp_path):
    """F7: no link is made or followed, nothing is read back, no other user is seen."""
    one = await served()
    (one.folder / "link").symlink_to("/etc")
    (one.folder / "results").mkdir()
    (one.folder / "secret.hl7").write_bytes(b"another's")
    lab = await client(one)
    for call in (
        lambda: lab.sftp.symlink("/etc/passwd", "x"),
        lambda: lab.sftp.open("/etc/passwd", "rb"),
        lambda: lab.sftp.open("secret.hl7", "rb"),
        lambda: lab.sftp.listdir("link"),
        lambda: lab.sftp.listdir("../ward"),
        lambda: lab.put("nowhere/a.hl7", b"1"),
        lambda: lab.sftp.rmdir("results"),
    ):
        with pytest.raises(OSError):
            await off(call)
    await off(lab.put, "results/a.hl7", b"1")

    assert await off(lab.sftp.listdir) == ["results"]
    assert one.journal.contents() == [b"1"]


async def test_no_shell_no_command_no_forwarding(served, client):
    """Least privilege: sftp and nothing else."""
    one = await served()
    lab = await client(one)

    def command():
        channel = lab.transport.open_session()
        channel.exec_command("id")

    with pytest.raises(paramiko.SSHException):
        await off(command)
    with pytest.raises(paramiko.SSHException):
        await off(lambda: lab.transport.open_session().invoke_shell())
    with pytest.raises(paramiko.SSHException):
        await off(
            lab.transport.open_channel, "direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1)
        )
    with pytest.raises(paramiko.SSHException):
        await off(lab.transport.request_port_forward, "127.0.0.1", 0)


async def test_a_file_above_the_limit_is_refused_while_it_comes(served, client):
    """Its bytes are dropped, the session goes on."""
    one = await served(limit="1MiB")
    lab = await client(one)
    with pytest.raises(OSError):
        await off(lab.put, "big.hl7", b"x" * (2 << 20))
    await off(lab.put, "small.hl7", b"1")

    assert one.journal.contents() == [b"1"]


async def test_uploads_that_nobody_finishes_fill_no_disk(served, client):
    """A user's sessions share what is the user's, all users what is all's; what is refused is
    told, and whatever goes, by its client or with its session, gives its room back."""
    one = await served(limit="1MiB", uploads={"user": "2MiB", "all": "3MiB"})
    lab, other = await client(one), await client(one)
    ward = await client(one, user="ward", pkey=one.key)
    mib = b"x" * (1 << 20)
    await off(lab.put, "a.part", mib)
    await off(other.put, "b.part", mib)
    for _ in range(2):
        with pytest.raises(OSError):
            await off(lab.put, "c.part", b"1")
    assert len(one.journal.named("UploadRefused")) == 2
    await off(ward.put, "a.part", mib)
    with pytest.raises(OSError):
        await off(ward.put, "b.part", b"1")

    await off(lab.sftp.remove, "a.part")
    await off(lab.put, "c.hl7", b"1")
    await off(ward.sftp.rename, "a.part", "a.hl7")
    await off(other.transport.close)
    await until(lambda: one.journal.named("UploadDropped"))
    for name in ("d.part", "e.part"):
        await off(lab.put, name, mib)
    assert one.journal.contents() == [b"1", mib]


async def test_a_wrong_password_and_a_foreign_key_do_not_get_in(served, client, tmp_path):
    """Told without what was shown; a right key does."""
    one = await served()
    for user, options in (
        ("lab", {"password": "wrong horse"}),
        ("nobody", {"password": "correct horse"}),
        ("ward", {"password": ""}),
        ("lab", {"pkey": one.key}),
        ("ward", {"pkey": key(tmp_path, "foreign")}),
    ):
        with pytest.raises(paramiko.AuthenticationException):
            await client(one, user=user, **options)
    ward = await client(one, user="ward", pkey=one.key)
    await off(ward.put, "a.hl7", b"1")
    await until(lambda: len(one.journal.named("ConnectionClosed")) == 5)

    assert one.journal.contents() == [b"1"]
    refused = [(event.user, event.code) for event in one.journal.named("LoginRefused")]
    # A key that does not fit is told at the end of its connection, in whatever order they end.
    assert sorted(refused) == [
        ("", "password"), ("lab", "key"), ("lab", "password"), ("ward", "key"),
        ("ward", "password"),
    ]  # fmt: skip
    assert [event.user for event in one.journal.named("LoginAccepted")] == ["ward"]
    assert "nobody" not in str(one.journal.events)
    assert "horse" not in str(one.journal.events)


@OPENSSH
async def test_keys_that_a_client_offers_before_the_right_one_are_no_refused_logins(
    served, tmp_path
):
    """OpenSSH tries all that it has, in turn."""
    one = await served()
    key(tmp_path, "foreign")
    done = await off(openssh, one, tmp_path, "pwd\nbye\n", "foreign", "mine")
    await until(lambda: one.journal.named("ConnectionClosed"))

    assert done.returncode == 0, done.stderr
    assert [event.user for event in one.journal.named("LoginAccepted")] == ["ward"]
    assert one.journal.named("LoginRefused") == []


async def test_the_connection_above_the_limit_is_refused(served, client):
    """M7 for SFTP: visibly, and the others do not notice."""
    one = await served(connections="1")
    lab = await client(one)
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        await client(one)
    await off(lab.put, "a.hl7", b"1")

    assert [told.code for told in one.journal.named("ConnectionRefused")] == ["too_many"]


async def test_a_silent_session_is_ended(served, client):
    """`idle`."""
    one = await served(idle="300ms")
    lab = await client(one)
    await until(lambda: not lab.transport.is_active())

    assert one.server.connections() == 0


async def test_old_algorithms_are_not_offered(served):
    """No SHA-1, no CBC: what the server says before anything is agreed on."""
    one = await served()

    def hello():
        with socket.create_connection(("127.0.0.1", one.port), 5) as peer:
            peer.sendall(b"SSH-2.0-test\r\n")
            said = b""
            while len(said) < 600:
                said += peer.recv(65536)
            return said

    said = await off(hello)
    for old in (b"sha1", b"cbc", b"ssh-rsa,", b"arcfour", b"md5", b"ssh-dss"):
        assert old not in said


@OPENSSH
async def test_openssh_puts_files(served, tmp_path):
    """OpenSSH's own client: put, put with times, rename, mkdir, ls, in batch mode."""
    one = await served()
    (tmp_path / "a.hl7").write_bytes(os.urandom(1 << 20))
    batch = (
        f"mkdir today\ncd today\nput {tmp_path}/a.hl7\nput -p {tmp_path}/a.hl7 b.part\n"
        "rename b.part b.hl7\nls -l\nbye\n"
    )
    done = await off(openssh, one, tmp_path, batch, "mine")

    assert done.returncode == 0, done.stderr
    assert [file for _, _, file in one.journal.taken] == ["a.hl7", "b.hl7"]
    assert {len(content) for content in one.journal.contents()} == {1 << 20}


async def test_a_hole_in_a_file_costs_neither_memory_nor_time(served, client):
    """A write at a far offset, some 40 bytes on the wire: a gibibyte of zeros in memory would
    stop every channel for seconds."""
    one = await served()
    lab = await client(one)
    file = await off(lab.sftp.open, "a.hl7.part", "wb")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()

    def write():
        file.seek((1 << 30) - 1)
        file.write(b"x")
        file.flush()

    await off(write)
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


async def test_a_session_cannot_pile_up_files_that_wait_for_their_names(served, client):
    """Their bytes would be memory and disk of everybody."""
    one = await served()
    lab = await client(one)

    def pile():
        for number in range(300):
            lab.put(f"{number}.part", b"x")

    with pytest.raises(OSError, match="too many files wait"):
        await off(pile)


async def test_a_file_that_was_removed_while_open_takes_no_more(served, client):
    """SFTP failure, and the session goes on."""
    one = await served()
    lab = await client(one)
    file = await off(lab.sftp.open, "a.hl7", "wb")
    await off(lab.sftp.remove, "a.hl7")

    def write():
        file.write(b"x" * 100_000)
        file.flush()
        file.close()

    with pytest.raises(OSError):
        await off(write)
    await off(lab.put, "b.hl7", b"1")
    assert [taken[2] for taken in one.journal.taken] == ["b.hl7"]


@pytest.mark.parametrize("password", ["", "\0", "correct", "correct horse ", "é" * 3000])
async def test_no_other_password_fits(served, password):
    """Neither for who has one nor for who has none, nor for nobody."""
    one = await served()
    assert [one.server.password_fits(user, password) for user in ("lab", "ward", "no")] == [
        False,
        False,
        False,
    ]
