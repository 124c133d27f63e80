"""The appliance that this room drives from outside, over sockets, and its site."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from conformance.words import END, START, frames
from ports import free_port, free_ports

CHANNELS = {
    "auto": "acknowledge: {when: processed, mode: auto}",
    "original": "acknowledge: {when: processed, mode: original}",
    "enhanced": "acknowledge: {when: processed, mode: enhanced}",
    "none": "acknowledge: {when: processed, mode: none}",
    "journaled": "acknowledge: {when: journaled}",
    "told": "acknowledge: {text: 'Kept for {PID-5.1}'}",
    "choosy": "unmatched: refuse",
    "errors": "batch: {counts: lenient, reply: errors}",
    "single": "batch: no",
    "held": "acknowledge: {when: delivered, timeout: 300ms}",
    "to_python": "acknowledge: {when: delivered, timeout: 20s}",
    "to_node": "acknowledge: {when: delivered, timeout: 20s}",
}
SENDING = ("held", "to_python", "to_node")
CHANNEL = """\
channel: {name}
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: none
{options}
---
"""
AGENTS = """\
agent: judge
goal: Take, refuse or reject, as PID-8 says
on: {channel: [auto, original, enhanced, none]}
steps:
  - validate: {values: {MSH-11: [P, T]}}
    on_error: {refuse: {ack: AR, code: 202, text: Only production and training}}
  - validate: {values: {MSH-12.1: "2.*"}}
    on_error: {refuse: {ack: AR, code: 203, text: Only version 2}}
  - validate: {values: {PID-8: [A, E]}}
    on_error: {refuse: {ack: AR, code: 204, text: Never}}
  - validate: {values: {PID-8: A}}
    on_error: {refuse: {ack: AE, code: 103, text: Not this one}}
---
agent: keep
goal: Do nothing more with what is journaled
on: {channel: [journaled, told, errors, single]}
steps: [{filter: {keep: {MSH-9: {exists: yes}}}}]
---
agent: choose
goal: Take merges and nothing else
on: {channel: choosy, type: ADT^A40}
steps: [{filter: {keep: {MSH-9: {exists: yes}}}}]
"""
SENDER = """\
---
agent: send_{name}
goal: Send everything to that peer
on: {{channel: {name}}}
steps: [{{send: peer_{name}}}]
---
destination: peer_{name}
type: mllp
address: 127.0.0.1:{port}
retry: {{first: 50ms, most: 100ms}}
"""


class Appliance:
    """`portico run` on a site with these documents. ports: of its channels, by name."""

    def __init__(self, folder: Path, documents: str, ports: dict[str, int]) -> None:
        self.ports = ports
        self.site, self.log = folder / "site", folder / "log"
        (self.site / "channels").mkdir(parents=True)
        (self.site / "config").mkdir()
        (self.site / "channels/all.yaml").write_text(documents)
        self._environment = {
            **{name: text for name, text in os.environ.items() if name[:8] != "PORTICO_"},
            "PORTICO_METRICS": f"127.0.0.1:{free_port()}",
        }

    def start(self) -> None:
        """Until every channel listens."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portico", "run", "--site", str(self.site)],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"ready\n", self.log.read_text()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(30)

    def status(self) -> Any:
        """What `portico status` says."""
        command = (sys.executable, "-m", "portico", "status", "--json", "--site", self.site)
        return json.loads(subprocess.check_output(command, env=self._environment))

    def say(self, channel: str, *contents: bytes) -> bytes:
        """Everything that comes back for these frames until the appliance closes.

        They go out in one write and our half of the connection is closed behind them, so
        that silence is the end of the connection and nobody waits for it.
        """
        return self.raw(channel, b"".join(START + one + END for one in contents))

    def raw(self, channel: str, data: bytes) -> bytes:
        """The same for bytes as they are."""
        with socket.create_connection(("127.0.0.1", self.ports[channel]), 20) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            said = bytearray()
            while piece := peer.recv(65536):
                said += piece
        return bytes(said)

    def answers(self, channel: str, *contents: bytes) -> list[bytes]:
        """The frames that come back."""
        return frames(self.raw(channel, b"".join(START + one + END for one in contents)))


class Whole(Appliance):
    """With every channel of this room. peers: the ports that it sends to, by channel."""

    def __init__(self, folder: Path) -> None:
        numbers = iter(free_ports(len(CHANNELS) + len(SENDING)))
        ports = {name: next(numbers) for name in CHANNELS}
        self.peers = {name: next(numbers) for name in SENDING}
        channels = "".join(
            CHANNEL.format(name=name, port=ports[name], options=options)
            for name, options in CHANNELS.items()
        )
        senders = "".join(SENDER.format(name=name, port=n) for name, n in self.peers.items())
        super().__init__(folder, channels + AGENTS + senders, ports)
