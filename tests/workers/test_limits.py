"""What a worker is told, what it holds, and what ends with the engine."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portico.workers import limits

ENGINE = """
import asyncio, sys
from portico.clock import SystemClock
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool
from portico.workers.editions import CrewTerms

async def main():
    pool = Pool(nursery, clock=SystemClock(), emit=lambda event: None)
    await pool.start()
    step = {"verb": "python", "name": "act", "at": "", "when": None, "on_error": None,
            "args": {"call": "transforms.acts:act"}}
    document = {"agent": "acts", "on": {"channel": "c"}, "steps": [step]}
    await pool.activate("acts", document, sys.argv[1], CrewTerms(fewest=3))
    while len(pool.status()["acts"]["pids"]) < 3:
        await asyncio.sleep(0.01)
    print(nursery.pid, *pool.status()["acts"]["pids"], flush=True)
    await asyncio.sleep(3600)

nursery = Nursery(SystemClock())
nursery.start()
asyncio.run(main())
"""


def test_an_environment_is_reduced_to_what_programs_and_text_need():
    """Names are chosen, not values guessed: what is not on the list does not pass."""
    whole = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "TZ": "UTC",
        "PYTHONPATH": "engine",
        "HOME": "/root",
        "PORTICO_JOURNAL_URL": "postgresql://u:secret@h/d",
        "PGPASSWORD": "secret",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }

    assert limits.environment(whole) == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "TZ": "UTC",
        "PYTHONPATH": "engine",
    }


@pytest.fixture
def secret(monkeypatch):
    """A credential in the engine's environment, before anything is started."""
    monkeypatch.setenv("PORTICO_JOURNAL_URL", "postgresql://u:hidden@h/d")
    return b"hidden"


async def test_a_worker_knows_no_secret_and_holds_no_descriptor_of_the_engine(
    secret, own_works, site
):
    """Neither by its environment nor by its open files; it holds its pipe and nothing else."""
    with (site / "open").open("wb") as mine:
        os.set_inheritable(mine.fileno(), True)
        await own_works.activate()
        assert await own_works.run("tell") == ["ok"]
    process = Path(f"/proc/{own_works.pids()[0]}")
    words = b"".join((process / name).read_bytes() for name in ("environ", "cmdline", "maps"))
    links = [os.readlink(one) for one in (process / "fd").iterdir()]

    (told,) = Path(tempfile.gettempdir()).glob(f"portico-*/{process.name}/told")
    environ, kinds = json.loads(told.read_text(encoding="utf-8"))
    assert b"PATH=" in words
    assert secret not in words + repr(environ).encode()
    assert [link for link in links if not link.startswith(("/dev/null", "socket:"))] == []
    assert sum(link.startswith("socket:") for link in links) == 1
    assert sorted(kinds) == ["0", "1", "2", "3"]


async def test_a_worker_is_the_first_to_go_when_memory_ends(works):
    """The kernel prefers it to the engine; core dumps, which hold patients, are off."""
    await works.activate()
    process = Path(f"/proc/{works.pids()[0]}")
    bounds = {
        line[:26].strip(): line[26:].split()[:2]
        for line in (process / "limits").read_text(encoding="ascii").splitlines()
    }

    assert int((process / "oom_score_adj").read_text(encoding="ascii")) >= 600
    assert bounds["Max core file size"] == ["0", "0"]
    assert bounds["Max open files"] == ["256", "256"]


async def test_a_signal_to_the_terminal_does_not_reach_the_workers(works):
    """Nursery and workers have sessions of their own, so that Ctrl-C is the engine's alone."""
    await works.activate()
    (pid,) = works.pids()

    sessions = {os.getsid(0), os.getsid(works.nursery.pid), os.getsid(pid)}
    assert len(sessions) == 3


def gone(pids: list[int], alive: Callable[[int], bool]) -> bool:
    """Wait until none of them runs, for at most ten seconds."""
    for _ in range(1000):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_engine(site, alive, how):
    """kill -9 of the engine ends the nursery and every worker."""
    command = [sys.executable, "-c", ENGINE, str(site)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        below = [int(pid) for pid in engine.stdout.readline().split()]
        engine.send_signal(how)

    assert len(below) == 4
    assert gone(below, alive)


def test_nothing_survives_the_nursery(site, alive):
    """kill -9 of the nursery ends every worker, and one that is stopped as well."""
    command = [sys.executable, "-c", ENGINE, str(site)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        nursery, *workers = (int(pid) for pid in engine.stdout.readline().split())
        os.kill(workers[0], signal.SIGSTOP)
        os.kill(nursery, signal.SIGKILL)
        ended = gone(workers, alive)
        engine.kill()

    assert ended
