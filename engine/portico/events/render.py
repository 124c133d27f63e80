"""Events as lines: for a person at a terminal, for journald, for a program (JSON lines).

A line is never a message body: bytes show as their length, and a long or hostile text is
cut and made printable, so that no peer can forge a line or paint the terminal.
Levels of journald lines follow sd-daemon(3): `<3>` is an error, `<7>` is debug.
"""

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Protocol, TextIO

from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer, LogfmtRenderer
from structlog.typing import Processor

from portico.clock import Clock, moment
from portico.events.emit import Emit, Event

LEVELS: dict[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
LONGEST = 1_000  # characters of one value


class Lines(Protocol):
    """Where lines go: a text stream, or a Scribe."""

    def write(self, text: str, /) -> int:
        """Take one line."""
        ...

    def flush(self) -> None:
        """Pass it on now."""
        ...


class Mode(StrEnum):
    """How a line looks."""

    CONSOLE = "console"
    JSON = "json"
    JOURNALD = "journald"
    PLAIN = "plain"


def mode_for(stream: TextIO, environ: Mapping[str, str]) -> Mode:
    """Colours at a terminal, `<n>` prefixes under systemd, else logfmt with a time."""
    if environ.get("JOURNAL_STREAM"):
        return Mode.JOURNALD
    return Mode.CONSOLE if stream.isatty() else Mode.PLAIN


def name(kind: type[Event]) -> str:
    """What the line calls the event: `ChannelOpened` is `channel_opened`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def fields(event: Event) -> dict[str, object]:
    """The event's fields in their order, each as a value that is safe to print."""
    return {
        event.names.get(f.name, f.name): _shown(getattr(event, f.name))
        for f in dataclasses.fields(event)
    }


def line(event: Event, mode: Mode, at_ns: int) -> str:
    """One line without its end. at_ns: nanoseconds since 1970 UTC; journald has its own."""
    values: dict[str, object] = {"event": name(type(event)), **fields(event)}
    if mode is Mode.JOURNALD:
        return f"<{LEVELS[event.level]}>" + _text(Mode.JOURNALD, event.level, values)
    time = moment(at_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _text(mode, event.level, {"timestamp": time, "level": event.level, **values})


def sink(mode: Mode, stream: Lines, clock: Clock, least: str = "info") -> Emit:
    """An Emit that prints each event of level `least` and above as one line, at once.

    A stream that has gone (a closed pipe, a full disk) loses lines and nothing else.
    """
    threshold = LEVELS[least]

    def emit(event: Event) -> None:
        if LEVELS[event.level] > threshold:
            return
        try:
            stream.write(line(event, mode, clock.time_ns()) + "\n")
            stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    return emit


def _text(mode: Mode, level: str, values: dict[str, object]) -> str:
    rendered = _RENDERERS[mode](None, level, values)
    return rendered if isinstance(rendered, str) else str(rendered)


def _shown(value: object) -> object:
    """Numbers and switches as they are, sequences joined by commas, bytes by their length."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, float):
        return round(value, 6)
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, tuple | list | frozenset):
        return _printable(",".join(str(_shown(v)) for v in value))
    return _printable(str(value))


def _printable(text: str) -> str:
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


_RENDERERS: dict[Mode, Processor] = {
    Mode.CONSOLE: ConsoleRenderer(sort_keys=False, pad_event_to=0),
    Mode.JSON: JSONRenderer(ensure_ascii=False),
    Mode.JOURNALD: LogfmtRenderer(bool_as_flag=False),
    Mode.PLAIN: LogfmtRenderer(bool_as_flag=False),
}
