"""One running appliance: what peers see, and what the operator reads (P1, P10, M9, A10)."""

import re
from pathlib import Path

import pytest

from portico.events.families import COUNTERS, GAUGES, HISTOGRAMS

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+\.hl7)` \| .* \| `[\w.]+` \| (close|none|AA|AE)", re.M)
BROKEN = dict(ROW.findall((ROOT / "samples/hl7/README.md").read_text()))

DOCUMENTS = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}", limit: 256KiB}}
order_by: PID-3.1
---
channel: small
source: {{type: mllp, listen: "127.0.0.1:{small}", limit: 1KiB}}
---
agent: forward
goal: To the HIS and into a folder
on: {{channel: adt, type: ADT^A01}}
steps: [{{send: [his, files]}}]
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}", retry: {{first: 1s, most: 1s}}}}
---
{{destination: files, type: folder, path: out, file: "{{id}}.hl7"}}
"""


@pytest.fixture(scope="module")
def ports(server):
    """Of the shared site."""
    return {name: server.free_port() for name in ("adt", "small")}


@pytest.fixture(scope="module")
def sink(server):
    """The HIS."""
    sink = server.Sink()
    yield sink
    sink.close()


@pytest.fixture(scope="module")
def running(server, folders, ports, sink):
    """One engine, with its own embedded journal, for all tests of this file."""
    documents = DOCUMENTS.format(**ports, his=sink.port)
    one = server.Appliance(folders(), documents).start()
    yield one
    assert one.end() == 0, one.log.read_text()


@pytest.fixture
def client(server, running, ports):
    """Connected to the channel `adt`."""
    client = server.Client(ports["adt"])
    yield client
    client.close()


def test_the_table_names_every_broken_sample():
    """samples/hl7/README.md has a row for each file and no other."""
    there = {path.name for path in (ROOT / "samples/hl7/broken").glob("*.hl7")}

    assert set(BROKEN) == there


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_message_gets_its_documented_answer(server, client, ports, name):
    """Over a real socket; and the channel goes on for others."""
    content = (ROOT / "samples/hl7/broken" / name).read_bytes()
    if BROKEN[name] == "none":
        client.send(content)
        assert client.ask(server.message("after", kind="ADT^A08")) == "AA"
        return
    assert client.ask(content) == BROKEN[name]
    other = server.Client(ports["adt"])
    assert other.ask(server.message(f"after {name}", kind="ADT^A08")) == "AA"
    other.close()


def test_the_answer_names_the_message_byte_for_byte(client):
    """A6: MSA-2 is MSH-10, a NUL included."""
    content = (ROOT / "samples/hl7/broken/nul_control_id.hl7").read_bytes()
    client.send(content)

    assert b"\rMSA|AA|" + content.split(b"|")[9] + b"\r" in client.answer()


def test_junk_between_frames_is_passed_over(server, client):
    """M2: what lies before a start byte is no message."""
    client.send(b"\r\n\x1c junk \x00", raw=True)

    assert client.ask(server.message("junk", kind="ADT^A08")) == "AA"


def test_an_endless_frame_is_cut_off(server, running, ports):
    """M3: past the limit nothing is answered, and nobody else notices."""
    flood = server.Client(ports["small"])
    flood.send(b"\x0b" + b"x" * 5000, raw=True)
    assert flood.answer() == b""

    calm = server.Client(ports["small"])
    assert calm.ask(server.message("calm")) == "AA"


def test_a_control_id_too_long_for_an_index_harms_nobody(server, client):
    """P10: 60,000 characters that do not compress."""
    long = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(7500))

    assert client.ask(server.message(long, kind="ADT^A08")) == "AA"
    assert client.ask(server.message("short", kind="ADT^A08")) == "AA"


def test_answers_keep_the_order_of_pipelined_messages(server, client):
    """M4: a hundred frames in one write."""
    frames = [server.message(f"pipe{n}", kind="ADT^A08") for n in range(100)]
    client.send(b"".join(map(server.encode, frames)), raw=True)
    told = [re.search(rb"MSA\|AA\|(\w+)", client.answer())[1].decode() for _ in frames]

    assert told == [f"pipe{n}" for n in range(100)]


def queued(running):
    """What its destinations have not taken yet."""
    samples = running.metrics()
    return sum(n for name, n in samples.items() if name.startswith("portico_queue_depth"))


def test_a_message_reaches_every_destination_and_is_counted(server, client, running, sink):
    """MLLP and folder; then the metrics say what happened."""
    client.ask(server.message("first"))
    server.until(lambda: "first" in sink.got and not queued(running))
    out, before = running.site / "out", running.metrics()
    files = len(list(out.glob("*.hl7")))
    for n in range(20):
        assert client.ask(server.message(f"count{n}", patient=str(n % 3))) == "AA"
    server.until(lambda: {f"count{n}" for n in range(20)} <= set(sink.got))
    server.until(lambda: len(list(out.glob("*.hl7"))) == files + 20)

    def grown():
        after = running.metrics()
        return {name: after.get(name, 0) - before.get(name, 0) for name in wanted}

    wanted = {
        'portico_received_total{channel="adt"}': 20,
        'portico_acknowledged_total{channel="adt",code="AA"}': 20,
        'portico_sessions_total{agent="forward",verdict="deliver"}': 20,
        'portico_deliveries_total{destination="his",outcome="delivered"}': 20,
        'portico_deliveries_total{destination="files",outcome="delivered"}': 20,
        'portico_queue_depth{destination="his"}': 0,
    }
    server.until(lambda: grown() == wanted)


def test_the_order_of_a_patient_is_kept(server, client, sink):
    """P4: lane by lane, as journaled."""
    for n in range(30):
        client.ask(server.message(f"ord{n:02}", patient="one"))
    server.until(lambda: sum(one.startswith("ord") for one in sink.got) == 30)

    assert [one for one in sink.got if one.startswith("ord")] == [
        f"ord{n:02}" for n in range(30)
    ]


def test_the_books_add_up(server, client, running):
    """P2: received is the sum of the states, owed too."""
    client.ask(server.message("books"))
    states = ("waiting", "running", "done", "filtered", "refused", "duplicate", "parked",
              "discarded")  # fmt: skip
    queues = ("queued", "sending", "delivered", "parked", "discarded")

    status = running.status()

    for book in status["channels"].values():
        assert book["received"] == sum(book[state] for state in states)
    for book in status["destinations"].values():
        assert book["owed"] == sum(book[state] for state in queues)


def test_every_documented_metric_is_there(running):
    """docs/metrics.md is made from these families."""
    names = {re.split(r"[{ ]", name)[0] for name in running.metrics()}
    absent = (
        "portico_agent_refused",
        "portico_plugin",
        "portico_llm",
        "portico_alarm",
        "portico_certificate",
    )  # of what this site does not have
    for family in (*COUNTERS, *GAUGES):
        if family.name not in ("portico_parked", "portico_gauge_failures_total"):
            assert family.name in names or family.name.startswith(absent)
    for family in HISTOGRAMS:
        assert f"{family.name}_count" in names or family.name.startswith(absent)


def test_a_second_engine_on_the_same_data_is_refused(server, running):
    """It says who is there, and exits."""
    other = server.Appliance.__new__(server.Appliance)
    other.__dict__ |= running.__dict__
    other.log = running.site.parent / "other"
    other.start(ready=False)

    assert other.process.wait(20) == 1
    said = sorted(other.log.read_text().splitlines(), key=lambda line: "event=" in line)
    assert len(said) == 2  # its own word, and that it has begun
    assert said[0].endswith("[journal.locked]")
    assert running.metrics()


def test_no_log_line_holds_a_patient(server, client, running):
    """Names and numbers stay out of it."""
    client.ask(server.message("private", patient="SECRET4711"))

    assert "MUSTER" not in running.log.read_text()
    assert "SECRET4711" not in running.log.read_text()
