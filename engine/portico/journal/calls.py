"""What steps asked the engine, and what it answered: the record that runs and replays go by.

A row is written before the run goes on, so that a call is answered once however often its
Signal runs again; one that failed for good is made again when a person has released the Signal.
A row says what left this machine, byte for byte, to whom and under which policy.

Where something is about to leave, the row is written first, as `OPEN`; the answer closes it.
One that an engine left open when it died tells what left: nobody knows what came of it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID

from msgspec import Struct

from portico import ids
from portico.clock import Clock, moment
from portico.errors import JournalFenced, JournalUnavailable, JournalUnclear
from portico.ids import SignalId
from portico.journal.lease import Lease
from portico.journal.link import Link
from portico.journal.together import Together
from portico.model.call import Call, Reply

OPEN = "call.open"  # the error of a row whose answer is not there

_DEADLINE = 10.0
_OLDEST = 7 * 86_400.0  # seconds that a Signal may wait before its step asks

# Only the lease's holder adds a row. One that is there is this one: it was written before the
# connection was lost.
_KEEP = """
    insert into call (signal, agent, number, step, verb, digest, at, micros, target, detail,
        sent, received, outcome, error, text, final)
    select %(signal)s, %(agent)s, %(number)s, %(step)s, %(verb)s, %(digest)s, %(at)s,
        %(micros)s, %(target)s, %(detail)s, %(sent)s, %(received)s, %(outcome)s, %(error)s,
        %(text)s, %(final)s
    from lease where name = %(lease)s and epoch = %(epoch)s
    on conflict (signal, agent, number, at) do update set micros = excluded.micros
    returning 1
    """
_CLOSE = """
    update call set micros = %(micros)s, target = %(target)s, detail = %(detail)s,
        sent = %(sent)s, received = %(received)s, outcome = %(outcome)s, error = %(error)s,
        text = %(text)s, final = %(final)s
    from lease where lease.name = %(lease)s and lease.epoch = %(epoch)s
        and call.signal = %(signal)s and call.agent = %(agent)s
        and call.number = %(number)s and call.at = %(at)s
    returning 1
    """
# Of a Signal that has ended, whose calls stay under the name that the agent had then.
_ITS_AGENT = """c.agent = any(array(
            select old from renamed where scope = 'agent' and new = %(agent)s
        ) || %(agent)s::text)"""
# The call itself, or the same one of the Signal that this one was made of.
_REPLY = f"""
    select digest, outcome, error, text from (
        select digest, outcome, error, text, 0 as rank, number, at from call
        where signal = %(signal)s and agent = %(agent)s and digest = %(digest)s
            and (error = '' or final)
        union all
        select c.digest, c.outcome, '', '', 1, c.number, c.at
        from signal s join call c on c.signal = s.parent
        where s.id = %(signal)s and {_ITS_AGENT} and c.digest = %(digest)s
            and c.error = ''
    ) found order by rank, number, at limit 1
    """  # noqa: S608 - constants of this file
# The same, of all that one step did inside one call, oldest first.
_WITHIN = f"""
    select digest, outcome, error, at, true, final, text, target, sent from call
    where signal = %(signal)s and agent = %(agent)s and step = %(step)s
    union all
    select c.digest, c.outcome, c.error, c.at, false, false, '', '', ''
    from signal s join call c on c.signal = s.parent
    where s.id = %(signal)s and {_ITS_AGENT} and c.step = %(step)s
    order by at
    """  # noqa: S608 - constants of this file


# An exchange whose answer nobody knows is booked with a quarter of its bytes.
_SPENT = """
    select extract(epoch from at)::float8, target, coalesce(
            (select new from renamed where scope = 'agent' and old = agent), agent), step,
        case when error in ('call.open', 'call.cancelled') then octet_length(sent) / 4
            else coalesce((detail->'usage'->>'input')::bigint, 0) end,
        coalesce((detail->'usage'->>'output')::bigint, 0),
        ((detail->'usage'->>'cost')::numeric * 1000000)::bigint
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


class Spent(Struct, frozen=True):
    """What one exchange cost. at: seconds since 1970. target: `PROVIDER:MODEL`. money:
    millionths; None when its row names no price."""

    at: float
    target: str
    agent: str
    step: str
    input: int
    output: int
    money: int | None


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


class Made(Struct, frozen=True):
    """What is known of a call. error: empty when it went well, `OPEN` when nobody knows. own:
    of the Signal itself, not of the one that it repeats. final: it failed for good, and text
    says why."""

    digest: bytes
    outcome: bytes
    error: str
    at: datetime
    own: bool
    final: bool = False
    text: str = ""
    target: str = ""
    sent: bytes = b""

    @property
    def settled(self) -> bool:
        """What came of it is known, a failure that was an answer too."""
        return not self.error or bool(self.outcome)


class Calls:
    """The calls of a journal. lease: ours as it is now. Every verb may raise JournalError."""

    def __init__(
        self, conninfo: Callable[[], str], lease: Callable[[], Lease | None], clock: Clock
    ) -> None:
        self._link = Link(conninfo, deadline=_DEADLINE, name="portico calls")
        self._writes = Together(self._link, _DEADLINE)
        self._reads = Link(conninfo, deadline=_DEADLINE, name="portico replies", reads=True)
        self._finds = Together(self._reads, _DEADLINE)
        self._lease = lease
        self._clock = clock
        self._last = 0
        self._unsure: dict[tuple[SignalId, str, int, bytes], datetime] = {}

    async def find(self, signal: SignalId, agent: str, call: Call) -> Reply | None:
        """The reply that is stored for this call, or for the same one of the Signal that this
        one repeats; None when there is none that settles it. A failure of the other one, or
        from before a person released this one, settles nothing."""
        asked = {"signal": UUID(bytes=signal), "agent": agent, "digest": call.digest}
        rows = await self._finds.run(_REPLY, asked)
        return Reply(*rows[0]) if rows else None

    async def made(self, signal: SignalId, agent: str, step: str) -> list[Made]:
        """Every call of a step, of the Signal that this one repeats too; oldest first."""
        asked = {"signal": UUID(bytes=signal), "agent": agent, "step": step}
        return [Made(*row) for row in await self._finds.run(_WITHIN, asked)]

    async def open(
        self, signal: SignalId, agent: str, call: Call, target: str, sent: bytes
    ) -> datetime:
        """Store what is about to leave; the row's place, for `keep`."""
        called = Called(Reply(call.digest, error=OPEN), target, sent=sent)
        return await self._add(signal, agent, call, called)

    async def keep(
        self,
        signal: SignalId,
        agent: str,
        call: Call,
        called: Called,
        opened: datetime | None = None,
    ) -> None:
        """Store what was done. opened: the row that was written before it was."""
        if opened is None:
            await self._add(signal, agent, call, called)
        else:
            await self._write(_CLOSE, _row(signal, agent, call, called, opened))

    async def spent(self, since: float) -> list[Spent]:
        """What calls of models cost, oldest first.

        since: seconds since 1970. Of Signals that came more than a week before, nothing.
        """
        floor = ids.floor_at(max(0, int((since - _OLDEST) * 1000)))
        asked = (UUID(bytes=floor), datetime.fromtimestamp(since, UTC))
        return [Spent(*row) for row in await self._link.run(_SPENT, asked)]

    async def egress(self, signal: SignalId) -> list[Egress]:
        """Every call of a Signal, in order."""
        rows = await self._link.run(_EGRESS, (UUID(bytes=signal),))
        return [Egress(*row) for row in rows]

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()
        await self._reads.close()

    async def _add(self, signal: SignalId, agent: str, call: Call, called: Called) -> datetime:
        """A new row's place; the same one after a commit that may have stored it."""
        key = signal, agent, call.number, call.digest
        at = self._unsure.pop(key, None) or self._stamp()
        try:
            await self._write(_KEEP, _row(signal, agent, call, called, at))
        except (JournalUnclear, JournalUnavailable):
            self._unsure[key] = at
            raise
        return at

    async def _write(self, statement: LiteralString, row: dict[str, Any]) -> None:
        held = self._lease()
        if held is None:
            raise JournalFenced("this engine does not hold the journal's lease")
        if not await self._writes.run(
            statement, row | {"lease": held.name, "epoch": held.epoch}
        ):
            raise JournalFenced("another engine has taken this journal's lease")

    def _stamp(self) -> datetime:
        """Now; later than every stamp before, because it is part of a row's key."""
        self._last = max(self._last + 1000, self._clock.time_ns())
        return moment(self._last)


def _row(
    signal: SignalId, agent: str, call: Call, called: Called, at: datetime
) -> dict[str, Any]:
    reply = called.reply
    return {
        "signal": UUID(bytes=signal),
        "agent": agent,
        "number": call.number,
        "step": call.step,
        "verb": call.verb,
        "digest": call.digest,
        "at": at,
        "micros": called.micros,
        "target": called.target,
        "detail": called.detail.decode(),
        "sent": called.sent,
        "received": called.received,
        "outcome": reply.outcome,
        "error": reply.error,
        "text": _storable(reply.text),
        "final": bool(reply.error) and not reply.transient and reply.error != OPEN,
    }


def _storable(text: str) -> str:
    """What a peer said, without what PostgreSQL cannot hold (NUL, lone surrogates)."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
