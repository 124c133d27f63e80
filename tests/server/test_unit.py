"""The engine and its workers' cage under the system call filter of the systemd unit."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy/systemd/portico.service"
TABLE = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
acknowledge: {{when: processed}}
---
agent: forward
goal: Change it and file it
on: {{channel: adt}}
steps:
  - python: transforms.change:change
  - send: files
---
destination: files
type: folder
path: out
file: "{{MSH-10}}.hl7"
"""
# Takes every call away but the numbers in its first argument (EPERM), and sockets of other
# families than the unit's, then becomes the rest of its arguments.
LAUNCHER = """
import ctypes, os, struct, sys
numbers = [int(one) for one in sys.argv[1].split(",")]
deny, allow = (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)
code = [(0x20, 0, 0, 0), (0x15, 0, 6, 41), (0x20, 0, 0, 16)]
code += [(0x15, 2, 0, 1), (0x15, 1, 0, 2), (0x15, 0, 1, 10), allow, deny]
for number in numbers:
    code += [(0x15, 0, 1, number), allow]
filters = b"".join(struct.pack("HBBI", *one) for one in [*code, deny])
held = ctypes.create_string_buffer(filters, len(filters))
head = struct.pack("HxxxxxxP", len(filters) // 8, ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(head, len(head)), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def calls(name):
    """The system calls of a set of systemd's, such as @system-service."""
    if not name.startswith("@"):
        return {name}
    asked = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    inside = (line.strip() for line in lines.splitlines()[1:])
    return set().union(*(calls(one) for one in inside if one and one[0] != "#"))


def allowed():
    """What the unit leaves, in the order of its lines."""
    found = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        names = set().union(*(calls(name) for name in line.lstrip("~").split()))
        found = found - names if line[0] == "~" else found | names
    return found


@pytest.fixture
def numbers():
    """The numbers of the calls that the unit leaves."""
    if shutil.which("systemd-analyze") is None or not TABLE.exists():
        assert os.environ.get("CI") != "true", "CI must install systemd and the C headers"
        pytest.skip("systemd-analyze or the kernel's headers are not on this machine")
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", TABLE.read_text()))
    return ",".join(known[name] for name in sorted(allowed()) if name in known)


def test_the_engine_works_and_its_cage_closes_under_the_units_filter(
    appliance, server, url, numbers, tmp_path
):
    """A message goes through a worker whose Landlock and seccomp stand inside the filter: it
    opens no socket and reads no file of others; `doctor` is content with the cage."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(LAUNCHER)
    port = server.free_port()
    wrap = (sys.executable, str(launcher), numbers)
    one = appliance(SITE.format(port=port), journal=url, wrap=wrap)
    (one.site / "transforms/change.py").write_text(
        "import socket\n"
        "def change(message):\n"
        "    for reach in (lambda: socket.socket(), lambda: open('/etc/passwd')):\n"
        "        try:\n"
        "            reach()\n"
        "        except OSError:\n"
        "            message['PID-8'] = str(message.get('PID-8') or '') + 'X'\n"
    )
    one.start()
    assert server.Client(port).ask(server.message("1")) == "AA"
    placed = server.until(lambda: list((one.site / "out").glob("*.hl7")))
    assert b"|XX" in placed[0].read_bytes()
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    assert "Seccomp:\t2" in status
    looks = json.loads(one.run("doctor", "--json").stdout)["looks"]
    assert [look["verdict"] for look in looks if look["subject"] == "cage"] == ["good"]
    assert one.end() == 0
