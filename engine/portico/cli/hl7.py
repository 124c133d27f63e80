"""`hl7`: messages and batches in files or on standard input, without an engine or a site."""

import json as jsons
import os
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from msgspec.structs import replace
from typer import Argument, Option

from portico.cli import console, exits
from portico.cli.exits import Ended
from portico.cli.options import JSON, PHI
from portico.errors import ContentInvalid, MessageError, RuleBroken
from portico.hl7 import batch, jsonform, mask, names, pieces, structure, wide
from portico.hl7 import diff as diffs
from portico.hl7.batch import BatchEvent, Fault, Member
from portico.hl7.deid import TwinMaker
from portico.hl7.path import Path as Place
from portico.hl7.reading import DELETED
from portico.hl7.structure import Deviation, Grammar
from portico.hl7.view import MessageView, Segment
from portico.language.content import parse_json
from portico.steps import profile as profiles
from portico.steps import standard

_CHUNK = 64 * 1024
_LARGEST = 64 * 1024 * 1024  # bytes of one message
_STANDARD_INPUT = "-"

FILES = Argument(metavar="[FILE...]", help="Files of messages or batches; - is standard input.")
CHARSET = Option(help="The character set when MSH-18 is empty, by a name of table 0211.")


class Form(StrEnum):
    """What `convert` writes."""

    JSON = "json"
    HL7 = "hl7"


class PlacedMessage(NamedTuple):
    """One message and where it was: `adt.hl7`, or `day.hl7#3` when there are several."""

    place: str
    content: bytes


def show(
    files: Annotated[list[Path] | None, FILES] = None,
    phi: Annotated[bool, PHI] = False,
    charset: Annotated[str, CHARSET] = "ascii",
) -> int:
    """Show messages field by field, with the names of the standard."""
    for found in _messages(files):
        view = _view(found, charset)
        head = view.header
        control_id = head.control_id.decode("latin-1")
        console.line(f"{found.place}  {head.type} {control_id} {head.version}", style="bold")
        for segment in view.segments():
            print(console.printable(segment.name or "(no segment)"))
            for place, text in _fields(view, segment, phi):
                print(console.printable(f"  {names.label(place, head.version)}: {text}"))
    return exits.OK


def get(
    path: Annotated[str, Argument(metavar="PATH", help="Such as PID-5.1 or OBX[*]-5.")],
    files: Annotated[list[Path] | None, FILES] = None,
    phi: Annotated[bool, PHI] = False,
    charset: Annotated[str, CHARSET] = "ascii",
) -> int:
    """Print what stands at a place, one line for each match; exit code 1 when nothing does."""
    place = Place.parse(path)
    count = 0
    for found in _messages(files):
        for text in _view(found, charset).texts(place):
            count += 1
            shown = '""' if not isinstance(text, str) else text
            print(console.printable(shown if phi else _masked(place, shown)))
    return exits.OK if count else exits.FAILED


def diff(
    one: Annotated[Path, Argument(metavar="A", help="A file; - is standard input.")],
    other: Annotated[Path, Argument(metavar="B", help="The file to compare it with.")],
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    charset: Annotated[str, CHARSET] = "ascii",
) -> int:
    """Show what differs between two files, message by message and field by field."""
    told: list[dict[str, Any]] = []
    for left, right in zip_longest(_messages([one]), _messages([other])):
        if left is None or right is None:
            raise Ended(exits.FAILED, f"{one if right is None else other} has more messages")
        for found in diffs.compare(_view(left, charset), _view(right, charset)):
            shown = found if phi else found.masked()
            told.append({"message": left.place, **_plain(shown)})
            if not json:
                console.line(f"{left.place}  {shown}")
    if json:
        console.say_json(told)
    return exits.FAILED if told else exits.OK


def validate(
    files: Annotated[list[Path] | None, FILES] = None,
    profile: Annotated[Path | None, Option(help="A message profile of HL7, in XML.")] = None,
    json: Annotated[bool, JSON] = False,
    charset: Annotated[str, CHARSET] = "ascii",
) -> int:
    """Check messages against the standard in their own version, or against a profile."""
    grammar = None if profile is None else _profile(profile)
    told: list[dict[str, str]] = []
    for place, (text, location, condition) in _findings(files, grammar, charset):
        told.append({"message": place, "at": location, "code": condition, "text": text})
        if not json:
            at = "" if location in text else f"{location}: "
            console.line(f"{place}  {at}{text}  [{condition}]")
    if json:
        console.say_json(told)
    elif not told:
        console.note("nothing to report")
    return exits.FAILED if told else exits.OK


def convert(
    to: Annotated[Form, Option(help="What to write: a JSON value a line, or messages.")],
    files: Annotated[list[Path] | None, FILES] = None,
    charset: Annotated[str, CHARSET] = "ascii",
) -> int:
    """Turn messages into JSON, or such JSON back into the very same bytes."""
    out = sys.stdout.buffer
    if to is Form.HL7:
        for value in _values(files):
            out.write(jsonform.load(value))
        return exits.OK
    for found in _messages(files):
        value = jsonform.dump(_view(found, charset))
        out.write(jsons.dumps(value, ensure_ascii=False).encode() + b"\n")
    return exits.OK


def deid(
    files: Annotated[list[Path] | None, FILES] = None,
    key_file: Annotated[
        Path | None,
        Option(help="A file with a key: the same key gives the same twins. Else a new one."),
    ] = None,
) -> int:
    """Write synthetic twins: the same shape with nobody's data, consistent within the run."""
    key = key_file.read_bytes() if key_file else os.urandom(32)
    if not key.strip():
        raise Ended(
            exits.USAGE, f"{key_file} is empty: anybody could find whom its twins are of"
        )
    twins = TwinMaker(key)
    out = sys.stdout.buffer
    for _, event in _events(files):
        if isinstance(event, Member):
            out.write(_ended(twins.message(event.content)))
        elif not isinstance(event, Fault):
            out.write(_envelope(event))
    return exits.OK


def _events(files: list[Path] | None) -> Iterator[tuple[Path, BatchEvent]]:
    """What the files hold, UTF-16 as UTF-8. A wrong count is told on standard error; other
    faults end it.
    """
    for file in files or [Path(_STANDARD_INPUT)]:
        codec, chunks = wide.chunks_of(_chunks(file))
        for event in batch.events(chunks, _LARGEST):
            if codec and isinstance(event, Member):
                event = replace(event, content=wide.narrowed(event.content))
            if isinstance(event, Fault):
                if not event.counts:
                    raise Ended(exits.FAILED, f"{file}: {event.text}")
                console.note(f"{file}: {event.text}")
            yield file, event


def _chunks(file: Path) -> Iterator[bytes]:
    if str(file) == _STANDARD_INPUT:
        yield from iter(lambda: sys.stdin.buffer.read(_CHUNK), b"")
        return
    with file.open("rb") as opened:
        yield from iter(lambda: opened.read(_CHUNK), b"")


def _messages(files: list[Path] | None) -> Iterator[PlacedMessage]:
    count, last = 0, None
    for file, event in _events(files):
        if isinstance(event, Member):
            count = count + 1 if file == last else 1
            last = file
            yield PlacedMessage(f"{file}#{count}" if count > 1 else str(file), event.content)


def _view(found: PlacedMessage, charset: str) -> MessageView:
    """Raises Ended, with the place, for what is no message or of no known character set."""
    try:
        view = MessageView(found.content, charset, "replace")
        assert view.codec
    except MessageError as error:
        raise Ended(exits.FAILED, f"{found.place}: {error}  [{error.code}]") from error
    return view


def _fields(view: MessageView, segment: Segment, phi: bool) -> Iterator[tuple[Place, str]]:
    """The valued fields of a segment, each repetition on its own."""
    if not segment.name:
        text = pieces.written(view, segment.raw)
        yield Place("(line)"), text if phi else mask.veil(text)
        return
    for number, piece in pieces.fields(view, segment):
        place = Place(segment.name, field=number)
        ones = [piece] if place.separators else piece.split(view.delimiters.repetition)
        for repetition, one in enumerate(ones, 1):
            if not one.raw:
                continue
            if len(ones) > 1:
                place = Place(segment.name, field=number, repetition=repetition)
            text = pieces.written(view, one.raw)
            yield place, text if phi else mask.field(segment.name, number, text)


def _masked(place: Place, text: str) -> str:
    return (
        mask.segment(text)
        if place.field is None
        else mask.field(place.segment, place.field, text)
    )


def _plain(found: diffs.Difference) -> dict[str, Any]:
    before, after = ('""' if text is DELETED else text for text in (found.before, found.after))
    return {"at": found.path, "before": before, "after": after, "moved": found.moved}


def _profile(file: Path) -> Grammar:
    try:
        return profiles.read(file.read_bytes())
    except ValueError as error:
        raise Ended(exits.USAGE, f"{file}: {error}") from error


def _findings(
    files: list[Path] | None, grammar: Grammar | None, charset: str
) -> Iterator[tuple[str, Deviation]]:
    """What is wrong with each message; a file that cannot be read on keeps no other back."""
    for file in files or [Path(_STANDARD_INPUT)]:
        try:
            for found in _messages([file]):
                for finding in _checked(found, grammar, charset):
                    yield found.place, finding
        except Ended as end:
            text = str(end).removeprefix(f"{file}: ")
            yield str(file), Deviation(text, "", structure.SEQUENCE)


def _checked(
    found: PlacedMessage, grammar: Grammar | None, charset: str
) -> Iterable[Deviation]:
    """What is wrong with one message, its character set first."""
    try:
        view = MessageView(found.content, charset)
        if (fault := view.charset_fault()) is not None:
            return [Deviation(str(fault), fault.location or "", structure.TYPE)]
        return structure.check(view, grammar or standard.grammar(view.header))
    except RuleBroken as broken:
        return [Deviation(str(broken), broken.location or "", broken.condition)]
    except MessageError as error:
        return [Deviation(str(error), error.location or "", structure.SEQUENCE)]


def _values(files: list[Path] | None) -> Iterator[Any]:
    """JSON values: one a line, or one that fills its file."""
    for file in files or [Path(_STANDARD_INPUT)]:
        content = b"".join(_chunks(file))
        try:
            yield parse_json(content)
        except ContentInvalid:
            lines = [line for line in content.splitlines() if line.strip()]
            if len(lines) < 2:
                raise
            yield from map(parse_json, lines)


def _envelope(event: BatchEvent) -> bytes:
    """FHS, BHS, BTS and FTS as they were."""
    part = getattr(event, "header", None) or getattr(event, "trailer", None)
    return b"" if part is None else part.raw + b"\r"


def _ended(content: bytes) -> bytes:
    """A message that ends its last line, so that another can follow."""
    return content if content[-1:] in (b"\r", b"\n") else content + b"\r"


COMMANDS = {
    "show": show,
    "get": get,
    "diff": diff,
    "validate": validate,
    "convert": convert,
    "deid": deid,
}
