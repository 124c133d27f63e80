"""`status`, `reload`, `version`: the running engine."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from portico import __version__
from portico.api.shapes import Channel, ChannelBook, Destination, DestinationBook, Status
from portico.cli import console, exits, operate, reading, when
from portico.cli.control import Engine
from portico.cli.grid import Grid
from portico.cli.options import JSON, SITE

_NOT_COUNTS = ("oldest", "state", "type", "where", "connections", "detail")
_CHANNEL = tuple(name for name in ChannelBook.model_fields if name not in _NOT_COUNTS)
_DESTINATION = tuple(name for name in DestinationBook.model_fields if name not in _NOT_COUNTS)


def status(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """Show what runs, and that nothing is missing."""
    found = reading.EngineFirst(site).status()
    if json:
        console.say_json(found)
    else:
        _show(found)
    return exits.OK if found.balanced else exits.FAILED


def reload(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """Check the site and swap it in, or keep the old one."""
    answer = Engine(site).reload()
    if json:
        console.say_json(answer)
    else:
        for finding in answer.findings:
            console.line(finding.text)
        console.line("the new site is in force" if answer.swapped else "the old site stays")
    return exits.OK if answer.swapped else exits.FAILED


def version(json: Annotated[bool, JSON] = False) -> int:
    """Print this program's version."""
    if json:
        console.say_json({"version": __version__})
    else:
        console.line(f"portico {__version__}")
    return exits.OK


def _show(found: Status) -> None:
    console.line(_headline(found), style="bold")
    if found.channels:
        made = _table("CHANNEL", _CHANNEL)
        for name, channel in found.channels.items():
            _book(made, name, channel, _CHANNEL, found.at, "waits")
        console.show(made)
    if found.destinations:
        made = _table("DESTINATION", _DESTINATION)
        for name, destination in found.destinations.items():
            _book(made, name, destination, _DESTINATION, found.at, "queued")
        console.show(made)
    if found.agents:
        console.show(_crews(found))
    if found.alarms:
        console.show(operate.alarm_table(found))
    if not found.balanced:
        console.line("a book does not add up: please report this", style="bold red")


def _crews(found: Status) -> Grid:
    """Agents and plugins with their processes, and how many wait for one of these."""
    numbers = ("PROCESSES", "BUSY", "WAITING")
    made = console.table("AGENT", "OWNER", "VERSION", *numbers, "STATE", numbers=numbers)
    for name, agent in sorted(found.agents.items()):
        who = name, agent.owner, agent.version[:12]
        console.row(made, *who, agent.workers, agent.busy, agent.waiting, agent.state)
    for name, plugin in sorted(found.plugins.items()):
        who = f"plugin {name}", "", plugin.version[:12]
        console.row(made, *who, plugin.processes, plugin.busy, plugin.queue, plugin.state)
    return made


def _headline(found: Status) -> str:
    since = f" for {when.age(found.started, found.at)}" if found.started else ""
    journal = found.journal
    words = " ".join(part for part in (journal.kind, journal.version) if part)
    down = "" if journal.up else ", NOT REACHABLE"
    down += ", THE DISK IS FULL: SOURCES ARE CLOSED" if journal.full else ""
    return f"portico {found.version} {found.state}{since}; journal {words}{down}"


def _table(noun: str, columns: tuple[str, ...]) -> Grid:
    counts = tuple(name.upper() for name in columns)
    return console.table(noun, *counts, "STATE", numbers=counts)


def _book(
    made: Grid,
    name: str,
    book: Channel | Destination,
    columns: tuple[str, ...],
    at: datetime,
    waits: str,
) -> None:
    oldest = f"  oldest {waits} {when.age(book.oldest, at)}" if book.oldest else ""
    who = f"by {book.by} for {when.age(book.since, at)}" if book.since else ""
    where = "" if book.detail.startswith(book.where) else book.where
    parts = (book.state, who, where, book.detail)
    state = " ".join(part for part in parts if part)
    wrong = "" if book.balanced else "  DOES NOT ADD UP"
    counts = (getattr(book, column) for column in columns)
    style = "bold red" if not book.balanced or book.parked else ""
    console.row(made, name, *counts, state + oldest + wrong, style=style)
