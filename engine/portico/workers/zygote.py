"""The parent of all workers: a process that has loaded what agents need, and forks.

    python -P -m portico.workers.zygote DESCRIPTOR [MODULE...]

It holds nothing of the engine but one socket: no data folder, no listener, no environment.
The engine sends Spawn with a worker's end of a socket pair (SCM_RIGHTS), and Kill; it
hears Ready, Spawned, Exited. When that socket ends, so does every process below. It is
executed, not forked, and has a session of its own, so that Ctrl-C does not reach it.
"""

import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections import deque
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from portico.steps.table import STEPS
from portico.wire import pipe
from portico.workers import child, limits, rehearsal, voice

_READ = 4096
_HEADER_LIMIT = 64 << 10
_MOST_DESCRIPTORS = 64  # in one message; Linux allows 253
_MOST_OPEN = 4096  # far above what this process ever opens


class Spawn(Struct, tag="spawn", frozen=True):
    """Fork a worker; its socket comes with this message. token: the engine's name for it."""

    token: int


class Kill(Struct, tag="kill", frozen=True):
    """End that worker and its process group; one that has ended is no error."""

    token: int


class Nudge(Struct, tag="nudge", frozen=True):
    """Have that worker look at its pipe, though an item runs."""

    token: int


class Ready(Struct, tag="ready", frozen=True):
    """Everything is loaded. missing: modules to preload that cannot be imported."""

    missing: tuple[str, ...]


class Spawned(Struct, tag="spawned", frozen=True):
    """The worker runs."""

    token: int
    pid: int


class Exited(Struct, tag="exited", frozen=True):
    """The worker ended. code: its exit code, or the signal's number below zero. cpu: seconds
    that it used."""

    token: int
    code: int
    cpu: float = 0.0


ToZygote = Spawn | Kill | Nudge
FromZygote = Ready | Spawned | Exited

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToZygote).decode


class Zygote:
    """The table of living workers, and the loop that keeps it. scratch: a folder for theirs."""

    def __init__(self, control: socket.socket, scratch: Path) -> None:
        self._control = control
        self._scratch = scratch
        self._decoder = pipe.PipeDecoder(_HEADER_LIMIT, 0)
        self._sockets: deque[int] = (
            deque()
        )  # descriptors that came before their Spawn was whole
        self._pids: dict[int, int] = {}
        self._tokens: dict[int, int] = {}
        self._deaths, self._wakeup = socket.socketpair()
        self._deaths.setblocking(False)
        self._wakeup.setblocking(False)

    def serve(self, missing: tuple[str, ...]) -> None:
        """Fork and reap until the engine's end of the control socket closes."""
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._say(Ready(missing))
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._deaths, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._deaths.fileno() in ready:
                self._deaths.recv(_READ)
                self._reap()
            if self._control.fileno() in ready and not self._listen():
                return

    def end_all(self) -> None:
        """Kill every process below, and wait for them."""
        while self._tokens or _children():
            for pid in {*self._tokens, *_children()}:
                _kill_group(pid)
            self._bury(os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT))

    def _listen(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _READ, _MOST_DESCRIPTORS)
        except ConnectionResetError:  # the engine died with words of ours unread
            return False
        self._sockets.extend(descriptors)
        for frame in self._decoder.feed(data):
            message = _decode(frame.header)
            if isinstance(message, Spawn):
                self._spawn(message.token, self._sockets.popleft())
            elif (pid := self._pids.get(message.token)) is None:
                continue
            elif isinstance(message, Nudge):
                os.kill(pid, voice.NUDGE)
            else:
                _kill_group(pid)
        return bool(data)

    def _spawn(self, token: int, descriptor: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(descriptor)
            self._say(Exited(token, 1))
            return
        if pid == 0:
            _become_worker(parent, descriptor, self._scratch)
        os.close(descriptor)
        self._pids[token], self._tokens[pid] = pid, token
        self._say(Spawned(token, pid))

    def _reap(self) -> None:
        while found := _ended():
            self._bury(found)

    def _bury(self, found: os.waitid_result | None) -> None:
        """Reap one process. A worker's group goes with it, and what escaped from that group."""
        if found is None:
            return
        token = self._tokens.pop(found.si_pid, None)
        if token is not None:
            _kill_group(found.si_pid)  # its number is still its own: it is not reaped yet
            del self._pids[token]
        _, status, used = os.wait4(found.si_pid, 0)
        shutil.rmtree(self._scratch / str(found.si_pid), ignore_errors=True)
        if token is not None:
            for orphan in _children() - set(self._tokens):
                _kill_group(orphan)
            cpu = used.ru_utime + used.ru_stime
            self._say(Exited(token, os.waitstatus_to_exitcode(status), cpu))

    def _say(self, message: FromZygote) -> None:
        try:
            self._control.sendall(pipe.encode(_encode(message)))
        except OSError:  # the engine is gone; the next read says so too
            return


def _nothing(number: int, frame: object) -> None:
    """SIGCHLD needs a handler to reach the wakeup descriptor."""


def _ended() -> os.waitid_result | None:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None


def _children() -> set[int]:
    """Every child of this process, adopted ones too; empty where the kernel does not tell."""
    try:
        path = Path(f"/proc/self/task/{os.getpid()}/children")
        return {int(pid) for pid in path.read_text(encoding="ascii").split()}
    except OSError:
        return set()


def _kill_group(pid: int) -> None:
    """Kill a process with its group; one that has no group of its own yet, by itself."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
        return


def _become_worker(parent: int, descriptor: int, scratch: Path) -> NoReturn:
    """What a fresh fork does until its end; it never returns into the parent's loop."""
    code = 1
    try:
        os.setsid()
        limits.die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        with socket.socket(fileno=_only(descriptor)) as connection:
            limits.bound_process()
            child.serve(connection, partial(child.load, scratch=scratch / str(os.getpid())))
        code = 0
    finally:
        os._exit(code)


def _only(descriptor: int) -> int:
    """Keep this descriptor, as number 3; the first three lead nowhere, the others close."""
    os.dup2(descriptor, 3)
    os.set_inheritable(3, False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.closerange(4, _MOST_OPEN)
    return 3


def _preload(modules: list[str]) -> tuple[str, ...]:
    for reference in STEPS.values():
        importlib.import_module(reference.partition(":")[0])
    missing = []
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(module)
    return tuple(missing)


def main(descriptor: str, *modules: str) -> None:
    """Load, then serve."""
    limits.adopt_orphans()
    missing = _preload(list(modules))
    with (
        socket.socket(fileno=int(descriptor)) as control,
        tempfile.TemporaryDirectory(prefix="portico-") as scratch,
    ):
        rehearsal.rehearse(Path(scratch))
        gc.collect()
        kept = rehearsal.fill()
        gc.freeze()
        zygote = Zygote(control, Path(scratch))
        zygote.serve(missing)
        zygote.end_all()
        del kept


if __name__ == "__main__":
    main(*sys.argv[1:])
