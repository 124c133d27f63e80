"""What a plugin cannot do, whatever it tries: its walls, from the inside."""

import os
import socket

import pytest

from portico.workers import landlock, seccomp

pytestmark = pytest.mark.skipif(
    landlock.version() < 1 or not seccomp.available(),
    reason="this machine has no Landlock or no seccomp",
)

PROGRAM = """\
import ctypes, signal, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)

def call(*numbers):
    found = libc.syscall(*map(ctypes.c_long, numbers))
    if found < 0:
        raise OSError(ctypes.get_errno(), "no")
    return found

try:
    came = {attempt}
    said = "CAME OUT " + repr(came)[:80]
except BaseException as error:
    said = "refused " + type(error).__name__
gives(number, said)"""

ATTEMPTS = {
    "the password file": 'open("/etc/passwd").read()',
    "the shadow file": 'open("/etc/shadow").read()',
    "the hosts file": 'open("/etc/hosts").read()',
    "the root folder's list": 'os.listdir("/")',
    "the home folder's list": 'os.listdir("/root")',
    "the temporary folder's list": 'os.listdir("/tmp")',
    "the site's root": "os.listdir({root!r})",
    "a file of the site beside it": "open({root!r} + '/secret.txt').read()",
    "a link out of its scratch folder": (
        '(os.symlink({root!r} + "/secret.txt", os.environ["TMPDIR"] + "/l"), '
        'open(os.environ["TMPDIR"] + "/l").read())'
    ),
    "a hard link to it": 'os.link({root!r} + "/secret.txt", os.environ["TMPDIR"] + "/h")',
    "a walk upwards": 'open(os.environ["TMPDIR"] + "/../../" + "etc/passwd").read()',
    "writing its own program": "open(__file__, 'a').write('x')",
    "a file beside its program": "open(os.path.dirname(__file__) + '/new', 'w')",
    "a file in the temporary folder": "open('/tmp/portico-escaped', 'w')",
    "removing its program": "os.unlink(__file__)",
    "renaming its program": "os.rename(__file__, __file__ + 'x')",
    "truncating the secret": "os.truncate({root!r} + '/secret.txt', 0)",
    "its mode": "os.chmod(__file__, 0o777)",
    "its owner": "os.chown(__file__, 1, 1)",
    "its times": "os.utime(__file__, (1, 1))",
    "the engine's environment": "open('/proc/{engine}/environ', 'rb').read()",
    "the engine's memory": "open('/proc/{engine}/mem', 'rb')",
    "the engine's descriptors": "os.listdir('/proc/{engine}/fd')",
    "the engine's arguments": "open('/proc/{engine}/cmdline', 'rb').read()",
    "the parent's root": "os.listdir('/proc/1/root')",
    "a TCP connection": "socket.create_connection(('127.0.0.1', {port}), 2)",
    "a TCP socket": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "a TCP socket of IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "a UDP socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "a Unix socket": "socket.socket(socket.AF_UNIX)",
    "a raw packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a vsock": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "a fork": "os.fork()",
    "a shell": "subprocess.run(['/bin/sh', '-c', 'id'], capture_output=True)",
    "a spawn": "os.posix_spawn('/bin/true', ['true'], {{}})",
    "becoming a shell": "os.execv('/bin/sh', ['sh', '-c', 'true'])",
    "a signal to the engine": "os.kill({engine}, 0)",
    "a signal to all": "os.kill(-1, 0)",
    "ptrace of the engine": "call(101, 16, {engine}, 0, 0)",
    "reading another's memory": "call(310, {engine}, 0, 0, 0, 0, 0)",
    "a descriptor of a process": "call(434, {engine}, 0)",
    "io_uring": "call(425, 8, 0)",
    "bpf": "call(321, 0, 0, 0)",
    "a user namespace": "call(272, 0x10000000)",
    "a mount": "call(165, 0, 0, 0, 0, 0)",
    "chroot": "os.chroot(os.environ['TMPDIR'])",
    "memory by name": "os.memfd_create('x')",
    "System V shared memory": "call(29, 0, 4096, 0o1600)",
    "the kernel's keys": "call(250, 0, -3, 1)",
    "performance counters": "call(298, 0, 0, -1, -1, 0)",
    "another user": "os.setuid(1000)",
    "the clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "the host's name": "socket.sethostname('x')",
    "limits of the engine": "__import__('resource').prlimit({engine}, 7)",
    "more open files": "__import__('resource').setrlimit(7, (99999, 99999))",
    "a core dump": "__import__('resource').setrlimit(4, (1 << 20, 1 << 20))",
    "a file without end": ("open(os.environ['TMPDIR'] + '/big', 'wb').write(bytes(80 << 20))"),
    "a secret in its environment": "os.environ['SECRET_KEY']",
}


@pytest.fixture
def secret(tmp_path):
    """A file of the site that is not the plugin's."""
    (tmp_path / "secret.txt").write_text("hunter2")
    return tmp_path


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_an_attempt_to_get_out_is_refused(bench, call, secret, name):
    """It fails inside the plugin; the plugin lives and says so, or it is ended."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        words = {"root": str(secret), "engine": os.getpid(), "port": door.getsockname()[1]}
        body = PROGRAM.format(attempt=ATTEMPTS[name].format(**words))
        crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))

        said = await call(crew)

    assert said.startswith("refused "), said
    assert (secret / "secret.txt").read_text() == "hunter2"


async def test_an_attempt_that_works_would_be_seen(bench, call):
    """Its own program can be read: the attempts above fail because of the walls."""
    body = PROGRAM.format(attempt="open(__file__).read(4)")
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))

    assert (await call(crew)).startswith("CAME OUT")


async def test_it_sees_no_environment_and_no_descriptor_of_ours(bench, call):
    """Its words, its arguments and its open files hold nothing of the engine's."""
    body = """\
held = []
for n in range(3, 512):
    try:
        os.fstat(n); held.append(n)
    except OSError: pass
gives(number, json.dumps([sorted(os.environ), held, os.getsid(0) == os.getpid()]))"""
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))

    said = await call(crew)

    assert '"SECRET_KEY"' not in said
    assert said.endswith("[], true]")


async def test_it_may_write_to_its_scratch_folder_alone(bench, call):
    """HOME and TMPDIR lead there."""
    body = """\
path = os.path.join(os.environ["HOME"], "x")
open(path, "w").write("kept")
gives(number, open(path).read())"""
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))

    assert await call(crew) == "kept"


async def test_sockets_come_only_where_the_registry_declares_them(bench, call):
    """`sockets: yes` is the profile of a plugin that speaks to a network."""
    body = """\
import socket
socket.create_connection(("127.0.0.1", int(what)))
gives(number, "met")"""
    crew = bench.crew(bench.plugin(body, sockets=True, pool={"fewest": 0, "most": 1}))

    with socket.create_server(("127.0.0.1", 0)) as door:
        assert await call(crew, str(door.getsockname()[1])) == "met"
