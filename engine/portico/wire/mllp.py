r"""MLLP framing as a byte machine: bytes in, frame contents out. No socket, no clock.

    >>> decoder = MllpDecoder(limit=1024)
    >>> decoder.feed(b"\x0bMSH|^~\\&|\x1c")
    []
    >>> decoder.feed(b"\r")
    [b'MSH|^~\\&|']

Source: HL7 Transport Specification: MLLP, Releases 1 and 2 (block format; commit blocks).
Between frames every byte but the start mark is noise: dropped and counted (M2).
Inside a frame, what practice does and the text forbids is read so:

| bytes in a frame                      | strict      | lenient                          |
|---------------------------------------|-------------|----------------------------------|
| `0B` before `MSH`, `FHS` or `BHS`     | FrameBroken | starts anew; what was is noise   |
| any other `0B` (Word's vertical tab)  | FrameBroken | content                          |
| `1C 0A`, or `1C` before `0B`          | FrameBroken | the end                          |
| `1C`, and the peer then waits         | waits       | the end, when settle() is called |
| `1C` before anything else             | FrameBroken | content                          |
"""

import re

from portico.errors import FrameBroken, FrameTooLarge, WireError

START = b"\x0b"
END = b"\x1c\x0d"
_FS = b"\x1c"
_ODD_END = re.compile(rb"\x1c(?:[\r\n]|(?=\x0b))")
_NEW_START = re.compile(rb"\x0b(?=MSH|FHS|BHS)")
_LOOK_BACK = 3  # a start mark's name, or half of an end mark, may still be arriving

STORED = b"\x06"  # release 2: the content of a commit block that confirms safe storage
NOT_STORED = b"\x15"  # release 2: the content of a commit block that asks for it again


def encode(content: bytes) -> bytes:
    """The content as one block. Raises FrameBroken when it holds the end mark."""
    if END in content:
        raise FrameBroken("content holds the MLLP end mark")
    return b"\x0b%b\x1c\x0d" % content


class MllpDecoder:
    """Cuts a byte stream into frames; one decoder per connection.

    limit: largest content accepted, in bytes. Work is linear in the bytes fed, however they
    are split, so a slow or hostile peer cannot make it quadratic. When the stream cannot be
    read on, `fault` says why; the frames before it have been given, and what follows is
    dropped: the connection must close.
    """

    __slots__ = ("_buffer", "_inside", "_scanned", "discarded", "fault", "limit", "strict")

    def __init__(self, limit: int, strict: bool = False) -> None:
        self.limit = limit
        self.strict = strict
        self.fault: WireError | None = None
        self.discarded = 0  # bytes of noise so far; the reader may set it back to 0
        self._buffer = bytearray()  # content of the unfinished frame, or empty
        self._inside = False
        self._scanned = 0  # bytes of _buffer already known to hold no mark

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; the contents of the frames they complete, oldest first."""
        if self.fault is not None:
            return []
        if not self._inside:
            return self._read(data, 0)
        self._buffer += data
        return self._read(self._buffer, self._scanned)

    def settle(self) -> list[bytes]:
        """Take an end mark without its `0D` as the end: the peer sends no more, or has gone."""
        if not self.ends_bare:
            return []
        content = bytes(self._buffer[:-1])
        self._keep(b"", 0, inside=False)
        return [content]

    @property
    def unfinished(self) -> int:
        """Bytes of a begun frame that still waits for its end, marks included; else 0."""
        return len(self._buffer) + 1 if self._inside else 0

    @property
    def ends_bare(self) -> bool:
        """The last byte is `1C` and lenient reading could take it as the end."""
        return self._inside and not self.strict and self._buffer.endswith(_FS)

    def _read(self, source: bytes | bytearray, scan: int) -> list[bytes]:
        """All frames of source. Inside a frame its content starts at 0 and scan is known."""
        frames: list[bytes] = []
        at, inside = 0, self._inside
        while True:
            if not inside:
                start = source.find(START, at)
                if start < 0:
                    self.discarded += len(source) - at
                    at = len(source)
                    break
                self.discarded += start - at
                at = scan = start + 1
                inside = True
            at, end, following = self._end(source, at, scan)
            if self.fault is not None or end < 0:
                break
            frames.append(bytes(source[at:end]))
            at, inside = following, False
        self._keep(source, at, inside)
        return frames

    def _end(self, source: bytes | bytearray, at: int, scan: int) -> tuple[int, int, int]:
        """Where this frame's content starts and ends, and where the next bytes start.

        End -1: it is still arriving. Sets `fault` when it never can.
        """
        end = source.find(_FS, scan)
        mark = source.find(START, scan, end if end >= 0 else len(source))
        if mark < 0 and (end < 0 or source.startswith(END, end)):
            self._measure((end if end >= 0 else len(source) - _LOOK_BACK) - at)
            return at, end, end + len(END)
        if self.strict:
            return self._strict(source, at, mark if mark >= 0 else end)
        return self._lenient(source, at, scan)

    def _strict(self, source: bytes | bytearray, at: int, mark: int) -> tuple[int, int, int]:
        """A stray mark breaks the frame; a `1C` that is the last byte may become an end."""
        self._measure(mark - at)
        last = mark + 1 == len(source)
        if self.fault is None and not (last and source.endswith(_FS)):
            self.fault = FrameBroken("a mark stands inside a frame")
        return at, -1, -1

    def _lenient(self, source: bytes | bytearray, at: int, scan: int) -> tuple[int, int, int]:
        """The first end in its odd forms, and the last new start before it."""
        found = _ODD_END.search(source, scan)
        end, following = found.span() if found else (-1, -1)
        for start in _NEW_START.finditer(source, scan, end if found else len(source)):
            self._measure(start.start() - at)
            self.discarded += start.end() - at
            at = start.end()
        self._measure((end if found else len(source) - _LOOK_BACK) - at)
        return at, end, following

    def _measure(self, size: int) -> None:
        """An unfinished frame is judged without its last bytes, which may be marks."""
        if size > self.limit and self.fault is None:
            self.fault = FrameTooLarge(self.limit)

    def _keep(self, source: bytes | bytearray, at: int, inside: bool) -> None:
        """Remember the unfinished frame's bytes, and how far they are known."""
        self._inside = inside and self.fault is None
        if not self._inside:
            if self._buffer:
                self._buffer = bytearray()
        elif source is self._buffer:
            del self._buffer[:at]
        else:
            self._buffer = bytearray(source[at:])
        self._scanned = max(0, len(self._buffer) - _LOOK_BACK)
