"""The command line against a running engine: a real one, on its own PostgreSQL."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from portico.cli import exits, init
from portico.cli.control import Engine
from ports import free_port


class Appliance:
    """`portico run` on a scaffold of its own."""

    def __init__(self, folder):
        self.site = folder / "site"
        self.to = f"127.0.0.1:{free_port()}"
        init.init(self.site)
        channel = self.site / "channels/admissions.yaml"
        channel.write_text(channel.read_text().replace("127.0.0.1:2575", self.to))
        self.sample = self.site / "samples/adt_a01.hl7"
        kept = {name: text for name, text in os.environ.items() if name[:8] != "PORTICO_"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "portico", "run", "--site", str(self.site)],
            env={**kept, "PORTICO_METRICS": f"127.0.0.1:{free_port()}"},
            stdout=subprocess.PIPE,
            stderr=(folder / "log").open("wb"),
        )
        self.log = folder / "log"

    def ready(self):
        """Wait for the line that says that every channel listens."""
        line = self._process.stdout.readline()
        assert line == b"ready\n", self.log.read_text()

    def end(self):
        """SIGTERM, and the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)


@pytest.fixture(scope="module")
def appliance(tmp_path_factory):
    """One engine for all tests of this file."""
    made = Appliance(tmp_path_factory.mktemp("appliance"))
    try:
        made.ready()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
async def sent(appliance, portico):
    """A Signal that was sent and has been delivered, as /v1 lists it."""
    done = await portico("send", appliance.sample, "--to", appliance.to)
    assert done.code == exits.OK, done.out + done.err
    engine = Engine(appliance.site)
    for _ in range(600):
        status = await asyncio.to_thread(engine.status)
        if status.destinations["filed"].delivered:
            break
        await asyncio.sleep(0.05)
    [row] = (await asyncio.to_thread(engine.signals, {})).signals
    return row


async def test_status_adds_up(appliance, portico, sent):
    """Promise P2, for people and for programs."""
    asked = await portico("status", "--site", appliance.site, "--json")
    shown = await portico("status", "--site", appliance.site)

    assert asked.code == shown.code == exits.OK
    assert asked.json["balanced"] is True
    book = asked.json["channels"]["admissions"]
    assert book["received"] == book["done"] > 0
    assert "admissions" in shown.out and "filed" in shown.out


async def test_signals_finds_what_was_sent(appliance, portico, sent):
    """As a table, as JSON, and a word when there is none."""
    listed = await portico("signals", "--site", appliance.site, "--since", "1h")
    asked = await portico("signals", "--site", appliance.site, "--type", "ADT^A*", "--json")
    none = await portico("signals", "--site", appliance.site, "--until", "1h")

    assert sent.id in listed.out and "100001" not in listed.out
    assert asked.json["signals"][0]["id"] == sent.id
    assert (none.code, none.out, none.err) == (exits.OK, "", "no Signal fits\n")


@pytest.mark.parametrize(
    ("name", "fits", "misses"),
    [
        ("channel", "admissions", "other"),
        ("type", "ADT^A*", "ORU*"),
        ("control_id", "MSG00001", "MSG00002"),
        ("patient", "100001", "100002"),
        ("state", "done", "parked"),
    ],
    ids=["channel", "type", "control id", "patient", "state"],
)
async def test_each_filter_reaches_the_journal(appliance, sent, name, fits, misses):
    """From the command's option to the statement."""
    engine = Engine(appliance.site)
    found = await asyncio.to_thread(engine.signals, {name: fits})
    other = await asyncio.to_thread(engine.signals, {name: misses})

    assert [row.id for row in found.signals] == [sent.id]
    assert other.signals == ()


async def test_show_masks_patients_unless_asked(appliance, portico, sent):
    """Everything that happened, by segment, step, Delivery and attempt."""
    masked = await portico("show", sent.id, "--site", appliance.site)
    whole = await portico("show", sent.id, "--site", appliance.site, "--phi")

    assert "Ada" not in masked.out and "100001" not in masked.out
    assert "PID|1||100001^^^HOSPITAL^MR|| Example^Ada^M" in whole.out
    assert "EXAMPLE^Ada" in whole.out
    assert "names (python) ok" in masked.out
    assert "to filed: delivered" in masked.out
    assert "patient data are hidden" in masked.err


async def test_an_unknown_signal_is_one_line(appliance, portico):
    """And a text that is no id is a usage error."""
    none = await portico(
        "show", "019ceb5b-e660-7000-8000-0000000000ff", "--site", appliance.site
    )
    wrong = await portico("show", "MSG00001", "--site", appliance.site)

    assert none.code == exits.FAILED and "api.not_found" in none.err
    assert wrong.code == exits.USAGE


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("drain admissions --wait 5x", exits.USAGE, "'5x' is not a duration"),
        ("release MSG00001", exits.USAGE, "`portico parked` and `portico show` print them"),
        ("show MSG00001", exits.USAGE, "`portico signals` lists them"),
        ("pause admision", exits.FAILED, "'admision'; did you mean 'admissions'?"),
        (
            "replay --channel admissions",
            exits.INTERRUPTED,
            "nobody answers; --yes asks nothing",
        ),
        ("acts", exits.OK, "nobody did anything to messages"),
        ("jobs", exits.OK, "no replay has been asked for"),
        ("holds", exits.OK, "nothing is under a legal hold"),
        ("parked", exits.OK, "nothing is parked"),
    ],
)
async def test_what_cannot_be_done_is_said_in_words(
    appliance, portico, sent, typed, code, said
):
    """Never a traceback or an empty table, and an exit code that a script can go by."""
    done = await portico(*typed.split(), "--site", appliance.site)

    assert (done.code, said in done.err) == (code, True), done.out + done.err
    assert "Traceback" not in done.err


async def test_status_lists_agents_in_a_table(appliance, portico, sent):
    """Name, owner, version, processes, how many are busy, how many wait for one, state."""
    shown = await portico("status", "--site", appliance.site)

    lines = [line.split() for line in shown.out.splitlines()]

    head = ["AGENT", "OWNER", "VERSION", "PROCESSES", "BUSY", "WAITING", "STATE"]
    assert head in lines
    ready = [["1", "0", "0", "ready"]]
    assert [li[-4:] for li in lines if li[:1] == ["file_admissions"]] == ready


async def test_reload_swaps_or_says_why_not(appliance, portico):
    """The old site stays when the new one has findings."""
    path = appliance.site / "channels/admissions.yaml"
    good = path.read_text()
    path.write_text(good.replace("summary: One", "sumary: One"))
    refused = await portico("reload", "--site", appliance.site)
    path.write_text(good)
    swapped = await portico("reload", "--site", appliance.site, "--json")

    assert refused.code == exits.FAILED
    assert "sumary" in refused.out and "the old site stays" in refused.out
    assert (swapped.code, swapped.json["swapped"]) == (exits.OK, True)


async def test_doctor_sees_the_ports_of_the_running_engine(appliance, portico):
    """Taken by the engine itself is good; before the start it would be bad."""
    done = await portico("doctor", "--site", appliance.site, "--json")
    looks = {look["subject"]: look for look in done.json["looks"]}

    assert looks["channel admissions"]["verdict"] == "good", looks
    assert "is open" in looks["channel admissions"]["text"]
    assert "PostgreSQL" in looks["journal"]["text"] or "journal" in looks["journal"]["text"]


async def test_load_is_taken_whole(appliance, portico):
    """Nothing is lost, nothing is answered for another."""
    done = await portico(
        "load", "--to", appliance.to, "--count", 300, "--connections", 3, "--outstanding", 4,
        "--json",
    )  # fmt: skip

    assert done.code == exits.OK, done.out + done.err
    assert done.json["codes"] == {"AA": 300}


@pytest.mark.parametrize(
    ("typed", "stdin", "said"),
    [
        ("release --channel nobodys --yes", b"", []),
        ("discard --channel nobodys --yes --reason none", b"", []),
        ("replay --control-id MSG00001", b"y\n", {"state": "done", "made": 1}),
    ],
)
async def test_standard_output_is_json_and_nothing_else(
    appliance, portico, sent, typed, stdin, said
):
    """Also where nothing fits, or a person is asked amid it."""
    done = await portico(*typed.split(), "--json", "--site", appliance.site, stdin=stdin)

    found = {name: done.json[name] for name in said} if isinstance(said, dict) else done.json
    assert (done.code, found) == (exits.OK, said), done.err


async def test_stop_drains_and_ends(appliance, portico):
    """The last test of this file: exit code 0, and the socket is gone."""
    done = await portico("stop", "--json", "--site", appliance.site)

    assert (done.code, done.json) == (exits.OK, {"state": "draining"}), done.err
    assert appliance.end() == 0, appliance.log.read_text()
    assert not (appliance.site / "var/control.sock").exists()


async def test_without_an_engine_the_journal_is_read(portico, site, journal_url):
    """By URL; the same commands, the same JSON."""
    listed = await portico("signals", "--site", site, "--json", PORTICO_JOURNAL_URL=journal_url)
    status = await portico("status", "--site", site, "--json", PORTICO_JOURNAL_URL=journal_url)

    assert (listed.code, listed.json) == (exits.OK, {"signals": [], "next": None}), listed.err
    assert (status.json["state"], status.json["balanced"]) == ("stopped", True)


async def test_a_journal_that_is_away_is_one_line_without_its_password(portico, site):
    """Exit code 3; where and why, and nothing else of the URL."""
    url = "postgresql://u:hidden@127.0.0.1:1/x"
    done = await portico("signals", "--site", site, PORTICO_JOURNAL_URL=url)

    assert done.code == exits.UNREACHABLE
    assert done.err == "portico: no connection to 127.0.0.1:1/x: Connection refused\n"


async def test_doctor_finds_a_port_that_is_taken(portico, site):
    """Before the engine would."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        channel = site / "channels/admissions.yaml"
        channel.write_text(channel.read_text().replace(":2575", f":{port}"))
        done = await portico("doctor", "--site", site)

    assert done.code == exits.FAILED
    assert f"127.0.0.1:{port}: Address already in use" in done.out
