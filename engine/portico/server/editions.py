"""Editions: what each agent in force is made of is kept, and an old one is loaded again."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from portico.agents import plan, sources
from portico.check.site import Site
from portico.clock import Clock, moment
from portico.errors import ConfigError, JournalError
from portico.events.emit import Emit
from portico.events.keeping import EditionsPurged
from portico.events.running import AgentUnkept
from portico.flow.sessions.recorded import Later, Recorded, RecordedWorld
from portico.journal import editions
from portico.journal.editions import Edition
from portico.model import crews
from portico.server import faults, terms
from portico.spec.agent import Agent
from portico.workers.editions import CrewTerms
from portico.workers.faults import EditionGone
from portico.workers.pool import Pool

FOLDER = "editions"  # of the data folder: what crews of editions are loaded from
_EVERY = 1800.0  # seconds between two looks at what is in force, and what may go
_PAGE = 50  # agents that are read, and stored, at a time


class Editions:
    """What of them the engine does. site: the one in force."""

    def __init__(
        self,
        journal: editions.Editions,
        pool: Pool,
        site: Callable[[], Site],
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._journal, self._pool, self._site = journal, pool, site
        self._clock, self._emit = clock, emit
        self._folders: dict[str, Path] = {}
        self._opened = 0

    def recorded(self, later: Later, destination: Callable[[str], str]) -> Recorded:
        """The pool, with crews of editions beside those in force. destination: see there."""
        return Recorded(RecordedWorld(self._pool, self.open, self.close, later, destination))

    async def keep(self, site: Site, versions: Mapping[str, str]) -> None:
        """Keep what the agents of a site are made of, unless it is kept. Never in the way: what
        goes wrong is told."""
        unkept = {name: versions[name] for name in site.agents}
        try:
            kept = await self._journal.in_force(unkept.values(), moment(self._clock.time_ns()))
            missing = [name for name, version in unkept.items() if version not in kept]
            for first in range(0, len(missing), _PAGE):
                await self._keep(site, {one: unkept[one] for one in missing[first:][:_PAGE]})
        except JournalError as error:
            self._emit(AgentUnkept("", "", faults.code(error)))

    async def _keep(self, site: Site, versions: Mapping[str, str]) -> None:
        def made() -> list[Edition | None]:
            return [made_of(site.agents[name], site.root) for name in versions]

        found = await asyncio.to_thread(made)
        whole = [one for one in found if one and one.version == versions[one.agent]]
        await self._journal.keep(whole, moment(self._clock.time_ns()))
        for name in versions.keys() - {one.agent for one in whole}:
            self._emit(AgentUnkept(name, versions[name], "changed"))

    async def open(self, crew: str) -> None:
        """Load an edition in workers of its own. Raises EditionGone, JournalError."""
        agent, version = crews.parts(crew)
        edition = await self._journal.read(version)
        if edition is None:
            raise EditionGone("which the journal has not kept")
        await self._journal.in_force([version], moment(self._clock.time_ns()))
        self._opened += 1
        folder = self._folders[crew] = self._folder / f"{version}-{self._opened}"
        try:
            await asyncio.to_thread(_unpack, edition, folder)
            await self._load(crew, edition, folder, self._terms(agent, edition.document))
        except ConfigError as error:
            await self._remove(crew)
            raise EditionGone(f"which does not load any more: {error}") from error
        except OSError as error:  # a full disk
            await self._remove(crew)
            raise EditionGone(f"which cannot be written: {error.strerror}") from error

    async def close(self, crew: str) -> None:
        """End its workers."""
        await self._pool.retire(crew)
        await self._remove(crew)

    def clear(self) -> None:
        """Remove what crews were loaded from: none is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def watch(self, versions: Mapping[str, str]) -> None:
        """Say of what is in force that it still is, and let go what nothing names; for ever."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.keep(self._site(), versions)
            try:
                gone = await self._journal.purge()
            except JournalError:
                continue  # by the next look
            if gone:
                self._emit(EditionsPurged(gone))

    @property
    def _folder(self) -> Path:
        site = self._site()
        return site.root / site.config.data / FOLDER

    def _terms(self, agent: str, document: Mapping[str, Any]) -> CrewTerms:
        """As many workers as the agent has now, and the time that it had."""
        site = self._site()
        known = site.agents.get(agent)
        now = terms.worker_terms(known, site.config) if known else CrewTerms()
        return replace(now, fewest=1, time=document["limits"]["time"])

    async def _load(self, crew: str, edition: Edition, folder: Path, terms: CrewTerms) -> None:
        document, memory = edition.document, edition.document["limits"]["memory"]
        proof = await self._pool.prove(crew, document, str(folder), terms, memory)
        if proof.version != edition.version:
            await self._pool.discard(proof)
            raise ConfigError(f"what the journal has of it is version {proof.version}")
        self._pool.adopt(proof)

    async def _remove(self, crew: str) -> None:
        folder = self._folders.pop(crew)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def made_of(agent: Agent, root: Path) -> Edition:
    """What an agent is made of now: its document and all files that its version covers."""
    document = agent.plain()
    files = sources.files(document, root)
    version = plan.version_of(document, root, files)
    return Edition(version, agent.name, document, files)


def _unpack(edition: Edition, folder: Path) -> None:
    """Lay out its files as they lay in the site. Nobody else may read them."""
    folder.mkdir(mode=0o700, parents=True)
    for name, content in edition.files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
