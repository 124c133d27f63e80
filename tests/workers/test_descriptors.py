"""An engine that has no descriptor left hires nobody, and goes on once it has."""

import os
import resource
import signal
from contextlib import suppress

import pytest

from portico.clock import SystemClock
from portico.errors import ConfigError
from portico.events.running import WorkerDied
from portico.workers import staff


@pytest.fixture
def scarce():
    """Takes all descriptors but those in use, and gives them back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare: list[int] = []

    def take() -> None:
        used = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        with suppress(OSError):
            while True:
                spare.append(os.dup(0))

    def give() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while spare:
            os.close(spare.pop())

    yield take, give
    give()


async def test_a_worker_that_cannot_be_hired_is_hired_later(own_works, monkeypatch, scarce):
    """And time still passes for the pool: one that hangs then is ended."""
    monkeypatch.setattr(staff, "_GRACE_SECONDS", 0.1)
    take, give = scarce
    await own_works.activate(time=1)
    (pid,) = own_works.pids()

    take()
    os.kill(pid, signal.SIGKILL)
    await own_works.until(lambda: own_works.said(WorkerDied))
    waits = own_works.submit("echo")
    looked = SystemClock().monotonic() + 0.1
    await own_works.until(lambda: SystemClock().monotonic() > looked)
    give()

    assert (await waits).result.failure is None
    assert await own_works.run("hang") == ["step.timeout"]


async def test_a_plan_is_not_proven_without_descriptors(own_works, scarce):
    """The reload is told, and the next one may work."""
    take, give = scarce
    take()
    with pytest.raises(ConfigError, match="descriptors"):
        await own_works.activate()
    give()

    await own_works.activate()
