"""server/storage.py: how an engine reaches its journal."""

import threading
import time

import psycopg

from server.peers import Sink

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
---
agent: forward
goal: All of it
on: {{channel: adt}}
steps: [{{send: files}}]
---
{{destination: files, type: folder, path: out}}
"""
FILL = """
create function no_room() returns trigger language plpgsql as
$$ begin raise exception 'no room' using errcode = 'disk_full'; end $$;
create trigger no_room before insert on body for each statement execute function no_room()
"""
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'portico writer'
"""


class Gated(Sink):
    """Answers nothing until `gate` is set, then twenty a second at most."""

    def __init__(self):
        self.gate = threading.Event()
        super().__init__()

    def heard(self, connection, number, frame):
        """Answer it late."""
        self.gate.wait(30)
        time.sleep(0.05)
        super().heard(connection, number, frame)


def test_a_full_disk_is_told_once_and_so_is_its_end(appliance, server, url):
    """It takes connections, and no messages: that is one loss, however often it is tried."""
    port = server.free_port()
    one = appliance(SITE.format(port=port), journal=url).start()
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(FILL)
        for number in range(5):
            assert server.Client(port).ask(server.message(str(number))) == "close"
        assert not one.status()["journal"]["up"]
        link.execute("drop trigger no_room on body")
    server.until(lambda: server.Client(port).ask(server.message("6")) == "AA")

    assert one.status()["journal"]["up"]
    server.until(lambda: one.said("journal_back"))
    assert (one.said("journal_lost"), one.said("journal_back")) == (1, 1)
    assert "SQLSTATE 53100, disk full" in one.log.read_text()


def test_a_connection_that_holds_counts_though_nothing_is_stored(appliance, server, url):
    """A database that was restarted at night is back before the first message."""
    one = appliance(SITE.format(port=server.free_port()), journal=url).start()
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(CUT)
    server.until(lambda: one.said("journal_lost"))

    server.until(lambda: one.said("journal_back"))
    assert one.status()["journal"]["up"]


SLOW = """
{{channel: adt, order_by: PID-3.1, source: {{type: mllp, listen: "127.0.0.1:{port}"}}}}
---
{{agent: forward, goal: All of it, on: {{channel: adt}}, steps: [{{send: lab}}]}}
---
{{destination: lab, type: mllp, address: "127.0.0.1:{lab}", connections: 1}}
---
channel: asked
source: {{type: mllp, listen: "127.0.0.1:{asked}"}}
acknowledge: {{when: processed}}
---
agent: think
goal: Hold the end of the engine up
on: {{channel: asked}}
steps: [{{python: {{call: "transforms.think:think", timeout: 20s}}}}]
"""
THINK = "import time\n\n\ndef think(msg):\n    time.sleep(3)\n"
COUNT = "select count(*) from signal"
TAKE = "update lease set owner = 'another', epoch = epoch + 1"


def test_who_has_lost_the_lease_sends_no_more(appliance, server, url):
    """The engine that has it now sends the head of every lane: while the old one drains, each
    that leaves would leave twice."""
    ports = {"port": server.free_port(), "asked": server.free_port()}
    lab = Gated()
    one = appliance(SLOW.format(lab=lab.port, **ports), journal=url)
    (one.site / "transforms/think.py").write_text(THINK)
    one.start()
    sender = server.Client(ports["port"])
    for number in range(100):
        assert sender.ask(server.message(str(number), patient=str(number))) == "AA"
    server.Client(ports["asked"]).send(server.message("think"))
    with psycopg.connect(url, autocommit=True) as link:
        server.until(lambda: link.execute(COUNT).fetchone() == (101,))
        link.execute(TAKE)
    lab.gate.set()
    one.process.wait(30)
    lab.hang_up()

    assert one.said("lease_lost") == 1
    assert len(lab.got) < 5
