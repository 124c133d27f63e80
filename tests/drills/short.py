"""Short drills: seconds each, each aimed at one promise, so that a defect put into the engine
on purpose (mutants.py) meets the one that must find it."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg

from drills import clock, message
from drills.appliance import until
from drills.drill import Drill, Plan
from drills.message import Sent
from drills.proxy import Proxy
from drills.source import Line

WRITER = "select pid from pg_stat_activity where application_name = 'portico writer'"
RETRY = "answers: {AE: retry}\n"
# Now and then a flush is refused by the database; the next try of it is stored.
REFUSING = """
    create sequence drill_refusal;
    create function drill_refuse() returns trigger language plpgsql as $$
    begin
        if nextval('drill_refusal') % 20 = 0 then
            perform pg_sleep(0.1);  -- so that another flush is on its way behind it
            raise exception 'refused by the drill' using errcode = '40001';
        end if;
        return null;
    end $$;
    """
REFUSE = """
    create trigger drill_refusal before insert on signal for each statement
        execute function drill_refuse()
    """


@dataclass(frozen=True, slots=True)
class Short:
    """A short drill: its set-up, and what it does. It fails by an AssertionError.

    clock: it sets the engine's wall clock.
    """

    plan: Plan
    work: Callable[[Drill], Awaitable[None]]
    clock: bool = False


async def connected(drill: Drill) -> psycopg.AsyncConnection:
    """A connection of our own to the embedded database, as soon as there is one."""
    run = drill.appliance.data / "run"
    await until(lambda: (run / ".s.PGSQL.5432").exists())
    return await psycopg.AsyncConnection.connect(drill.conninfo(), autocommit=True)


async def answered(drill: Drill, count: int, within: float = 20.0) -> None:
    """Wait for so many more answers."""
    enough = len(drill.source.acknowledged) + count
    await until(lambda: len(drill.source.acknowledged) >= enough, within, "answers")


async def say(drill: Drill, *sent: Sent) -> None:
    """Send these on a connection of our own, each until it is acknowledged."""
    line = Line(drill.site.inbound)
    for one in sent:
        await line.open()
        await line.send(message.START + one.content + message.END)
        answer = await line.answer()
        code = message.field(answer, b"MSA", 1)
        assert code in ("AA", "CA"), drill.told([f"{one.control_id} was answered {code}"])
    line.close()


async def arrive(drill: Drill, count: int, within: float = 8.0) -> list[str]:
    """The control ids that the first sink has, once there are so many and no more come."""
    sink = next(iter(drill.sinks.values()))
    try:
        await until(lambda: len(sink.received) >= count, within)
    except TimeoutError:
        names = [one.control_id for one in sink.received]
        raise AssertionError(drill.told([f"only {names} came"])) from None
    await asyncio.sleep(0.3)
    return [one.control_id for one in sink.received]


def expect(drill: Drill, got: list[str], wanted: list[str]) -> None:
    """Exactly these, in this order."""
    assert got == wanted, drill.told([f"{got} came, not {wanted}"])


async def answers_while_frozen(drill: Drill) -> None:
    """PostgreSQL is frozen, then everything is killed: what was answered is in the journal."""
    await drill.load()
    await answered(drill, 50)
    frozen = drill.appliance.cluster()
    await drill.fault(frozen, signal.SIGSTOP)
    await asyncio.sleep(1.0)
    await drill.appliance.kill()
    drill.kills.append(time.monotonic())
    await drill.fault(frozen)
    await drill.inspect()
    await drill.appliance.start()
    await drill.verify()


async def database_killed(drill: Drill) -> None:
    """All of PostgreSQL dies, then the engine: the journal has what was answered."""
    await drill.load()
    for _ in range(3):
        await answered(drill, 50)
        await drill.fault(drill.appliance.cluster())
        await asyncio.sleep(0.05)
        await drill.kill_engine()
    await drill.verify()


async def database_cut(drill: Drill) -> None:
    """The writer's connection is cut again and again, then the engine dies: each flush in
    doubt is stored once or not."""
    await drill.load()
    for _ in range(12):
        await answered(drill, 20)
        async with await connected(drill) as connection:
            await connection.execute(WRITER.replace("pid", "pg_terminate_backend(pid)", 1))
        drill.faults += 1
    await answered(drill, 50)
    assert not drill.appliance.events("row_rejected"), drill.told(["a row was rejected"])
    await drill.kill_engine()
    await drill.verify()


async def backlog_killed(drill: Drill) -> None:
    """The destination is down and the engine dies: the queue comes from the journal."""
    await drill.load()
    await drill.sinks["lab"].stop()
    await answered(drill, 300)
    await drill.kill_engine()
    await drill.sinks["lab"].start()
    await drill.verify()


async def workers_frozen(drill: Drill) -> None:
    """Workers stand still and the engine dies: what was answered runs after the restart."""
    await drill.load()
    await drill.fault(drill.appliance.workers(), signal.SIGSTOP)
    await answered(drill, 50)
    await drill.kill_engine()
    await drill.verify()


async def quiet_kill(drill: Drill) -> None:
    """All is delivered, then the engine dies: hardly anything comes again."""
    await drill.load()
    await answered(drill, 200)
    await drill.verify()
    await drill.appliance.kill()
    drill.kills.append(time.monotonic())
    await drill.appliance.start()
    await asyncio.sleep(1.0)
    await drill.verify()


async def stopped(drill: Drill) -> None:
    """SIGTERM under load: nothing comes twice, since nothing crashed."""
    sink = drill.sinks["lab"]
    sink.mood, sink.patience, sink.settles = (lambda *_: "late"), 0.1, ("late",)
    await drill.load()
    for _ in range(3):
        await answered(drill, 50)
        assert await drill.appliance.stop() == 0
        await drill.appliance.start()
    await drill.verify()


async def down_and_up(drill: Drill) -> None:
    """The destination goes away and comes back, twice."""
    await drill.load()
    for _ in range(2):
        await answered(drill, 50)
        await drill.sinks["lab"].stop()
        await asyncio.sleep(0.7)
        await drill.sinks["lab"].start()
    await drill.verify()


def moody(mood: str) -> Short:
    """Each fifth message gets this answer first."""

    async def work(drill: Drill) -> None:
        sink = drill.sinks["lab"]
        sink.settles = ("AA",)
        sink.mood = lambda control_id, nth: (
            mood if nth == 1 and control_id[-1] in "05" else "AA"
        )
        await drill.load()
        await answered(drill, 150)
        await drill.verify()

    return Short(Plan(timeout="300ms", patience=8, more=RETRY if mood == "AE" else ""), work)


async def rejected_once(drill: Drill) -> None:
    """Without a word in the site, AE is tried again and AA is the end."""
    sink = drill.sinks["lab"]
    sink.settles = ("AA",)
    sink.mood = lambda control_id, nth: "AE" if nth == 1 and control_id[-1] in "05" else "AA"
    await drill.load()
    await answered(drill, 100)
    await drill.verify()


async def clock_set_back(drill: Drill) -> None:
    """The wall clock is set back an hour while messages are out that nobody answers: they
    time out when they are due, and come again."""
    sink = drill.sinks["lab"]
    silent = [f"D{number}" for number in range(1, 5)]
    sink.mood = lambda control_id, nth: "silent" if nth == 1 and control_id in silent else "AA"
    await drill.load()
    await until(lambda: any(one.mood == "silent" for one in sink.received), 10, "a message")
    clock.put(drill.environ, -3600)
    drill.faults += 1
    await answered(drill, 50)
    await drill.verify()


async def given_up(drill: Drill) -> None:
    """A lock keeps a flush beyond its deadline: it is not stored later beside the one that
    replaced it."""
    await drill.load()
    await answered(drill, 50)
    async with await connected(drill) as connection, connection.transaction():
        await connection.execute("select 1 from lease for update")
        await asyncio.sleep(11.5)
    drill.faults += 1
    await drill.recover(time.monotonic())
    await drill.verify()
    assert not drill.appliance.events("row_rejected"), drill.told(["a row was rejected"])


async def frozen_between(drill: Drill, connection: psycopg.AsyncConnection) -> list[int]:
    """The writer's backend, frozen between two flushes: in one it would hold the lock of the
    lease's row, and whoever comes after it would have to wait until it is thawed."""
    while True:
        backends = [pid for (pid,) in await (await connection.execute(WRITER)).fetchall()]
        await drill.fault(backends, signal.SIGSTOP)
        cursor = await connection.execute(WRITER + " and state <> 'idle'")
        if backends and not await cursor.fetchall():
            return backends
        await drill.fault(backends, signal.SIGCONT)
        await asyncio.sleep(0.01)


async def flush_frozen(drill: Drill) -> None:
    """The writer's backend is frozen with a flush before it, which the engine gives up; when
    it wakes, that flush is not stored beside what came in its place."""
    await drill.load()
    await answered(drill, 50)
    parent = drill.appliance.zygote()
    await drill.fault([parent], signal.SIGSTOP)  # nobody new, and then nobody:
    workers = [parent, *drill.appliance.workers()]
    await drill.fault(workers, signal.SIGSTOP)  # so that the flush holds arrivals alone
    await answered(drill, 20)
    await asyncio.sleep(0.5)
    async with await connected(drill) as connection:
        backends = await frozen_between(drill, connection)
    await asyncio.sleep(11.5)
    await drill.recover(await drill.fault(workers, signal.SIGCONT))
    await asyncio.sleep(1.0)  # what has its places by now waits no more
    await drill.recover(await drill.fault(backends, signal.SIGCONT))
    await drill.verify()
    assert not drill.appliance.events("row_rejected"), drill.told(["a row was rejected"])


async def refused_flushes(drill: Drill) -> None:
    """The database refuses a flush now and then: the one behind it does not overtake it."""
    await drill.load()
    async with await connected(drill) as connection:
        await connection.execute(REFUSING)
        await connection.execute(REFUSE)
        await answered(drill, 3000, 60)
        await connection.execute("drop trigger drill_refusal on signal")
        cursor = await connection.execute("select last_value from drill_refusal")
        last = await cursor.fetchone()
    assert last is not None and last[0] >= 20, "no flush was refused"
    drill.faults += 1
    await drill.verify()


async def same_again(drill: Drill) -> None:
    """The same bytes again are answered and not run; other bytes under the id are."""
    first, changed = message.make("D1", "P1", 1), message.make("D1", "P1", 2)
    await say(drill, first, first, changed, message.make("D2", "P1", 3))
    await arrive(drill, 3)
    numbers = [one.number for one in drill.sinks["lab"].received]
    assert numbers == [1, 2, 3], drill.told([f"messages {numbers} came, not 1, 2, 3"])


async def merged(drill: Drill) -> None:
    """A merge waits for what came before it under both patients, and keeps what comes after."""
    sink = drill.sinks["lab"]
    sink.mood = lambda control_id, nth: "close" if nth == 1 and control_id == "D1" else "AA"
    merge = message.make("D3", "P1", 2)
    merge = Sent(
        "D3",
        "P1",
        2,
        merge.content.replace(b"ADT^A08^ADT_A01", b"ADT^A40^ADT_A39").replace(
            b"PV1|1|I|W^1^1\r", b"MRG|P2^^^HOUSE^MR\r"
        ),
    )
    await say(
        drill,
        message.make("D1", "P1", 1),
        message.make("D2", "P2", 1),
        merge,
        message.make("D4", "P2", 2),
    )
    got = await arrive(drill, 5)
    first = list(dict.fromkeys(got[::-1]))[::-1]  # by the last time that each came
    assert first.index("D3") > first.index("D1"), drill.told([f"{got}: a merge overtook"])
    assert first[-1] == "D4", drill.told([f"{got}: a merge was overtaken"])


async def released(drill: Drill) -> None:
    """A parked message that is released goes before what was sent behind it."""
    sink = drill.sinks["lab"]
    sink.mood = lambda control_id, nth: "AR" if nth == 1 and control_id == "D1" else "AA"
    await say(drill, message.make("D1", "P1", 1))
    await until(lambda: drill.appliance.events("delivery_parked"), 10, "parked")
    await sink.stop()
    later = [message.make(f"D{n}", "P1", n) for n in range(2, 6)]
    await say(drill, *later)
    await asyncio.sleep(0.5)
    await drill.appliance.ask("release", "--destination", "lab", "--yes")
    await asyncio.sleep(0.5)
    await sink.start()
    expect(drill, (await arrive(drill, 6))[1:], ["D1", "D2", "D3", "D4", "D5"])


async def answers_cut(drill: Drill, proxy: Proxy) -> None:
    """The link is cut as COMMIT's answer comes: what was stored is not stored again."""
    await drill.load()
    for _ in range(5):
        await answered(drill, 20)
        cuts = proxy.cuts
        proxy.arm("answer")
        await until(lambda: proxy.cuts > cuts, 10, "an answer to cut")  # noqa: B023
        drill.faults += 1
        await drill.recover(time.monotonic())
    assert not drill.appliance.events("row_rejected"), drill.told(["a row was rejected"])
    await drill.verify()


_QUICK = Plan(pace=0.004, patience=8)

SHORT: dict[str, Short] = {
    "answers_while_frozen": Short(_QUICK, answers_while_frozen),
    "database_killed": Short(_QUICK, database_killed),
    "database_cut": Short(Plan(pace=0.002, patience=8), database_cut),
    "backlog_killed": Short(_QUICK, backlog_killed),
    "workers_frozen": Short(_QUICK, workers_frozen),
    "quiet_kill": Short(_QUICK, quiet_kill),
    "stopped": Short(_QUICK, stopped),
    "down_and_up": Short(_QUICK, down_and_up),
    "wrong_answers": moody("wrong"),
    "closed_answers": moody("close"),
    "silent_answers": moody("silent"),
    "rejected_once": Short(_QUICK, rejected_once),
    "clock_set_back": Short(Plan(timeout="1s", patience=8), clock_set_back, clock=True),
    "given_up": Short(_QUICK, given_up),
    "flush_frozen": Short(_QUICK, flush_frozen),
    "refused_flushes": Short(
        Plan(connections=96, patients=192, pace=0.0, patience=15), refused_flushes
    ),
    "same_again": Short(Plan(patience=8), same_again),
    "merged": Short(Plan(patience=8), merged),
    "released": Short(Plan(patience=8), released),
}
