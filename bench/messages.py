"""The message of the benchmarks: 1 KB ADT, prebuilt but for its control id and patient.

The control id is the instant of sending, 16 hexadecimal digits of monotonic nanoseconds, so
that it is unique and whoever gets the message knows how long it was under way.
"""

import time

PATIENTS = 1000
SIZE = 1024  # bytes of content
END = b"\x1c\r"

_HEAD = b"\x0bMSH|^~\\&|HIS|STVITUS|PORTICO|STVITUS|20260101080000||ADT^A01^ADT_A01|"
_REST = b"\r".join(
    (
        b"|P|2.5.1",
        b"EVN|A01|20260101080000",
        b"PID|1||P%06d^^^STVITUS^MR||Muster^Erika^A||19700101|F|||Hauptstr. 1^^Ort^^10115^DE"
        b"||030 23125-820|030 23125-140",
        b"PV1|1|I|W1^101^A||||1000^Arzt^Test|||MED||||||||V1|||||||||||||||||||||||||2026",
        b"NTE|1|L|",
    )
)
_ACK = (
    b"\x0bMSH|^~\\&|SINK|BENCH|PORTICO|STVITUS|20260101080000||ACK^A01^ACK|",
    b"|P|2.5.1\rMSA|AA|",
)


class Frames:
    """Endless frames. Patients go round, in an order that does not follow connections."""

    def __init__(self) -> None:
        self._tails = [_tail(n) for n in range(PATIENTS)]
        self._next = 0
        self._last = 0

    def render(self, now: int) -> tuple[bytes, bytes]:
        """A control id and its frame. now: monotonic nanoseconds; equal ones get the next."""
        self._last = now if now > self._last else self._last + 1
        self._next = (self._next + 1) % PATIENTS
        control_id = b"%016x" % self._last
        return control_id, b"%b%b%b" % (_HEAD, control_id, self._tails[self._next])


def sent_at(control_id: bytes) -> int:
    """When the message with this control id was sent, monotonic nanoseconds."""
    return int(control_id, 16)


def answer(control_id: bytes) -> bytes:
    """The frame of an AA to it."""
    return b"%b%b%b%b\r\x1c\r" % (_ACK[0], control_id, _ACK[1], control_id)


def now() -> int:
    """Monotonic nanoseconds, the same in all processes of this machine."""
    return time.monotonic_ns()


def _tail(patient: int) -> bytes:
    rest = _REST % patient
    filled = len(_HEAD) - 1 + 16 + len(rest)
    return rest + b"x" * (SIZE - filled - 1) + b"\r" + END
