"""What a source that fetches has of the engine: naming, cutting, remembering."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from portico import ids
from portico.errors import ContentInvalid, MessageError
from portico.flow.arrivals import replying
from portico.flow.arrivals.intake import Intake
from portico.hl7 import batch, wide
from portico.journal.memory import Memories
from portico.listeners.contract import Arrival, Firing, Known
from portico.policy import members
from portico.policy.answer import BatchRules
from portico.policy.routing import Rules

MESSAGE = 256 << 20  # bytes of one message; a file that is cut may be as large as its limit
_WHOLE = 1 << 20  # bytes of a file that is looked at whole
_CHUNK = 1 << 18


class ChannelMemory:
    """A channel's part of the journal's memory: a Memory."""

    def __init__(self, memories: Memories, channel: str) -> None:
        self._memories, self._channel, self._mark = memories, channel, ""

    async def mark(self) -> str:
        """Asked of the journal once."""
        self._mark = self._mark or await self._memories.mark(self._channel)
        return self._mark

    async def known(self, names: Sequence[str]) -> dict[str, Known]:
        """Those of these files that were remembered."""
        rows = await self._memories.known(self._channel, names)
        return {row[0]: Known(*row) for row in rows}

    async def remember(self, files: Sequence[Known]) -> None:
        """They were read as they are now."""
        rows = [(one.name, one.size, one.changed) for one in files]
        await self._memories.remember(self._channel, rows)

    async def seen(self, names: Sequence[str]) -> None:
        """They lie there still."""
        await self._memories.seen(self._channel, names)

    async def forget(self, seconds: float) -> None:
        """Those that have not been seen for so long."""
        await self._memories.forget(self._channel, seconds)

    async def firing(self, until: int) -> Firing | None:
        """The last planned time, up to this one, that was dealt with."""
        row = await self._memories.firing(self._channel, until)
        return None if row is None else Firing(*row)

    async def fired(self, firing: Firing) -> None:
        """It has been dealt with."""
        await self._memories.fired(self._channel, firing.planned, firing.outcome, firing.plan)


class Fetch:
    """One channel's Fetching. waiting: how many of its Signals have not ended."""

    def __init__(self, intake: Intake, memories: Memories, waiting: Callable[[], int]) -> None:
        self._intake = intake
        self.memory = ChannelMemory(memories, intake.name)
        self.waiting = waiting

    def once(self, arrival: Arrival, identity: str, fault: MessageError | None = None) -> None:
        """Take one message."""
        self._intake.once(arrival, identity, fault)

    def cut(self, file: BinaryIO, size: int) -> Iterator[tuple[bytes, MessageError | None]]:
        """The messages of a file; blocking."""
        policy = self._intake.policy
        if policy.batch is None or policy.rules.content.type not in ("hl7", "csv"):
            return _whole(file, size)
        return _members(file, size, policy.rules, policy.batch)

    def reply(self, file: BinaryIO, answers: Iterable[tuple[bool, bytes]]) -> Iterator[bytes]:
        """The file that answers this one; blocking. Only HL7 has ACKs."""
        policy, world = self._intake.policy, self._intake.world
        if policy.rules.content.type != "hl7":
            return iter(())
        control_id, at = ids.short(world.ids.next()), world.clock.time_ns()
        return replying.pieces(file, policy.batch, answers, control_id, at)


def _whole(file: BinaryIO, size: int) -> Iterator[tuple[bytes, MessageError | None]]:
    if size > MESSAGE:
        raise ContentInvalid(f"one message may hold {MESSAGE} bytes, the file holds {size}")
    yield file.read(), None


def _members(
    file: BinaryIO, size: int, rules: Rules, counts: BatchRules
) -> Iterator[tuple[bytes, MessageError | None]]:
    """HL7 messages, alone or in a batch, or the rows of CSV. A file whose parts or counts are
    wrong is read to its end first, so that none of its messages runs.
    """
    if size <= _WHOLE and rules.content.type == "hl7":
        content = file.read()
        if not batch.is_batch(content) and content[:2] not in wide.HEADS:
            yield content, None
            return
    fault: MessageError | None = None
    how = rules.content, counts, batch.LIMIT, rules.charset, rules.on_charset_error
    try:
        members.survey(_chunks(file), *how)
    except MessageError as error:
        fault = error
    given = 0
    try:
        for member in members.members(_chunks(file), *how):
            given += 1
            yield member.content, fault
    except MessageError:  # the survey's, which those before it have been told
        pass
    if fault is not None and not given:
        raise fault


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
