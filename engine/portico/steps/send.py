"""`send`: the message as it is here, to destinations; `set` writes on this copy only.

`body` sends the value of a place in place of the message, `decode` turns its text into bytes,
`file` names it for destinations that keep files. A destination's own `charset`, of messages
and of a place's text, is written here, so a character that it cannot carry is this step's
error. Nothing leaves before the last step ends.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from portico.errors import Permanent
from portico.hl7 import transcode
from portico.hl7.view import MessageView
from portico.language.content import encode_json
from portico.language.place import AsidePlace, Hl7Place, Place, PointerPlace
from portico.language.template import Template, file_name
from portico.model.verdict import Output
from portico.spec import fields
from portico.spec.fields import ONE_OR_MANY, Name, Options
from portico.spec.rules import PlaceField, TargetField, TemplateField
from portico.steps.body import Body, Hl7Body
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState

_FILLING = re.compile(r"\s+")


class SendOptions(Options):
    """The long form; a name or a list of names is `to`."""

    short: ClassVar[str] = "to"

    to: Annotated[tuple[Name, ...], ONE_OR_MANY, Field(min_length=1)]
    set_: dict[TargetField, TemplateField] = Field(default_factory=dict, alias="set")
    body: PlaceField | None = None
    decode: Literal["base64", "hex"] | None = None
    file: TemplateField | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.decode and self.body is None:
            raise fields.wrong("config.send", "decode needs a body", "add body: PLACE")
        if self.body is not None and self.set_:
            raise fields.wrong("config.send", "set and body do not meet", "leave one out")
        for place in self.set_:
            if place.many or isinstance(place, AsidePlace):
                what = "several places" if place.many else "no place"
                text = f"{str(place)!r} is {what} of a message"
                raise fields.wrong("config.send", text, "write it in a map before")
        if len(set(self.to)) < len(self.to):
            raise fields.wrong("config.send", "a destination is named twice")
        return self


class _Send:
    def __init__(self, options: SendOptions, charsets: Mapping[str, str]) -> None:
        self._to = options.to
        self._charsets = {name: charsets[name] for name in options.to if name in charsets}
        self._set = tuple(options.set_.items())
        self._body = options.body
        self._decode = options.decode
        self._file = options.file

    def run(self, state: RunState) -> End | None:
        content, control_id = self._content(state)
        file = file_name(self._file.render(state.context)) if self._file else ""
        other = self._transcoded(state, content) if self._charsets else {}
        for name in self._to:
            sent = other.get(name, content)
            state.outputs.append(Output(name, sent, None, control_id, file))
        return None

    def _transcoded(self, state: RunState, content: bytes) -> dict[str, bytes]:
        """By destination, for those with a character set of their own: HL7 messages, and text
        of a place; bytes and JSON are what they are."""
        names = set(self._charsets.values())
        if self._body is not None:
            text = None if self._decode else self._body.value(state.context)
            if not isinstance(text, str):
                return {}
            made = {name: transcode.written(text, name) for name in names}
        elif isinstance(state.body, Hl7Body):
            view = MessageView(content, *state.body.message.view.policy)
            made = {name: transcode.transcoded(view, name) for name in names}
        else:
            return {}
        return {name: made[charset] for name, charset in self._charsets.items()}

    def _content(self, state: RunState) -> tuple[bytes, str]:
        if self._body is not None:
            return _value(state, self._body, self._decode), ""
        body = _with(state, self._set) if self._set else state.body
        return body.content(), body.control_id


def _with(state: RunState, lines: tuple[tuple[Place, Template], ...]) -> Body:
    copy = state.body.fork()
    for place, template in lines:
        copy.write(place, template.render(state.context))
    return copy


def _value(state: RunState, place: Place, decode: str | None) -> bytes:
    """The bytes of a place: decoded, or as text in the message's character set."""
    if decode is None and isinstance(place, AsidePlace | PointerPlace):
        value = place.value(state.context)
        if value is not None and not isinstance(value, str):
            return encode_json(value)
    text = place.text(state.context)
    if not isinstance(text, str):
        raise Permanent(f"{place} is empty: there is nothing to send", _location(place))
    return _decoded(text, decode, place) if decode else state.body.encode(text)


def _decoded(text: str, decode: str, place: Place) -> bytes:
    try:
        plain = _FILLING.sub("", text)
        if decode == "hex":
            return bytes.fromhex(plain)
        return base64.b64decode(plain, validate=True)
    except (ValueError, binascii.Error):
        raise Permanent(f"{place} is not {decode}", _location(place)) from None


def _location(place: Place) -> str | None:
    return place.source if isinstance(place, Hl7Place) else None


def _build(options: Any, build: Build) -> _Send:
    return _Send(options, build.charsets)


SEND = StepType("send", "Hands the message to destinations", SendOptions, _build)
