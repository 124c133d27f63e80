"""A site whose one transform does what the message asks for, and a pool that runs it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portico.agents.item import Item
from portico.clock import SystemClock
from portico.events.emit import Event
from portico.workers.backlog import Outcome
from portico.workers.editions import CrewTerms, Proof
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool

ACTS = '''
import json, os, signal, stat, sys, tempfile, time

from portico.authoring import Transient, log, progress


def act(msg):
    """Does what MSH-3 says, in the worker."""
    globals()[msg.get("MSH-3")](msg.get("MSH-4"))


def echo(_): pass
def again(_): raise Transient("later")
def leave(_): sys.exit("secret")
def die(_): os._exit(3)
def fault(_): os.kill(os.getpid(), signal.SIGSEGV)
def rare(_): os.kill(os.getpid(), 40)
def eat(size): bytearray(int(size))
def pause(seconds): progress(0); time.sleep(float(seconds))


def speak(seconds):
    """Says how far it is, and that it goes on; then waits."""
    log("info", "it goes on")
    progress(3, 12)
    time.sleep(float(seconds))


def babble(count):
    for number in range(int(count)):
        progress(number, int(count))
        log("info", str(number))


def defy(seconds):
    """Lets nothing end it."""
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            progress(0)
            time.sleep(0.05)
        except BaseException:
            pass






def hang(_):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        time.sleep(1)


def flood(size):
    for descriptor in (1, 2):
        for _ in range(int(size) >> 20):
            os.write(descriptor, bytes(1 << 20))


def swell(size):
    with tempfile.TemporaryFile() as file:
        file.truncate(int(size))


def say(words):
    os.write(3, bytes.fromhex(words))


def tell(_):
    """What this process knows of the engine: its environment, and its open descriptors."""
    kinds = {}
    for number in range(256):
        try:
            kinds[number] = stat.S_IFMT(os.fstat(number).st_mode)
        except OSError:
            pass
    with open(os.path.join(tempfile.gettempdir(), "told"), "w") as file:
        json.dump([dict(os.environ), kinds], file)
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site's folder with its transforms."""
    transforms = tmp_path / "transforms"
    transforms.mkdir()
    (transforms / "__init__.py").touch()
    (transforms / "acts.py").write_text(ACTS, encoding="utf-8")
    return tmp_path


def document(call: str = "transforms.acts:act", name: str = "acts") -> dict[str, Any]:
    """An agent of one Python step and one send, in the normal form that spec gives."""
    return {
        "agent": name,
        "goal": "Do what the message says",
        "on": {"channel": "adt_in"},
        "content": "hl7",
        "on_error": "park",
        "limits": {"time": 60, "memory": 0, "parts": 100},
        "steps": [
            step("python", {"call": call, "timeout": "60s"}),
            step("send", {"to": ["out"]}),
        ],
    }


def step(verb: str, args: dict[str, Any]) -> dict[str, Any]:
    """One step in normal form."""
    return {
        "verb": verb,
        "name": f"{verb}_1",
        "at": "channels/acts.yaml:3",
        "when": None,
        "on_error": None,
        "args": args,
    }


def message(act: str, argument: str, number: int) -> bytes:
    """An HL7 message that asks for this; MSH-10 is its number."""
    return f"MSH|^~\\&|{act}|{argument}|||||ADT^A01|{number}|P|2.5\rPID|1\r".encode()


@dataclass
class Works:
    """A pool under test, its site, and what it said."""

    pool: Pool
    site: Path
    nursery: Nursery
    events: list[Event] = field(default_factory=list)
    numbers: Any = field(default_factory=itertools.count)

    async def prove(self, agent: str = "acts", **options: Any) -> Proof:
        """Load the acting agent beside what is in force."""
        memory = options.pop("memory", 256 << 20)
        call = options.pop("call", "transforms.acts:act")
        terms = CrewTerms(**{"most": 1, **options})
        return await self.pool.prove(
            agent, document(call, agent), str(self.site), terms, memory
        )

    async def activate(self, agent: str = "acts", **options: Any) -> str:
        """Put the acting agent in force."""
        proof = await self.prove(agent, **options)
        self.pool.adopt(proof)
        return proof.version

    def submit(
        self,
        act: str,
        argument: str = "",
        *,
        group: str = "",
        agent: str = "acts",
        tries: int = 1,
        signal: bytes = bytes(16),
    ) -> "asyncio.Future[Outcome]":
        """One item; what becomes of it."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        content = message(act, argument, next(self.numbers))
        item = Item(signal=signal, content=content, envelope={}, order_key=group, attempt=tries)
        self.pool.submit(agent, item, group, future.set_result)
        return future

    async def run(self, *acts: str, group: str = "") -> list[str]:
        """These acts at once; for each `ok`, a fault's code, or `not run`."""
        return [word(await one) for one in [self.submit(act, group=group) for act in acts]]

    def said(self, kind: type[Event]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def pids(self, agent: str = "acts") -> list[int]:
        """The workers that can run it."""
        return list(self.pool.status()[agent]["pids"])

    async def until(self, holds: Any) -> None:
        """Wait for a state that events cannot announce, for at most ten seconds."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)


def word(outcome: Outcome) -> str:
    """`ok`, a fault's code, or `not run`."""
    if outcome.result is None:
        return "not run"
    return outcome.result.failure.code if outcome.result.failure else "ok"


async def _works(site: Path) -> Works:
    clock = SystemClock()
    nursery = Nursery(clock)
    events: list[Event] = []
    nursery.start()
    pool = Pool(nursery, clock=clock, emit=events.append)
    await pool.start()
    return Works(pool, site, nursery, events)


@pytest.fixture
async def own_works(site: Path) -> AsyncIterator[Works]:
    """A pool on a nursery of its own: for tests that end either."""
    works = await _works(site)
    yield works
    await works.pool.stop(grace=1)


@pytest.fixture(scope="session")
def new_works() -> Callable[[Path], Any]:
    """Makes a pool on a nursery of its own, which the caller stops."""
    return _works


@pytest.fixture(scope="session")
async def _shared_works(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Works]:
    works = await _works(tmp_path_factory.mktemp("unused"))
    yield works
    await works.pool.stop(grace=1)


@pytest.fixture
async def works(site: Path, _shared_works: Works) -> AsyncIterator[Works]:
    """A pool without agents, and with nothing said yet."""
    shared = _shared_works
    shared.events.clear()
    yield Works(shared.pool, site, shared.nursery, shared.events)
    for agent in list(shared.pool.status()):
        await shared.pool.retire(agent)


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process runs: one that only waits to be reaped does not."""

    def runs(pid: int) -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    return runs
