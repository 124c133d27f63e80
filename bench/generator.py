"""The sender: many connections, every answer checked, in a process of its own.

    python -m bench.generator '{"port": 2575, "connections": 50, ...}'

It connects, prints `connected`, starts at the first line on its input, prints `done N` when the
last of N answers is in, and then a report, a JSON object in one line. It must cost as little as
Python can: it shares the machine with what it measures.
"""

import json
import select
import socket
import struct
import sys
from array import array
from collections import deque
from dataclasses import dataclass

from bench import messages
from bench.figures import percentile

_READ = 1 << 18
_PATIENCE = 30.0  # seconds for the next answer of any connection
_SEND = struct.pack("ll", round(_PATIENCE), 0)  # a struct timeval: the same for a write


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. seconds: when to stop sending; the answers to what is out are awaited.

    rate: messages a second, due at fixed instants whatever the peer does, and latency counts
    from the instant a message was due; 0: as fast as the peer answers.
    """

    port: int
    connections: int
    outstanding: int
    seconds: float
    rate: float = 0.0


class Line:
    """One connection. open: control ids and times of sending, in order."""

    __slots__ = ("open", "rest", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND)
        self.open: deque[tuple[bytes, int]] = deque()
        self.rest = b""


class Load:
    """One run of a plan. latencies: nanoseconds, one for each answer."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._frames = messages.Frames()
        self._lines = {line.socket.fileno(): line for line in _connect(plan)}
        self._poll = select.epoll()
        for number in self._lines:
            self._poll.register(number, select.EPOLLIN)
        self._out = 0
        self.latencies = array("q")

    def run(self) -> float:
        """Send by the plan and await every answer; the seconds from first to last."""
        began = messages.now()
        end = began + round(self._plan.seconds * 1e9)
        if self._plan.rate:
            self._pace(began, end)
        else:
            self._rush(end)
        return (messages.now() - began) / 1e9

    def _rush(self, end: int) -> None:
        """Each answer makes room for the next message on its connection."""
        for line in self._lines.values():
            self._send(line, [messages.now()] * self._plan.outstanding)
        while self._out:
            for line, answered, now in self._answers(_PATIENCE):
                if now < end:
                    self._send(line, [now] * answered)

    def _pace(self, due: int, end: int) -> None:
        """Messages leave when they are due, or as soon after as a connection has room."""
        interval = round(1e9 / self._plan.rate)
        free = deque(list(self._lines.values()) * self._plan.outstanding)
        while due < end or self._out:
            now = messages.now()
            while due <= now and due < end and free:
                self._send(free.popleft(), [due])
                due += interval
            wait = (due - messages.now()) / 1e9 if due < end and free else _PATIENCE
            for line, answered, _ in self._answers(max(0.0, wait), due < end):
                free.extend([line] * answered)

    def _send(self, line: Line, times: list[int]) -> None:
        """One write with a message for each time from which its latency counts."""
        if not times:
            return
        blocks = []
        for since in times:
            control_id, block = self._frames.render(since)
            line.open.append((b"MSA|AA|%b" % control_id, since))
            blocks.append(block)
        line.socket.sendall(b"".join(blocks))
        self._out += len(times)

    def _answers(self, wait: float, more: bool = False) -> list[tuple[Line, int, int]]:
        """What came within `wait` seconds: connection, number of answers, when.

        more: nothing having come is no fault. `select` around the poll, because that one
        rounds its time-out up to milliseconds.
        """
        if not select.select([self._poll], [], [], wait)[0]:
            if not more or wait >= _PATIENCE:
                raise SystemExit(f"no answer in {wait:g} s; {self._out} are missing")
            return []
        came = []
        for number, _ in self._poll.poll(0):
            line = self._lines[number]
            answered, now = self._receive(line)
            if answered:
                came.append((line, answered, now))
        return came

    def _receive(self, line: Line) -> tuple[int, int]:
        """Check and count the whole answers of one read: AA, for what was sent, in order."""
        data = line.socket.recv(_READ)
        if not data:
            raise SystemExit(f"the peer closed a connection; {self._out} are missing")
        now = messages.now()
        data = line.rest + data if line.rest else data
        place, answered = 0, data.count(messages.END)
        for _ in range(answered):
            expected, since = line.open.popleft()
            end = data.find(messages.END, place)
            if data.find(expected, place, end) < 0:
                raise SystemExit(f"not the answer expected: {data[place:end]!r}")
            place = end + 2
            self.latencies.append(now - since)
        line.rest = data[place:]
        self._out -= answered
        return answered, now


def _connect(plan: Plan) -> list[Line]:
    return [Line(plan.port) for _ in range(plan.connections)]


def main() -> None:
    """Connect, wait for the word, load, report."""
    load = Load(Plan(**json.loads(sys.argv[1])))
    print("connected", flush=True)
    sys.stdin.readline()
    seconds = load.run()
    print("done", len(load.latencies), flush=True)
    report = {
        "answered": len(load.latencies),
        "seconds": seconds,
        "p50_ms": percentile(load.latencies, 0.50) / 1e6,
        "p99_ms": percentile(load.latencies, 0.99) / 1e6,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
