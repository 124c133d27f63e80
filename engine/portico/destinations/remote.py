"""Destinations on servers that hold files: each Delivery a file, whole from when it is seen.

Written under a hidden temporary name in the folder itself, flushed where the server can, then
renamed (F3). Until the rename nothing can have been delivered; a connection that is lost while
it is under way leaves the outcome unclear, and the next try finds its own file by its bytes.
"""

import asyncio
import io
import posixpath
from contextlib import suppress
from typing import Any

from portico import ids
from portico.destinations import placing
from portico.destinations.contract import Done, Surroundings
from portico.destinations.patience import Patience
from portico.model.delivery import Answered, Attempt, Delivery
from portico.remote.contract import Remote, Unproven


class RemoteDestination:
    """One folder of one server: a Destination. sessions: as many as may be used at a time.

    spec: `options` with `path`, `file`, `exists`; `timeout` in seconds for one file.
    """

    def __init__(
        self, spec: Any, around: Surroundings, sessions: list[Remote], each: int
    ) -> None:
        self.width = len(sessions) * each
        self._spec, self._seconds = spec, around.clock.monotonic
        self._free = sessions * each
        self._sessions = sessions
        self._tasks: dict[asyncio.Task[Attempt], Done] = {}

    async def start(self) -> None:
        """Nothing to do: the first Delivery connects."""

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Try once."""
        task = asyncio.ensure_future(self._attempt(delivery))
        self._tasks[task] = done
        task.add_done_callback(self._ended)

    def adopt(self, spec: object) -> bool:
        """Never: other sessions cost nothing."""
        return False

    async def stop(self, grace: float) -> None:
        """Let files be finished; report the others unclear."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        late = tuple(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for session in self._sessions:
            await session.close()

    def _ended(self, task: "asyncio.Task[Attempt]") -> None:
        done = self._tasks.pop(task)
        if task.cancelled():
            done(Attempt(Answered.UNCLEAR, "closed", detail="the engine stopped meanwhile"))
        elif (fault := task.exception()) is not None:
            done(Attempt(Answered.UNCLEAR, "closed", detail=type(fault).__name__))
        else:
            done(task.result())

    async def _attempt(self, delivery: Delivery) -> Attempt:
        session = self._free.pop()
        began = self._seconds()
        placement = Placement(session, self._spec.options, delivery)
        try:
            async with Patience(self._spec.timeout):
                name = await placement.place()
        except FileExistsError:
            detail = "a file of that name exists"
            return Attempt(Answered.ANSWERED, "unsendable", detail=detail)
        except OSError as error:  # TimeoutError is one
            late = isinstance(error, TimeoutError)
            if late:
                await session.close()
            return self._failed(placement, session, error, late)
        finally:
            self._free.append(session)
        micros = int((self._seconds() - began) * 1e6)
        return Attempt(Answered.ANSWERED, "written", name.encode(), micros)

    def _failed(
        self, placement: "Placement", session: Remote, error: OSError, late: bool
    ) -> Attempt:
        """In words that hold no name: names can be made of patient data."""
        if isinstance(error, FileNotFoundError):
            words = f"{self._spec.options.path}: {error}"
        else:
            words = "not done in time" if late else str(error)
        detail = f"{session.where}: {words}"
        if placement.renaming and (late or isinstance(error, ConnectionError)):
            return Attempt(Answered.UNCLEAR, "timeout" if late else "closed", detail=detail)
        code = error.word if isinstance(error, Unproven) else "no_connection"
        return Attempt(Answered.NO_CONNECTION, code, detail=detail)


class Placement:
    """One file on its way into its folder. renaming: it may be seen by now."""

    def __init__(self, session: Remote, options: Any, delivery: Delivery) -> None:
        self._session, self._options, self._delivery = session, options, delivery
        self._owner = f"{ids.text(delivery.signal)}-{delivery.number}"
        self.renaming = False

    async def place(self) -> str:
        """The name it got. Raises OSError; FileExistsError for `fail`."""
        await self._session.connect()
        name = placing.safe_name(self._delivery.file) or f"{self._owner}.hl7"
        part = self._at(f".{self._owner}.part")
        await self._session.store(part, self._delivery.content)
        if self._options.exists == "replace":
            self.renaming = True
            await self._session.replace(part, self._at(name))
            return name
        try:
            return await self._once(part, name)
        except FileExistsError:
            with suppress(OSError):
                await self._session.remove(part)
            raise

    async def _once(self, part: str, name: str) -> str:
        """Under a name that nobody has; one that an earlier try of ours has got counts."""
        for candidate in placing.names(name, self._options.exists):
            path = self._at(candidate)
            entry = await self._session.entry(path)
            if entry is None:
                self.renaming = True
                try:
                    await self._session.rename(part, path)
                except FileExistsError:
                    self.renaming = False
                    continue
                return candidate
            if entry.size == len(self._delivery.content) and await self._own(path):
                with suppress(OSError):
                    await self._session.remove(part)
                return candidate
        raise FileExistsError("a file of that name exists")

    async def _own(self, path: str) -> bool:
        """Only an earlier try can have placed it, perhaps one that a crash cut short; equal
        bytes must do as proof."""
        if not (self._delivery.tries or self._delivery.inherited):
            return False
        there = io.BytesIO()
        await self._session.fetch(path, there, len(self._delivery.content))
        return there.getvalue() == self._delivery.content

    def _at(self, name: str) -> str:
        return posixpath.join(self._options.path, name)
