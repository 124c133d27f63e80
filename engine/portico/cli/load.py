"""A load generator for MLLP peers: many connections, unique control ids, every answer checked.

One asyncio protocol per connection and no task per message. Without a rate each connection
keeps `outstanding` messages open; with one, messages are due at fixed instants whatever the
peer does, and latency counts from the instant a message was due.
"""

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from portico.clock import SystemClock
from portico.hl7.edit import MessageEdit
from portico.hl7.view import MessageView
from portico.wire import mllp

_ANSWER_LIMIT = 1 << 20
_TICK = 0.001  # seconds between two looks at what is due
_RETRY = 0.2  # seconds before a lost connection is opened again
_LOOK = 0.25  # seconds between two looks for answers that are late
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GOOD = (b"AA", b"CA")

# What is sent when nothing else is given: a patient of nobody, one kilobyte as in the benches.
SAMPLE = b"\r".join(
    (
        b"MSH|^~\\&|LOAD|PORTICO|ENGINE|HOSPITAL|20260101080000||ADT^A01^ADT_A01|1|P|2.5.1",
        b"EVN|A01|20260101080000",
        b"PID|1||LOAD0^^^HOSPITAL^MR||LOAD^TEST^A||19700101|F|||1 MAIN ST^^TOWN^^00000",
        b"PV1|1|I|WARD^101^A||||1000^DOCTOR^TEST|||MED||||||||V1|||||||||||||||||||||||||2026",
        b"NTE|1|L|" + b"padding " * 84,
        b"",
    )
)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to do. count: messages in all; seconds: when to stop sending; None: no such end.

    rate: messages a second, None: as fast as the peer answers. outstanding: unanswered
    messages of one connection. timeout: seconds for an answer, then the connection is closed.
    warm: seconds at the start that do not count.
    """

    host: str
    port: int
    connections: int = 1
    outstanding: int = 1
    count: int | None = None
    seconds: float | None = None
    rate: float | None = None
    timeout: float = 30.0
    warm: float = 0.0


@dataclass(slots=True)
class LoadReport:
    """What happened. latencies: seconds, one for each counted answer, in order of arrival.

    sent, answered: all messages. counted: answers after the warm time, in `seconds`. lost: no
    answer, the connection was closed. foreign: answers whose MSA-2 was not the one expected.
    failures: connections that could not be opened or were lost.
    """

    sent: int = 0
    answered: int = 0
    counted: int = 0
    lost: int = 0
    foreign: int = 0
    failures: int = 0
    seconds: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def rate(self) -> float:
        """Counted answers a second."""
        return self.counted / self.seconds if self.seconds else 0.0

    @property
    def accepted(self) -> bool:
        """Every message sent was answered AA or CA, and for itself."""
        good = self.codes["AA"] + self.codes["CA"]
        return self.sent > 0 and self.sent == good and not self.foreign

    def percentiles(self, *wanted: float) -> tuple[float, ...]:
        """Latencies in milliseconds below which that share (0 to 1) of the answers came."""
        ordered = sorted(self.latencies)
        last = len(ordered) - 1
        return tuple(ordered[round(last * p)] * 1000 if ordered else 0.0 for p in wanted)


class LoadMessage:
    """A message that is rendered again and again, with a control id of its own each time.

    patients: with a number, PID-3.1 goes round that many values, `LOAD0` and so on.
    prefix: begins every control id, so that two runs never repeat one.
    """

    def __init__(self, content: bytes, prefix: str | None = None, patients: int = 0) -> None:
        edit = MessageEdit(MessageView(content))
        edit.set("MSH-10", "PORTICOCONTROL")
        if patients:
            edit.set("PID-3.1", "PORTICOPATIENT")
        self._head, _, rest = edit.encode().partition(b"PORTICOCONTROL")
        self._middle, _, self._tail = rest.partition(b"PORTICOPATIENT")
        self._patients = [b"LOAD%d" % n for n in range(patients)] or [b""]
        self._prefix = (unique_prefix() if prefix is None else prefix).encode("ascii")

    def render(self, number: int) -> tuple[bytes, bytes]:
        """The control id of the message with this number, and its MLLP block."""
        control_id = b"%b%08d" % (self._prefix, number)
        patient = self._patients[number % len(self._patients)]
        return control_id, b"\x0b%b%b%b%b%b\x1c\x0d" % (
            self._head,
            control_id,
            self._middle,
            patient,
            self._tail,
        )


def unique_prefix() -> str:
    """Nine characters that tell the millisecond."""
    ms = SystemClock().time_ns() // 1_000_000
    return "".join(_ALPHABET[(ms >> shift) & 31] for shift in range(40, -1, -5))


def read_answer(frame: bytes) -> tuple[bytes, bytes]:
    """MSA-1 and MSA-2 of an answer, raw; empty when it has none. Fast rather than thorough."""
    start = frame.find(b"\rMSA") + 1 or frame.find(b"\nMSA") + 1
    if not start:
        return b"", b""
    end = frame.find(b"\r", start)
    fields = frame[start : end if end > 0 else len(frame)].split(
        frame[start + 3 : start + 4], 3
    )
    return fields[1] if len(fields) > 1 else b"", fields[2] if len(fields) > 2 else b""


async def run_load(
    plan: LoadPlan, template: LoadMessage, progress: Callable[[int], None] | None = None
) -> LoadReport:
    """Send by the plan and wait for every answer. progress: told the answers so far, at times.

    When it is cancelled the connections close and nothing is reported.
    """
    run = _Run(plan, template, asyncio.get_running_loop())
    workers = [asyncio.create_task(_keep_connected(run)) for _ in range(plan.connections)]
    watch = asyncio.create_task(_watch(run, progress))
    try:
        await asyncio.gather(*workers)
    finally:
        for task in (watch, *workers):
            task.cancel()
        run.close()
        await asyncio.gather(watch, *workers, return_exceptions=True)
    return run.finish()


class _Run:
    """What all connections share: which message is next, and what has been counted."""

    def __init__(
        self, plan: LoadPlan, template: LoadMessage, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.plan, self.loop, self.template = plan, loop, template
        self.report = LoadReport()
        self.connections: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._next = 0
        self._began = self._last = loop.time()
        self._warm = self._began + plan.warm
        self._ends = None if plan.seconds is None else self._began + plan.warm + plan.seconds
        self._timer = loop.call_later(_TICK, self._tick) if plan.rate else None

    @property
    def exhausted(self) -> bool:
        """There is nothing more to send."""
        plan = self.plan
        if plan.count is not None and self._next >= plan.count:
            return True
        return self._ends is not None and self.loop.time() >= self._ends

    def take(self) -> tuple[bytes, bytes, float] | None:
        """Control id, block and due instant of the next message; None when none is due."""
        if self.exhausted:
            return None
        now = self.loop.time()
        due = now if self.plan.rate is None else self._began + self._next / self.plan.rate
        if due > now:
            return None
        control_id, block = self.template.render(self._next)
        self._next += 1
        return control_id, block, due

    def rest(self, connection: "_Connection") -> None:
        """This connection has room and nothing is due."""
        self._idle.append(connection)

    def answer(self, code: bytes, right: bool, due: float) -> None:
        """Count one answer."""
        report, now = self.report, self.loop.time()
        report.answered += 1
        report.codes[code.decode("ascii", "replace") or "none"] += 1
        report.foreign += not right
        good = right and code in _GOOD
        if good and now >= self._warm and (self._ends is None or now < self._ends):
            report.counted += 1
            report.latencies.append(now - due)
            self._last = now

    def close(self) -> None:
        """Close what is open."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self.connections):
            connection.abort()

    def finish(self) -> LoadReport:
        """The report: the time that counts ends with the plan, or with the last answer."""
        past = self._ends is not None and self.loop.time() >= self._ends
        end = self._ends if past and self._ends is not None else self._last
        self.report.seconds = max(0.0, end - self._warm)
        return self.report

    def _tick(self) -> None:
        for _ in range(len(self._idle)):
            self._idle.popleft().fill()
        if not self.exhausted or self.connections:
            self._timer = self.loop.call_later(_TICK, self._tick)


class _Connection(asyncio.Protocol):
    """One connection: at most `outstanding` messages open, answers in their order."""

    def __init__(self, run: _Run) -> None:
        self.closed = run.loop.create_future()
        self._run = run
        self._open: deque[tuple[bytes, float]] = deque()
        self._decoder = mllp.MllpDecoder(_ANSWER_LIMIT)
        self._transport: asyncio.Transport | None = None
        self._resting = False

    @property
    def oldest(self) -> float | None:
        """When the oldest open message was due."""
        return self._open[0][1] if self._open else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._run.connections.add(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Match answers with what is open, and send on."""
        for frame in self._decoder.feed(data):
            code, control_id = read_answer(frame)
            if not self._open:
                self._run.report.foreign += 1
                continue
            expected, due = self._open.popleft()
            self._run.answer(code, control_id == expected, due)
        if self._decoder.fault is not None:
            self.abort()
        elif not self._resting:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """What is still open is lost."""
        report = self._run.report
        report.lost += len(self._open)
        report.failures += bool(self._open) or error is not None
        self._run.connections.discard(self)
        self._transport = None
        self._open.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    def fill(self) -> None:
        """Something may be due again."""
        self._resting = False
        self._send()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        """Fill the room there is with one write; close when all is said and answered."""
        if self._transport is None:
            return
        blocks: list[bytes] = []
        while len(self._open) < self._run.plan.outstanding:
            taken = self._run.take()
            if taken is None:
                self._starve()
                break
            control_id, block, due = taken
            self._open.append((control_id, due))
            blocks.append(block)
        if blocks:
            self._run.report.sent += len(blocks)
            self._transport.write(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def _starve(self) -> None:
        assert self._transport is not None
        if not self._run.exhausted:
            self._resting = True
            self._run.rest(self)
        elif not self._open:
            self._transport.close()


async def _keep_connected(run: _Run) -> None:
    """One connection after another until there is nothing more to send."""
    plan = run.plan
    while not run.exhausted:
        try:
            async with asyncio.timeout(plan.timeout):
                _, connection = await run.loop.create_connection(
                    lambda: _Connection(run), plan.host, plan.port
                )
        except (OSError, TimeoutError):
            run.report.failures += 1
            if not run.report.answered:
                raise
        else:
            await connection.closed
        if not run.exhausted:
            await asyncio.sleep(_RETRY)


async def _watch(run: _Run, progress: Callable[[int], None] | None) -> None:
    """Close connections whose peer is late, and tell how far we are."""
    while True:
        await asyncio.sleep(_LOOK)
        late = run.loop.time() - run.plan.timeout
        for connection in tuple(run.connections):
            if connection.oldest is not None and connection.oldest < late:
                connection.abort()
        if progress is not None:
            progress(run.report.answered)
