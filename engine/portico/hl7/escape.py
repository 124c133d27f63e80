"""HL7 escape sequences, both ways.

Source: HL7 v2.5.1 chapter 2, section 2.7. `\\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\P\\`, `\\X..\\` and
`\\.br\\` stand for characters. `\\H\\ \\N\\ \\C..\\ \\M..\\ \\Z..\\` and the other formatting
commands are kept as they are written, and so is an escape character that begins none of them.
"""

import re
from functools import lru_cache

from portico.errors import TextUnencodable
from portico.hl7.delimiters import Delimiters

# What must not stand in a field but for the delimiters: CR ends a segment, 1C 0D a frame.
_CONTROLS = [chr(code) for code in range(0x20) if chr(code) != "\t"]


def escape(text: str, marks: Delimiters) -> str:
    """Text that stands for itself inside one field, component or subcomponent.

    A line feed becomes `\\.br\\`, other control characters but the tab become `\\Xdd\\`. Raises
    TextUnencodable when one is needed and the message names no escape character, or uses
    letters of the sequence as delimiters.
    """
    special, table = _outward(marks)
    if special.search(text) is None:
        return text
    written = text.translate(table)
    if "\0" in written:
        raise TextUnencodable("the message's delimiters leave no way to escape a character")
    return written


def unescape(raw: str | bytes, marks: Delimiters, codec: str = "ascii") -> str:
    """The text that an escaped field stands for; nothing is decoded twice.

    codec: of `\\X..\\` bytes. Bytes that are not of it are ASCII or stay as written.
    """
    text = raw.decode(codec) if isinstance(raw, bytes) else raw
    mark = marks.escape.decode("ascii")
    if not mark or mark not in text:
        return text
    sequence, letters = _inward(marks)

    def plain(match: re.Match[str]) -> str:
        return letters.get(match[1]) or _hex(match, codec)

    return sequence.sub(plain, text)


def _hex(match: re.Match[str], codec: str) -> str:
    data = bytes.fromhex(match[1][1:])
    for name in (codec, "ascii"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return match[0]


@lru_cache(maxsize=256)
def _outward(marks: Delimiters) -> tuple[re.Pattern[str], dict[int, str]]:
    """What to look for, and how each of it is written: NUL where nothing can be written."""
    letters = dict(zip(_characters(marks), "FSRET", strict=True)) | {"\n": ".br"}
    special = [*filter(None, letters), *_CONTROLS]
    table = {ord(char): _written(char, letters.get(char), marks) for char in special}
    return re.compile("[" + re.escape("".join(special)) + "]"), table


def _written(char: str, letter: str | None, marks: Delimiters) -> str:
    """The sequence by letter or else by number; a delimiter may itself be a letter."""
    field, component, repetition, mark, subcomponent = _characters(marks)
    for body in (letter, f"X{ord(char):02X}"):
        if mark and body and not {field, component, repetition, subcomponent} & set(body):
            return f"{mark}{body}{mark}"
    return "\0"


@lru_cache(maxsize=256)
def _inward(marks: Delimiters) -> tuple[re.Pattern[str], dict[str, str]]:
    standard = "|^~\\&"
    letters = {
        letter: char or usual
        for letter, char, usual in zip("FSRET", _characters(marks), standard, strict=True)
    }
    letters |= {"P": marks.truncation.decode("ascii") or "#", ".br": "\n"}
    mark = re.escape(marks.escape.decode("ascii"))
    return re.compile(rf"{mark}([FSRETP]|\.br|X(?:[0-9A-Fa-f]{{2}})+){mark}"), letters


def _characters(marks: Delimiters) -> tuple[str, str, str, str, str]:
    """In the order of the letters F S R E T; absent ones are told apart as empty."""
    field, component, repetition, mark, subcomponent, _ = (m.decode("ascii") for m in marks)
    return field, component, repetition, mark, subcomponent
