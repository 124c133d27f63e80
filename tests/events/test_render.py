"""Events become lines that are safe to print, for a person, for journald and for a program."""

import io
import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from portico.events import render
from portico.events.emit import Event
from portico.events.render import Mode
from portico.events.site import ChannelFailed, ChannelOpened, EngineReady, SiteSwapped

AT = 1_700_000_000_123_456_789


@dataclass(frozen=True, slots=True)
class BytesSeen(Event):
    level: ClassVar[str] = "debug"
    content: bytes


class Clock:
    def time_ns(self):
        return AT

    def monotonic(self):
        return 0.0


def test_a_json_line_holds_the_event_its_level_its_time_and_its_fields():
    """A program can read every line back, and the keys stand in a stable order."""
    text = render.line(ChannelOpened("adt_in", "mllp", "127.0.0.1:2575"), Mode.JSON, AT)

    assert json.loads(text) == {
        "timestamp": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "event": "channel_opened",
        "channel": "adt_in",
        "type": "mllp",
        "where": "127.0.0.1:2575",
    }


def test_a_journald_line_starts_with_its_priority_and_has_no_time():
    """sd-daemon(3): `<3>` is an error; journald stamps the line itself."""
    text = render.line(ChannelFailed("lab", "wire.listen_failed", "in use"), Mode.JOURNALD, AT)

    assert text == '<3>event=channel_failed channel=lab code=wire.listen_failed text="in use"'


def test_a_plain_line_is_logfmt():
    """Without a terminal and without systemd a line is key=value with its time."""
    text = render.line(EngineReady(2, 1, 3, 0.25), Mode.PLAIN, AT)

    assert text == (
        "timestamp=2023-11-14T22:13:20.123Z level=info event=engine_ready"
        " channels=2 agents=1 destinations=3 seconds=0.25"
    )


def test_a_console_line_names_the_event_and_its_fields():
    """A terminal shows the same words, with colours."""
    text = render.line(SiteSwapped(("adt_in", "lab"), (), ()), Mode.CONSOLE, AT)

    assert "site_swapped" in text
    assert "adt_in,lab" in text


@pytest.mark.parametrize("mode", list(Mode))
def test_a_peers_text_cannot_forge_a_line_or_move_the_cursor(mode):
    """Line ends and control characters are escaped in every mode."""
    hostile = "in use\n<0>event=forged\r\x1b[2J\u2028"
    text = render.line(ChannelFailed("lab", "wire.listen_failed", hostile), mode, AT)

    assert len(text.splitlines()) == 1
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("mode", list(Mode))
def test_bytes_are_shown_by_their_length_only(mode):
    """Bytes may be a message, so no line ever holds them."""
    text = render.line(BytesSeen(b"SECRET-BODY"), mode, AT)

    assert "SECRET-BODY" not in text
    assert "<11 bytes>" in text


def test_a_long_text_is_cut():
    """One event is one line that a person can read."""
    text = render.line(ChannelFailed("lab", "wire", "x" * 100_000), Mode.PLAIN, AT)

    assert len(text) < render.LONGEST + 200


def test_a_sink_prints_from_its_level_up():
    """Debug events stay away unless asked for."""
    stream = io.StringIO()
    emit = render.sink(Mode.PLAIN, stream, Clock(), least="warning")

    emit(EngineReady(1, 1, 1, 0.1))
    emit(ChannelFailed("lab", "wire", "in use"))

    assert [line.split()[2] for line in stream.getvalue().splitlines()] == [
        "event=channel_failed"
    ]


def test_a_stream_that_has_gone_does_no_harm():
    """The engine outlives whoever reads its log."""
    stream = io.StringIO()
    emit = render.sink(Mode.PLAIN, stream, Clock())
    stream.close()

    emit(EngineReady(1, 1, 1, 0.1))


def test_the_mode_follows_the_stream_and_systemd():
    """systemd sets JOURNAL_STREAM; a file or pipe gets plain lines."""
    stream = io.StringIO()

    assert render.mode_for(stream, {"JOURNAL_STREAM": "8:1"}) is Mode.JOURNALD
    assert render.mode_for(stream, {}) is Mode.PLAIN
