"""A message in another character set: every character, `\\X..\\` too, and MSH-18 with them.

Source: HL7 v2.5.1 chapter 2, sections 2.7.2 and 2.15.9.18; table 0211.
"""

import codecs
import re

from portico.errors import TextUndecodable, TextUnencodable
from portico.hl7 import charset
from portico.hl7.edit import MessageEdit
from portico.hl7.view import MessageView

UTF16 = "UNICODE UTF-16"
_UTF16 = re.compile(r"(UNICODE)?[\s/_.-]*UTF[\s/_.-]*16", re.IGNORECASE)
_UTF16_CODEC = "utf-16-be"
_BOM = "\ufeff"


def known(name: str) -> str:
    """MSH-18 for a character set, as table 0211 spells it. Raises CharsetUnknown.

    Japanese sets stand in the second repetition, behind ASCII, as their writers do.
    """
    if _UTF16.fullmatch(name):
        return UTF16
    return charset.SPELLED.get(charset.codec_of((), name), name)


def transcoded(view: MessageView, name: str) -> bytes:
    """The message in the character set that `known` gave; its own bytes when it is in it.

    Bytes that the view's policy lets pass come out as the policy reads them. Raises
    TextUnencodable with the field that holds what the set cannot carry, TextUndecodable and
    CharsetUnknown under `refuse`.
    """
    wide = name == UTF16
    codec = _UTF16_CODEC if wide else charset.codec_of(tuple(name.split("~")), "")
    written = MessageEdit(view)
    written.set_raw("MSH-18", name.replace("~", view.delimiters.repetition.decode()).encode())
    content = written.encode()
    if not wide and (codec == view.codec or _everybodys(content, view)):
        return view.content if view.header.charset == tuple(name.split("~")) else content
    text = view.decoded(content.removeprefix(codecs.BOM_UTF8))
    text = _hexed(text, view, codec, name)
    try:
        return (_BOM + text if wide else text).encode(codec)
    except UnicodeEncodeError as error:
        raise _unencodable(view, text[: error.start], name) from None


def written(text: str, name: str) -> bytes:
    """A text that is no message, in the set that `known` gave. Raises TextUnencodable."""
    if name == UTF16:
        return (_BOM + text).encode(_UTF16_CODEC)
    try:
        return text.encode(charset.codec_of(tuple(name.split("~")), ""))
    except UnicodeEncodeError:
        raise TextUnencodable(f"a character that {name} cannot carry") from None


def _everybodys(content: bytes, view: MessageView) -> bool:
    """Whether the bytes mean the same in every set: ASCII, and no `\\X..\\`."""
    mark = view.delimiters.escape
    hexed = mark != b"" and mark + b"X" in content
    return content.isascii() and b"\x1b" not in content and not hexed


def _unencodable(view: MessageView, before: str, name: str) -> TextUnencodable:
    """The field is found by counting: the text before the character, segment by segment."""
    lines = re.split(r"[\r\n]+", before)
    segment, *fields = lines[-1].split(view.delimiters.field.decode())
    nth = sum(line.split(view.delimiters.field.decode())[0] == segment for line in lines)
    which = f"[{nth}]" if nth > 1 else ""
    number = len(fields) + (segment in ("MSH", "BHS", "FHS"))
    place = f"{segment}{which}-{number}" if fields else segment
    return TextUnencodable(f"a character that {name} cannot carry", place)


def _hexed(text: str, view: MessageView, codec: str, name: str) -> str:
    """`\\X..\\` of bytes beyond ASCII in the bytes of the other character set."""
    mark = view.delimiters.escape.decode()
    if not mark or f"{mark}X" not in text:
        return text

    def written(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[0]
        data = bytes.fromhex(match[2])
        try:
            plain = view.decoded(data) if not data.isascii() else ""
        except TextUndecodable:
            plain = ""  # of no character: it is read as it is written
        try:
            return (
                match[1] + plain.encode(codec).hex().upper() + match[3] if plain else match[0]
            )
        except UnicodeEncodeError:
            raise _unencodable(view, text[: match.start()], name) from None

    mark = re.escape(mark)
    # As it is read: what ends `\E\` begins nothing, so `\E\XE9\E\` holds no byte.
    other = rf"{mark}(?:[FSRETP]|\.br){mark}"
    return re.sub(rf"{other}|({mark}X)((?:[0-9A-Fa-f]{{2}})+)({mark})", written, text)
