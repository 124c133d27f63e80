"""Where `signals`, `show` and `status` read: the running engine, or the journal without one."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

import typer

from portico import __version__, ids
from portico.api import answers
from portico.api.shapes import Journal, SignalDetail, SignalPage, Status
from portico.cli import audited, exits, place, when
from portico.cli.control import Engine
from portico.cli.exits import Ended, NoEngine
from portico.events.auditing import RecordsRead, queried
from portico.journal.search import Search

T = TypeVar("T")


class Source(Protocol):
    """Something that answers."""

    def status(self) -> Status:
        """What runs, and the books."""
        ...

    def signals(self, parameters: dict[str, str]) -> SignalPage:
        """A page of Signals. parameters: of api.wanted.Wanted, as text."""
        ...

    def signal(self, signal: str, phi: bool) -> SignalDetail:
        """One Signal whole. Raises Ended when there is none."""
        ...


class JournalAlone:
    """A journal by URL, read without an engine."""

    def __init__(self, url: str, site: Path) -> None:
        self._url, self._site = url, site

    def status(self) -> Status:
        """The books; nothing is said to run."""
        books = self._read(lambda search: search.books())
        return Status(
            version=__version__,
            state="stopped",
            at=when.now(),
            journal=Journal(kind="url"),
            channels={name: answers.channel(book) for name, book in books.channels.items()},
            destinations={
                name: answers.destination(book) for name, book in books.destinations.items()
            },
        )

    def signals(self, parameters: dict[str, str]) -> SignalPage:
        """A page of Signals."""
        from portico.api.wanted import Wanted

        wanted = Wanted.model_validate(parameters)
        if wanted.phi or wanted.patient:
            self._tell("search", "", parameters)
        rows = self._read(lambda search: search.signals(wanted.query(), wanted.page()))
        return answers.page(rows, wanted.page(), wanted.phi)

    def signal(self, signal: str, phi: bool) -> SignalDetail:
        """One Signal whole."""
        found = self._read(lambda search: search.signal(ids.parse(signal)))
        if found is None:
            raise Ended(exits.FAILED, f"the journal has no Signal {signal}")
        if phi:
            self._tell("show", signal, {})
        return answers.detail(found, phi)

    def _tell(self, what: str, signal: str, asked: dict[str, str]) -> None:
        """Who reads patient data here."""
        read = RecordsRead(what, audited.me(), "", signal, queried(asked))
        audited.tell(self._site, read)

    def _read(self, read: Callable[[Search], Coroutine[Any, Any, T]]) -> T:
        search = Search(lambda: self._url)
        try:
            return asyncio.run(read(search))
        finally:
            search.close()


class EngineFirst:
    """The running engine; without one the journal, if the site or the environment names it."""

    def __init__(self, site: Path) -> None:
        self._site = site
        self._engine = Engine(site)

    def status(self) -> Status:
        """What runs, and the books."""
        return self._ask(lambda source: source.status())

    def signals(self, parameters: dict[str, str]) -> SignalPage:
        """A page of Signals."""
        return self._ask(lambda source: source.signals(parameters))

    def signal(self, signal: str, phi: bool) -> SignalDetail:
        """One Signal whole."""
        return self._ask(lambda source: source.signal(signal, phi))

    def _ask(self, question: Callable[[Source], T]) -> T:
        try:
            return question(self._engine)
        except NoEngine as error:
            url = place.journal_url(self._site)
            if url is None:
                raise NoEngine(
                    f"{error}, or set PORTICO_JOURNAL_URL to read a journal without one"
                ) from error
        return question(JournalAlone(url, self._site))


def either(
    site: Path,
    ask: Callable[[Engine], T],
    read: Callable[[Search], Coroutine[Any, Any, T]],
) -> T:
    """What the running engine answers; without one, what is read of its journal."""
    try:
        return ask(Engine(site))
    except NoEngine as error:
        url = place.journal_url(site)
        if url is None:
            raise NoEngine(
                f"{error}, or set PORTICO_JOURNAL_URL to read a journal without one"
            ) from error

    async def reading() -> T:
        search = Search(lambda: url)
        try:
            return await read(search)
        finally:
            search.close()

    return asyncio.run(reading())


def signal_id(text: str) -> str:
    """An id as /v1 wants it; `ID/s1` and `ID/d2` stand for their Signal."""
    try:
        return str(UUID(text.split("/")[0].strip()))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no id of a Signal; `portico signals` lists them"
        ) from None
