r"""Framings of plain TCP as byte machines: bytes in, frame contents out. No socket, no clock.

    >>> decoder = Delimited(end=b"\n").decoder(limit=1024)
    >>> decoder.feed(b"one\ntw")
    [b'one']
    >>> decoder.feed(b"o\n")
    [b'two']

Each framing makes decoders, one for each connection, and encodes. All decoders share what
wire/mllp.py promises of its own: work is linear in the bytes fed, however they are split; a
frame past `limit` sets `fault` as soon as that is known, the frames before it are given, and
what follows is dropped: the connection must close.

| framing   | a frame is                                         | cannot carry                |
|-----------|----------------------------------------------------|-----------------------------|
| Prefixed  | its length as 1, 2, 4 or 8 bytes, then the content | more than the prefix counts |
| Delimited | (start mark,) the content, end mark                | the end mark                |
| Fixed     | always as many bytes                               | any other length            |
| Whole     | the whole connection, one way                      |                             |

Between the frames of a Delimited with a start mark everything is noise: dropped and counted.
Without one every byte belongs to a frame.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from portico.errors import FrameBroken, FrameTooLarge, WireError

Endian = Literal["big", "little"]


class Machine:
    """What the decoders share: the unfinished frame, and why nothing more is read."""

    __slots__ = ("_buffer", "discarded", "fault", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault: WireError | None = None
        self.discarded = 0  # bytes of noise so far; the reader may set it back to 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; the contents of the frames they complete, oldest first."""
        if self.fault is not None:
            return []
        self._buffer += data
        frames: list[bytes] = []
        self._cut(frames)
        if self.fault is not None:
            self._buffer = bytearray()
        return frames

    def settle(self) -> list[bytes]:
        """The frame that the orderly end of the connection completes."""
        return []

    @property
    def unfinished(self) -> int:
        """Bytes of a begun frame."""
        return len(self._buffer)

    @property
    def ends_bare(self) -> bool:
        """No framing here guesses that a frame has ended because nothing follows."""
        return False

    def _cut(self, frames: list[bytes]) -> None:
        """Move whole frames out of the buffer."""
        raise NotImplementedError

    def _passes(self, size: int) -> bool:
        """Whether so many bytes are too many; then nothing more is read."""
        if size > self.limit:
            self.fault = FrameTooLarge(self.limit)
        return self.fault is not None


class Framing(Protocol):
    """One way to cut a stream."""

    def decoder(self, limit: int) -> Machine:
        """A decoder for a new connection. limit: largest content, in bytes."""
        ...

    def encode(self, content: bytes) -> bytes:
        """The content as one frame. Raises FrameBroken when it cannot be carried."""
        ...


@dataclass(frozen=True, slots=True)
class Prefixed:
    """The length first. size: bytes of the prefix, which counts the content alone."""

    size: int
    endian: Endian = "big"

    def decoder(self, limit: int) -> Machine:
        """A decoder for a new connection."""
        return _PrefixedMachine(self, limit)

    def encode(self, content: bytes) -> bytes:
        """Prefix and content. Raises FrameBroken when the prefix cannot count so far."""
        if len(content) >> (8 * self.size):
            raise FrameBroken(f"content is longer than a length of {self.size} bytes can say")
        return len(content).to_bytes(self.size, self.endian) + content


class _PrefixedMachine(Machine):
    __slots__ = ("_framing",)

    def __init__(self, framing: Prefixed, limit: int) -> None:
        super().__init__(limit)
        self._framing = framing

    def _cut(self, frames: list[bytes]) -> None:
        size, endian, buffer = self._framing.size, self._framing.endian, self._buffer
        at = 0
        while len(buffer) - at >= size:
            length = int.from_bytes(buffer[at : at + size], endian)
            if self._passes(length) or len(buffer) - at - size < length:
                break
            frames.append(bytes(buffer[at + size : at + size + length]))
            at += size + length
        del buffer[:at]


@dataclass(frozen=True, slots=True)
class Delimited:
    """An end mark, and before each frame a start mark if there is one."""

    end: bytes
    start: bytes = b""

    def decoder(self, limit: int) -> Machine:
        """A decoder for a new connection."""
        return _DelimitedMachine(self, limit)

    def encode(self, content: bytes) -> bytes:
        """The content between its marks. Raises FrameBroken when it holds the end mark, or
        its last bytes with the end mark's first would make one.
        """
        framed = self.start + content + self.end
        if framed.find(self.end, len(self.start)) != len(self.start) + len(content):
            raise FrameBroken("content holds the end mark of a frame")
        return framed


class _DelimitedMachine(Machine):
    __slots__ = ("_framing", "_inside", "_scanned")

    def __init__(self, framing: Delimited, limit: int) -> None:
        super().__init__(limit)
        self._framing = framing
        self._inside = not framing.start
        self._scanned = 0  # bytes of the buffer already known to hold no end mark

    @property
    def unfinished(self) -> int:
        """Bytes of a begun frame; its start mark counts, noise does not."""
        if self.fault is not None:
            return 0
        if not self._framing.start:
            return len(self._buffer)
        return len(self._buffer) + len(self._framing.start) if self._inside else 0

    def _cut(self, frames: list[bytes]) -> None:
        buffer, end = self._buffer, self._framing.end
        at = 0
        while self._inside or (at := self._started(at)) >= 0:
            found = buffer.find(end, at + self._scanned)
            if found < 0:
                # The last bytes may be the beginning of the end mark.
                self._scanned = max(0, len(buffer) - at - len(end) + 1)
                self._passes(self._scanned)
                break
            if self._passes(found - at):
                break
            frames.append(bytes(buffer[at:found]))
            at, self._scanned = found + len(end), 0
            self._inside = not self._framing.start
        if at > 0:
            del buffer[:at]

    def _started(self, at: int) -> int:
        """Where the next frame's content begins, or -1; noise before its mark is dropped."""
        buffer, start = self._buffer, self._framing.start
        found = buffer.find(start, at)
        if found < 0:
            kept = _overlap(buffer[at:], start)
            self.discarded += len(buffer) - at - kept
            del buffer[: len(buffer) - kept]
            return -1
        self.discarded += found - at
        self._inside = True
        return found + len(start)


def _overlap(tail: bytearray, mark: bytes) -> int:
    """How many of the last bytes may be the beginning of this mark."""
    for size in range(min(len(tail), len(mark) - 1), 0, -1):
        if tail.endswith(mark[:size]):
            return size
    return 0


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always as many bytes."""

    size: int

    def decoder(self, limit: int) -> Machine:
        """A decoder for a new connection."""
        return _FixedMachine(self.size, limit)

    def encode(self, content: bytes) -> bytes:
        """The content itself. Raises FrameBroken when it is of another length."""
        if len(content) != self.size:
            raise FrameBroken(f"content is of {len(content)} bytes, a frame of {self.size}")
        return content


class _FixedMachine(Machine):
    __slots__ = ("_size",)

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(limit)
        self._size = size

    def _cut(self, frames: list[bytes]) -> None:
        buffer, size, at = self._buffer, self._size, 0
        if self._passes(size):
            return
        while len(buffer) - at >= size:
            frames.append(bytes(buffer[at : at + size]))
            at += size
        del buffer[:at]


@dataclass(frozen=True, slots=True)
class Whole:
    """All until the sender ends its half of the connection in order."""

    def decoder(self, limit: int) -> Machine:
        """A decoder for a new connection."""
        return _WholeMachine(limit)

    def encode(self, content: bytes) -> bytes:
        """The content itself."""
        return content


class _WholeMachine(Machine):
    __slots__ = ()

    def settle(self) -> list[bytes]:
        """The content, if there is any."""
        if not self._buffer or self.fault is not None:
            return []
        content, self._buffer = bytes(self._buffer), bytearray()
        return [content]

    def _cut(self, frames: list[bytes]) -> None:
        self._passes(len(self._buffer))
