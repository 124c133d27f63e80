"""What sources remember: files that were read and stay, planned times, the mark of claims.

Rows of their own beside the stream of messages, written after the commit of what they are
about: a crash between the two is mended by the messages' repeat keys.
"""

import os
import secrets
from collections.abc import Callable, Sequence

from portico.clock import Clock, moment
from portico.journal.link import Link

_DEADLINE = 10.0

# 8 letters for a channel, made once.
_MAKE_MARK = """
    insert into mark (channel, mark) values (%s, %s) on conflict do nothing
    """
_MARK = "select mark from mark where channel = %s"
# Which of these files were read, and how they were then.
_KNOWN = "select name, size, changed from kept where channel = %s and name = any(%s)"
# Files that were read as they are now.
_REMEMBER = """
    insert into kept (channel, name, size, changed, seen)
    select %s, name, size, changed, %s
    from unnest(%s::bytea[], %s::bigint[], %s::bigint[]) as k (name, size, changed)
    on conflict (channel, name) do update
    set size = excluded.size, changed = excluded.changed, seen = excluded.seen
    """
# Files that lie there still.
_SEEN = "update kept set seen = %s where channel = %s and name = any(%s)"
# Files that have not been seen since.
_FORGET = "delete from kept where channel = %s and seen < %s"
# The last planned time, up to this one, that was dealt with.
_FIRING = """
    select planned, outcome, coalesce(plan, '') from firing where channel = %s and planned <= %s
    order by planned desc limit 1
    """
# A planned time is dealt with once, by the plan that begins with it if there is one; what is
# older than a year goes.
_FIRED = """
    with gone as (
        delete from firing where channel = %(channel)s
            and planned < %(planned)s - 366 * 86400::bigint
    )
    insert into firing (channel, planned, outcome, at, plan)
    values (%(channel)s, %(planned)s, %(outcome)s, %(at)s, %(plan)s)
    on conflict (channel, planned) do update
    set outcome = excluded.outcome, at = excluded.at, plan = excluded.plan
    where excluded.outcome = 'begun'
    """


class Memories:
    """The memory of every channel of a journal. Every verb may raise JournalError."""

    def __init__(self, conninfo: Callable[[], str], clock: Clock) -> None:
        self._link = Link(conninfo, deadline=_DEADLINE)
        self._clock = clock

    async def mark(self, channel: str) -> str:
        """8 letters that this channel's claims bear."""
        rows = await self._link.run(_MARK, (channel,))
        if not rows:
            await self._link.run(_MAKE_MARK, (channel, secrets.token_hex(4)))
            rows = await self._link.run(_MARK, (channel,))
        return str(rows[0][0])

    async def known(self, channel: str, names: Sequence[str]) -> list[tuple[str, int, int]]:
        """(name, size, changed) of those that were remembered."""
        rows = await self._link.run(_KNOWN, (channel, [os.fsencode(name) for name in names]))
        return [(os.fsdecode(bytes(name)), size, changed) for name, size, changed in rows]

    async def remember(self, channel: str, files: Sequence[tuple[str, int, int]]) -> None:
        """They were read as they are now."""
        last = {name: (size, changed) for name, size, changed in files}
        await self._link.run(
            _REMEMBER,
            (
                channel,
                moment(self._clock.time_ns()),
                [os.fsencode(name) for name in last],
                [size for size, _ in last.values()],
                [changed for _, changed in last.values()],
            ),
        )

    async def seen(self, channel: str, names: Sequence[str]) -> None:
        """Those of them that were remembered lie there still."""
        at = moment(self._clock.time_ns())
        await self._link.run(_SEEN, (at, channel, [os.fsencode(name) for name in names]))

    async def forget(self, channel: str, seconds: float) -> None:
        """What has not been seen for so long is remembered no more."""
        before = moment(self._clock.time_ns() - int(seconds * 1e9))
        await self._link.run(_FORGET, (channel, before))

    async def firing(self, channel: str, until: int) -> tuple[int, str, str] | None:
        """(planned, outcome, plan) of the last up to `until`, in seconds since 1970 UTC."""
        rows = await self._link.run(_FIRING, (channel, until))
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    async def fired(self, channel: str, planned: int, outcome: str, plan: str) -> None:
        """That time of this plan has been dealt with."""
        at = moment(self._clock.time_ns())
        row = {"channel": channel, "planned": planned, "outcome": outcome, "at": at}
        await self._link.run(_FIRED, {**row, "plan": plan})

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()
