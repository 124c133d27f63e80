"""YAML files as texts, lists and mappings, with the line of everything in them.

A scalar stays the text that was typed: nothing is ever resolved to a number, a boolean or a
date. Anchors, aliases, tags and repeated keys are refused. The tree is built from the parser's
events, which come one at a time, so depth and size are bounded before they cost anything.
Each document of a file is parsed by itself: a broken one does not hide the next.
Source: YAML 1.2.2; the SITE reference, section 1.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from portico.spec import syntax
from portico.spec.fields import nearest
from portico.spec.finding import Finding, Severity, key_text

Location = tuple[str | int, ...]

NOUNS = ("channel", "agent", "destination", "case")
MOST_BYTES = 1 << 20
MOST_DEPTH = 48

_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
# What ruamel's pure parser is known to raise on hostile text, besides its own errors.
_PARSER_ERRORS = (
    YAMLError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    path: relative to the site's root. line: where it begins. noun: `channel`, `agent`, ... or
    empty (configuration). value: nested dict, list and str. lines: location to line.
    """

    path: str
    line: int
    noun: str
    value: Any
    lines: dict[Location, int] = field(repr=False)

    @property
    def name(self) -> str:
        """What the noun is called; empty when it is not a text."""
        name = self.value.get(self.noun) if isinstance(self.value, dict) else None
        return name if isinstance(name, str) else ""

    def at(self, location: Iterable[str | int]) -> Any:
        """The value at a place that is there. Raises LookupError or TypeError."""
        value = self.value
        for part in location:
            value = value[part]
        return value

    def known(self, location: Iterable[str | int]) -> Location:
        """The deepest place on the way of `location`; parts that are not there are skipped."""
        at: Location = ()
        for part in location:
            if (*at, part) in self.lines:
                at = (*at, part)
        return at

    def line_of(self, location: Iterable[str | int]) -> int:
        """The line of a place, or of the nearest thing that holds it."""
        return self.lines.get(self.known(location), self.line)

    def finding(
        self,
        location: Iterable[str | int],
        code: str,
        text: str,
        hint: str = "",
        severity: Severity = Severity.ERROR,
    ) -> Finding:
        """A finding about a place of this document."""
        place = tuple(location)
        return Finding(
            self.path, self.line_of(place), key_text(place), text, hint, code, severity
        )


def read(path: Path, name: str, *, nouns: bool = True) -> tuple[list[Document], list[Finding]]:
    """All documents of a file, and what is wrong with it. `name`: its path in findings."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            text = f"a file of {size} bytes is too large"
            return [], [_about(name, 0, "yaml.size", text, f"at most {MOST_BYTES} bytes")]
        content = path.read_bytes()
    except OSError as error:
        return [], [_about(name, 0, "yaml.unreadable", f"cannot be read: {error.strerror}")]
    try:
        return parse(content.decode("utf-8-sig"), name, nouns=nouns)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [_about(name, line, "yaml.encoding", "not UTF-8", "save the file as UTF-8")]


def parse(text: str, name: str, *, nouns: bool = True) -> tuple[list[Document], list[Finding]]:
    """All documents of a text of at most MOST_BYTES, and what is wrong with it.

    nouns: each document is named by its noun; else it is configuration, and has none.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for first, chunk in _chunks(text):
        tree = _Tree(name, first)
        try:
            tree.build(YAML(typ="safe", pure=True).parse(chunk))
        except _PARSER_ERRORS as error:
            tree.findings.append(syntax.finding(error, name, first, chunk))
        findings += tree.findings
        for value, lines in tree.roots:
            if not nouns:
                documents.append(Document(name, lines[()], "", value, lines))
                continue
            for nth, document in enumerate(_parted(name, value, lines)):
                findings += _about_noun(document, apart=nth == 0)
                documents += [document] if document.noun else []
    return documents, findings


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """The text of each document with the number of its first line, from 0.

    A line that begins with `---` starts a document wherever it stands, even inside a block
    scalar (YAML 1.2.2, section 9.1.2), so this needs no parser.
    """
    starts = [match.start() for match in _MARKER.finditer(text)]
    if not starts or text[: starts[0]].strip():
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text.count("\n", 0, start), text[start:end]


class _Frame:
    """A list or mapping that is still open.

    key: the one that waits for its value; again: it stood here before. dropped: this is the
    value of such a key, or inside one.
    """

    def __init__(self, value: Any, location: Location, dropped: bool) -> None:
        self.value = value
        self.location = location
        self.dropped = dropped
        self.key: str | None = None
        self.again = False

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


class _Tree:
    """Builds values from events. Iterative: depth costs no stack."""

    def __init__(self, name: str, first: int) -> None:
        self.roots: list[tuple[Any, dict[Location, int]]] = []
        self.findings: list[Finding] = []
        self._name = name
        self._first = first
        self._frames: list[_Frame] = []
        self._root: Any = None
        self._lines: dict[Location, int] = {}

    def build(self, events: Iterable[Any]) -> None:
        """Take all events, or stop at the first that no document may hold."""
        for event in events:
            if isinstance(event, ScalarEvent | AliasEvent):
                self._leaf(event)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                if not self._opened(event):
                    return
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._frames.pop()
            elif isinstance(event, DocumentEndEvent):
                self._close()

    def _leaf(self, event: Any) -> None:
        self._refuse(event)
        text = f"*{event.anchor}" if isinstance(event, AliasEvent) else str(event.value)
        if self._frames and self._frames[-1].wants_key:
            self._key(event, text)
        else:
            self._put(event, text)

    def _opened(self, event: Any) -> bool:
        self._refuse(event)
        if len(self._frames) >= MOST_DEPTH:
            self._say(event, "yaml.depth", f"nested deeper than {MOST_DEPTH} levels")
            return False
        if self._frames and self._frames[-1].wants_key:
            self._say(event, "yaml.key", "a key must be one text", "quote it")
            return False
        value: Any = {} if isinstance(event, MappingStartEvent) else []
        holder = self._frames[-1] if self._frames else None
        dropped = holder is not None and (holder.dropped or holder.again)
        self._frames.append(_Frame(value, self._put(event, value), dropped))
        return True

    def _key(self, event: Any, text: str) -> None:
        frame = self._frames[-1]
        frame.key, frame.again = text, text in frame.value
        if frame.dropped:
            return
        if frame.again:
            first = self._lines[*frame.location, text]
            apart = "; a line --- parts two documents" if text in NOUNS else ""
            hint = f"see line {first}{apart}"
            self._say(event, "yaml.duplicate_key", f"{text!r} stands here twice", hint)
        else:
            self._lines[*frame.location, text] = self._line(event)

    def _put(self, event: Any, value: Any) -> Location:
        """Store a value where it belongs, the first of a repeated key; gives its location."""
        if not self._frames:
            self._root = value
            self._lines[()] = self._line(event)
            return ()
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            location: Location = (*frame.location, len(frame.value))
            frame.value.append(value)
            if not frame.dropped:
                self._lines[location] = self._line(event)
        else:
            location = (*frame.location, frame.key or "")
            frame.value.setdefault(frame.key, value)
            frame.key, frame.again = None, False
        return location

    def _close(self) -> None:
        if self._root not in (None, ""):
            self.roots.append((self._root, self._lines))
        self._root, self._lines = None, {}

    def _refuse(self, event: Any) -> None:
        if isinstance(event, AliasEvent):
            hint = "quote a text that begins with *"
            self._say(event, "yaml.alias", "aliases are not part of the language", hint)
        elif event.anchor is not None:
            hint = "quote a text that begins with &"
            self._say(event, "yaml.anchor", "anchors are not part of the language", hint)
        if getattr(event, "tag", None) is not None:
            hint = "quote a text that begins with !"
            self._say(event, "yaml.tag", "tags are not part of the language", hint)

    def _say(self, event: Any, code: str, text: str, hint: str = "") -> None:
        location = self._frames[-1].location if self._frames else ()
        key = key_text(location)
        self.findings.append(Finding(self._name, self._line(event), key, text, hint, code))

    def _line(self, event: Any) -> int:
        return self._first + int(event.start_mark.line) + 1


def _about(name: str, line: int, code: str, text: str, hint: str = "") -> Finding:
    return Finding(name, line, "", text, hint, code)


def _parted(name: str, value: Any, lines: dict[Location, int]) -> Iterator[Document]:
    """The document; of several nouns one for each, as if a line --- stood above it."""
    parts: list[dict[str, Any]] = [{}]
    for key in value if isinstance(value, dict) and "case" not in value else ():
        if key in NOUNS and _noun(parts[-1]):
            parts.append({})
        parts[-1][key] = value[key]
    if len(parts) == 1:
        yield Document(name, lines[()], _noun(value), value, lines)
        return
    for part in parts:
        line = lines[()] if part is parts[0] else lines[_noun(part),]
        own = {at: where for at, where in lines.items() if at and at[0] in part}
        yield Document(name, line, _noun(part), part, {(): line, **own})


def _noun(value: Any) -> str:
    """The first key when it is a noun, else the first noun among the keys."""
    keys = list(value) if isinstance(value, dict) else []
    return next((key for key in keys if key in NOUNS), "")


def _about_noun(document: Document, apart: bool) -> Iterator[Finding]:
    """apart: it is a document of its own in the file, too."""
    keys = list(document.value) if isinstance(document.value, dict) else []
    if not apart:
        text, hint = (
            f"{document.noun!r} begins a document of its own",
            "write a line --- above it",
        )
        yield document.finding((document.noun,), "config.noun_apart", text, hint)
    elif not document.noun:
        text = "a document is named by its first key: channel, agent or destination"
        near = nearest(keys[0], NOUNS) if keys else ""
        yield document.finding((), "config.noun", text, near if "mean" in near else "")
    elif keys[0] != document.noun:
        text = f"{document.noun!r} should be the first key"
        place = (document.noun,)
        yield document.finding(place, "config.noun_first", text, severity=Severity.WARNING)
