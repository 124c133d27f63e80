"""The cage: what code of a site tries from its worker, and what comes of it.

Each attempt is a body of statements that runs in a real worker of a real pool. One that gets
through writes `out`; one that is stopped raises. Attempts know where the engine is: its pid,
a secret of its, a socket that it listens on, a file beside the site.
"""

import json
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portico.events.running import WorkerDied
from portico.workers import cage, seccomp

MISSING = [name for name, there in cage.features().items() if not there]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"this machine has no {MISSING}")

TRY = '''
"""The transform that tries."""

import json


def try_(msg):
    """Run the statements of one file; say what they got."""
    with open("transforms/attempt.json") as file:
        given = json.load(file)
    exec(given["body"], dict(given["where"]))
'''

FILES = {
    "read a file of the system": "open('/etc/passwd').read()",
    "read the shadow file": "open('/etc/shadow').read()",
    "read the site's configuration": "open(root + '/config/portico.yaml').read()",
    "read the engine's secret": "open(root + '/var/secret').read()",
    "list the site's folder": "import os; os.listdir(root)",
    "list the data folder": "import os; os.listdir(root + '/var')",
    "list the root": "import os; os.listdir('/')",
    "list the homes": "import os; os.listdir('/root')",
    "list others' scratch": "import os; os.listdir('/tmp')",
    "write into the site": "open(root + '/transforms/own.py', 'w').write('x')",
    "overwrite its own module": "open(root + '/transforms/tries.py', 'a').write('#')",
    "write to the temporary folder": "open('/tmp/portico-escape', 'w').write('x')",
    "truncate by path": "import os; os.truncate(root + '/var/secret', 0)",
    "make a folder": "import os; os.mkdir(root + '/mine')",
    "remove a file": "import os; os.unlink(root + '/var/secret')",
    "rename a file": "import os; os.rename(root + '/var/secret', root + '/var/gone')",
    "link a file into the scratch": (
        "import os, tempfile; os.link(root + '/var/secret', tempfile.gettempdir() + '/l')"
    ),
    "read through a symbolic link": (
        "import os, tempfile; at = tempfile.gettempdir() + '/s';"
        "os.symlink(root + '/var/secret', at); open(at).read()"
    ),
    "climb out of the scratch": (
        "import tempfile; open(tempfile.gettempdir() + '/../../../etc/passwd').read()"
    ),
    "change a file's mode": "import os; os.chmod(root + '/var/secret', 0o777)",
    "change a file's owner": "import os; os.chown(root + '/var/secret', 1, 1)",
    "change a file's times": "import os; os.utime(root + '/var/secret', (1, 1))",
    "set an attribute": "import os; os.setxattr(root + '/var/secret', 'user.x', b'x')",
    "make a device": "import os; os.mknod('/tmp/portico-device', 0o600 | 0o020000, 259)",
}
NETWORK = {
    "a TCP socket": "import socket; socket.socket()",
    "a UDP socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "an IPv6 socket": "import socket; socket.socket(socket.AF_INET6)",
    "a Unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "a netlink socket": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a packet socket": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "a raw socket": (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)"
    ),
    "a vsock": "import socket; socket.socket(socket.AF_VSOCK)",
    "a pair of sockets": "import socket; socket.socketpair()",
    "connect to the engine's port": (
        "import socket; socket.create_connection(('127.0.0.1', port), 1)"
    ),
    "ask a name server": "import socket; assert socket.getaddrinfo('example.com', 80)",
}
PROCESSES = {
    "fork": "import os; os.fork()",
    "vfork by spawn": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "a shell": "import os; assert os.system('true') == 0",
    "a subprocess": "import subprocess; subprocess.run(['/bin/true'])",
    "multiprocessing": (
        "import multiprocessing as m; m.get_context('fork').Process(target=print).start()"
    ),
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "exec from memory": "import os; os.memfd_create('x')",
    "clone by number": (
        "import ctypes; c = ctypes.CDLL(None, use_errno=True);"
        "r = c.syscall(56, 17, 0, 0, 0, 0); assert r >= 0"
    ),
    "clone3 by number": (
        "import ctypes; c = ctypes.CDLL(None, use_errno=True);"
        "a = (ctypes.c_uint64 * 11)(0); r = c.syscall(435, a, 88); assert r >= 0"
    ),
    "kill the engine": "import os; os.kill(engine, 0)",
    "kill its parent": "import os; os.kill(os.getppid(), 0)",
    "kill everybody": "import os; os.kill(-1, 0)",
    "a signal by pidfd": "import os; os.pidfd_open(engine)",
    "trace its parent": (
        "import ctypes, os; c = ctypes.CDLL(None); assert c.ptrace(16, os.getppid(), 0, 0) == 0"
    ),
    "read the engine's memory": "open(f'/proc/{engine}/mem', 'rb')",
    "read it by system call": (
        "import ctypes; c = ctypes.CDLL(None); b = ctypes.create_string_buffer(8);"
        "v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8);"
        "assert c.syscall(310, engine, v, 1, v, 1, 0) >= 0"
    ),
    "read the engine's environment": "open(f'/proc/{engine}/environ').read()",
    "read its own maps": "open('/proc/self/maps').read()",
    "list the processes": "import os; os.listdir('/proc')",
    "take the engine's descriptor": "open(f'/proc/{engine}/fd/3')",
    "limits of the engine": (
        "import resource; resource.prlimit(engine, resource.RLIMIT_NOFILE, (1, 1))"
    ),
    "where the engine runs": "import os; os.sched_setaffinity(engine, {0})",
    "when the engine runs": "import os; os.setpriority(os.PRIO_PROCESS, engine, 0)",
    "when all of its user run": "import os; os.setpriority(os.PRIO_USER, 0, 0)",
    "how the engine runs": (
        "import os; os.sched_setscheduler(engine, os.SCHED_OTHER, os.sched_param(0))"
    ),
    "how by parameters": "import os; os.sched_setparam(engine, os.sched_param(0))",
    "when the engine reads the disk": (
        "import ctypes; assert ctypes.CDLL(None).syscall(251, 1, engine, 0) >= 0"
    ),
}
KERNEL = {
    "raise a limit": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (99999, 99999))"
    ),
    "become somebody": "import os; os.setuid(1)",
    "become a group": "import os; os.setgroups([0])",
    "a user namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "another's namespace": "import ctypes; assert ctypes.CDLL(None).setns(3, 0) == 0",
    "chroot": "import os; os.chroot(root)",
    "mount": "import ctypes; assert ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, 0) == 0",
    "io_uring": (
        "import ctypes; b = ctypes.create_string_buffer(120);"
        "assert ctypes.CDLL(None).syscall(425, 8, b) >= 0"
    ),
    "bpf": "import ctypes; assert ctypes.CDLL(None).syscall(321, 0, 0, 0) >= 0",
    "perf events": "import ctypes; assert ctypes.CDLL(None).syscall(298, 0, 0, -1, -1, 0) >= 0",
    "userfaultfd": "import ctypes; assert ctypes.CDLL(None).syscall(323, 0) >= 0",
    "shared memory": "import ctypes; assert ctypes.CDLL(None).shmget(1, 4096, 0o1600) >= 0",
    "shared memory by name": (
        "from multiprocessing.shared_memory import SharedMemory; SharedMemory('x', True, 64)"
    ),
    "a message queue": "import ctypes; assert ctypes.CDLL(None).msgget(1, 0o1600) >= 0",
    "set the clock": "import time; time.clock_settime(time.CLOCK_REALTIME, 1)",
    "the keyring": "import ctypes; assert ctypes.CDLL(None).syscall(250, 0, -3, 1) >= 0",
    "the kernel's log": (
        "import ctypes; b = ctypes.create_string_buffer(9);"
        "assert ctypes.CDLL(None).klogctl(3, b, 8) >= 0"
    ),
    "a handle of a file": "import ctypes; assert ctypes.CDLL(None).syscall(304, 3, 0, 0) >= 0",
}
ATTEMPTS = {**FILES, **NETWORK, **PROCESSES, **KERNEL}


class Caged:
    """A pool whose agent tries what it is told to, beside an engine with something to lose."""

    def __init__(self, works: Any, port: int) -> None:
        self.works = works
        self.where = {"root": str(works.site), "engine": os.getpid(), "port": port}

    async def attempt(self, body: str) -> str:
        """`ok` when it got through, else the code of what stopped it."""
        given = {"body": body, "where": self.where}
        (self.works.site / "transforms/attempt.json").write_text(json.dumps(given))
        (word,) = await self.works.run("try")
        return word


@pytest.fixture(scope="module")
async def caged(
    tmp_path_factory: pytest.TempPathFactory, new_works: Any
) -> AsyncIterator[Caged]:
    """A site with a secret, a port that listens, and one worker."""
    site = tmp_path_factory.mktemp("site")
    for name, text in (
        ("transforms/__init__.py", ""),
        ("transforms/tries.py", TRY),
        ("config/portico.yaml", "workers: {}\n"),
        ("var/secret", "hidden"),
    ):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    works = await new_works(site)
    await works.activate(call="transforms.tries:try_")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Caged(works, listening.getsockname()[1])
    await works.pool.stop(grace=1)


def test_there_are_attempts_of_every_kind():
    """Forty at least, as the issue asks."""
    assert len(ATTEMPTS) >= 40


async def test_what_is_allowed_still_works(caged):
    """Else the attempts would fail for any reason."""
    allowed = (
        "import tempfile, threading, zoneinfo, hashlib, os, json, re\n"
        "with tempfile.TemporaryFile() as f: f.write(b'x')\n"
        "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
        "os.kill(os.getpid(), 0); os.urandom(8); zoneinfo.ZoneInfo('Europe/Berlin')\n"
        "import hl7apy, lxml.etree, jsonschema\n"
    )

    assert await caged.attempt(allowed) == "ok"


@pytest.mark.parametrize("what", ATTEMPTS)
async def test_no_attempt_gets_out(caged, what):
    """It is stopped by an error of its own, and its worker lives."""
    assert await caged.attempt(ATTEMPTS[what]) == "step.permanent"
    assert caged.works.said(WorkerDied) == []
    assert (caged.works.site / "var/secret").read_text() == "hidden"


async def test_the_scratch_of_a_worker_goes_with_it(works):
    """What a transform leaves behind is no other's to find."""
    await works.activate()
    assert await works.run("tell") == ["ok"]
    (pid,) = works.pids()
    told = list(Path(tempfile.gettempdir()).glob(f"portico-*/{pid}/told"))
    assert len(told) == 1

    await works.run("die")

    deadline = time.monotonic() + 30
    while told[0].parent.exists() and time.monotonic() < deadline:
        await works.run("echo")
    assert not told[0].parent.exists()


@pytest.mark.parametrize(
    "slow",
    [
        lambda engine: os.setpriority(os.PRIO_PROCESS, engine, 19),
        lambda engine: os.setpriority(os.PRIO_USER, os.getuid(), 19),
        lambda engine: os.sched_setscheduler(engine, os.SCHED_IDLE, os.sched_param(0)),
        lambda engine: os.sched_setparam(engine, os.sched_param(0)),
    ],
)
def test_nobody_else_is_made_slow(slow):
    """Of an engine that is not root its workers are equals, to whom the kernel lets it."""

    def equal() -> None:
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)
        engine = os.getpid()
        os._exit(_forked(lambda: (seccomp.shut(), slow(engine))))

    assert _forked(equal) == 1


def _forked(work: Any) -> int:
    """The exit code of a process that does it: 1 for what the kernel forbids."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except PermissionError:
            os._exit(1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
