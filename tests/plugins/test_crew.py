"""portico.plugins.crew: a warm pool that outlives whatever its processes do."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from portico.plugins.faults import PluginAway, PluginDied, PluginNonsense, PluginTimeout
from portico.workers import intensity

ECHO = "gives(number, what)"
PID = "gives(number, str(os.getpid()))"
ODD = """\
if what == "die": os._exit(3)
if what == "rare": os.kill(os.getpid(), 40)
if what == "hang": time.sleep(60)
if what == "deaf": time.sleep(60)
if what == "garbage": os.write(1, b"\\x00\\xff not json\\n")
if what == "flood": [os.write(1, b"x" * 65536) for _ in range(16384)]
if what == "words": [say({"jsonrpc": "2.0", "method": "notifications/message",
    "params": {"level": "info", "data": "x"}}) for _ in range(20000)]
if what == "foreign": answer(number + 1000, {"content": []})
if what == "twice": gives(number, "1"); gives(number, "2")
if what == "neither": say({"jsonrpc": "2.0", "id": number})
if what == "deep": os.write(1, b"[" * 200000 + b"\\n")
if what == "memory": held = bytearray(200 << 20); time.sleep(30)
if what == "stderr": [os.write(2, b"PATIENT" * 10000) for _ in range(200)]
gives(number, what)"""


async def until(holds, seconds=15.0):
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        await asyncio.sleep(0.02)


async def test_a_process_stays_warm_between_calls(bench, call):
    """Two calls are answered by one process; nothing is started for the second."""
    crew = bench.crew(bench.plugin(PID, pool={"fewest": 0, "most": 1}))

    first, second = await call(crew), await call(crew)

    assert first == second
    assert len(bench.named("PluginStarted")) == 1


async def test_the_fewest_are_started_before_any_call(bench):
    """They answer once the crew is warm."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 2, "most": 2}))

    crew.fill()
    await crew.warm()

    assert crew.status()["idle"] == 2


async def test_calls_beyond_the_most_wait_their_turn(bench, call):
    """Ten calls on one process: all are answered, one process is started."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 0, "most": 1}))

    said = await asyncio.gather(*(call(crew, str(n)) for n in range(10)))

    assert said == [str(n) for n in range(10)]
    assert len(bench.named("PluginStarted")) == 1


async def test_agents_take_turns(bench, call):
    """An agent with one call is served second, not behind twenty of another."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 0, "most": 1}))
    order = []

    async def one(agent):
        await call(crew, agent=agent)
        order.append(agent)

    await asyncio.gather(*(one("many") for _ in range(20)), one("few"))

    assert order.index("few") <= 2


async def test_a_process_that_comes_free_as_a_call_gives_up_waiting_serves_the_next(
    bench, call
):
    """Both in one turn of the loop: it is given back, not kept busy for ever."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 0, "most": 1}))
    await call(crew)
    free = asyncio.Event()

    async def leaving():
        await free.wait()
        raise PluginAway("it does not leave")

    quiet = ("a", "do", {}, 9.0, lambda done, total: None)
    first = asyncio.ensure_future(crew.call(*quiet, leaving))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(call(crew, limit=0.01))
    await asyncio.sleep(0)
    free.set()
    time.sleep(0.02)  # the turn is late, so that the time is over in it
    said = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(one) for one in said] == [PluginAway, PluginAway]
    assert await call(crew, "free", limit=5.0) == "free"


async def test_a_full_queue_refuses_and_says_that_later_may_work(bench, call):
    """`pool.queue` bounds what waits."""
    plugin = bench.plugin(ECHO, pool={"fewest": 0, "most": 1, "queue": 2})
    crew = bench.crew(plugin)

    said = await asyncio.gather(*(call(crew) for _ in range(5)), return_exceptions=True)

    refused = [one for one in said if isinstance(one, PluginAway)]
    assert len(refused) == 3
    assert all(one.transient and "pool.queue" in str(one) for one in refused)


async def test_a_process_is_replaced_after_so_many_calls(bench, call):
    """`pool.recycle`: an end that counts as orderly."""
    crew = bench.crew(bench.plugin(PID, pool={"fewest": 0, "most": 1, "recycle": 1}))

    first, second = await call(crew), await call(crew)

    assert first != second
    await until(lambda: len(bench.named("PluginEnded")) == 2)
    assert {event.code for event in bench.named("PluginEnded")} == {"recycled"}
    assert bench.named("PluginDied") == []


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("garbage", "nonsense"),
        ("flood", "nonsense"),
        ("words", "nonsense"),
        ("foreign", "nonsense"),
        ("neither", "nonsense"),
        ("deep", "nonsense"),
        ("die", "crashed"),
        ("rare", "crashed"),
    ],
)
async def test_what_a_process_does_wrong_ends_it_alone(bench, call, what, code):
    """The call fails, the process is killed, and the next call is answered by another within
    two seconds and the time that a start takes."""
    crew = bench.crew(bench.plugin(ODD, pool={"fewest": 0, "most": 1}))
    assert await call(crew, "fine") == "fine"

    with pytest.raises((PluginNonsense, PluginDied)) as failed:
        await call(crew, what)
    began = time.monotonic()
    again = await call(crew, "fine")

    assert again == "fine"
    assert time.monotonic() - began < 10
    assert failed.value.transient is False
    assert [event.code for event in bench.named("PluginDied")] == [code]


async def test_a_second_answer_ends_it(bench, call):
    """An id is answered once; what it answered first stands."""
    crew = bench.crew(bench.plugin(ODD, pool={"fewest": 0, "most": 1}))

    try:
        said = await call(crew, "twice")
    except PluginNonsense:  # both lines came in one read
        said = "1"

    assert said == "1"
    await until(lambda: [event.code for event in bench.named("PluginDied")] == ["nonsense"])


async def test_a_death_is_tried_again_where_the_registry_says_so(bench, call):
    """`idempotent: yes` makes the loss of a process transient."""
    crew = bench.crew(bench.plugin(ODD, idempotent=True, pool={"fewest": 0, "most": 1}))

    with pytest.raises(PluginDied) as failed:
        await call(crew, "die")

    assert failed.value.transient is True


async def test_a_call_that_takes_too_long_fails_and_a_deaf_process_is_replaced(bench, call):
    """The server is told, and killed when it does not answer a ping then."""
    crew = bench.crew(bench.plugin(ODD, pool={"fewest": 0, "most": 1}))
    await call(crew, "warm")

    began = time.monotonic()
    with pytest.raises(PluginTimeout):
        await call(crew, "hang", limit=0.3)

    assert time.monotonic() - began < 30
    await until(lambda: [event.code for event in bench.named("PluginDied")] == ["timeout"])


async def test_a_process_that_ends_in_time_after_a_limit_stays(bench, call):
    """Its late answer is passed over; it goes on with the next call."""
    body = 'time.sleep(0.8) if what == "slow" else None\ngives(number, str(os.getpid()))'
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))
    first = await call(crew)

    with pytest.raises(PluginTimeout):
        await call(crew, "slow", limit=0.2)

    assert await call(crew) == first


async def test_a_call_that_nobody_waits_for_is_cancelled_and_its_process_goes_on(bench, call):
    """The plugin is told by the protocol; only one that does not hear is ended."""
    body = (
        'if what == "wait": return\nif what == "deaf": time.sleep(60)\n'
        'gives(number, f"{os.getpid()} {len(CANCELLED)}")'
    )
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))
    pid, told = (await call(crew)).split()
    assert told == "0"

    for what in ("wait", "deaf"):
        running = asyncio.ensure_future(call(crew, what))
        await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        if what == "wait":
            assert await call(crew) == f"{pid} 1"

    await until(lambda: bench.named("PluginDied"))
    assert (await call(crew)).split()[0] != pid


async def test_memory_beyond_the_limit_ends_a_process(bench, call):
    """The watch looks from outside: runtimes that reserve much are not killed for it."""
    plugin = bench.plugin(ODD, limits={"memory": 100 << 20}, pool={"fewest": 0, "most": 1})
    crew = bench.crew(plugin)
    await call(crew, "warm")
    asked = asyncio.ensure_future(call(crew, "memory"))

    while not asked.done():
        crew.watch()
        await asyncio.sleep(0.05)

    with pytest.raises(PluginDied, match=r"limits\.memory"):
        await asked
    await until(lambda: [event.code for event in bench.named("PluginDied")] == ["memory"])


async def test_what_it_writes_to_standard_error_goes_nowhere(bench, call, capfd):
    """14 MB of it: no memory, no line of a log, and the call is answered."""
    crew = bench.crew(bench.plugin(ODD, pool={"fewest": 0, "most": 1}))

    assert await call(crew, "stderr") == "stderr"

    assert "PATIENT" not in "".join(capfd.readouterr())


async def test_too_many_deaths_put_the_plugin_in_quarantine(bench, call, monkeypatch):
    """Eleven in ten seconds (more of them here, for a machine that is busy): from then on calls
    fail at once, and may be tried again."""
    monkeypatch.setattr(intensity, "_WINDOW", 60.0)
    plugin = bench.plugin("", whole="raise SystemExit(1)", pool={"fewest": 0, "most": 4})
    crew = bench.crew(plugin)

    with pytest.raises(PluginAway) as failed:
        await call(crew, limit=60.0)

    assert failed.value.transient
    assert "quarantine" in str(failed.value)
    assert [event.deaths for event in bench.named("PluginQuarantined")] == [11]
    assert crew.status()["quarantined"]


async def test_progress_is_heard_and_its_text_is_not(bench, call):
    """Numbers alone: a message may name a patient."""
    body = """\
token = asked["params"]["_meta"]["progressToken"]
say({"jsonrpc": "2.0", "method": "notifications/progress",
     "params": {"progressToken": token, "progress": 3, "total": 4, "message": "MUSTER"}})
gives(number, what)"""
    crew = bench.crew(bench.plugin(body, pool={"fewest": 0, "most": 1}))
    heard = []

    await call(crew, heard=lambda done, total: heard.append((done, total)))

    assert heard == [(3.0, 4.0)]


async def test_a_changed_file_is_not_run(bench, call):
    """The pin is looked at before every start; the text says which file."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 0, "most": 1}))
    (bench.root / "own/t.py").write_text("print('other')")

    with pytest.raises(PluginAway):
        await call(crew, limit=30.0)

    assert "own/t.py is not its pinned version" in bench.named("PluginDied")[0].how


async def test_a_server_with_other_tools_than_declared_is_not_used(bench, call):
    """Its schemas are the contract of the registry, or it does not start."""
    plugin = bench.plugin(ECHO, pool={"fewest": 0, "most": 1})
    crew = bench.crew(plugin)
    tool = crew.tools["do"]
    crew.tools = {"do": type(tool)("do", "", b'{"type": "object"}', tool.output)}

    with pytest.raises(PluginAway):
        await call(crew, limit=30.0)

    assert "not as own/t.tools.json says" in bench.named("PluginDied")[0].how


async def test_a_process_ends_with_its_group_and_leaves_nothing(bench, call):
    """Its scratch folder goes with it."""
    crew = bench.crew(bench.plugin('gives(number, os.environ["TMPDIR"])'))

    scratch = await call(crew)
    pid = crew.status()["pids"][0]
    await crew.leave("retired")

    assert not os.path.exists(scratch)
    assert not os.path.exists(f"/proc/{pid}")


async def test_a_process_that_is_ended_while_it_starts_leaves_nothing(bench):
    """A stop in the middle of a start: nothing is left running, and nothing hangs."""
    crew = bench.crew(bench.plugin(ECHO, pool={"fewest": 2, "most": 2}))

    crew.fill()
    await asyncio.sleep(0)
    crew.cut()
    await asyncio.wait_for(crew.leave("stopped"), 10)

    assert crew.status()["processes"] == 0
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for child in children:
        with suppress(OSError):  # another's may have ended
            line = Path(f"/proc/{child}/cmdline").read_bytes()
            assert b"portico.plugins.launch" not in line
