"""server/storage.py: how an engine reaches its journal."""

import psycopg

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
