"""Retention and legal holds through a running engine, and the terms of a site."""

import asyncio
import json
from datetime import UTC, date, datetime, time, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from portico.check.site import load_site
from portico.clock import SystemClock
from portico.journal import partitions
from portico.journal.purging import Purge, PurgedPage
from portico.journal.retention import Retention
from portico.server import keeping
from portico.server.kept import shorter, terms_of
from portico.server.purging import Purging

DAY = 86_400.0
LOG = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
---
agent: all
goal: Count
on: {{channel: adt}}
steps: [{{send: nowhere}}]
---
{{destination: nowhere, type: log}}
"""


@pytest.mark.parametrize(
    ("site", "channel", "kept"),
    [
        ("", "", (30, 365)),
        ("retention: {bodies: 7d, headers: 90d}", "", (7, 90)),
        ("retention: {bodies: 7d}", "retention: {bodies: 20d}", (20, 365)),
        ("retention: {bodies: 20d}", "retention: {bodies: 7d}", (20, 365)),
        ("retention: {bodies: 2d, headers: 1d}", "", (2, 7)),
        ("retention: {bodies: 2d, headers: 3d}", "duplicates: {window: 9d}", (2, 9)),
    ],
)
def test_the_longest_wish_counts_and_repeats_stay_known(tmp_path, site, channel, kept):
    """A day holds every channel's messages; headers outlast bodies and duplicates."""
    for folder in ("channels", "config", "transforms"):
        (tmp_path / folder).mkdir()
    first, _, rest = LOG.format(port=1).partition("---\n")
    (tmp_path / "channels/all.yaml").write_text(f"{first}{channel}\n---\n{rest}")
    (tmp_path / "config/portico.yaml").write_text(f"{site}\n")

    loaded = load_site(tmp_path, {})
    terms = terms_of(loaded)

    assert (terms.bodies / DAY, terms.headers / DAY) == kept
    own = loaded.channels["adt"].retention.bodies
    assert shorter(loaded) == ({"adt": own} if own < terms.bodies else {})


def test_an_operator_sees_what_goes_keeps_it_and_lets_it_go(
    server, appliance, journal_url, url
):
    """Of an old day: the plan, a hold of its patient, the end of that hold, the drop."""
    port = server.free_port()
    engine = appliance(LOG.format(port=port), journal=url).start()
    day = datetime.now(UTC).date() - timedelta(days=50)
    first = partitions.bounds(day)[0]
    with psycopg.connect(make_conninfo(journal_url), autocommit=True) as connection:
        for statement in partitions.creating([day]):
            connection.execute(statement)
        connection.execute(
            "insert into signal values (%s, 1, 'adt', now(), 'ADT^A01', '1', '', 'P4711X', '',"
            " 0, '', 1, '', '', null, '')",
            (first,),
        )
    (plan,) = json.loads(engine.cli("retention", "--days", "0", "--json"))["days"]
    assert (plan["day"], plan["part"], plan["kept"]) == (day.isoformat(), "bodies", "")

    engine.cli("hold", "--patient", " ", "--reason", "a law suit", code=1)
    engine.cli("hold", "--patient", "P4711X", "--reason", "a law suit")
    assert "held" in engine.cli("retention", "--drop")
    shown = engine.cli("holds")
    assert "a law suit" in shown
    assert "P4711X" not in shown
    assert "P4711X" in engine.cli("holds", "--phi")
    engine.cli("unhold", "1")
    engine.cli("unhold", "1", code=1)

    assert "nothing is due" in engine.cli("retention", "--drop")
    assert engine.said("day_dropped") == 1
    assert engine.said("hold_set") == engine.said("hold_ended") == 1
    name = 'portico_events_total{agent="",channel="",code="",destination="",'
    assert engine.metrics()[f'{name}event="day_dropped",level="info"}}'] == 1
    assert "P4711X" not in engine.log.read_text()


SHORT = LOG.replace("---\n", "retention: {{bodies: 7d}}\n---\n", 1)


def test_a_channels_shorter_wish_and_the_audit_trail_go_by_themselves(
    server, appliance, journal_url, url
):
    """The plan names the channel; its bytes and those that agents emitted go while the day
    stays, and the plan is done with them; what people did goes after its own time."""
    engine = appliance(SHORT.format(port=server.free_port()), journal=url)
    (engine.site / "config").mkdir(exist_ok=True)
    with (engine.site / "config/portico.yaml").open("a") as config:
        config.write("retention: {audit: 10d}\n")
    engine.start()
    now = datetime.now(UTC)
    day = now.date() - timedelta(days=20)
    first = partitions.bounds(day)[0].replace("000000000000", "000000000001")
    with psycopg.connect(make_conninfo(journal_url), autocommit=True) as connection:
        for statement in partitions.creating([day]):
            connection.execute(statement)
        connection.execute(
            "insert into signal values (%s, 1, 'adt', now(), 'ADT^A01', '1', '', '4711', '', 0,"
            " '', 1, '', '', null, '')",
            (first,),
        )
        emitted = first.replace("000000000001", "000000000002")
        connection.execute(
            "insert into signal values (%s, 2, 'signal:copy', now(), '', '', '', '', '', 0,"
            " '', 1, '', '', %s, '')",
            (emitted, first),
        )
        for key in (first, emitted):
            connection.execute("insert into body values (%s, 0, 'bytes')", (key,))
        connection.execute(
            "insert into act values (1, %s, 'anna', 'release', %s, 'signal', 1, 0, '')",
            (now - timedelta(days=11), first),
        )

        def planned():
            plan = json.loads(engine.cli("retention", "--days", "0", "--json"))["days"]
            return [(one["day"], one["part"], one["channel"]) for one in plan]

        assert planned() == [(day.isoformat(), "bodies", "adt")]
        assert "nothing is due" in engine.cli("retention", "--drop")
        server.until(lambda: engine.said("bodies_purged") == 2)
        server.until(lambda: engine.said("audit_purged") == 1)
        assert planned() == []
        for table, rows in (("body", 0), ("act", 0), ("signal", 2)):
            found = connection.execute(f"select count(*) from {table}").fetchone()
            assert (table, found) == (table, (rows,))


@pytest.fixture
async def kept(tmp_path, journal_url, monkeypatch):
    """The keeper of a journal with a day whose bodies are due, and what it tells."""
    monkeypatch.setattr(keeping, "_APART", 0.0)
    for folder in ("channels", "config", "transforms"):
        (tmp_path / folder).mkdir()
    (tmp_path / "channels/all.yaml").write_text(LOG.format(port=1))
    site, told, clock = load_site(tmp_path, {}), [], SystemClock()
    around = (lambda: site, clock, told.append)
    with psycopg.connect(make_conninfo(journal_url), autocommit=True) as connection:
        for statement in partitions.creating([datetime.now(UTC).date() - timedelta(days=50)]):
            connection.execute(statement)
    purging = Purging(Purge(lambda: journal_url), *around, asyncio.Lock())
    keeper = keeping.Keeping(Retention(lambda: journal_url), purging, *around)
    yield keeper, told
    await keeper.close()


async def test_a_day_that_two_ask_for_at_once_goes_once(kept):
    """The engine's own round and a person's take turns."""
    keeper, told = kept
    await asyncio.gather(keeper.round(), keeper.round())

    assert [(type(event).__name__, event.part) for event in told] == [("DayDropped", "bodies")]


async def test_once_a_hold_is_set_nothing_of_its_day_goes(kept, journal_url):
    """One that comes while a day goes is set when that has gone, and not told before: what is
    there when a person hears of the hold stays."""
    keeper, told = kept
    pending = "select exists (select from pg_inherits where inhdetachpending)"
    async with await psycopg.AsyncConnection.connect(journal_url) as reader:
        await reader.execute("select count(*) from body")
        round_of = asyncio.ensure_future(keeper.round())
        async with await psycopg.AsyncConnection.connect(journal_url, autocommit=True) as other:
            while await (await other.execute(pending)).fetchone() != (True,):
                await asyncio.sleep(0.01)
        hold = asyncio.ensure_future(keeper.hold(None, "7", "a law suit", "anna"))
        await asyncio.sleep(0.05)
    await asyncio.gather(round_of, hold)

    assert [type(event).__name__ for event in told] == ["DayDropped", "HoldSet"]


class YearsOf:
    """A journal of so many days, each with its bytes; and the clock, which a test sets."""

    def __init__(self):
        self.today, self.ended = date(2026, 1, 1), set()

    def time_ns(self):
        """Noon of today."""
        noon = datetime.combine(self.today, time(12), UTC)
        return int(noon.timestamp()) * 1_000_000_000

    def monotonic(self):
        """No time passes."""
        return 0.0

    async def days(self):
        """Those that are kept."""
        return [self.today - timedelta(days=n) for n in range(10, -1, -1)]

    async def forget(self, before):
        """Days that are there no more."""
        self.ended = {one for one in self.ended if one[1] >= before}

    async def done(self):
        """Days whose bytes have gone."""
        return self.ended

    async def names(self, channel):
        """It has had one."""
        return [channel]

    async def bodies(self, origin, day, after):
        """All of them go at once."""
        return PurgedPage(1, 0, None)

    async def emitted(self, day):
        """Nothing."""
        return []

    async def sweep(self, day):
        """Nothing more."""

    async def finish(self, origin, day):
        """They have gone."""
        self.ended.add((origin, day))

    async def acts(self, before, after):
        """None."""
        return 0, None

    async def jobs(self, before):
        """None."""
        return 0


async def test_what_was_looked_at_is_forgotten_with_its_day(tmp_path):
    """An engine that runs for years keeps no line for each channel and day that it has seen."""
    for folder in ("channels", "config", "transforms"):
        (tmp_path / folder).mkdir()
    first, _, rest = LOG.format(port=1).partition("---\n")
    own = "retention: {bodies: 2d}"
    (tmp_path / "channels/all.yaml").write_text(f"{first}{own}\n---\n{rest}")
    site, years, told = load_site(tmp_path, {}), YearsOf(), []
    purging = Purging(years, lambda: site, years, told.append, asyncio.Lock())

    for _ in range(1000):
        await purging.round()
        years.today += timedelta(days=1)

    assert len(told) >= 1000
    assert len(purging._looked) <= 20


def test_a_hold_says_what_is_missing(server, appliance):
    """A Signal or a patient, and why; an id that is one."""
    engine = appliance(LOG.format(port=server.free_port())).start()

    assert "--reason" in engine.cli("hold", "--patient", "1", code=2)
    assert "--patient" in engine.cli("hold", "--reason", "because", code=2)
    assert "no id" in engine.cli("hold", "x", "--reason", "because", code=2)
    nobodys = "01a1fad5-58fa-7000-8028-7b3f2118fbd3"
    assert f"no Signal {nobodys}" in engine.cli("hold", nobodys, "--reason", "because", code=1)
    assert "nothing is under a legal hold" in engine.cli("holds")
    assert engine.said("hold_set") == 0
