"""Workers that die, hang, flood, eat memory, speak nonsense or breed: one attempt is lost."""

import asyncio
import os
import random
import signal

import pytest

from portico.clock import SystemClock
from portico.errors import ConfigError
from portico.events.running import AgentQuarantined, NurseryLost, WorkerDied
from portico.model.verdict import SessionResult
from portico.wire.pipe import encode
from portico.workers import intensity, nursery, pool, protocol, staff


def hexed(frame: bytes) -> str:
    """A frame as an argument of the transform `say`."""
    return frame.hex()


def results(frame: int, *indexes: int) -> bytes:
    """Results that say these items are done."""
    done = [protocol.encode_done(n, SessionResult(protocol.Kind.DROP))[0] for n in indexes]
    return protocol.encode_results(frame, done, [])


@pytest.mark.parametrize(
    ("act", "how"), [("die", "exit 3"), ("fault", "SIGSEGV"), ("rare", "signal 40")]
)
async def test_a_worker_that_dies_costs_the_item_it_ran(works, act, how):
    """The others of its frame are run by the next worker; the fault says how it died."""
    await works.activate()
    said = [works.submit(word) for word in ("echo", act, "echo")]
    before, died, after = [(await one).result for one in said]

    assert before.failure is None
    assert died.failure.code == "step.crashed"
    assert how in died.failure.text
    assert after.failure is None


async def test_a_crash_is_tried_again_at_first(works):
    """A worker may die by no fault of its item; one that dies three times with it does not."""
    await works.activate()
    deaths = [(await works.submit("die", tries=tries)).result.failure for tries in (1, 2, 3)]

    assert [failure.transient for failure in deaths] == [True, True, False]


@pytest.mark.parametrize("act", ["leave", "eat", "swell", "flood"])
async def test_a_worker_survives_what_its_limits_stop(works, act):
    """sys.exit, a gigabyte of memory, a large file, 64 MiB of output: the process goes on."""
    await works.activate(memory=64 << 20)
    (pid,) = works.pids()
    size = {"eat": 1 << 30, "swell": 1 << 30, "flood": 64 << 20}.get(act, 0)
    failure = (await works.submit(act, str(size))).result.failure

    assert (failure is None) is (act == "flood")
    assert await works.run("echo") == ["ok"]
    assert works.pids() == [pid]


async def test_a_worker_that_hangs_is_killed_at_its_deadline(works, monkeypatch):
    """Signals blocked, so that nothing but the kill helps; what waits is run by the next."""
    monkeypatch.setattr(staff, "_GRACE_SECONDS", 0.1)
    await works.activate(time=1)
    hung, after = works.submit("hang"), works.submit("echo")

    assert (await hung).result.failure.code == "step.timeout"
    assert not (await hung).result.failure.transient
    assert (await after).result.failure is None
    assert [event.code for event in works.said(WorkerDied)] == ["timeout"]


@pytest.mark.parametrize(
    "words",
    [
        b"\xff" * 64,
        encode(b"nonsense"),
        encode(b'{"type":"results","frame":1,"done":[[0,"deliver"]]}', b"spare"),
        results(1, 1),
        results(1, -1),
        results(0, 0),
        results(2, 0),
        results(999, 0),
        protocol.encode(protocol.Loaded("other")),
        protocol.encode(protocol.Hello(99, 1)),
        protocol.encode_results(1, [protocol.encode_done(0, None)[0]], []),
        protocol.encode_run(1, [], []),
    ],
)
async def test_a_worker_that_speaks_nonsense_is_killed(works, words):
    """Garbage; a result for another item or a frame that is not out; a needless skip."""
    await works.activate()
    await works.activate("other")
    (other,) = works.pids("other")
    failure = (await works.submit("say", hexed(words))).result.failure

    assert failure.code == "step.crashed"
    assert [event.code for event in works.said(WorkerDied)] == ["nonsense"]
    assert await works.run("echo") == ["ok"]
    assert works.pids("other") == [other]


@pytest.mark.parametrize("words", [results(1, 0), results(1, 0, 0)])
async def test_a_forged_result_can_only_be_for_the_item_that_is_run(works, words):
    """The second answer to it, forged or the worker's own, gives the forgery away."""
    await works.activate()
    forged = works.submit("say", hexed(words))
    after = works.submit("echo")

    assert (await forged).result.kind == "drop"
    assert (await after).result.failure is None or (await after).result.failure.transient
    await works.until(lambda: works.said(WorkerDied))
    assert works.said(WorkerDied)[0].code == "nonsense"


async def test_the_culprit_of_a_frame_is_found_and_the_others_go_on(works):
    """64 items, one deadly: two deaths, one fault, 63 results."""
    await works.activate()
    await works.run(*["echo"] * 300)  # by now frames are full
    words = await works.run(*["echo"] * 40, "die", *["echo"] * 23)

    assert [n for n, word in enumerate(words) if word != "ok"] == [40]
    assert words[40] == "step.crashed"
    assert len(works.said(WorkerDied)) <= 2


async def test_a_death_gives_back_what_waits_in_its_group(works):
    """The caller decides whether the group goes on, so nothing overtakes the crashed item."""
    await works.activate()

    assert await works.run("die", "echo", "echo", group="g") == [
        "step.crashed",
        "not run",
        "not run",
    ]
    assert await works.run("echo", group="g") == ["ok"]


async def test_order_holds_in_every_group_while_workers_are_killed(works):
    """Kill -9 at random under load: each group is concluded in order, each item once.

    The caller does what flow does: an item that crashed is tried again before those behind it.
    """
    await works.activate(fewest=2, most=2)
    rng = random.Random(7)
    pool, concluded, crashes = works.pool, {}, 0
    groups = {f"g{g}": list(range(60)) for g in range(8)}
    finished = asyncio.Event()

    def go_on(group: str) -> None:
        for number in groups[group]:
            future = works.submit("pause", "0.001", group=group)
            future.add_done_callback(lambda f, n=number: heard(group, n, f.result()))

    def heard(group: str, number: int, outcome) -> None:
        nonlocal crashes
        out[group] -= 1
        if outcome.result is not None and outcome.result.failure is None:
            concluded.setdefault(group, []).append(number)
            groups[group].remove(number)
        elif outcome.result is not None:
            assert outcome.result.failure.code == "step.crashed"
            crashes += 1
        if not any(groups.values()):
            finished.set()
        elif groups[group] and not out[group]:
            out[group] = len(groups[group])
            go_on(group)

    out = {group: len(numbers) for group, numbers in groups.items()}
    for group in groups:
        go_on(group)
    kills = 0
    while not finished.is_set() and kills < 8:
        await asyncio.sleep(0.02)
        if pids := pool.status()["acts"]["pids"]:
            os.kill(rng.choice(pids), signal.SIGKILL)
            kills += 1
    async with asyncio.timeout(60):
        await finished.wait()

    assert concluded == {f"g{g}": list(range(60)) for g in range(8)}
    assert kills >= 3
    assert crashes <= kills


async def test_a_killed_worker_is_replaced(works):
    """At once: measured in bench/, here only that it happens and that the dead one is told."""
    await works.activate()
    (pid,) = works.pids()
    os.kill(pid, signal.SIGKILL)
    await works.until(lambda: works.pids() not in ([], [pid]))

    assert await works.run("echo") == ["ok"]
    (died,) = works.said(WorkerDied)
    assert (died.pid, died.code, died.how) == (pid, "crashed", "SIGKILL")


async def test_an_agent_whose_workers_die_too_often_waits_and_others_do_not(works, monkeypatch):
    """It is quarantined with an event; what waits is kept; the engine and others go on."""
    monkeypatch.setattr(intensity, "_WINDOW", 60.0)  # for a machine that is busy
    monkeypatch.setattr(intensity, "_FIRST", 2.0)
    await works.activate()
    await works.activate("other")
    for tries in range(11):
        await works.submit("die", tries=tries)
    waiting = works.submit("echo")

    assert len(works.said(AgentQuarantined)) == 1
    assert works.said(AgentQuarantined)[0].agent == "acts"
    assert works.pool.status()["acts"]["quarantined"]
    assert (await works.submit("echo", agent="other")).result.failure is None
    assert not waiting.done()
    assert (await waiting).result.failure is None


async def test_when_the_nursery_dies_another_takes_its_place(own_works, alive):
    """The workers end with it; what they had is run again, uncharged."""
    await own_works.activate()
    (worker,) = own_works.pids()
    items = [own_works.submit("pause", "0.02", group=f"g{n}") for n in range(10)]
    await own_works.until(lambda: own_works.pool.status()["acts"]["busy"])
    os.kill(own_works.nursery.pid, signal.SIGKILL)

    assert [(await one).result.failure for one in items] == [None] * 10
    assert len(own_works.said(NurseryLost)) == 1
    assert not alive(worker)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_plan_waits_for_a_nursery_that_is_replaced(own_works, begun):
    """A reload just then, or with a worker on trial, is not refused for it."""
    nursery = own_works.nursery.pid
    proving = asyncio.ensure_future(own_works.prove() if begun else asyncio.sleep(0))
    await asyncio.sleep(0)
    os.kill(nursery, signal.SIGKILL)
    await proving
    proof = await own_works.prove()

    assert own_works.nursery.pid != nursery
    assert proof.version
    assert [event.pid for event in own_works.said(NurseryLost)] == [nursery]


async def test_a_nursery_that_does_not_come_back_is_said(own_works, monkeypatch):
    """Nobody waits for ever; the next attempt may do."""
    monkeypatch.setattr(nursery, "_FIRST_DELAY", 60.0)
    monkeypatch.setattr(pool, "_PARENT_SECONDS", 0.05)
    os.kill(own_works.nursery.pid, signal.SIGKILL)
    await own_works.until(lambda: own_works.said(NurseryLost))

    with pytest.raises(ConfigError, match="parent of the workers does not come back"):
        await own_works.prove()


async def test_an_item_that_ends_the_nursery_again_and_again_is_charged(own_works, monkeypatch):
    """The third time it is alone and no accident: the engine does not go round for ever."""
    monkeypatch.setattr(nursery, "_FIRST_DELAY", 0.01)
    await own_works.activate()
    item = own_works.submit("pause", "3600")
    for _ in range(3):
        await own_works.until(lambda: own_works.pool.status()["acts"]["busy"])
        os.kill(own_works.nursery.pid, signal.SIGKILL)
        await own_works.until(lambda: not own_works.pool.status()["acts"]["busy"])
    failure = (await item).result.failure

    assert failure.code == "step.crashed"
    assert len(own_works.said(NurseryLost)) == 3
    assert await own_works.run("echo") == ["ok"]


@pytest.mark.drill
async def test_an_agent_does_not_notice_how_another_misbehaves(works, monkeypatch):
    """Deaths, hangs, a gigabyte of memory and of output, words that are not its own, in one
    agent for a while: the parent stays, each next item is taken up within 2 s, and an echo of
    another agent is never late by more than that."""
    monkeypatch.setattr(staff, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(intensity, "_MOST_DEATHS", 10**6)
    await works.activate("mad", time=0.3, memory=64 << 20)
    await works.activate("calm", most=2)
    chance, clock, parent = random.Random(7), SystemClock(), works.nursery.pid
    words = {"say": hexed(results(1, 0, 0)), "eat": str(1 << 30), "flood": str(1 << 30)}
    late = again = 0.0
    for _ in range(150):
        act = chance.choice(["die", "fault", "hang", "leave", "swell", *words])
        bad = works.submit(act, words.get(act, str(1 << 30)), agent="mad")
        began = clock.monotonic()
        assert (await works.submit("echo", agent="calm")).result.failure is None
        late = max(late, clock.monotonic() - began)
        await bad
        began = clock.monotonic()
        assert (await works.submit("echo", agent="mad")).result.failure is None
        again = max(again, clock.monotonic() - began)

    assert works.nursery.pid == parent
    assert late < 2.0
    assert again < 2.0
