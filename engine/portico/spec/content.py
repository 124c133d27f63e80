"""`content:` of a channel: what its bytes are, by name or with the options of that kind."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from portico.errors import PathInvalid
from portico.language import content
from portico.language.place import Hl7Place, Place, PointerPlace
from portico.language.xpath import parse as parse_xpath
from portico.spec.fields import Count, Options, Switch, Text, wrong

_PREFIX = re.compile(r"[^\W\d][\w.-]*")
_OF = {"namespaces": "xml", "depth": "xml", "separator": "csv", "header": "csv"}
_UNFRAMED = ("folder", "sftp", "ftp", "sftp-server", "https", "log")
_DEFAULTS = {"namespaces": {}, "depth": content.DEPTH, "separator": ",", "header": True}
_WORDS = {"tab": "\t"}


def _separator(text: str) -> str:
    mark = _WORDS.get(text, text)
    if len(mark) != 1 or mark.isalnum() or mark in "\"\r\n'_ ":
        hint = "one character such as ; or |, or tab"
        raise wrong("config.value", f"{text!r} is not a separator", hint)
    return mark


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text) or text in ("xml", "xmlns"):
        raise wrong("config.value", f"{text!r} is not a prefix of names", "such as f")
    return text


class Content(Options):
    """A kind of content. namespaces: URI by prefix, for XPath; depth: of elements."""

    short = "type"
    type: Literal["hl7", "json", "xml", "csv", "bytes"] = "hl7"
    namespaces: dict[Annotated[Text, AfterValidator(_prefix)], Text] = Field(
        default_factory=dict
    )
    depth: Annotated[Count, Field(ge=1, le=250)] = content.DEPTH
    separator: Annotated[Text, AfterValidator(_separator)] = ","
    header: Switch = True

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        for key, kind in _OF.items():
            if kind != self.type and getattr(self, key) != _DEFAULTS[key]:
                text = f"{key} is of content {kind}, this is {self.type}"
                raise wrong("config.key", text, "leave it out")
        return self

    @property
    def form(self) -> content.Content:
        """The same as the engine reads by it."""
        pairs = tuple(sorted(self.namespaces.items()))
        return content.Content(self.type, pairs, self.depth, self.separator, self.header)


def carries_any(kind: str, options: object) -> bool:
    """Whether a source or destination of that type carries any bytes: UTF-16 too, whose bytes
    may look like the end of a frame."""
    frame = getattr(options, "frame", None)
    return kind in _UNFRAMED or (frame is not None and getattr(frame, "end", None) is None)


def misfit(form: content.Content, place: Place) -> str:
    """Why a place reads nothing in such content, with what would be right; else nothing."""
    if isinstance(place, Hl7Place) and form.type not in ("hl7", "auto"):
        hint = {"json": "/id", "xml": "/order/id", "csv": "/id"}.get(form.type, "type")
        return f"{place} is of HL7, the content is {form.type}; try {hint!r}"
    if not isinstance(place, PointerPlace):
        return ""
    if form.type in ("hl7", "bytes"):
        hint = "PID-3.1" if form.type == "hl7" else "header/x"
        return f"{place} is of JSON, XML or CSV, the content is {form.type}; try {hint!r}"
    if form.type == "xml":
        return _no_xpath(form, place)
    if form.type == "csv" and "/" in place.source[1:]:
        return f"{place} is not a column; try '/name' or '/3'"
    return _no_number(form, place) if form.type == "csv" and not form.header else ""


def _no_xpath(form: content.Content, place: Place) -> str:
    try:
        missing = parse_xpath(place.source).prefixes - dict(form.namespaces).keys() - {"xml"}
    except PathInvalid as error:
        return str(error)
    if missing:
        name = min(missing)
        return f"{place}: no namespace {name!r}; add namespaces: {{{name}: URI}} to content"
    return ""


def _no_number(form: content.Content, place: Place) -> str:
    if place.source in ("/",) or place.source[1:].isdecimal():
        return ""
    return f"{place} is a name, the content has no row of names; try '/1', or header: yes"
