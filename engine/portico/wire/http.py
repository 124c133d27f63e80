"""HTTP/1.1 requests as a byte machine: feed bytes, take the Head, then the body.

Narrow on purpose: whatever two readers could understand differently is refused, so that no
proxy before us can be made to see other requests than we do: both lengths, a length twice,
folded lines, bare line feeds, a space before the colon, other transfer codings.
Source: RFC 9110 (semantics), RFC 9112 sections 2, 3, 5, 6, 7 and 11.2 (request smuggling).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from msgspec import Struct

from portico.errors import HttpBroken

MOST_HEAD = 16 << 10  # bytes of request line and fields
MOST_FIELDS = 64
_MOST_LINE = 256  # bytes of a chunk's size and extensions

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD = re.compile(
    rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n"
    rb"((?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*")
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\A[^!#-'*+\-.0-9A-Z^-z|~\r]")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_ONCE = ("host", "content-length", "transfer-encoding", "content-type", "content-encoding")


class Head(Struct, frozen=True, gc=False):
    """A request before its body. fields: by name in lower case; repeated ones are joined by
    `, `, never those that may come only once. length: of the body, -1 when it is chunked.
    lasting: the connection stays. waits: the peer wants `100 Continue` first.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    length: int
    lasting: bool
    waits: bool


class RequestDecoder:
    """The requests of one connection, one after the other. begun: bytes of a request are here
    that `head` has not given back yet. got: bytes of the present body so far.
    """

    def __init__(self, most_head: int = MOST_HEAD) -> None:
        self._most_head = most_head
        self._buffer = bytearray()
        self._searched = 0
        self._body = bytearray()
        self._left = 0  # of the body or of the present chunk
        self._limit = 0
        self._chunked = False
        self._part = ""  # of a chunked body: `size data end trailer`
        self.got = 0

    @property
    def begun(self) -> bool:
        """There is something that nobody has taken yet."""
        return bool(self._buffer)

    @property
    def waiting(self) -> int:
        """How many bytes nobody has taken yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """One read."""
        self._buffer += data

    def head(self) -> Head | None:
        """The next request, None while it is not whole. Raises HttpBroken."""
        buffer = self._buffer
        if buffer[:2] == b"\r\n":  # RFC 9112 2.2: an empty line before it is ignored
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0 or end > self._most_head:
            self._unfinished(end)
            return None
        raw = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._searched = 0
        return _read(raw)

    def _unfinished(self, end: int) -> None:
        size = len(self._buffer)
        if end >= 0 or size > self._most_head:
            raise HttpBroken(431, f"the head is larger than {self._most_head} bytes")
        if _BARE.search(self._buffer, max(0, self._searched - 1)):
            raise HttpBroken(400, "not an HTTP/1.1 request")
        self._searched = max(0, size - 3)

    def expect(self, length: int, limit: int) -> None:
        """Read that body next (`Head.length`). Raises HttpBroken when it is too large."""
        if length > limit:
            raise HttpBroken(413, f"the body is larger than {limit} bytes")
        self._body, self.got = bytearray(), 0
        self._limit, self._left = limit, max(length, 0)
        self._chunked = length < 0
        self._part = "size"

    def body(self) -> bytes | None:
        """The whole body, None while it is not here. Raises HttpBroken."""
        whole = self._chunks() if self._chunked else self._take()
        if not whole:
            return None
        body, self._body = bytes(self._body), bytearray()
        return body

    def _take(self) -> bool:
        """Move what is here of the body, or of a chunk; whether that is all of it."""
        if self._left and self._buffer:
            piece = self._buffer[: self._left]
            del self._buffer[: self._left]
            self._body += piece
            self._left -= len(piece)
            self.got += len(piece)
        return not self._left

    def _chunks(self) -> bool:
        while True:
            if self._part == "size":
                if (line := self._line()) is None:
                    return False
                self._sized(line)
            elif self._part == "data":
                if not self._take():
                    return False
                self._part = "end"
            elif self._part == "end":
                if (line := self._line()) is None:
                    return False
                if line:
                    raise HttpBroken(400, "a chunk does not end where it says")
                self._part = "size"
            else:
                return self._trailer()

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _MOST_LINE + 2)
        if end < 0:
            if len(self._buffer) > _MOST_LINE or _BARE.search(b"0" + self._buffer):
                raise HttpBroken(400, "the chunked body is broken")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _sized(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise HttpBroken(400, "the chunked body is broken")
        size = int(match[1], 16)
        if self.got + size > self._limit:
            raise HttpBroken(413, f"the body is larger than {self._limit} bytes")
        self._left, self._part = size, "data" if size else "trailer"

    def _trailer(self) -> bool:
        """Fields after the last chunk are read and dropped."""
        if self._buffer[:2] == b"\r\n":
            del self._buffer[:2]
            return True
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > self._most_head:
                raise HttpBroken(431, f"trailers larger than {self._most_head} bytes")
            return False
        if not _FIELDS.fullmatch(self._buffer, 0, end + 2):
            raise HttpBroken(400, "the trailer is broken")
        del self._buffer[: end + 4]
        return True


def _read(raw: bytes) -> Head:
    """The Head of a request line and fields with the empty line. Raises HttpBroken."""
    match = _HEAD.fullmatch(raw)
    if match is None:
        raise HttpBroken(400, "not an HTTP/1.1 request")
    method, target, major, minor, lines = match.groups()
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise HttpBroken(505, "HTTP/1.1 is spoken here")
    fields = _fields(lines)
    newer = minor == b"1"
    if newer and "host" not in fields:
        raise HttpBroken(400, "the Host field is missing")
    path, _, query = _target(target.decode("ascii")).partition("?")
    hops = fields.get("connection", "").lower()
    return Head(
        method.decode("ascii"),
        path,
        query,
        fields,
        _length(fields, newer),
        "close" not in hops if newer else "keep-alive" in hops,
        newer and fields.get("expect", "").lower() == "100-continue",
    )


def _fields(lines: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    split = lines.decode("latin-1").split("\r\n")
    if len(split) > MOST_FIELDS + 1:
        raise HttpBroken(431, f"more than {MOST_FIELDS} fields")
    for line in split[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in fields:
            if name in _ONCE:
                raise HttpBroken(400, f"the field {name} comes twice")
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return fields


def _target(target: str) -> str:
    """The path and query; an absolute form is cut to them (RFC 9112 3.2.2)."""
    if not target.startswith("/"):
        match = _ABSOLUTE.match(target)
        target = target[match.end() :] if match else ""
        target = target if target.startswith("/") else f"/{target}"
        if match is None:
            raise HttpBroken(400, "the request names no path")
    return target


def _length(fields: Mapping[str, str], newer: bool) -> int:
    """Of the body; -1 when it is chunked (RFC 9112 6.3)."""
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None or not newer:
            raise HttpBroken(400, "the length of the body is said in two ways")
        if coding.lower() != "chunked":
            raise HttpBroken(501, "the only transfer coding here is chunked")
        return -1
    if length is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise HttpBroken(400, "Content-Length is not a number")
    return int(length)


_LINES = {one.value: b"HTTP/1.1 %d %s\r\n" % (one, one.phrase.encode()) for one in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def response(
    status: int, fields: bytes, body: bytes, date: bytes, lasting: bool, bare: bool = False
) -> bytes:
    """A whole response. fields: lines with their ends; date: as Date says it; bare: the
    answer to HEAD, whose body is only counted.
    """
    return b"".join(
        (
            _LINES[status],
            b"Date: ",
            date,
            b"\r\n",
            fields,
            b"Content-Length: %d\r\n" % len(body),
            b"\r\n" if lasting else b"Connection: close\r\n\r\n",
            b"" if bare else body,
        )
    )
