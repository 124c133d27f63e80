"""The text of an XML document around its tree: declaration, encoding, root name.

All that is needed before a parser may see it. A document type declaration is refused whatever
it holds, so that no entity is ever defined. Source: XML 1.0 (5th edition), sections 2.8 and
4.3.3, appendix F.
"""

import codecs
import re

from msgspec import Struct

from portico.errors import ContentInvalid

_DECLARATION = re.compile(
    r"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*["']1\.[0-9]["']"""
    r"""(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z][A-Za-z0-9._-]{0,40})["'])?"""
    r"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*["'](?:yes|no)["'])?"""
    r"""[ \t\r\n]*\?>[ \t\r\n]*"""
)
_BEFORE = re.compile(
    rb"[ \t\r\n]+|<\?(?!xml[ \t\r\n?])[^?]*(?:\?(?!>)[^?]*)*\?>|<!--.*?-->", re.DOTALL
)
_ROOT = re.compile(r"<(?:[^\W\d][\w.-]*:)?([^\W\d][\w.-]*)(?=[ \t\r\n/>])")
_LONGEST = 512  # characters of a declaration, and of a root's name
_ONE_BYTE = re.compile(r"iso8859-\d{1,2}|cp125[0-8]|ascii")


class Prolog(Struct, frozen=True):
    """What stands before the tree.

    lead: the byte order mark and the declaration as they came, with the white space behind
    it. codec: Python's, of the text without the mark. body: the rest, in UTF-8. start: the
    offset of the root in the body, behind comments. root: its local name.
    """

    lead: bytes
    codec: str
    body: bytes
    start: int
    root: str


def read(content: bytes) -> Prolog:
    """The prolog of a document. Cost: a pass only where it is not in UTF-8.

    Raises ContentInvalid, which quotes nothing.
    """
    mark, wide = _mark(content)
    head = content[len(mark) : len(mark) + 2 * _LONGEST].decode(wide or "latin-1", "replace")
    declared = _DECLARATION.match(head)
    codec = _codec(declared[1] if declared else None, wide, mark)
    size = len(mark) + len((declared[0] if declared else "").encode(wide or "latin-1"))
    body = content[size:]
    if codec != "utf-8":
        try:
            body = body.decode(codec).encode()
        except UnicodeError:
            raise ContentInvalid(f"the XML holds bytes that are not {codec}") from None
    return Prolog(content[:size], codec, body, *_root(body))


def _mark(content: bytes) -> tuple[bytes, str]:
    """The byte order mark, and the codec of a text of two bytes a character."""
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise ContentInvalid("the XML is in UTF-32; send UTF-8")
    for mark, codec in _MARKS:
        if content.startswith(mark):
            return mark, codec
    if content.startswith(b"<\x00"):
        return b"", "utf-16-le"
    return b"", "utf-16-be" if content.startswith(b"\x00<") else ""


_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _codec(name: str | None, wide: str, mark: bytes) -> str:
    """An encoding that hides no mark-up: one byte is one character, but for Unicode's own."""
    try:
        found = codecs.lookup(name or "utf-8").name
    except LookupError:
        found = ""
    if wide and (name is None or found.startswith("utf-16")):
        return wide
    if not wide and (found == "utf-8" or (not mark and _ONE_BYTE.fullmatch(found))):
        return found
    raise ContentInvalid("the encoding that the XML declares is not taken; send UTF-8")


def _root(body: bytes) -> tuple[int, str]:
    """Where the root begins, and its local name."""
    at = 0
    while match := _BEFORE.match(body, at):
        at = match.end()
    if body.startswith(b"<!DOCTYPE", at):
        raise ContentInvalid("the XML has a document type declaration; send it without")
    found = _ROOT.match(body[at : at + _LONGEST].decode("utf-8", "replace"))
    if found is None:
        raise ContentInvalid("the content is not XML")
    return at, found[1]
