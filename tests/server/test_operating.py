"""An operator's verbs on a running appliance, and what of them outlives its restart."""

import json
import re
import signal
import socket
import ssl
import urllib.error
import urllib.request

import pytest

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
order_by: PID-3.1
---
channel: oru
source: {{type: mllp, listen: "127.0.0.1:{oru}"}}
---
agent: forward
goal: All of it
on: {{channel: [adt, oru]}}
steps: [{{send: [files, his]}}]
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}", retry: {{first: 1s, most: 1s}}}}
---
{{destination: files, type: folder, path: out, file: "{{MSH-10}}.hl7"}}
"""


@pytest.fixture
def world(server, appliance, url):
    """Two channels, a peer and a folder; not started."""
    ports = {"adt": server.free_port(), "oru": server.free_port(), "his": server.free_port()}
    one = appliance(SITE.format(**ports), journal=url)
    one.ports = ports
    return one


def test_a_paused_channel_stays_closed_over_a_restart(server, world):
    """Its senders see a refused connection, others go on; status says since when and by whom;
    `ready` does not wait for it; `resume` opens it."""
    one = world.start()
    sink = server.Sink(one.ports["his"])
    before = server.Client(one.ports["adt"])
    assert before.ask(server.message("1")) == "AA"
    assert "paused" in one.cli("pause", "adt")
    assert before.answer() == b""

    one.end(signal.SIGKILL)
    one.start()
    with pytest.raises(ConnectionRefusedError):
        server.Client(one.ports["adt"])
    assert server.Client(one.ports["oru"]).ask(server.message("2")) == "AA"
    told = one.status()["channels"]["adt"]
    assert told["state"] == "paused" and told["by"] and told["since"]
    assert one.metrics()['portico_wish{name="adt",scope="channel",wish="paused"}'] == 1

    one.cli("resume", "channel:adt")
    assert server.Client(one.ports["adt"]).ask(server.message("3")) == "AA"
    server.until(lambda: sorted(sink.got) == ["1", "2", "3"])
    sink.close()
    assert one.end() == 0


def test_a_paused_destination_keeps_its_queue_over_a_restart(server, world):
    """Nothing is sent, also after kill -9; the other destination goes on; `resume` sends all
    in order, once."""
    one = world.start()
    sink = server.Sink(one.ports["his"])
    one.cli("pause", "destination:his")
    client = server.Client(one.ports["adt"])
    for number in range(3):
        assert client.ask(server.message(f"a{number}")) == "AA"
    server.until(lambda: (one.site / "out/a2.hl7").exists())
    one.end(signal.SIGKILL)
    one.start()
    assert server.Client(one.ports["adt"]).ask(server.message("a3")) == "AA"
    server.until(lambda: (one.site / "out/a3.hl7").exists())
    told = one.status()["destinations"]["his"]
    assert (told["state"], told["queued"], sink.got) == ("paused", 4, [])

    one.cli("resume", "his")
    server.until(lambda: len(sink.got) >= 4)
    assert sink.got == ["a0", "a1", "a2", "a3"]
    sink.close()
    assert one.end() == 0


def test_a_drained_destination_sends_what_it_has_and_pauses(server, world):
    """`drain` ends when the queue is empty; what comes later waits."""
    one = world.start()
    one.cli("pause", "his")
    client = server.Client(one.ports["adt"])
    for number in range(20):
        assert client.ask(server.message(str(number))) == "AA"
    server.until(lambda: one.status()["destinations"]["his"]["queued"] == 20)
    sink = server.Sink(one.ports["his"])

    assert "drained" in one.cli("drain", "his")
    assert len(sink.got) == 20
    assert client.ask(server.message("late")) == "AA"
    server.until(lambda: one.status()["destinations"]["his"]["queued"] == 1)
    assert one.status()["destinations"]["his"]["state"] == "paused"
    assert len(sink.got) == 20
    sink.close()
    assert one.end() == 0


def test_a_drained_channel_has_nothing_left(server, world):
    """Its source is closed, and the command ends once its agents have finished."""
    one = world.start()
    client = server.Client(one.ports["adt"])
    frames = b"".join(server.encode(server.message(str(n))) for n in range(200))
    client.send(frames, raw=True)
    for _ in range(200):
        assert b"MSA|AA" in client.answer()

    assert "drained" in one.cli("drain", "adt")
    told = one.status()["channels"]["adt"]
    assert (told["waiting"], told["running"], told["received"]) == (0, 0, 200)
    assert one.end() == 0


def test_a_name_that_is_none_or_two_is_said(server, appliance, url):
    """An operator is never left to guess what was paused."""
    ports = {"adt": server.free_port(), "oru": server.free_port(), "his": 9}
    documents = SITE.format(**ports).replace("his", "adt").replace("127.0.0.1:9", "127.0.0.1:9")
    one = appliance(documents, journal=url).start()
    assert "write channel:adt or destination:adt" in one.cli("pause", "adt", code=2)
    assert "there is no channel, destination or agent 'lab'" in one.cli("pause", "lab", code=1)
    assert "expected channel:NAME or destination:NAME" in one.cli(
        "drain", "agent:forward", code=2
    )
    assert one.end() == 0


def test_a_site_may_start_a_noun_paused(server, world):
    """`start: paused` holds the first time; then what the operator said, also `running`."""
    documents = (world.site / "channels/all.yaml").read_text()
    world.write(documents.replace("channel: adt\n", "channel: adt\nstart: paused\n", 1))
    one = world.start()
    assert one.status()["channels"]["adt"]["state"] == "paused"
    one.cli("resume", "adt")
    assert one.end() == 0

    one.start()
    assert server.Client(one.ports["adt"]).ask(server.message("1")) == "AA"
    assert one.end() == 0


COUNTING = """
---
agent: count
start: paused
goal: Another agent of the same messages
on: {channel: adt}
steps: [{send: counted}]
---
{destination: counted, type: folder, path: counted, file: "{MSH-10}.hl7"}
"""


def test_a_paused_agent_waits_and_nobody_else_does(server, world):
    """`start: paused` holds the first time: its Signals wait and are counted, the other agent
    runs them; after a kill too. Resumed, it runs them all, and a pause outlives a restart."""
    world.write((world.site / "channels/all.yaml").read_text() + COUNTING)
    one, sink = world.start(), server.Sink(world.ports["his"])
    client = server.Client(one.ports["adt"])
    for number in range(20):
        assert client.ask(server.message(str(number))) == "AA"
    server.until(lambda: len(sink.got) == 20)
    server.until(lambda: one.status()["agents"]["count"]["waiting"] == 20)
    told = one.status()
    assert told["agents"]["count"]["state"] == "paused"
    assert (told["channels"]["adt"]["waiting"], told["balanced"]) == (20, True)
    assert one.metrics()['portico_wish{name="count",scope="agent",wish="paused"}'] == 1

    one.end(signal.SIGKILL)
    one.start()
    server.until(lambda: one.status()["agents"]["count"]["waiting"] == 20)
    assert not (one.site / "counted").exists()
    assert "what waited goes first" in one.cli("resume", "agent:count")
    server.until(lambda: len(list((one.site / "counted").glob("*.hl7"))) == 20)
    server.until(lambda: one.status()["channels"]["adt"]["done"] == 20)
    assert sorted(set(sink.got), key=int) == [str(number) for number in range(20)]

    one.cli("pause", "count")
    assert one.end() == 0
    one.start()
    assert server.Client(one.ports["adt"]).ask(server.message("last")) == "AA"
    server.until(lambda: one.status()["agents"]["count"]["waiting"] == 1)
    one.cli("resume", "count")
    server.until(lambda: (one.site / "counted/last-3.hl7").exists())
    assert one.end() == 0
    sink.close()


def test_a_stopped_destination_is_cut_off(server, world):
    """`stop` waits for nobody's answer; the message is sent again after `resume`."""
    one = world.start()
    silent = server.Sink(one.ports["his"])
    silent.heard = lambda *heard: None  # takes it and says nothing
    assert server.Client(one.ports["adt"]).ask(server.message("1")) == "AA"
    server.until(lambda: one.status()["destinations"]["his"]["sending"] == 1)

    one.cli("stop", "his")
    told = one.status()["destinations"]["his"]
    assert (told["state"], told["queued"], told["sending"]) == ("stopped", 1, 0)
    del silent.heard
    one.cli("resume", "his")
    server.until(lambda: silent.got == ["1"])
    silent.close()
    assert one.end() == 0


def test_a_destination_that_is_added_gets_nothing_old(server, world):
    """Only what is received from then on is sent there."""
    one = world.start()
    documents = (one.site / "channels/all.yaml").read_text()
    client = server.Client(one.ports["adt"])
    assert client.ask(server.message("old")) == "AA"
    server.until(lambda: (one.site / "out/old.hl7").exists())
    added = documents.replace("[files, his]", "[second, files, his]")
    second = '{destination: second, type: folder, path: second, file: "{MSH-10}"}'
    one.write(f"{added}\n---\n{second}")
    one.reload()
    server.until(lambda: one.said("site_swapped") == 1)

    assert client.ask(server.message("new")) == "AA"
    server.until(lambda: (one.site / "second/new").exists())
    server.until(lambda: (one.site / "out/new-2.hl7").exists())
    assert [path.name for path in (one.site / "second").iterdir()] == ["new"]
    assert one.end() == 0


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_what_a_removed_destination_is_owed_is_parked(server, world, how):
    """It leaves the site with a queue: parked with its reason, books balanced, said; both by a
    reload and by a new start."""
    one = world.start()
    client = server.Client(one.ports["adt"])
    for number in range(3):
        assert client.ask(server.message(str(number))) == "AA"
    server.until(lambda: one.status()["destinations"]["his"]["owed"] == 3)
    text = (one.site / "channels/all.yaml").read_text()
    kept = [part for part in text.split("---") if "destination: his" not in part]
    one.write("---".join(kept).replace("[files, his]", "files"))
    if how == "restart":
        assert one.end() == 0
        one.start()
    else:
        told = json.loads(one.cli("reload", "--json"))
        assert "3 messages that it is owed are parked" in told["findings"][-1]["text"]

    server.until(lambda: one.said("queue_parked") == 1)
    status = one.status()
    told = status["destinations"]["his"]
    assert (told["state"], told["queued"], told["parked"]) == ("removed", 0, 3)
    assert told["balanced"] and status["balanced"]
    page = json.loads(one.cli("signals", "--json"))
    shown = json.loads(one.cli("show", page["signals"][0]["id"], "--json"))
    assert [parked["code"] for parked in shown["parked"]] == ["destination_removed"]
    assert one.end() == 0


def test_a_reload_before_ready_is_done_after_it(server, world):
    """SIGHUP while the engine starts is not lost."""
    taken = socket.create_server(("127.0.0.1", world.ports["adt"]))
    one = world.start(ready=False)
    server.until(lambda: one.said("engine_starting") == 1)
    one.reload()
    server.until(lambda: one.said("site_swapped") == 1)
    taken.close()
    assert one.process.stdout.readline() == b"ready\n"
    assert one.end() == 0


def test_a_metrics_port_in_use_is_tried_again(server, world):
    """It is said once, the engine runs, and once the port is free the metrics are there."""
    taken = socket.create_server(("127.0.0.1", world.metrics_port))
    one = world.start()
    server.until(lambda: one.said("port_refused") == 1)
    taken.close()
    server.until(lambda: reached(one))
    assert one.said("port_refused") == 1
    assert one.end() == 0


def reached(one):
    """Whether the metrics can be read."""
    try:
        return bool(one.metrics())
    except OSError:
        return False


def asked(port, path, token=None, tls=None):
    """Status and JSON of one request to the network API. tls: a client's context."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    scheme = "https" if tls else "http"
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=tls) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_the_api_is_on_the_network_only_when_asked_and_with_its_token(server, appliance, url):
    """`PORTICO_API`: without the token of the data folder 401; with it all of /v1; the token
    outlives a restart, is nobody else's to read, and is never logged."""
    port = server.free_port()
    ports = {"adt": server.free_port(), "oru": server.free_port(), "his": 9}
    one = appliance(SITE.format(**ports), journal=url, PORTICO_API=f"127.0.0.1:{port}").start()
    file = one.site / "var/api.token"
    server.until(lambda: file.exists() and file.read_text().endswith("\n"))
    token = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    for wrong in (None, "x", token[:-1]):
        assert asked(port, "/v1/status", wrong)[0] == 401
    assert asked(port, "/v1/status", token)[1]["state"] == "ready"
    assert asked(port, "/v1/alarms", token) == (200, [])
    assert token not in one.log.read_text()
    assert one.end() == 0

    one.environ["PORTICO_API"] = "0.0.0.0:9000"
    assert "in the clear" in one.cli("check", code=1)
    del one.environ["PORTICO_API"]
    one.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    assert file.read_text().strip() == token
    assert one.end() == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_the_api_speaks_tls_where_it_is_told_to(server, appliance, url, papers):
    """`api.tls`: TLS 1.2 at least and the token all the same; in the clear nothing is said. Who
    did not get in is told with its address, and one that says nothing holds up no stop."""
    port = server.free_port()
    ports = {"adt": server.free_port(), "oru": server.free_port(), "his": 9}
    one = appliance(SITE.format(**ports), journal=url)
    shown = "certificate: {certificate}, key: '{key}'".format(**papers.issue())
    (one.site / "config").mkdir(exist_ok=True)
    config = one.site / "config/portico.yaml"
    text = config.read_text() if config.exists() else ""
    config.write_text(f"{text}\napi: {{listen: 127.0.0.1:{port}, tls: {{{shown}}}}}\n")
    one.start()
    file = one.site / "var/api.token"
    server.until(lambda: file.exists() and file.read_text().endswith("\n"))
    token = file.read_text().strip()
    context = ssl.create_default_context(cafile=papers.trust)

    assert asked(port, "/v1/status", None, context)[0] == 401
    assert asked(port, "/v1/status", token, context)[1]["state"] == "ready"
    with pytest.raises(OSError):
        asked(port, "/v1/status", token)
    silent = socket.create_connection(("127.0.0.1", port), 5)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError):
        asked(port, "/v1/status", token, context)
    assert one.end() == 0
    silent.close()
    log = one.log.read_text()
    assert "Task was destroyed" not in log
    failed = re.findall(r"event=handshake_failed .*", log)
    assert len(failed) == 2
    assert all(re.search(r"\bpeer=127\.0\.0\.1:\d+\b", line) for line in failed), failed
