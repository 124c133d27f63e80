"""Formats of `map`: a text made another, leaf by leaf, so that separators stay."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from portico.errors import ContentInvalid
from portico.hl7 import escape
from portico.hl7.path import Path
from portico.hl7.reading import Reading
from portico.language import dates
from portico.spec import fields

Format = Callable[[str], str]  # raises ValueError, which says what the text is not

_NULL = '""'
_WORDS: dict[str, Format] = {
    "upper": str.upper,
    "lower": str.lower,
    "trim": str.strip,
    "digits": lambda text: re.sub(r"[^0-9]", "", text),
}
_WITH = ("date", "pad", "cut")


def parse(value: object) -> Format:
    """`upper`, `{date: "%Y%m%d"}`, `{pad: 8}`, `{cut: 20}`. Raises ValueError."""
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in _WITH:
        known = ", ".join((*_WORDS, *(f"{{{word}: ...}}" for word in _WITH)))
        raise ValueError(f"not a format; it is one of {known}")
    ((word, argument),) = value.items()
    if word == "date":
        return _dated(fields.text_of(argument))
    width = fields.count(fields.text_of(argument))
    if not 1 <= width <= 65_536:
        raise ValueError(f"{word} takes a number from 1 to 65536")
    return (lambda text: text.zfill(width)) if word == "pad" else (lambda text: text[:width])


def _dated(layout: str) -> Format:
    write = dates.formatter(layout)

    def form(text: str) -> str:
        date = dates.read(text)
        if date is None:
            raise ValueError("it is not a date")
        return write(date)

    return form


def _read(value: Any) -> Format:
    try:
        return value if callable(value) else parse(value)
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise fields.wrong("config.format", text, hint) from None


FormatField = Annotated[
    Format, PlainValidator(_read), WithJsonSchema({"type": ["string", "object"]})
]


def apply(form: Format, text: str, place: str) -> str:
    """The text formatted. Raises ContentInvalid, with the place and never the text."""
    try:
        return form(text)
    except ValueError as error:
        raise ContentInvalid(f"{place}: {error}", place) from None


def reformat(form: Format, raw: bytes, reading: Reading, path: Path) -> bytes:
    """A field or a part of one with every leaf formatted; empty and deleted leaves stay."""
    marks = reading.delimiters
    separators = (marks.component + marks.repetition + marks.subcomponent).decode("ascii")
    pieces = re.split(f"([{re.escape(separators)}])", reading.decoded(raw, path))

    def piece(text: str) -> bytes:
        if not text or text == _NULL or text in separators:
            return text.encode()
        plain = escape.unescape(text, marks, reading.codec)
        return reading.encoded(apply(form, plain, str(path)), path)

    return b"".join(piece(text) for text in pieces)
