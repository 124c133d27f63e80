"""The lease: which engine may write, and how another takes over (promise P9).

Every flush carries its epoch and fails when it is no longer the lease's. The owner's flushes
and beats count `beat` up; an observer times the beat with its own monotonic clock, so that
nobody's wall clock matters. An engine that restarts on its own data folder (which a file lock
guards) takes its old lease over at once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

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
    update lease set owner = %s, epoch = epoch + 1, beat = beat + 1, flushed = 0
    where name = %s and epoch = %s returning epoch
    """
_BEAT = "update lease set beat = beat + 1 where name = %s and epoch = %s returning 1"
_LEAVE = "update lease set owner = '' where name = %s and epoch = %s"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease we hold."""

    name: str
    epoch: int


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
                return Lease(name, taken[0][0])
        await asyncio.sleep(_LOOK)


async def beat(connection: Connection, lease: Lease) -> bool:
    """Say that we live; False when the lease is no longer ours."""
    return bool(await connect.run(connection, _BEAT, (lease.name, lease.epoch)))


async def leave(connection: Connection, lease: Lease) -> None:
    """Give the lease back, so that the next engine need not wait."""
    await connect.run(connection, _LEAVE, (lease.name, lease.epoch))
