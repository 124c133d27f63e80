"""Bodies: the content of a run as it is now, one kind for each kind of content.

A body that a step has put into the RunState is not changed any more: a step that changes
content works on a fork.
"""

import copy
import importlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from portico.errors import ContentInvalid, PathInvalid, TextUnencodable
from portico.hl7 import wide
from portico.hl7.message import Message
from portico.hl7.reading import Reading
from portico.hl7.view import MessageView
from portico.language import pointer
from portico.language.content import Content, JsonView, View, encode_json
from portico.language.context import Context
from portico.language.place import Hl7Place, Place, PointerPlace


class Body:
    """Opaque bytes, and what all bodies have in common."""

    kind = "bytes"
    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def form(self) -> Content:
        """What its content is, with the options of that kind."""
        return Content(self.kind)

    @property
    def reading(self) -> View:
        """The view for places."""
        return None

    def content(self) -> bytes:
        """The bytes as they are now; the very same object while nothing changed."""
        return self._content

    def fork(self) -> "Body":
        """A body of its own with the same content."""
        return self

    def write(self, place: Place, text: str) -> None:
        """Write text at a place. Raises MessageError kinds."""
        raise self._foreign(place)

    def copy(self, context: Context, origin: Place, place: Place) -> None:
        """Write at `place` what stands at `origin` in that context, with its structure."""
        raise self._foreign(place)

    def remove(self, place: Place) -> None:
        """Empty a place."""
        raise self._foreign(place)

    def parts(self, at: Place) -> Iterator["Body"]:
        """The parts of a split at that place, in order. Raises MessageError kinds."""
        raise ContentInvalid(f"{self.kind} content has no {at}", at.source)

    def encode(self, text: str) -> bytes:
        """Text as bytes in the character set of this content. Raises TextUnencodable."""
        return text.encode()

    @property
    def control_id(self) -> str:
        """MSH-10 of HL7 as it stands, a character a byte; else empty."""
        return ""

    def _foreign(self, place: Place) -> PathInvalid:
        return PathInvalid(f"{place} cannot be written in {self.kind} content", place.source)


class Hl7Body(Body):
    """An HL7 message."""

    kind = "hl7"
    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message

    @property
    def reading(self) -> View:
        """The message as it came, or its edit."""
        return self.message.reading

    def content(self) -> bytes:
        """The message's bytes."""
        return self.message.content

    def fork(self) -> "Hl7Body":
        """A message of its own."""
        return Hl7Body(self.message.copy())

    def write(self, place: Place, text: str) -> None:
        """Escaped and encoded. Raises PathInvalid, TextUnencodable."""
        if not isinstance(place, Hl7Place):
            raise self._foreign(place)
        self.message.edit.set(place.path, text)

    def copy(self, context: Context, origin: Place, place: Place) -> None:
        """HL7 to HL7 as it stands, separators too; anything else as text."""
        if not isinstance(place, Hl7Place):
            raise self._foreign(place)
        if isinstance(origin, Hl7Place) and isinstance(context.view, Reading):
            raw = context.view.raw(origin.path)
            self.message.edit.set_raw(place.path, raw or b"")
        else:
            text = origin.text(context)
            self.message.edit.set(place.path, text if isinstance(text, str) else "")

    def remove(self, place: Place) -> None:
        """A field or a part of it is emptied, segments are taken out."""
        if not isinstance(place, Hl7Place):
            raise self._foreign(place)
        self.message.edit.remove(place.path)

    def encode(self, text: str) -> bytes:
        """Not escaped."""
        return encoded(text, self.message.view)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.message.control_id


class JsonBody(Body):
    """A JSON value. What is no JSON shows when it is first read.

    written: whether the value differs from the view's text.
    """

    kind = "json"
    __slots__ = ("_mine", "_view", "_written")

    def __init__(self, view: JsonView, written: bool = False) -> None:
        self._view = view
        self._written = written
        self._mine = False  # whether the value is no other body's too

    @property
    def reading(self) -> View:
        """The view for places."""
        return self._view

    @property
    def value(self) -> Any:
        """The value, not to be changed; decimals are Decimal. Raises ContentInvalid."""
        return self._view.value

    def content(self) -> bytes:
        """The text as it came, or compact JSON once something changed."""
        return encode_json(self._view.value) if self._written else self._view.content

    def fork(self) -> "JsonBody":
        """A value of its own, copied when it is first written to."""
        return JsonBody(self._view, self._written)

    def write(self, place: Place, text: str) -> None:
        """A JSON text at that point; objects on the way are made."""
        self._put(place, text)

    def copy(self, context: Context, origin: Place, place: Place) -> None:
        """The JSON value with all that is in it; null for an absent one."""
        self._put(place, copy.deepcopy(origin.value(context)))

    def remove(self, place: Place) -> None:
        """The member or item is taken out."""
        if not isinstance(place, PointerPlace):
            raise self._foreign(place)
        pointer.drop(self._own(), place.tokens)

    def parts(self, at: Place) -> Iterator[Body]:
        """A value for each item of the list there."""
        items = self._view.at(at.tokens) if isinstance(at, PointerPlace) else ()
        if items is not None and not isinstance(items, list):
            raise ContentInvalid(f"{at} is not a list", at.source)
        for item in items or ():
            yield json_body(copy.deepcopy(item))

    def _put(self, place: Place, value: Any) -> None:
        if not isinstance(place, PointerPlace):
            raise self._foreign(place)
        try:
            self._view = JsonView.holding(pointer.put(self._own(), place.tokens, value))
        except ValueError as error:
            raise PathInvalid(f"{place}: {error}", place.source) from None

    def _own(self) -> Any:
        if not self._mine:
            self._view = JsonView.holding(copy.deepcopy(self._view.value))
            self._mine = self._written = True
        return self._view.value


def plain(value: Any) -> Any:
    """The JSON value with decimals as int or float; nothing in it is shared."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def json_body(value: Any) -> JsonBody:
    """A body of a JSON value that nobody else changes."""
    return JsonBody(JsonView.holding(value), written=True)


def open_body(
    kind: Content | str,
    content: bytes,
    charset: str = "ascii",
    on_charset_error: str = "refuse",
) -> Body:
    """The body of a content; a bare name stands for its defaults, `auto` for a look at it.

    Raises NotHl7 at once; CharsetUnknown and ContentInvalid come with the first reading.
    """
    kind = Content.of(kind).seen(content)
    if kind.type == "hl7":
        content = wide.narrowed(content) if content[:2] in wide.HEADS else content
        return Hl7Body(Message(MessageView(content, charset, on_charset_error)))
    if kind.type == "json":
        return JsonBody(JsonView(content))
    if kind.type in _MADE:
        made: Body = importlib.import_module(_MADE[kind.type]).opened(
            content, kind, charset, on_charset_error
        )
        return made
    return Body(content)


# Imported when the first such content is opened.
_MADE = {"xml": "portico.steps.xmlbody", "csv": "portico.steps.csvbody"}


def encoded(text: str, reading: Reading) -> bytes:
    """Text in the character set of that message. Raises TextUnencodable."""
    try:
        return text.encode("ascii" if text.isascii() else reading.codec)
    except UnicodeEncodeError:
        raise TextUnencodable(f"a character that {reading.codec} cannot carry") from None
