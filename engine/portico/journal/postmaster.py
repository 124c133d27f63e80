"""One life of the embedded PostgreSQL: made, started, seen ready, ended."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress

from portico.clock import Clock
from portico.errors import JournalUnavailable
from portico.events import journal as events
from portico.events.emit import Emit
from portico.journal import cluster
from portico.journal.binaries import Binaries
from portico.journal.folder import Folder, sync_folder, write_durably
from portico.journal.identity import Identity

Ways = tuple[tuple[signal.Signals, float], ...]

_READY_WITHIN = 300.0  # seconds; recovery after a crash counts
_FULL = 1 << 20  # bytes left: PostgreSQL cannot even say what it misses
_LOOK = 0.005  # seconds between two looks at a pid file or at processes
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
# Signals and seconds of grace. SIGINT shuts down with a checkpoint, which saves a recovery; but
# during a recovery PostgreSQL 18 hangs on it. SIGQUIT shuts down at once, at any time, and the
# postmaster kills after 5 s whoever of its own does not follow.
_GENTLY = ((signal.SIGINT, 3.0),)
_AT_ONCE = ((signal.SIGQUIT, 6.0), (signal.SIGKILL, 5.0))


async def make(folder: Folder, binaries: Binaries, identity: Identity) -> None:
    """A new data folder: initdb into a draft, which gets its name when it is whole."""
    draft = folder.path / "postgres.new"
    password_file = folder.path / "password.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        write_durably(password_file, folder.password())
        identity.give(draft, password_file)
        arguments = cluster.initdb_arguments(binaries, draft, password_file)
        process = await _spawn(folder, identity.command(*arguments))
        if (status := await process.wait()) != 0:
            raise failure(folder, f"initdb ended with status {status}")
    finally:
        password_file.unlink(missing_ok=True)
    draft.rename(folder.postgres)
    sync_folder(folder.path)


async def launch(folder: Folder, binaries: Binaries, identity: Identity) -> Process:
    """A server that accepts connections. Raises JournalUnavailable, and then none is left."""
    cluster.trim_log(folder)
    cluster.write_settings(folder)
    process = await _spawn(folder, identity.command(binaries.postgres, "-D", folder.postgres))
    try:
        async with asyncio.timeout(_READY_WITHIN):
            while not cluster.is_ready(folder, process.pid):
                if process.returncode is not None:
                    raise failure(folder, f"it ended with status {process.returncode}")
                await asyncio.sleep(_LOOK)
    except TimeoutError as error:
        await end(process, _AT_ONCE)
        raise failure(folder, f"it was not ready after {_READY_WITHIN:g} s") from error
    except asyncio.CancelledError:
        await end(process, _AT_ONCE)
        raise
    return process


async def end(process: Process, ways: Ways = _GENTLY + _AT_ONCE) -> None:
    """Stop it, one way after the other. Returns when it is gone."""
    for number, grace in ways:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace)


async def end_leftovers(folder: Folder, clock: Clock, emit: Emit) -> None:
    """Stop what a dead engine's PostgreSQL left running here, and forget its lock files.

    The new server refuses the folder while one old process lives. Raises JournalUnavailable.
    """
    began = clock.monotonic()
    if left := cluster.leftovers(folder):
        for number, grace in _AT_ONCE:
            await _signal_and_wait(folder, number, grace)
        if still := cluster.leftovers(folder):
            raise JournalUnavailable(f"process {still[0]} of an older PostgreSQL does not end")
        emit(events.JournalLeftoverStopped(left[0], clock.monotonic() - began))
    cluster.forget(folder)


async def _signal_and_wait(folder: Folder, number: signal.Signals, grace: float) -> None:
    for pid in cluster.leftovers(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    with suppress(TimeoutError):
        async with asyncio.timeout(grace):
            while cluster.leftovers(folder):  # noqa: ASYNC110 - they are not our children
                await asyncio.sleep(_LOOK)


async def _spawn(folder: Folder, command: list[str]) -> Process:
    """Start it in a session of its own, saying what it says into the log file."""
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    finally:
        os.close(log)


def failure(folder: Folder, what: str) -> JournalUnavailable:
    """The error that says what happened and what PostgreSQL said last."""
    said = f"it said: {cluster.log_tail(folder)} (more in {folder.log})"
    if shutil.disk_usage(folder.path).free < _FULL:
        said = f"the disk that holds {folder.path} is full"
    return JournalUnavailable(f"the embedded PostgreSQL does not start: {what}; {said}")
