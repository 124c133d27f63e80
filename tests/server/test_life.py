"""The process: start, reload, faults around it, end (promises P1, P6, P7, P8)."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest

from portico.api import serve

CHANNEL = """
channel: {name}
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: PID-3.1
---
"""
FORWARD = """
agent: forward
goal: All of it
on: {{channel: [{named}], type: ADT^*}}
steps: [{steps}]
---
{{destination: his, type: mllp, address: "127.0.0.1:{his}", retry: {{first: 1s, most: 1s}}}}
---
{{destination: files, type: folder, path: {path}}}
"""
PLACES = """
{{channel: m1, source: {{type: mllp, listen: "127.0.0.1:{one}"}}}}
---
{{channel: m2, source: {{type: mllp, listen: "127.0.0.1:{other}"}}}}
---
{{channel: w1, source: {{type: https, listen: "127.0.0.1:{web}", path: /{a}{tls}}}}}
---
{{channel: w2, source: {{type: https, listen: "127.0.0.1:{web}", path: /{b}{tls}}}}}
---
{{agent: forward, goal: All of it, on: {{channel: m1}}, steps: [{{send: files}}]}}
---
{{destination: files, type: folder, path: out}}
"""
FILES = '{send: {to: files, file: "{MSH-10}.hl7"}}'


def documents(channels, his=9, steps="{send: his}", path="out"):
    """A site: channels by port, one agent, two destinations."""
    opened = "".join(CHANNEL.format(name=name, port=port) for name, port in channels.items())
    return opened + FORWARD.format(named=", ".join(channels), his=his, steps=steps, path=path)


def test_a_site_is_swapped_without_closing_a_socket(server, appliance, url):
    """SIGHUP: the connection stays, the new agent is in force, what left is closed; a bad site
    changes nothing and is named."""
    adt, extra = server.free_port(), server.free_port()
    one = appliance(documents({"adt": adt, "extra": extra}), journal=url).start()
    client = server.Client(adt)
    assert client.ask(server.message("1")) == "AA"

    one.write(documents({"adt": adt}, steps="{sned: his}"))
    one.reload()
    server.until(lambda: one.said("site_refused") == 1)
    assert client.ask(server.message("2")) == "AA"
    assert "did you mean 'send'" in one.log.read_text()
    server.until(lambda: one.status()["channels"]["adt"]["done"] == 2)

    one.write(documents({"adt": adt}, steps=FILES))
    one.reload()
    server.until(lambda: one.said("site_swapped") == 1)
    assert client.ask(server.message("3")) == "AA"
    server.until(lambda: (one.site / "out/3.hl7").exists())
    with pytest.raises(ConnectionRefusedError):
        server.Client(extra)
    assert not (one.site / "out/2.hl7").exists()
    assert one.end() == 0


def test_channels_that_change_places_are_open_when_a_reload_is_over(
    server, appliance, url, papers
):
    """Two take each other's port, two each other's path, and with it TLS at their one address:
    nobody is told for five seconds that nothing is served there."""
    one, other, web = (server.free_port() for _ in range(3))
    secured = ", tls: {{certificate: {certificate}, key: '{key}'}}".format(**papers.issue())
    engine = appliance(
        PLACES.format(one=one, other=other, web=web, a="a", b="b", tls=""), journal=url
    ).start()

    engine.write(PLACES.format(one=other, other=one, web=web, a="b", b="a", tls=secured))
    engine.reload()
    server.until(lambda: engine.said("site_swapped") == 1)
    assert engine.said("channel_failed") == 0
    assert engine.said("channel_opened") == 8


def test_who_has_read_ready_reaches_the_engine(server, appliance):
    """The control socket is there by then, after a kill too, whatever is still being loaded."""
    one = appliance(documents({"adt": server.free_port()}))
    for _ in range(2):
        one.start()
        with socket.socket(socket.AF_UNIX) as asking:
            with serve.reachable(serve.socket_path(one.site / "var")) as name:
                asking.connect(name)
            asking.sendall(b"GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            asking.settimeout(30)
            assert asking.recv(65536).startswith(b"HTTP/1.1 200")
        one.end(signal.SIGKILL)


def test_a_stop_drains_while_a_destination_is_down(server, appliance, url):
    """A thousand queued: exit 0 within 30 s, and the next run delivers each once, in order."""
    adt, his = server.free_port(), server.free_port()
    one = appliance(documents({"adt": adt}, his=his), journal=url).start()
    client = server.Client(adt)
    frames = b"".join(server.encode(server.message(str(n))) for n in range(1000))
    threading.Thread(target=client.send, args=(frames, True), daemon=True).start()
    for _ in range(1000):
        assert b"MSA|AA" in client.answer()

    assert one.end() == 0
    assert one.said("journal_lost") == 0
    sink = server.Sink(his)
    one.start()
    server.until(lambda: len(sink.got) >= 1000, 60)
    assert one.end() == 0

    assert sink.got == [str(n) for n in range(1000)]
    sink.close()


def test_a_port_in_use_delays_one_channel_only(server, appliance, url):
    """The other runs; once the port is free it opens, and only then `ready` is said."""
    taken, free = server.free_port(), server.free_port()
    squatter = socket.create_server(("127.0.0.1", taken))
    one = appliance(documents({"adt": taken, "oru": free}), journal=url).start(ready=False)
    server.until(lambda: one.said("channel_failed") == 1)
    server.until(lambda: one.said("engine_ready") == 1)
    assert server.Client(free).ask(server.message("1")) == "AA"

    squatter.close()
    assert one.process.stdout.readline() == b"ready\n"

    assert server.Client(taken).ask(server.message("2")) == "AA"
    assert one.end() == 0


class Gate:
    """A TCP port before the database's Unix socket, opened when told to."""

    def __init__(self, port, path):
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(self._path)
            for pair in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def close(self):
        """Nobody gets in any more."""
        self._listening.close()


def test_a_database_that_is_down_at_the_start_is_awaited(server, appliance, journal_url):
    """P7, P8: no port is open before it is there; SIGTERM meanwhile ends with 0."""
    parts = psycopg.conninfo.conninfo_to_dict(journal_url)
    if not parts["host"].startswith("/"):
        pytest.skip("the database of these tests is not behind a Unix socket")
    port, adt = server.free_port(), server.free_port()
    there = server.url_of(journal_url, host="127.0.0.1", port=str(port))
    one = appliance(documents({"adt": adt}), journal=there).start(ready=False)
    server.until(lambda: one.said("journal_lost") == 1)
    assert one.end() == 0

    one.start(ready=False)
    server.until(lambda: one.said("journal_lost") == 2)
    with pytest.raises(ConnectionRefusedError):
        server.Client(adt)
    gate = Gate(port, f"{parts['host']}/.s.PGSQL.{parts.get('port', '5432')}")

    assert one.process.stdout.readline() == b"ready\n"
    assert server.Client(adt).ask(server.message("1")) == "AA"
    assert one.end() == 0
    gate.close()


def test_an_address_that_is_none_is_said_and_not_tried(server, appliance):
    """No database will ever answer there; the text may hold a password and is not shown."""
    one = appliance(documents({"adt": server.free_port()}), journal="hidden").start(ready=False)
    assert one.process.wait(30) == 1
    last = one.log.read_text().splitlines()[-1]
    assert last.startswith("portico: journal.url (or PORTICO_JOURNAL_URL) is no PostgreSQL URL")
    assert "hidden" not in one.log.read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run it as another user")
def test_an_ordinary_user_runs_it(server, appliance):
    """Its own PostgreSQL too, on a path with a space; data where PORTICO_DATA says.

    The user may read what root may: the interpreter of these tests can lie in root's home.
    """
    adt = server.free_port()
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    setpriv += [f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient")]
    one = appliance(documents({"adt": adt}, steps=FILES), wrap=setpriv, HOME="/")
    data = one.site.parent / "the data"
    data.mkdir()
    one.environ["PORTICO_DATA"] = str(data)
    for folder in (data, one.site):
        shutil.chown(folder, 65534, 65534)
    one.start()

    assert server.Client(adt).ask(server.message("1")) == "AA"
    server.until(lambda: (one.site / "out/1.hl7").exists())
    assert one.end() == 0
    assert (data / "postgres").is_dir()
    assert not (one.site / "var").exists()


OLDEST = next(Path("/usr/lib/postgresql").glob("15/bin/postgres"), None)


@pytest.mark.skipif(OLDEST is None, reason="no PostgreSQL 15 on this machine")
def test_the_oldest_postgresql_does(server, appliance, folders):
    """PORTICO_JOURNAL_URL at a PostgreSQL 15."""
    folder = folders()
    as_user = ()
    if os.getuid() == 0:
        as_user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        shutil.chown(folder, 65534, 65534)
    binaries, data = OLDEST.parent, folder / "db"
    subprocess.run(
        [*as_user, binaries / "initdb", "-D", data, "-U", "portico", "-A", "trust", "-N"],
        check=True, capture_output=True,
    )  # fmt: skip
    database = subprocess.Popen(
        [*as_user, binaries / "postgres", "-D", data, "-k", folder, "-h", ""],
        stderr=subprocess.DEVNULL,
    )
    try:
        adt = server.free_port()
        there = f"postgresql://portico@/postgres?host={folder}"
        one = appliance(documents({"adt": adt}, steps=FILES), journal=there).start()
        assert server.Client(adt).ask(server.message("1")) == "AA"
        server.until(lambda: (one.site / "out/1.hl7").exists())
        assert one.end() == 0
    finally:
        database.send_signal(signal.SIGINT)
        database.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_second_sigterm_does_not_turn_the_end_into_a_death(server, appliance):
    """However often it is told, an engine that drained has ended with 0."""
    one = appliance(documents({"adt": server.free_port()})).start()

    while one.process.poll() is None:
        one.process.send_signal(signal.SIGTERM)
        time.sleep(0.005)

    assert one.process.returncode == 0
