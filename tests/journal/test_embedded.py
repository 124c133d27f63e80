"""Our own PostgreSQL: whatever is killed, it comes back with what it confirmed."""

import asyncio
import ctypes
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portico.errors import ConfigError, JournalLocked, JournalUnavailable
from portico.events import journal as events
from portico.journal import binaries, cluster, connect, embedded, migrate, postmaster
from portico.journal.binaries import Binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# An engine of its own: starts the server in argv[1], writes a row, says so, and waits.
ENGINE = """
import asyncio, pathlib, sys
from portico.clock import SystemClock
from portico.journal import binaries, connect
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder

async def main():
    server = Embedded(Folder(pathlib.Path(sys.argv[1])), binaries.find(), print, SystemClock())
    await server.start()
    connection = await connect.connect(server.conninfo)
    await connection.execute("create table if not exists kept (n int)")
    await connection.execute("insert into kept values (1)")
    print("pid", server.pid, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await connection.close()
    await server.stop()

asyncio.run(main())
"""


class Engine:
    """A process that runs ENGINE."""

    def __init__(self, data: Path, python: str = sys.executable, **options) -> None:
        self.process = subprocess.Popen(
            [python, "-c", ENGINE, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("pid "):
                self.server = int(line.split()[1])
                return
        raise AssertionError(f"the engine did not start: {self.said}")

    def stop(self) -> int:
        """Stop it as an operator would; gives its exit status."""
        self.process.stdin.close()
        return self.process.wait(30)

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self.process.kill()
        self.process.wait(30)


def alive(pid: int) -> bool:
    """Whether that process runs; one that is dead but not yet reaped does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is read
        return False


async def kept(conninfo: str) -> int:
    """How many rows the engines before wrote."""
    async with await connect.connect(conninfo) as connection:
        return (await connect.run(connection, "select count(*) from kept"))[0][0]


async def until(condition) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_first_start_makes_the_folder_and_a_second_finds_it(passable, appliance):
    """Data outlive a stop, on a path with a space in it."""
    one = appliance(passable / "with a space")
    await one.server.start()
    async with await connect.connect(one.server.conninfo) as connection:
        await connection.execute("create table kept as select 1")
    await one.close()
    two = appliance(passable / "with a space")
    await two.server.start()
    assert await kept(two.server.conninfo) == 1
    assert (len(one.of(events.JournalMade)), len(two.of(events.JournalMade))) == (1, 0)


@pytest.mark.parametrize("name", ["deep" * 50, "Für mich"], ids=["long", "not ascii"])
async def test_any_path_works(data, appliance, name):
    """Site folders lie as deep as their owners like, in words of theirs."""
    one = appliance(data.rename(data.with_name(name)))
    await one.server.start()
    await (await connect.connect(one.server.conninfo)).close()


async def test_it_listens_on_its_own_socket_only_and_asks_for_the_password(appliance):
    """No port, and no trust in whoever can open the socket."""
    one = appliance()
    await one.server.start()
    async with await connect.connect(one.server.conninfo) as connection:
        shown = await connect.run(
            connection,
            "select current_setting('listen_addresses'), current_setting('data_checksums')",
        )
    assert shown == [("", "on")]
    with pytest.raises(JournalUnavailable, match="password authentication failed"):
        await connect.connect(one.server.conninfo + " password=guess")


async def test_the_password_is_in_no_command_line_environment_or_log(passable, appliance):
    """Other users of the machine see command lines; logs are sent away."""
    programs, record = passable / "programs", passable / "record"
    programs.mkdir()
    real = binaries.find()
    (programs / "postgres").symlink_to(real.postgres)
    (programs / "initdb").write_text(
        f'#!/bin/sh\n(echo "$@"; env) > "{record}"\nexec "{real.initdb}" "$@"\n'
    )
    (programs / "initdb").chmod(0o755)
    one = appliance(passable / "new", programs=Binaries(programs, real.version))
    await one.server.start()
    password = one.folder.password()
    running = Path(f"/proc/{one.server.pid}")
    seen = [record.read_text(), one.folder.log.read_text(), repr(one.events)]
    if running.exists():
        seen += [(running / name).read_text() for name in ("cmdline", "environ")]
    assert not any(password in text for text in seen)
    assert not (one.folder.path / "password.new").exists()
    assert password not in repr(one.server)


async def test_no_row_reaches_the_log(appliance):
    """Errors quote the row that failed, and crash reports the statement; neither is kept."""
    one = appliance()
    await one.server.start()
    connection = await connect.connect(one.server.conninfo)
    await connection.execute("create table patient (name text primary key)")
    for statement in (
        "insert into patient values ('MUSTER'), ('MUSTER')",
        "select 'MUSTER'::int",
        "do $$ begin raise warning 'MUSTER'; end $$",
    ):
        with pytest.raises(Exception) if "raise" not in statement else open(os.devnull):
            await connection.execute(statement)
    starts = one.folder.log.read_text().count("ready to accept")
    asleep = asyncio.create_task(connection.execute("select 'MUSTER', pg_sleep(60)"))
    await asyncio.sleep(0.05)
    os.kill(connection.info.backend_pid, signal.SIGKILL)
    with pytest.raises(Exception, match="closed"):
        await asleep
    await until(lambda: one.folder.log.read_text().count("ready to accept") == starts + 1)
    log = one.folder.log.read_text()
    assert "terminated by signal 9" in log
    assert "MUSTER" not in log
    await connection.close()


async def test_who_was_given_up_at_a_lock_takes_no_connection_from_others(appliance):
    """A transaction hangs for long, and at each deadline another comes to wait for its lock."""
    one = appliance()
    await one.server.start()
    async with (
        await connect.connect(one.server.conninfo) as other,
        await connect.connect(one.server.conninfo, autocommit=False) as holder,
    ):
        await other.execute("create table wanted (n int)")
        await holder.execute("lock table wanted")
        waiting = await connect.connect(one.server.conninfo)
        pid = waiting.info.backend_pid
        with pytest.raises(JournalUnavailable):
            await connect.run(waiting, "select * from wanted", deadline=0.1, reads=True)
        here = "select count(*) from pg_stat_activity where pid = %s"
        assert await connect.run(other, here, (pid,)) == [(1,)]
        async with asyncio.timeout(20):
            while await connect.run(other, here, (pid,)) != [(0,)]:
                await asyncio.sleep(0.05)


async def test_a_killed_server_comes_back_with_what_it_confirmed(appliance):
    """kill -9 of the postmaster: started again without anybody's help, and it is said."""
    changes = []
    one = appliance()
    one.server._changed = changes.append
    await one.server.start()
    async with await connect.connect(one.server.conninfo) as connection:
        await connection.execute("create table kept as select generate_series(1, 100)")
    first = one.server.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: one.of(events.JournalRestarted))
    assert one.server.pid not in (0, first)
    assert await kept(one.server.conninfo) == 100
    assert one.of(events.JournalDied) == [events.JournalDied(first, -signal.SIGKILL)]
    assert changes == [True, False, True]


async def test_a_server_that_cannot_start_is_tried_again(appliance):
    """What is in the way is said, and when it has gone the server comes back."""
    one = appliance()
    await one.server.start()
    local = one.folder.postgres / "local.conf"
    local.write_text("no_such_setting = 1\n")
    os.kill(one.server.pid, signal.SIGKILL)
    await until(lambda: one.of(events.JournalUnreachable))
    local.unlink()
    await until(lambda: one.of(events.JournalRestarted))
    assert "no_such_setting" in one.of(events.JournalUnreachable)[0].reason
    assert one.of(events.JournalRestarted)[0].tries > 1


async def test_a_first_start_that_fails_says_why_and_can_be_repeated(appliance):
    """An operator reads PostgreSQL's own reason, not a traceback."""
    one = appliance()
    local = one.folder.postgres / "local.conf"
    local.write_text("no_such_setting = 1\n")
    with pytest.raises(JournalUnavailable, match="no_such_setting"):
        await one.server.start()
    assert one.server.pid == 0
    local.unlink()
    await one.server.start()


@pytest.fixture
def small_disk(passable):
    """A file system of 64 MiB of this test's own."""
    disk = passable / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@as_root
@linux_only
async def test_a_full_disk_is_named_and_its_end_awaited(small_disk, appliance):
    """Neither a first start nor a later one ends in a traceback; both go on with room."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(50 << 20))
    one = appliance(small_disk / "var")
    with pytest.raises(JournalUnavailable, match="No space left"):
        await one.server.start()
    filler.unlink()
    await one.server.start()
    await one.server.stop()
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(64 << 20))
    with pytest.raises(JournalUnavailable, match="is full"):
        await one.server.start()
    filler.unlink()
    await one.server.start()


async def test_a_half_made_folder_is_made_again(passable, appliance):
    """A power cut during the first start leaves nothing that a second start trusts."""
    one = appliance(passable / "half")
    draft = one.folder.path / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    await one.server.start()
    assert not draft.exists()


async def test_data_of_another_version_are_left_alone(appliance):
    """PostgreSQL does not read another major version's data; say which programs would."""
    one = appliance()
    (one.folder.postgres / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigError, match=r"made by PostgreSQL 12 .*journal\.binaries"):
        await one.server.start()


async def test_an_older_postgresql_can_be_configured(passable, appliance):
    """Version 16 knows no locale of PostgreSQL's own; the journal is the same."""
    older = binaries.find().folder.parents[1] / "pginstall" / "bin"
    one = appliance(passable / "older", programs=binaries.find(older))
    await one.server.start()
    assert one.server.version.startswith("16.")
    assert (await migrate.migrate(one.server.conninfo)).after == migrate.target("pre")


async def test_stop_ends_the_server_and_is_harmless_twice(appliance):
    """Nothing is left running, and nothing to recover."""
    one = appliance()
    await one.server.start()
    await one.server.stop()
    await one.server.stop()
    assert one.server.pid == 0
    assert cluster.leftovers(one.folder) == []
    assert "database system is shut down" in one.folder.log.read_text()


@linux_only
async def test_the_server_goes_when_its_engine_is_killed(data, appliance):
    """kill -9 of the engine: its server shuts down, and the next engine has every row."""
    engine = Engine(data)
    engine.kill()
    one = appliance()
    await one.server.start()
    assert one.server.pid != engine.server
    assert not alive(engine.server)
    assert await kept(one.server.conninfo) == 1


async def test_a_kill_of_everything_loses_nothing(data, appliance):
    """kill -9 of engine and server at once, three times over."""
    for _ in range(3):
        engine = Engine(data)
        os.kill(engine.server, signal.SIGKILL)
        engine.kill()
    one = appliance()
    await one.server.start()
    assert await kept(one.server.conninfo) == 3


async def test_a_second_engine_is_refused_while_the_first_runs(data, appliance):
    """One data folder, one engine."""
    engine = Engine(data)
    with pytest.raises(JournalLocked, match=str(engine.process.pid)):
        appliance()
    assert engine.stop() == 0


@linux_only
async def test_a_server_that_outlived_its_engine_is_stopped_first(appliance):
    """A leftover keeps the folder and would let no new server in."""
    one = appliance()
    await one.server.start()
    orphan = one.server._process
    one.server._watcher.cancel()
    one.server._process = None
    await one.server.start()
    assert await orphan.wait() == 0
    assert [event.pid for event in one.of(events.JournalLeftoverStopped)] == [orphan.pid]


@linux_only
async def test_a_frozen_leftover_is_killed(appliance, monkeypatch):
    """A stopped process answers no other signal."""
    ways = ((signal.SIGQUIT, 0.2), (signal.SIGKILL, 10.0))
    monkeypatch.setattr(postmaster, "_AT_ONCE", ways)
    one = appliance()
    await one.server.start()
    orphan = one.server._process
    one.server._watcher.cancel()
    one.server._process = None
    os.kill(orphan.pid, signal.SIGSTOP)
    await one.server.start()
    assert await orphan.wait() == -signal.SIGKILL


@linux_only
async def test_a_stale_pid_that_now_is_another_process_does_no_harm(appliance):
    """In a container the dead server's pid soon belongs to somebody else."""
    one = appliance()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (one.folder.postgres / "postmaster.pid").write_text(
        f"{stranger.pid}\n{one.folder.postgres}\n1\n5432\n../run\n\n0 0\nready\n"
    )
    (one.folder.run / f"{cluster.SOCKET}.lock").write_text(f"{stranger.pid}\n")
    await one.server.start()
    assert stranger.poll() is None
    stranger.communicate(b"\n")


async def test_ctrl_c_in_the_terminal_does_not_reach_it(appliance):
    """The engine decides when its database stops; it has a session of its own."""
    one = appliance()
    await one.server.start()
    assert os.getsid(one.server.pid) == one.server.pid


async def test_its_log_stays_small(data, appliance):
    """A log that grew is emptied at start, with one older part kept."""
    one = appliance()
    one.folder.log.write_bytes(b"x" * (9 << 20))
    await one.server.start()
    assert one.folder.log.stat().st_size < 1 << 20
    assert (one.folder.path / "postgres.log.1").stat().st_size == 9 << 20


async def test_a_log_that_cannot_be_trimmed_keeps_nobody_from_starting_it_again(
    appliance, monkeypatch
):
    """The disk is full, or the older part is in the way: the log stays long, and a server that
    dies then is started again all the same."""
    monkeypatch.setattr(embedded, "_TRIM_EVERY", 0.01)
    one = appliance()
    await one.server.start()
    (one.folder.path / "postgres.log.1").mkdir()
    with one.folder.log.open("ab") as log:
        log.write(b"x" * (9 << 20))
    await asyncio.sleep(0.05)

    os.kill(one.server.pid, signal.SIGKILL)

    await until(lambda: one.of(events.JournalRestarted))
    assert one.folder.log.stat().st_size > 9 << 20


@as_root
@linux_only
async def test_root_runs_it_in_a_namespace_and_keeps_the_folder(appliance):
    """No file changes hands, and a 0700 folder stays so."""
    one = appliance()
    await one.server.start()
    assert one.of(events.JournalStarted)[0].identity == "namespace"
    assert one.folder.path.stat().st_mode & 0o777 == 0o700
    assert one.folder.postgres.stat().st_uid == 0


PATH = os.pathsep.join(path for path in sys.path if path)


def python_for(somebody: dict) -> str:
    """A Python of our version that this user may run; ours may lie in a private folder."""
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run([python, "-c", "import json"], check=True, **somebody)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip(f"uid 65534 may run no {version} here")


@as_root
def test_an_ordinary_user_runs_it(passable):
    """Nothing asks for a privilege."""
    home = passable / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    somebody = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": passable}
    engine = Engine(home / "var", python_for(somebody), env={"PYTHONPATH": PATH}, **somebody)
    assert "identity='self'" in "".join(engine.said)
    assert (home / "var" / "postgres").stat().st_uid == 65534
    assert engine.stop() == 0


def deny_namespaces() -> None:
    """Forbid unshare(2) to this process and its children, as containers do (seccomp)."""
    number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    steps = (
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x50001),
        (0x06, 0, 0, 0x7FFF0000),
    )
    code = b"".join(
        a.to_bytes(2, "little") + bytes((b, c)) + d.to_bytes(4, "little")
        for a, b, c, d in steps
    )
    held = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    program = Program(len(steps), ctypes.addressof(held))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(program)) == 0


@as_root
@linux_only
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="knows two machines"
)
def test_root_without_namespaces_drops_to_another_user(passable):
    """In most containers unshare is denied; PostgreSQL's part of the folder changes hands."""
    for _ in range(2):
        engine = Engine(passable / "var", preexec_fn=deny_namespaces)
        assert "identity='user'" in "".join(engine.said)
        assert Path(f"/proc/{engine.server}").stat().st_uid != 0
        assert engine.stop() == 0
    assert (passable / "var").stat().st_mode & 0o777 == 0o711
    assert (passable / "var" / "secret").stat().st_mode & 0o777 == 0o600


@as_root
@linux_only
async def test_a_folder_made_in_a_namespace_goes_on_without_one(data, appliance):
    """The same data, moved into a container."""
    engine = Engine(data, preexec_fn=deny_namespaces)
    assert "identity='user'" in "".join(engine.said)
    assert engine.stop() == 0
    one = appliance()
    await one.server.start()
    assert one.of(events.JournalStarted)[0].identity == "user"
    assert await kept(one.server.conninfo) == 1
