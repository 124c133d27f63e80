"""Plugins of a running engine: called for messages, journaled, ended with the engine."""

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import psycopg

from plugins import programs
from portico.cli.control import Engine

SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
acknowledge: {{when: processed, timeout: 20s}}
---
agent: marker
goal: Mark every message with what the plugin says of it
on: {{channel: adt}}
steps:
  - plugin: {{call: marks.mark, with: {{id: "{{MSH-10}}"}}, into: mark, timeout: 10s}}
  - map: {{set: {{MSH-10: "{{mark/result}}"}}}}
  - send: lab
---
{{destination: lab, type: mllp, address: "127.0.0.1:{sink}"}}
"""
TOOL = {
    "name": "mark",
    "inputSchema": {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    },
    "outputSchema": {
        "type": "object",
        "properties": {"result": {"type": "string"}},
        "required": ["result"],
    },
}
BODY = """\
said = given["id"]
if said == "die":
    os._exit(3)
if said == "slow":
    token = asked["params"]["_meta"]["progressToken"]
    told = {"progressToken": token, "progress": 1, "total": 4}
    say({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})
    time.sleep(60)
if said == "brief":
    time.sleep(2)
failed = said == "bad"
value = {"code": "no_mark"} if failed else {"result": "M" + said}
answer(number, {"content": [], "isError": failed, "structuredContent": value})
"""


def equip(site: Path) -> None:
    """The site's plugin."""
    programs.install(site, "marks", TOOL, BODY, errors={"no_mark": "permanent"})


def below(pid: int) -> list[int]:
    """The processes that came of this one, and of those."""
    with suppress(OSError):  # it may have ended
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [n for child in map(int, children) for n in (child, *below(child))]
    return []


def plugin_of(engine: int) -> int:
    """The process of the one plugin."""
    for pid in below(engine):
        with suppress(OSError):
            if b"marks.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError("there is no process of the plugin")


def test_a_message_goes_through_a_plugin_and_out(appliance, server, url):
    """The tool's answer is in the message; what fails is parked under its code; a process that
    dies is replaced; no secret is in its environment; it ends with an engine that is killed."""
    sink, port = server.Sink(), server.free_port()
    engine = appliance(SITE.format(port=port, sink=sink.port), journal=url)
    equip(engine.site)
    engine.start()
    client = server.Client(port)

    assert client.ask(server.message("1")) == "AA"
    server.until(lambda: sink.got == ["M1"])
    assert client.ask(server.message("bad")) == "AE"
    assert client.ask(server.message("die")) == "AE"
    assert client.ask(server.message("2")) == "AA"
    server.until(lambda: sink.got == ["M1", "M2"])

    parked = engine.run("parked", "--json").stdout
    assert "marks.mark: no_mark [plugin.failed]" in parked
    assert "[plugin.died]" in parked
    status = engine.status()["plugins"]["marks"]
    assert (status["version"], status["state"], status["processes"]) == ("1", "ready", 1)
    pid = plugin_of(engine.process.pid)
    held = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PORTICO" not in held and b"postgres" not in held
    counted = engine.metrics()
    assert counted['portico_plugin_calls_total{outcome="done",plugin="marks"}'] == 2
    assert counted['portico_plugin_exits_total{code="crashed",plugin="marks"}'] == 1
    assert engine.said("plugin_died") == 1

    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait(10)
    server.until(lambda: not Path(f"/proc/{pid}").exists())
    client.close()
    sink.close()


def test_a_reload_with_a_file_that_changed_is_refused(appliance, server, url):
    """It is not its pinned version; the plugin that runs goes on."""
    sink, port = server.Sink(), server.free_port()
    engine = appliance(SITE.format(port=port, sink=sink.port), journal=url)
    equip(engine.site)
    engine.start()
    client = server.Client(port)
    assert client.ask(server.message("7")) == "AA"
    server.until(lambda: sink.got == ["M7"])

    (engine.site / "transforms/marks/marks.py").write_text("print('other')")
    engine.reload()
    server.until(lambda: engine.said("site_refused") == 1)
    assert client.ask(server.message("8")) == "AA"

    server.until(lambda: sink.got == ["M7", "M8"])
    client.close()
    sink.close()
    assert engine.end() == 0


def test_a_plugin_whose_processes_die_is_put_in_quarantine_with_an_alarm(
    appliance, server, url
):
    """The engine starts and works on; the operator is told which plugin it is."""
    sink, port = server.Sink(), server.free_port()
    engine = appliance(SITE.format(port=port, sink=sink.port), journal=url)
    equip(engine.site)
    program = engine.site / "transforms/marks/marks.py"
    registry = engine.site / "transforms/plugins.yaml"
    before = hashlib.sha256(program.read_bytes()).hexdigest()
    program.write_text("raise SystemExit(1)")
    after = hashlib.sha256(program.read_bytes()).hexdigest()
    pool = "pool: {fewest: 4, most: 4}\n"
    registry.write_text(registry.read_text().replace(before, after) + pool)
    engine.start()

    server.until(lambda: engine.said("plugin_quarantined"), 40)
    server.until(lambda: engine.said("alarm_opened"), 20)

    assert "code=quarantined scope=plugin name=marks" in engine.log.read_text()
    assert engine.process.poll() is None
    sink.close()


def under_way(server, client, door):
    """Where a Signal is shown whose call takes long, and has told of its first part."""
    client.send(server.message("slow"))
    (one,) = server.until(lambda: door.call("GET", "/v1/signals")["signals"])
    path = f"/v1/signals/{one['id']}"
    server.until(lambda: [p["done"] for p in sessions(door, path)] == [1.0])
    return path


def test_a_call_that_takes_long_is_followed_and_ended(appliance, server, url):
    """Its progress is shown; the session ends with the call, and the plugin serves the next."""
    sink, port = server.Sink(), server.free_port()
    site = SITE.format(port=port, sink=sink.port)
    engine = appliance(site.replace("0s}", "00s}"), journal=url)
    equip(engine.site)
    engine.start()
    client, door = server.Client(port), Engine(engine.site)
    path = under_way(server, client, door)
    (shown,) = sessions(door, path)
    ended = door.call("POST", f"{path}/cancel")

    assert (shown["state"], shown["asks"]) == ("asking", "plugin_1 (plugin)")
    assert (shown["step"], shown["done"], shown["total"]) == ("marks.mark", 1.0, 4.0)
    assert ended == {"agents": ["marker"]}
    assert b"MSA|AE" in client.answer()
    assert client.ask(server.message("2")) == "AA"
    assert door.call("GET", path)["parked"][0]["code"] == "step.cancelled"
    client.close()
    sink.close()
    assert engine.end() == 0


def test_a_call_that_was_under_way_when_the_engine_was_killed_is_a_persons_matter(
    appliance, server, url
):
    """It may have been done: the plugin is not called again until somebody releases it; a call
    that an orderly stop finds under way is ended, kept, and not made again."""
    sink, port = server.Sink(), server.free_port()
    engine = appliance(SITE.format(port=port, sink=sink.port), journal=url)
    equip(engine.site)
    engine.start()
    client, door = server.Client(port), Engine(engine.site)
    path = under_way(server, client, door)
    engine.end(signal.SIGKILL)

    engine.start()
    server.until(lambda: door.call("GET", path)["parked"])
    assert "[plugin.unclear]" in engine.cli("parked", "--json")
    assert engine.said("tool_unclear") == 1
    assert 'portico_plugin_calls_total{outcome="done",plugin="marks"}' not in engine.metrics()
    engine.cli("release", path.rpartition("/")[2])
    server.until(lambda: [p["done"] for p in sessions(door, path)] == [1.0])
    door.call("POST", f"{path}/cancel")

    client = server.Client(port)
    client.send(server.message("brief"))
    server.until(lambda: "marks.mark" in egress(url, "call.open"))
    assert engine.end() == 0
    assert egress(url, "") == ["marks.mark"]
    engine.start()
    server.until(lambda: sink.got == ["Mbrief"])
    assert egress(url, "") == ["marks.mark"]
    client.close()
    sink.close()
    assert engine.end() == 0


def egress(url, error):
    """The calls that ended so, in the journal."""
    with psycopg.connect(url) as link:
        return [
            row[0] for row in link.execute("select target from call where error = %s", [error])
        ]


def sessions(door, path):
    """Where those of a Signal are."""
    return door.call("GET", f"{path}/live")["sessions"]
