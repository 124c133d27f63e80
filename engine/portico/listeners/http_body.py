"""From the body of a request to the contents it holds: codings off, forms taken apart.

Pure and bounded: a compressed body may grow to the source's limit and to RATIO times its own
size, whichever is less; a form may hold FILES files. Source: RFC 9110 sections 8.3 and 8.4,
RFC 7578 (multipart/form-data).
"""

import logging
import zlib
from email.message import Message

from msgspec import Struct
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from portico.errors import HttpBroken
from portico.wire.http import Head

RATIO = 200  # a text of nothing but one letter shrinks to a thousandth; HL7 to a tenth
FILES = 1000
_SMALL = 64 << 10  # bytes that any compressed body may grow to
_FORM = "multipart/form-data"
# What email.message raises of parameters that are split or coded as nobody can (RFC 2231).
_UNREADABLE = (ValueError, TypeError)
_SILENT = logging.Logger("form", logging.CRITICAL)  # what is wrong with one is ours to say

# Media types that stand for a channel's `content`; `*` ends what begins so. A body without a
# Content-Type is taken as what the channel holds.
TYPES: dict[str, tuple[str, ...]] = {
    "hl7": ("application/hl7-v2*", "x-application/hl7-v2+er7", "text/plain"),
    "json": ("application/json", "application/*+json", "text/json"),
    "xml": ("application/xml", "text/xml", "application/*+xml"),
    "csv": ("text/csv", "text/plain", "application/csv"),
    "bytes": ("*",),
}


class BodyContent(Struct, frozen=True, gc=False):
    """One content. file: its name in a form, as the peer wrote it."""

    content: bytes
    file: str = ""


def check_types(head: Head, kind: str) -> None:
    """The declared type and coding can be read. Raises HttpBroken (415), before the body."""
    coding = head.fields.get("content-encoding", "identity").lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise HttpBroken(415, "the content coding is neither gzip nor none")
    declared = _declared(head)[0]
    allowed = TYPES.get(kind, ("*",))
    if declared not in ("", _FORM) and not any(_fits(declared, one) for one in allowed):
        shown = ", ".join(one for one in allowed)
        raise HttpBroken(415, f"this channel takes {shown} or a form of files")


def _fits(declared: str, pattern: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return declared == pattern
    return declared.startswith(before) and declared.endswith(after)


def _declared(head: Head) -> tuple[str, str]:
    """The media type in lower case without parameters, and a form's boundary."""
    text = head.fields.get("content-type", "")
    if not text.lower().startswith(_FORM):
        return text.partition(";")[0].strip().lower(), ""
    message = Message()
    message["Content-Type"] = text
    try:
        return message.get_content_type(), str(message.get_boundary() or "")
    except _UNREADABLE:
        raise HttpBroken(400, "the form's boundary cannot be read") from None


def plain(head: Head) -> bool:
    """The body is the content: nothing is to be done that takes time."""
    form = head.fields.get("content-type", "")[:9].lower() == "multipart"
    return "content-encoding" not in head.fields and not form


def contents(head: Head, body: bytes, limit: int) -> list[BodyContent]:
    """What the body holds: one content, or the files of a form.

    Raises HttpBroken: 413 too large or too dense, 400 broken, 415 a form without files.
    """
    if head.fields.get("content-encoding", "identity").lower() != "identity":
        body = inflated(body, limit)
    declared, boundary = _declared(head)
    return files(body, boundary) if declared == _FORM else [BodyContent(body)]


def inflated(body: bytes, limit: int) -> bytes:
    """Decompressed gzip. Raises HttpBroken."""
    most = min(limit, max(_SMALL, len(body) * RATIO))
    machine = zlib.decompressobj(31)
    try:
        content = machine.decompress(body, most + 1)
    except zlib.error:
        raise HttpBroken(400, "the body is not gzip") from None
    if len(content) > most:
        raise HttpBroken(413, f"the decompressed body is larger than {most} bytes")
    if not machine.eof or machine.unused_data:
        raise HttpBroken(400, "the gzip body does not end where it says")
    return content


def files(body: bytes, boundary: str) -> list[BodyContent]:
    """The files of a form, in order; its other fields are dropped. Raises HttpBroken."""
    form = _Form()
    try:
        parser = MultipartParser(boundary.encode("latin-1"), form.callbacks())  # type: ignore[arg-type]
        parser.logger = _SILENT
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise HttpBroken(400, "the form is broken") from None
    if not form.ended:
        raise HttpBroken(400, "the form does not end")
    if not form.files:
        raise HttpBroken(400, "the form holds no file")
    return form.files


class _Form:
    """Collects what the parser calls out."""

    def __init__(self) -> None:
        self.files: list[BodyContent] = []
        self.ended = False
        self._pieces: list[bytes] = []
        self._name = b""
        self._value = b""
        self._file: str | None = None

    def callbacks(self) -> dict[str, object]:
        """By the parser's names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._header,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._over,
        }

    def _begin(self) -> None:
        self._pieces, self._file = [], None

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        name, value = self._name.lower(), self._value.decode("utf-8", "replace")
        self._name = self._value = b""
        if name == b"content-disposition":
            message = Message()
            message["Content-Disposition"] = value
            try:
                self._file = message.get_filename()
            except _UNREADABLE:
                raise HttpBroken(400, "the name of a file cannot be read") from None

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        if self._file is None:
            return
        if len(self.files) >= FILES:
            raise HttpBroken(413, f"more than {FILES} files in a form")
        self.files.append(BodyContent(b"".join(self._pieces), self._file[:200]))

    def _over(self) -> None:
        self.ended = True
