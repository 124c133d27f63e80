"""portico.plugins.plugins: a site's plugins as they come, change and go."""

import asyncio
import json
import subprocess
import sys
import threading
import time

import pytest

from portico.clock import SystemClock
from portico.plugins import contract
from portico.plugins.faults import PluginAway
from portico.plugins.plugins import Plugins
from portico.spec.plugin import read_tools

PID = "gives(number, str(os.getpid()))"


@pytest.fixture
async def made(bench):
    """Nothing adopted yet; all ends with the test."""
    plugins = Plugins(
        bench.root,
        bench.environ,
        clock=SystemClock(),
        emit=bench.events.append,
        metrics=bench.metrics,
    )
    yield plugins
    await plugins.stop(5.0)


def known(bench, plugin):
    """The plugin as a site knows it."""
    tools = read_tools((bench.root / plugin.tools).read_bytes())
    return {plugin.name: (plugin, tools)}


async def until(holds, seconds=15.0):
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        await asyncio.sleep(0.02)


async def test_what_stays_the_same_keeps_its_processes(bench, made):
    """A reload that changes other things costs a plugin nothing."""
    site = known(bench, bench.plugin(PID))
    made.adopt(site)
    first = await made.call("a", "s", "t.do", {}, 20.0)

    made.adopt(known(bench, bench.plugin(PID)))

    assert await made.call("a", "s", "t.do", {}, 20.0) == first


async def test_what_changed_is_replaced_and_what_runs_ends_as_it_began(bench, made):
    """The call of the old version is answered by it; the next one by the new version."""
    slow = "time.sleep(0.5)\n" + PID
    made.adopt(known(bench, bench.plugin(slow)))
    await made.warm(20.0)
    old = made.status()["t"]["pids"]
    running = asyncio.ensure_future(made.call("a", "s", "t.do", {}, 20.0))
    await until(lambda: made.status()["t"]["busy"] == 1)

    made.adopt(known(bench, bench.plugin(PID, version="2")))
    after = await made.call("a", "s", "t.do", {}, 20.0)

    assert str(old[0]).encode() in await running
    assert str(old[0]).encode() not in after
    await until(lambda: [one.code for one in bench.named("PluginEnded")] == ["retired"])


async def test_a_tool_that_the_site_has_no_more_is_no_tool(bench, made):
    """A Signal that asks for it late is told so, for good."""
    with pytest.raises(PluginAway) as failed:
        await made.call("a", "s", "t.do", {}, 1.0)

    assert failed.value.transient is False


async def test_calls_are_counted_and_seen_while_they_run(bench, made):
    """Who asks, for which Signal; gone when it ends."""
    made.adopt(known(bench, bench.plugin("time.sleep(0.3)\n" + PID)))
    running = asyncio.ensure_future(made.call("adder", "07", "t.do", {}, 20.0))
    await until(lambda: list(made.live()))

    (live,) = made.live(("07",))
    await running

    assert (live.agent, live.tool) == ("adder", "t.do")
    assert list(made.live()) == []
    told = bench.metrics.exposition().decode()
    assert 'portico_plugin_calls_total{outcome="done",plugin="t"} 1.0' in told
    assert 'portico_plugin_starts_total{plugin="t"} 1.0' in told


@pytest.mark.parametrize(("rows", "aside"), [(10, False), (50_000, True)])
async def test_a_large_answer_is_checked_beside_the_loop(bench, made, rows, aside, monkeypatch):
    """Of a schema each value costs; those of a small one cost less than a thread."""
    threads, outcome = [], contract.outcome

    def seen(*given):
        threads.append(threading.current_thread())
        return outcome(*given)

    monkeypatch.setattr(contract, "outcome", seen)
    body = "answer(number, {'content': [], 'structuredContent': {'result': 'x', 'rows': R}})"
    made.adopt(known(bench, bench.plugin(body.replace("R", f"list(range({rows}))"))))
    given = await made.call("a", "s", "t.do", {}, 20.0)

    assert json.loads(given)["rows"] == list(range(rows))
    assert [one is not threading.main_thread() for one in threads] == [aside]


def test_an_engine_without_plugins_loads_none_of_their_libraries():
    """The SDK costs half a second and its memory: only sites that have plugins pay it."""
    look = "import portico.server.engine, sys; print([m for m in sys.modules if m == 'mcp'])"

    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr
