"""Lines: bytes in, whole lines out. For protocols that write one JSON value on a line."""

from portico.errors import FrameTooLarge


class LineDecoder:
    """Cuts a stream at line feeds. limit: bytes of one line.

    A line that passes the limit ends it: `fault` is set, and nothing more comes out.
    """

    def __init__(self, limit: int) -> None:
        self.fault: FrameTooLarge | None = None
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without their ends; empty ones are left out."""
        if self.fault is not None:
            return []
        *whole, rest = data.split(b"\n")
        lines = []
        for piece in whole:
            lines.append(self._joined(piece))
            if self.fault is not None:
                return lines[:-1]
        if rest:
            self._parts.append(rest)
            self._held += len(rest)
            self._check(self._held)
        return [line for line in lines if line.strip()]

    def _joined(self, piece: bytes) -> bytes:
        line = b"".join((*self._parts, piece))
        self._parts, self._held = [], 0
        self._check(len(line))
        return line

    def _check(self, size: int) -> None:
        if size > self._limit:
            self.fault = FrameTooLarge(self._limit)
