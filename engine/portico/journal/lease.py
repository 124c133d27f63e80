"""The lease: which engine may write, and how another takes over (promise P9).

Every flush carries its epoch and fails when it is no longer the lease's. The owner's flushes
and beats count `beat` up; an observer times the beat with its own monotonic clock, so that
nobody's wall clock matters. An engine that restarts on its own data folder (which a file lock
guards) takes its old lease over at once. It also renews the lease, under a new epoch, for each
writing connection: a flush that was given up, and that the server still holds behind a lock or
in a frozen process, is fenced too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from portico.clock import Clock
from portico.journal import connect
from portico.journal.connect import Connection

SILENCE = 12.0  # seconds without a beat after which an owner counts as dead
BEAT = 2.0  # seconds between beats of an owner that has nothing to store
_LOOK = 0.5

_READ = "select owner, epoch, beat from lease where name = %s"
_MAKE = """
    insert into lease (name, owner, epoch, beat, flushed) values (%s, '', 0, 0, 0)
    on conflict do nothing
    """
_TAKE = """
    update lease set owner = %s, epoch = epoch + 1, beat = beat + 1
    where name = %s and epoch = %s returning epoch
    """
# The epoch that a renewal sets is ours even when its answer was lost, hence both here.
_OURS = "where name = %(name)s and owner = %(owner)s and epoch in (%(epoch)s, %(epoch)s + 1)"
_RENEW = f"""
    update lease set epoch = %(epoch)s + 1, beat = beat + 1 {_OURS} returning epoch, flushed
    """  # noqa: S608 - two constants
_BEAT = f"update lease set beat = beat + 1 {_OURS} returning 1"  # noqa: S608
_LEAVE = f"update lease set owner = '' {_OURS}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease we hold."""

    name: str
    owner: str
    epoch: int

    def named(self) -> dict[str, str | int]:
        """For the statements' placeholders."""
        return {"name": self.name, "owner": self.owner, "epoch": self.epoch}


async def acquire(
    connection: Connection,
    name: str,
    owner: str,
    clock: Clock,
    waiting: Callable[[], None],
) -> Lease:
    """Hold the lease: at once when it is free or was ours, else when its owner falls silent.

    owner: this installation's identity. waiting: called once when somebody else holds it.
    """
    await connect.run(connection, _MAKE, (name,))
    seen: tuple[int, int] | None = None
    since = clock.monotonic()
    while True:
        holder, epoch, beat = (await connect.run(connection, _READ, (name,)))[0]
        if seen != (epoch, beat):
            if seen is None and holder not in ("", owner):
                waiting()
            seen, since = (epoch, beat), clock.monotonic()
        if holder in ("", owner) or clock.monotonic() - since > SILENCE:
            taken = await connect.run(connection, _TAKE, (owner, name, epoch))
            if taken:
                return Lease(name, owner, taken[0][0])
        await asyncio.sleep(_LOOK)


async def renew(connection: Connection, lease: Lease) -> tuple[Lease, int] | None:
    """The lease for a new writing connection, and the number of the last flush stored, by
    whichever owner; None when it is no longer ours. Waits for a flush that is being
    committed."""
    rows = await connect.run(connection, _RENEW, lease.named())
    return (replace(lease, epoch=rows[0][0]), rows[0][1]) if rows else None


async def beat(connection: Connection, lease: Lease) -> bool:
    """Say that we live; False when the lease is no longer ours."""
    return bool(await connect.run(connection, _BEAT, lease.named()))


async def leave(connection: Connection, lease: Lease) -> None:
    """Give the lease back, so that the next engine need not wait."""
    await connect.run(connection, _LEAVE, lease.named())
