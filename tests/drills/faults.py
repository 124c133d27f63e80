"""One fault of each kind, done to a drill under load. Each returns when it is healed, or as
soon as the load heals by itself; the oracle is asked afterwards."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import psycopg

from drills import clock, message
from drills.appliance import until
from drills.drill import Drill
from drills.places import fill
from drills.short import WRITER, answered, connected
from drills.source import Answered, Line, Mischief
from ports import free_port

Fault = Callable[[Drill], Awaitable[None]]
CUT = WRITER.replace("pid", "pg_terminate_backend(pid)", 1)
_EXTRA = "# {n}\n---\nagent: idle{n}\ngoal: Never runs\non: {{channel: adt, type: ZZZ^Z99}}\n"
_EXTRA += "steps: [{{send: lab}}]\n"


async def killed(drill: Drill) -> None:
    """kill -9 of the engine."""
    await drill.kill_engine()


async def killed_with_backlog(drill: Drill) -> None:
    """kill -9 of the engine while a destination is down."""
    await drill.sinks["lab"].stop()
    await answered(drill, 50)
    await drill.kill_engine()
    await drill.sinks["lab"].start()


async def frozen(drill: Drill) -> None:
    """SIGSTOP and SIGCONT of the engine."""
    await drill.fault([drill.appliance.pid], signal.SIGSTOP)
    await asyncio.sleep(1.0)
    await drill.recover(await drill.fault([drill.appliance.pid], signal.SIGCONT))


async def stopped(drill: Drill) -> None:
    """SIGTERM of the engine, and a start."""
    assert await drill.appliance.stop() == 0
    drill.faults += 1
    since = time.monotonic()
    await drill.appliance.start()
    await drill.recover(since)


def signalled(who: Callable[[Drill], list[int]], number: int, seconds: float = 0.0) -> Fault:
    """Processes get a signal, and SIGCONT after so long."""

    async def work(drill: Drill) -> None:
        await until(lambda: any(who(drill)), 30, "somebody to signal")
        pids = who(drill)
        since = await drill.fault(pids, number)
        if seconds:
            await asyncio.sleep(seconds)
            since = await drill.fault(pids, signal.SIGCONT)
        await drill.recover(since)

    return work


async def locked(drill: Drill) -> None:
    """Somebody holds a lock that every flush needs."""
    async with await connected(drill) as connection, connection.transaction():
        await connection.execute("select 1 from lease for update")
        await asyncio.sleep(2.0)
    drill.faults += 1
    await drill.recover(time.monotonic())


async def crowded(drill: Drill) -> None:
    """No connection is left, and the writer's is cut."""
    async with AsyncExitStack() as held:
        for _ in range(2):
            with suppress(psycopg.Error):
                while True:
                    last = await held.enter_async_context(await connected(drill))
            await last.execute(CUT)
        await asyncio.sleep(1.5)
    drill.faults += 1
    await drill.recover(time.monotonic())


async def cut_off(drill: Drill) -> None:
    """The writer's connection is ended by the database."""
    async with await connected(drill) as connection:
        await connection.execute(CUT)
    drill.faults += 1
    await drill.recover(time.monotonic())


async def full(drill: Drill) -> None:
    """No room for the journal, neither for its data nor for its WAL."""
    ballast = drill.folder / "ballast"
    await asyncio.to_thread(fill, ballast)
    await asyncio.sleep(4)
    ballast.unlink()
    drill.faults += 1
    await drill.recover(time.monotonic())


async def down(drill: Drill) -> None:
    """A destination is down for a while."""
    await drill.sinks["lab"].stop()
    await answered(drill, 100)
    await drill.sinks["lab"].start()
    drill.faults += 1


def moody(mood: str) -> Fault:
    """A destination answers so, now and then, for a while."""

    async def work(drill: Drill) -> None:
        sink = drill.sinks["lab"]
        often = drill.chance.random
        sink.mood = lambda control_id, nth: mood if nth == 1 and often() < 0.1 else "AA"
        await answered(drill, 150)
        sink.mood = lambda control_id, nth: "AA"
        drill.faults += 1

    return work


def naughty(mischief: Mischief) -> Fault:
    """Senders do so for a while."""

    async def work(drill: Drill) -> None:
        drill.source.mischief = mischief
        await answered(drill, 150)
        drill.source.mischief = Mischief()
        drill.faults += 1

    return work


async def pipelined(drill: Drill) -> None:
    """A sender that does not wait: ten messages at once, then ten answers in their order."""
    drill.faults += 1
    line, name = Line(drill.site.inbound), f"DQ{drill.faults}"
    several = [message.make(f"{name}N{n}", name, n) for n in range(1, 11)]
    await line.open()
    began = time.monotonic()
    await line.send(b"".join(message.START + one.content + message.END for one in several))
    for one in several:
        named = message.field(await line.answer(), b"MSA", 2)
        assert named == one.control_id, drill.told([f"{one.control_id} was answered {named}"])
        drill.source.acknowledged.append(Answered(one, began, time.monotonic()))
    line.close()


def stepped(seconds: int) -> Fault:
    """The wall clock is set; time-outs still come when they are due."""

    async def work(drill: Drill) -> None:
        clock.put(drill.environ, seconds)
        await drill.recover(time.monotonic())
        await moody("silent")(drill)
        sink = drill.sinks["lab"]
        unanswered = {one.control_id for one in sink.received if one.mood == "silent"}

        def again() -> bool:
            return unanswered <= {one.control_id for one in sink.received if one.settled}

        await until(again, 15, "what was never answered to come again")

    return work


async def reloaded(drill: Drill) -> None:
    """A good site is swapped in."""
    drill.faults += 1
    await _reload(drill, "site_swapped", _EXTRA.format(n=drill.faults))


async def misread(drill: Drill) -> None:
    """A bad site is refused, and the good one goes on."""
    drill.faults += 1
    good = drill.site.channels.read_text()
    drill.site.channels.write_text("channel: adt\nsauce: {type: mllp}\n")
    await _told(drill, "site_refused")
    drill.site.channels.write_text(good)


async def moved(drill: Drill) -> None:
    """A destination with a queue gets another address."""
    sink = drill.sinks["lab"]
    await sink.stop()
    await answered(drill, 50)
    sink.port = free_port()
    drill.site.targets = tuple(
        replace(one, port=sink.port) if one.name == "lab" else one for one in drill.site.targets
    )
    await _reload(drill, "site_swapped", "")
    await sink.start()
    drill.faults += 1


async def _reload(drill: Drill, event: str, extra: str) -> None:
    drill.site.write(extra)
    await _told(drill, event)
    await drill.recover(time.monotonic())


async def _told(drill: Drill, event: str) -> None:
    before = len(drill.appliance.events(event))
    drill.appliance.tell(signal.SIGHUP)
    await until(lambda: len(drill.appliance.events(event)) > before, 20, event)


FAULTS: dict[str, Fault] = {
    "engine killed": killed,
    "engine killed with a backlog": killed_with_backlog,
    "engine frozen": frozen,
    "engine stopped": stopped,
    "worker killed": signalled(lambda d: d.appliance.workers()[:1], signal.SIGKILL),
    "workers' parent killed": signalled(lambda d: [d.appliance.zygote()], signal.SIGKILL),
    "workers frozen": signalled(lambda d: d.appliance.workers(), signal.SIGSTOP, 1.0),
    "PostgreSQL killed": signalled(lambda d: [d.appliance.postmaster()], signal.SIGKILL),
    "PostgreSQL restarted": signalled(lambda d: [d.appliance.postmaster()], signal.SIGINT),
    "PostgreSQL frozen": signalled(lambda d: d.appliance.cluster(), signal.SIGSTOP, 2.0),
    "backend killed": signalled(lambda d: d.appliance.backends()[-1:], signal.SIGKILL),
    "journal locked": locked,
    "out of connections": crowded,
    "writer cut off": cut_off,
    "destination down": down,
    **{f"destination {mood}": moody(mood) for mood in (
        "silent", "slow", "late", "wrong", "close", "reset", "half", "broken", "AE", "AR",
    )},
    "half frames": naughty(Mischief(half_frame=0.1)),
    "senders reset": naughty(Mischief(reset=0.1)),
    "noise before frames": naughty(Mischief(noise=0.1)),
    "senders pipeline": pipelined,
    "clock an hour ahead": stepped(3600),
    "clock an hour behind": stepped(-3600),
    "good reload": reloaded,
    "bad reload": misread,
    "destination moved with a queue": moved,
}  # fmt: skip
