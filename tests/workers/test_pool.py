"""The pool with real processes: work, order, and who keeps running."""

import asyncio
import os
import signal

import pytest

from portico.clock import SystemClock
from portico.errors import ConfigError
from portico.events.running import AgentDiffers, AgentLoaded, WorkerDied, WorkerEnded
from portico.workers import sharing, staff
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool
from portico.workers.protocol import ITEM_LIMIT


async def test_an_item_comes_back_as_a_result(works):
    """With the version that ran it, the worker's process, and the bytes it sends."""
    version = await works.activate()
    outcome = await works.submit("echo")

    assert outcome.version == version
    assert [outcome.pid] == works.pids()
    assert outcome.result.outputs[0].destination == "out"
    assert works.said(AgentLoaded) == [AgentLoaded("acts", version)]


async def test_many_items_of_many_groups_all_come_back(works):
    """Two workers, ten groups, and no item lost or told twice."""
    await works.activate(fewest=2, most=2)
    outcomes = await asyncio.gather(
        *(works.submit("echo", group=f"g{n % 10}") for n in range(2000))
    )

    assert all(outcome.result.failure is None for outcome in outcomes)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("raise ValueError('no table')", "no table"),
        ("import os; os._exit(3)", "exit 3"),
        ("import sys; sys.exit('enough')", "SystemExit"),
        ("def act(:", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("x = bytearray(1 << 30)", "MemoryError"),
    ],
)
async def test_an_agent_whose_code_does_not_import_is_refused_with_the_reason(
    works, code, text
):
    """The import happens in a worker, so that nothing it does can hurt the engine."""
    (works.site / "transforms" / "bad.py").write_text(code, encoding="utf-8")

    with pytest.raises(ConfigError, match=text):
        await works.activate(call="transforms.bad:act")
    assert works.pool.status() == {}


async def test_an_agent_whose_import_never_ends_is_refused(works, monkeypatch):
    """A worker has half a minute to load; here much less."""
    monkeypatch.setattr(staff, "_LOAD_SECONDS", 0.3)
    bad = works.site / "transforms" / "bad.py"
    bad.write_text("import time; time.sleep(3600)", encoding="utf-8")

    with pytest.raises(ConfigError, match="not within"):
        await works.activate(call="transforms.bad:act")


async def test_a_new_version_takes_over_and_the_old_workers_end(works):
    """A reload imports changed code, without a lost item."""
    before = await works.activate()
    (old,) = works.pids()
    running = works.submit("pause", "0.05")
    path = works.site / "transforms" / "acts.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    after = await works.activate()

    assert after != before
    assert (await running).result.failure is None
    assert (await works.submit("echo")).version == after
    await works.until(lambda: works.said(WorkerEnded))
    assert works.said(WorkerEnded)[0].pid == old
    assert works.said(WorkerEnded)[0].code == "replaced"


async def test_a_new_version_that_does_not_load_leaves_the_old_one_in_force(works):
    """A reload is refused whole."""
    version = await works.activate()
    with pytest.raises(ConfigError):
        await works.activate(call="transforms.acts:nowhere")

    assert (await works.submit("echo")).version == version


async def test_a_worker_that_finds_other_code_says_so(works):
    """Code changed on disk without a reload is run by new workers, and told."""
    version = await works.activate(recycle=1)
    path = works.site / "transforms" / "acts.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    await works.run("echo", "echo", "echo")

    await works.until(lambda: works.said(AgentDiffers))
    assert works.said(AgentDiffers)[0].version == version
    assert works.said(AgentDiffers)[0].found != version


async def test_a_worker_is_recycled_after_its_runs(works):
    """Each process runs so many items and no more; none is lost at the change."""
    await works.activate(recycle=10)
    outcomes = await asyncio.gather(*(works.submit("echo", group="g") for _ in range(100)))
    runs = [outcome.pid for outcome in outcomes]

    assert len(set(runs)) == 10
    assert max(runs.count(pid) for pid in runs) == 10
    await works.until(lambda: len(works.said(WorkerEnded)) == 10)
    assert {event.code for event in works.said(WorkerEnded)} == {"recycled"}


async def test_what_waits_brings_more_workers_up_to_the_most(works):
    """Slow items spread over new processes; nobody waits behind a sleeper for long."""
    await works.activate(most=3)
    outcomes = await asyncio.gather(*(works.submit("pause", "0.3") for _ in range(9)))

    assert len({outcome.pid for outcome in outcomes}) == 3


async def test_workers_beyond_the_fewest_end_when_they_are_idle(works, monkeypatch):
    """The fewest stay warm."""
    await works.activate(most=3)
    await asyncio.gather(*(works.submit("pause", "0.2") for _ in range(6)))
    monkeypatch.setattr(staff, "_IDLE_SECONDS", 0.1)

    await works.until(lambda: len(works.said(WorkerEnded)) == 2)
    assert [event.code for event in works.said(WorkerEnded)] == ["idle", "idle"]
    assert len(works.pids()) == 1


async def test_an_agent_may_have_no_worker_until_it_is_needed(works, monkeypatch):
    """fewest 0: the process comes with the first item."""
    monkeypatch.setattr(staff, "_IDLE_SECONDS", 0.0)
    await works.activate(fewest=0)
    await works.until(lambda: works.pids() == [])
    monkeypatch.undo()

    assert await works.run("echo") == ["ok"]


async def test_a_retry_sends_back_what_comes_behind_in_its_group(works):
    """In order, and only that group: those that were out with it, and those that waited."""
    await works.activate()
    told = []
    acts = ["again", *["echo"] * 99]
    mine = [works.submit(act, group="mine") for act in acts]
    for n, one in enumerate(mine):
        one.add_done_callback(lambda _, n=n: told.append(n))
    other = [works.submit("echo", group="other") for _ in acts]
    await asyncio.gather(*mine, *other)

    assert told == list(range(100))
    assert mine[0].result().result.failure.transient
    assert [one.result().result for one in mine[1:]] == [None] * 99
    assert all(one.result().result.failure is None for one in other)
    assert await works.run("echo", "echo", group="mine") == ["ok", "ok"]


async def test_an_idle_worker_that_does_not_answer_is_replaced(works, monkeypatch):
    """A stopped process is found before a message is given to it."""
    await works.activate()
    (deaf,) = works.pids()
    os.kill(deaf, signal.SIGSTOP)
    monkeypatch.setattr(staff, "_PING_SECONDS", 0.05)
    monkeypatch.setattr(staff, "_PONG_SECONDS", 0.2)

    await works.until(lambda: works.said(WorkerDied))
    monkeypatch.undo()
    assert works.said(WorkerDied)[0].code == "silent"
    assert works.said(WorkerDied)[0].pid == deaf
    assert await works.run("echo") == ["ok"]


async def test_a_retired_agent_ends_what_runs_and_gives_back_the_rest(works):
    """Nothing is lost with it, and it takes no more."""
    await works.activate()
    await works.activate("other")
    items = [works.submit("pause", "0.1", group="g") for _ in range(100)]
    await asyncio.sleep(0)
    await works.pool.retire("acts")
    words = [one.result().result is not None for one in items]

    assert words[0] and not words[-1]
    assert words == sorted(words, reverse=True)
    assert list(works.pool.status()) == ["other"]
    with pytest.raises(KeyError):
        works.submit("echo")


async def test_stop_gives_back_what_does_not_end_in_time(own_works, alive):
    """The drain is bounded, whatever a transform does."""
    await own_works.activate(time=60)
    (pid,) = own_works.pids()
    hung = own_works.submit("hang")
    await own_works.until(lambda: own_works.pool.status()["acts"]["busy"])
    await own_works.pool.stop(grace=0.1)

    assert (await hung).result is None
    assert not alive(pid)


async def test_content_that_no_worker_can_hold_is_a_fault(works):
    """The pipe has a limit; beyond it the item fails, and nothing else."""
    await works.activate()
    done = works.submit("echo", "x" * ITEM_LIMIT)

    assert (await done).result.failure.code == "step.permanent"


async def test_a_module_to_preload_that_is_missing_is_a_config_error(monkeypatch):
    """It names the module."""
    nursery = Nursery(SystemClock(), ["json", "no_such_module"])
    nursery.start()
    pool = Pool(nursery, clock=SystemClock(), emit=print)

    with pytest.raises(ConfigError, match="cannot import no_such_module"):
        await pool.start()
    await pool.stop(0)


async def test_a_proven_plan_answers_only_once_it_is_adopted(works):
    """A reload proves all agents before it changes one, and lets go what it does not want."""
    before = await works.activate()
    path = works.site / "transforms" / "acts.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    proof = await works.prove()

    assert proof.version != before
    assert (await works.submit("echo")).version == before

    works.pool.adopt(proof)

    assert (await works.submit("echo")).version == proof.version

    unwanted = await works.prove()
    await works.pool.discard(unwanted)

    assert works.pool.status()["acts"]["workers"] == 1
    assert (await works.submit("echo")).version == proof.version


async def test_an_agent_that_was_only_proven_leaves_nothing(works):
    """A new agent of a reload that failed elsewhere."""
    await works.pool.discard(await works.prove())

    assert works.pool.status() == {}


async def test_a_fresh_process_for_each_item_never_makes_more_than_the_most(works):
    """`isolation: fresh`: no process runs twice, and a backlog does not fork without end."""
    await works.activate(recycle=1, fewest=1, most=2)
    items = [works.submit("pause", "0.01") for _ in range(12)]
    seen = set()
    while not all(one.done() for one in items):
        seen.add(works.pool.status()["acts"]["workers"])
        await asyncio.sleep(0.002)
    pids = [one.result().pid for one in items]

    assert len(set(pids)) == 12
    assert max(seen) <= 2


async def test_a_proof_that_nobody_waits_for_is_withdrawn(works, monkeypatch):
    """A start that is broken off leaves no process on trial."""
    slow = works.site / "transforms" / "slow.py"
    slow.write_text("import time; time.sleep(3600)", encoding="utf-8")
    proving = asyncio.ensure_future(works.prove(call="transforms.slow:act"))
    await works.until(lambda: works.pool.status().get("acts", {}).get("workers"))
    proving.cancel()

    await works.until(lambda: works.pool.status()["acts"]["workers"] == 0)


async def test_an_owners_quota_bounds_the_workers_of_its_agents_and_nobody_elses(works):
    """Beyond their fewest; an agent of another owner grows all the same."""
    works.pool.quotas = {"lab": 1}
    try:
        for agent, owner in (("one", "lab"), ("two", "lab"), ("other", "ward")):
            await works.activate(agent, most=3, owner=owner)
        pauses = [
            works.submit("pause", "1", agent=agent)
            for agent in ("one", "two")
            for _ in range(3)
        ]
        await works.until(lambda: len(works.pids("one")) + len(works.pids("two")) == 3)
        pauses += [works.submit("pause", "1", agent="other") for _ in range(3)]
        await works.until(lambda: len(works.pids("other")) >= 2)

        assert not works.pool.may_grow("one")
        assert len(works.pids("one")) + len(works.pids("two")) == 3
        assert [(await one).result.failure for one in pauses] == [None] * 9
    finally:
        works.pool.quotas = {}


@pytest.mark.parametrize(("weight", "shares"), [(1, (3, 3)), (4, (1, 5))])
async def test_a_busy_agent_gives_places_to_one_that_waits_by_weight(works, weight, shares):
    """One flooded with slow steps has all there are; another comes and has its part at once,
    the workers of the first end with what they have, and nothing is lost."""
    await works.activate("busy", most=9)
    await works.activate("late", most=9, weight=weight)
    flood = [works.submit("pause", "0.4", agent="busy") for _ in range(30)]
    await works.until(lambda: len(works.pids("busy")) == 5)

    mine = [works.submit("pause", "0.4", agent="late") for _ in range(10)]
    await works.until(lambda: works.pool.status()["late"]["busy"] == shares[1])
    outcomes = await asyncio.gather(*mine)

    assert [one.result.failure for one in outcomes] == [None] * 10
    yielded = [event.agent for event in works.said(WorkerEnded) if event.code == "yielded"]
    assert yielded[: 5 - shares[0]] == ["busy"] * (5 - shares[0])
    assert {one.result.failure for one in [(await each) for each in flood]} == {None}


async def test_an_idle_worker_makes_room_at_once(works, monkeypatch):
    """It need not have more than its part, nor pass its idle time."""
    monkeypatch.setattr(sharing, "_SPARE_SECONDS", 0.05)
    await works.activate("was", most=9, weight=100)
    await works.activate("wants", most=9)
    await asyncio.gather(*await grown(works, "was"))
    assert len(works.pids("was")) == 5

    items = await grown(works, "wants")

    assert {(await one).result.failure for one in items} == {None}
    assert len(works.pids("was")) == 1


async def grown(works, agent):
    """Items of an agent, as many as it takes until it has all the workers that there are."""
    items = []

    def enough():
        if sum(not one.done() for one in items) < 10:
            items.append(works.submit("pause", "0.3", agent=agent))
        return len(works.pids(agent)) == 5

    await works.until(enough)
    return items


async def test_the_cpu_of_workers_that_ended_is_counted(works):
    """The parent is told by the kernel, and tells."""
    await works.activate()
    await works.run("echo")
    assert works.pool.status()["acts"]["cpu"] == 0
    await works.run("die")
    await works.until(lambda: works.pool.status()["acts"]["cpu"] > 0)
