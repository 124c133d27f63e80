r"""Frames between engine and worker as a byte machine. No socket, no clock, no meaning.

    >>> decoder = PipeDecoder(header_limit=64, body_limit=64)
    >>> stream = encode(b'{"type":"run"}', b"MSH|", b"PID|")
    >>> decoder.feed(stream[:20])
    []
    >>> decoder.feed(stream[20:])
    [Frame(header=b'{"type":"run"}', body=b'MSH|PID|')]

A frame is the length of the header and the length of the body (4 bytes each, big-endian),
the header (JSON, `workers/protocol.py` says which) and the body: raw bytes, one content
after another, whose lengths the header holds.
"""

from struct import Struct
from typing import NamedTuple

from portico.errors import WorkerError

_LENGTHS = Struct(">II")


class Frame(NamedTuple):
    """One message: the header is never empty, the body may be."""

    header: bytes
    body: bytes


def encode(header: bytes, *contents: bytes) -> bytes:
    """One frame; the body is the contents in their order."""
    lengths = _LENGTHS.pack(len(header), sum(map(len, contents)))
    return b"".join((lengths, header, *contents))


class PipeDecoder:
    """Cuts a byte stream into frames; one decoder per worker and direction.

    The limits are the largest header and body accepted, in bytes. Work is linear in the
    bytes fed, however they are split. When the stream cannot be read on, `fault` says why:
    the frames before it have been given, and what follows is dropped.
    """

    __slots__ = ("_held", "_limits", "_need", "fault")

    def __init__(self, header_limit: int, body_limit: int) -> None:
        self.fault: WorkerError | None = None
        self._limits = (header_limit, body_limit)
        self._held = bytearray()  # the start of an unfinished frame
        self._need = 0  # what it must grow to before anything new can be said of it

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; return the frames they complete, oldest first."""
        if self.fault is not None:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return []
            data = bytes(self._held)
            self._held.clear()
        frames, at = self._cut(data)
        self._held += data[at:]
        return frames

    def _cut(self, data: bytes) -> tuple[list[Frame], int]:
        """The whole frames of these bytes, and where the unfinished one starts."""
        frames: list[Frame] = []
        at = 0
        self._need = _LENGTHS.size
        while len(data) - at >= _LENGTHS.size:
            header, body = _LENGTHS.unpack_from(data, at)
            if not self._lawful(header, body):
                return frames, len(data)
            middle = at + _LENGTHS.size + header
            if middle + body > len(data):
                self._need = middle + body - at
                break
            frames.append(
                Frame(data[at + _LENGTHS.size : middle], data[middle : middle + body])
            )
            at = middle + body
        return frames, at

    def _lawful(self, header: int, body: int) -> bool:
        if header and header <= self._limits[0] and body <= self._limits[1]:
            return True
        self.fault = WorkerError(f"frame of {header} and {body} bytes, limits {self._limits}")
        return False
