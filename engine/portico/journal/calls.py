"""What steps asked the engine, and what it answered: the record that runs and replays go by.

A row is written before the run goes on, so that a call that went well is made once however
often its Signal runs again. It says what left this machine, byte for byte, to whom and under
which policy, of calls that failed too; those are made again when the Signal is released.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from portico import ids
from portico.clock import Clock, moment
from portico.errors import JournalFenced
from portico.ids import SignalId
from portico.journal.lease import Lease
from portico.journal.link import Link
from portico.model.call import Call, Reply

_DEADLINE = 10.0
_OLDEST = 7 * 86_400.0  # seconds that a Signal may wait before its step asks

# Only the lease's holder adds a row.
_KEEP = """
    insert into call (signal, agent, number, step, verb, digest, at, micros, target, detail,
        sent, received, outcome, error, text)
    select %(signal)s, %(agent)s, %(number)s, %(step)s, %(verb)s, %(digest)s, %(at)s,
        %(micros)s, %(target)s, %(detail)s, %(sent)s, %(received)s, %(outcome)s, %(error)s,
        %(text)s
    from lease where name = %(lease)s and epoch = %(epoch)s
    returning 1
    """
_REPLY = """
    select digest, outcome from call
    where signal = %s and agent = %s and digest = %s and error = ''
    order by number, at limit 1
    """
# The same step of the Signal that this one was made of asked the same.
_EARLIER = """
    select c.digest, c.outcome from signal s join call c on c.signal = s.parent
    where s.id = %s and c.agent = %s and c.digest = %s and c.error = ''
    order by c.number, c.at limit 1
    """


_SPENT = """
    select extract(epoch from at)::float8, target, agent, step,
        coalesce((detail->'usage'->>'input')::bigint, 0)
        + coalesce((detail->'usage'->>'output')::bigint, 0)
    from call where verb = 'llm' and signal >= %s and at >= %s order by at
    """
_EGRESS = """
    select at, agent, step, verb, target, micros, detail, sent, received, error, text
    from call where signal = %s order by at, number
    """


class Egress(Struct, frozen=True):
    """One call that a Signal made: what left, to whom, under which policy, what came back.

    at: when it was stored. detail: of Called.
    """

    at: datetime
    agent: str
    step: str
    verb: str
    target: str
    micros: int
    detail: dict[str, Any]
    sent: bytes
    received: bytes
    error: str
    text: str


class Called(Struct, frozen=True):
    """What was done for a Call. target: a provider and model, or a plugin's tool. micros: until
    the answer was there. detail: JSON: model, prompt, policy, usage, attempts. sent: the exact
    bytes that left this machine; received: those that came back.
    """

    reply: Reply
    target: str = ""
    micros: int = 0
    detail: bytes = b"{}"
    sent: bytes = b""
    received: bytes = b""


class Calls:
    """The calls of a journal. lease: ours as it is now. Every verb may raise JournalError."""

    def __init__(
        self, conninfo: Callable[[], str], lease: Callable[[], Lease | None], clock: Clock
    ) -> None:
        self._link = Link(conninfo, deadline=_DEADLINE, name="portico calls")
        self._lease = lease
        self._clock = clock

    async def find(self, signal: SignalId, agent: str, call: Call) -> Reply | None:
        """The reply that is stored for this call, or for the same one of the Signal that this
        one repeats; None when none went well."""
        asked = (UUID(bytes=signal), agent, call.digest)
        rows = await self._link.run(_REPLY, asked) or await self._link.run(_EARLIER, asked)
        return Reply(*rows[0]) if rows else None

    async def keep(self, signal: SignalId, agent: str, call: Call, called: Called) -> None:
        """Store what was done."""
        held = self._lease()
        if held is None:
            raise JournalFenced("this engine does not hold the journal's lease")
        reply = called.reply
        row = {
            "signal": UUID(bytes=signal),
            "agent": agent,
            "number": call.number,
            "step": call.step,
            "verb": call.verb,
            "digest": call.digest,
            "at": moment(self._clock.time_ns()),
            "micros": called.micros,
            "target": called.target,
            "detail": called.detail.decode(),
            "sent": called.sent,
            "received": called.received,
            "outcome": reply.outcome,
            "error": reply.error,
            "text": _storable(reply.text),
            "lease": held.name,
            "epoch": held.epoch,
        }
        if not await self._link.run(_KEEP, row):
            raise JournalFenced("another engine has taken this journal's lease")

    async def spent(self, since: float) -> list[tuple[float, str, str, str, int]]:
        """(when, provider, agent, step, tokens) of calls of models, oldest first.

        since: seconds since 1970. Of Signals that came more than a week before, nothing.
        """
        floor = ids.floor_at(max(0, int((since - _OLDEST) * 1000)))
        asked = (UUID(bytes=floor), datetime.fromtimestamp(since, UTC))
        rows = await self._link.run(_SPENT, asked)
        return [
            (at, target.partition(":")[0], agent, step, tokens)
            for at, target, agent, step, tokens in rows
        ]

    async def egress(self, signal: SignalId) -> list[Egress]:
        """Every call of a Signal, in order."""
        rows = await self._link.run(_EGRESS, (UUID(bytes=signal),))
        return [Egress(*row) for row in rows]

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()


def _storable(text: str) -> str:
    """What a peer said, without what PostgreSQL cannot hold (NUL, lone surrogates)."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
