"""The read side: what is found, in which order, and at what cost."""

import asyncio
import contextlib
import itertools
import os
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from portico import ids
from portico.clock import moment
from portico.errors import JournalUnavailable, RequestError
from portico.journal import connect, partitions, tables
from portico.journal.criteria import select_signals
from portico.journal.found import Page, Query
from portico.journal.search import Search
from portico.journal.selects import SESSION, Selects, select_books

DAY = date(2026, 3, 14)
START = int(datetime(2026, 3, 14, 8, tzinfo=UTC).timestamp() * 1e9)
SECOND = 1_000_000_000
_TAILS = itertools.count(1)


class Scribe:
    """Writes rows as the journal's writer leaves them."""

    def __init__(self, url):
        self._engine = sa.create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(url)
        )
        days = [DAY + timedelta(days=n) for n in range(3)]
        with self._engine.begin() as db:
            for statement in partitions.creating(days):
                db.exec_driver_sql(statement)

    def signal(self, at=START, state="done", body=b"MSH|", **fields):
        """One Signal in that state; its id."""
        key = UUID(bytes=ids.floor_at(at // 1_000_000)[:9] + next(_TAILS).to_bytes(7, "big"))
        ended = {"unmatched": "unmatched", "refused": "refused:message.not_hl7"}.get(state, "")
        seq = next(_TAILS)
        values = {
            "id": key, "seq": seq, "origin": "adt", "received": moment(at), "type": "ADT^A01",
            "control_id": f"MSG{seq}", "sender": "HIS|ST", "patient": "", "order_key": "",
            "repeat_key": 0, "peer": "10.0.0.1:5", "size": len(body), "sha256": b"\1" * 32,
            "flags": "", "parent": None, "ended": ended, **fields,
        }  # fmt: skip
        verdict = {"done": "deliver", "filtered": "drop", "duplicate": "duplicate"}.get(state)
        with self._engine.begin() as db:
            db.execute(tables.signal.insert(), values)
            db.execute(tables.body.insert(), {"signal": key, "part": 0, "content": body})
            if state == "waiting":
                db.execute(
                    tables.waiting.insert(),
                    {"origin": values["origin"], "seq": seq, "signal": key},
                )
            if state == "parked":
                db.execute(tables.parked.insert(), parked(key, "signal", 1))
                verdict = "fault"
            if state == "discarded":
                verdict = "fault"
            if verdict:
                db.execute(tables.session.insert(), session(key, 1, verdict))
        return ids.SignalId(key.bytes)

    def write(self, table, *rows):
        """Rows as they are."""
        with self._engine.begin() as db:
            db.execute(table.insert(), list(rows))

    def many(self, count):
        """So many Signals by one statement, and statistics for the planner."""
        with self._engine.begin() as db:
            rows = [self._row(n) for n in range(1, count + 1)]
            db.execute(tables.signal.insert(), rows)
            db.exec_driver_sql("analyze signal")

    def _row(self, n):
        key = UUID(bytes=ids.floor_at(START // 1_000_000 + n))
        return {
            "id": key, "seq": n, "origin": f"c{n % 500}", "received": moment(START),
            "type": "ADT^A01", "control_id": f"C{n}", "sender": "", "patient": f"P{n % 1000}",
            "order_key": "", "repeat_key": n, "peer": "", "size": 1, "sha256": b"",
            "flags": "", "parent": None, "ended": "",
        }  # fmt: skip

    def plan(self, statement):
        """How the server would run it, with literal values as psycopg sends them."""
        with self._engine.begin() as db:
            text = str(
                statement.compile(db.engine, compile_kwargs={"literal_binds": True})
            ).replace("%%", "%")
            for setting in SESSION:
                db.exec_driver_sql(setting)
            rows = db.exec_driver_sql("explain " + text.replace("%", "%%"), ())
            return "\n".join(row[0] for row in rows)

    def close(self):
        """Close its connections."""
        self._engine.dispose()


def parked(key, kind, number, name="adt"):
    """A row of `parked`."""
    return {
        "signal": key, "kind": kind, "number": number, "seq": 1, "name": name, "agent": "a",
        "lane": "", "hold": False, "code": "step.permanent", "reason": "no table", "step": "s",
        "at": "channels/a.yaml:3", "location": "PID-3", "tries": 2, "since": moment(START),
    }  # fmt: skip


def session(key, number, verdict, **fields):
    """A row of `session`."""
    return {
        "signal": key, "number": number, "agent": "a", "version": "v1", "verdict": verdict,
        "step": "", "error": "", "micros": 70, "concluded": moment(START),
        "detail": {"runs": [{"name": "send_1", "verb": "send", "outcome": "ok", "micros": 9}]},
        **fields,
    }  # fmt: skip


@pytest.fixture
def scribe(journal_url):
    """Writes into the journal that `search` reads."""
    made = Scribe(journal_url)
    yield made
    made.close()


@pytest.fixture
def search(journal_url):
    """The read side of the same journal."""
    made = Search(lambda: journal_url)
    yield made
    made.close()


async def test_signals_come_newest_first_and_page_by_id(scribe, search):
    """The page after one begins where it ended, whatever arrived meanwhile."""
    all_ids = [scribe.signal(START + n * SECOND) for n in range(5)]
    first = await search.signals(Query(), Page(limit=2))
    scribe.signal(START + 9 * SECOND)
    second = await search.signals(Query(), Page(before=first[-1].id, limit=2))

    assert [row.id for row in first] == [all_ids[4], all_ids[3]]
    assert [row.id for row in second] == [all_ids[2], all_ids[1]]


FILTERS = {
    "channel": Query(channel="lab"),
    "type": Query(type="ORU^R01"),
    "beginning of a type": Query(type="ORU*"),
    "middle of a type": Query(type="*R0*"),
    "control id": Query(control_id="X_1"),
    "patient": Query(patient="4711"),
    "since": Query(since=START + 60 * SECOND),
    "several": Query(since=START + 60 * SECOND, until=START + 120 * SECOND, channel="lab"),
}


@pytest.mark.parametrize("query", FILTERS.values(), ids=FILTERS)
async def test_each_filter_finds_its_signal_and_no_other(scribe, search, query):
    """Every filter alone, and several together."""
    scribe.signal()
    wanted = scribe.signal(
        START + 60 * SECOND, origin="lab", type="ORU^R01", control_id="X_1", patient="4711"
    )

    assert [row.id for row in await search.signals(query)] == [wanted]


async def test_the_end_of_a_time_is_not_included(scribe, search):
    """Two searches side by side find each Signal once."""
    scribe.signal(START)

    assert await search.signals(Query(until=START)) == []


@pytest.mark.parametrize("odd", ["M\0ller", os.fsdecode(b"M\xfcller")])
async def test_a_character_that_no_text_has_is_the_askers_fault(scribe, search, odd):
    """NUL, or what a terminal in another character set gives: said so, with no traceback, and
    not as a journal that is away."""
    for query in (Query(patient=odd), Query(control_id=odd), Query(type=f"{odd}*")):
        with pytest.raises(RequestError, match="no text holds"):
            await search.signals(query)


async def test_only_a_star_is_a_wildcard(scribe, search):
    """`%` and `_` mean themselves, as in the language of site files."""
    scribe.signal(type="ADT^A01")

    assert await search.signals(Query(type="ADT%*")) == []
    assert await search.signals(Query(type="ADT_A0*")) == []


STATES = ("waiting", "parked", "done", "filtered", "duplicate", "refused", "discarded")


@pytest.mark.parametrize("state", STATES)
async def test_a_state_finds_its_signals(scribe, search, state):
    """Each Signal is in exactly one state, and is found by it."""
    made = {each: scribe.signal(state=each) for each in STATES}
    found = await search.signals(Query(state=state))

    assert [(row.id, row.state) for row in found] == [(made[state], state)]


async def test_an_unmatched_signal_is_filtered(scribe, search):
    """No agent's `on` held: dropped by the rule `unmatched`."""
    scribe.signal(state="unmatched")
    [row] = await search.signals(Query(state="filtered"))

    assert row.ended == "unmatched"


async def test_the_gravest_session_says_what_became_of_a_signal(scribe, search):
    """One agent refused and one delivered: the sender was told no."""
    signal = scribe.signal(state="done")
    scribe.write(tables.session, session(UUID(bytes=signal), 2, "refuse"))
    [row] = await search.signals(Query())

    assert row.state == "refused"


async def test_one_signal_comes_with_all_it_caused(scribe, search):
    """Body, sessions with their detail, Deliveries with bytes, attempts and answers, parked."""
    signal = scribe.signal(body=b"as received")
    key = UUID(bytes=signal)
    scribe.write(tables.body, {"signal": key, "part": 1, "content": b"as sent"})
    scribe.write(
        tables.delivery,
        *(
            {
                "signal": key, "number": n, "session": 1, "destination": f"d{n}", "lane": "P1",
                "seq": n, "control_id": "M.1", "part": part, "file": "",
            }
            for n, part in ((1, 1), (2, 0), (3, 0), (4, 0))
        ),
    )  # fmt: skip
    scribe.write(
        tables.attempt,
        *(
            {
                "signal": key, "number": 1, "try": n, "at": moment(START), "outcome": outcome,
                "code": code, "micros": 5, "detail": "", "answer": b"MSA|" + code.encode(),
            }
            for n, outcome, code in ((1, "retry", "AE"), (2, "delivered", "AA"))
        ),
    )  # fmt: skip
    scribe.write(
        tables.queued,
        {"destination": "d2", "seq": 2, "signal": key, "number": 2, "lane": "P1", "tries": 0},
    )
    scribe.write(tables.parked, parked(key, "delivery", 3, "d3"))
    record = await search.signal(signal)

    assert record.content == b"as received"
    assert record.sessions[0].detail["runs"][0]["name"] == "send_1"
    assert [d.state for d in record.deliveries] == [
        "delivered",
        "queued",
        "parked",
        "discarded",
    ]
    assert [d.content for d in record.deliveries[:2]] == [b"as sent", b"as received"]
    assert [(a.number, a.answer) for a in record.deliveries[0].attempts] == [
        (1, b"MSA|AE"),
        (2, b"MSA|AA"),
    ]
    assert [(p.kind, p.number, p.reason) for p in record.parked] == [
        ("delivery", 3, "no table")
    ]


async def test_an_id_that_the_journal_does_not_have_is_none(scribe, search):
    """Asking is no error."""
    assert await search.signal(ids.floor_at(START // 1_000_000)) is None


async def test_the_books_tell_counts_and_what_is_oldest(scribe, search):
    """Counts come from the tally, the oldest from the narrow tables."""
    first = scribe.signal(START, state="waiting")
    scribe.signal(START + SECOND, state="waiting")
    scribe.write(
        tables.tally,
        {"scope": "channel", "name": "adt", "state": "received", "n": 2},
        {"scope": "channel", "name": "adt", "state": "waiting", "n": 2},
        {"scope": "destination", "name": "his", "state": "owed", "n": 3},
        {"scope": "destination", "name": "his", "state": "queued", "n": 0},
    )
    books = await search.books()

    assert books.channels["adt"].counts == {"received": 2, "waiting": 2}
    assert books.channels["adt"].oldest == first
    assert books.destinations["his"].oldest is None


async def test_a_database_that_is_away_is_told_without_its_words(search):
    """Where and why; no user and no password."""
    away = Search(lambda: "host=/nowhere user=u password=hidden dbname=d")
    with pytest.raises(
        JournalUnavailable,
        match=r"^no connection to /nowhere:5432/d: No such file or directory$",
    ):
        await away.reach()
    away.close()


async def test_a_password_that_was_exchanged_is_used_for_the_next_connection(journal_url):
    """The journal's address is a reference that is read when it is used, here as elsewhere."""
    role, now = f"reader_{os.getpid()}", make_conninfo(journal_url, password="old")
    search = Search(lambda: make_conninfo(now, user=role))
    async with await psycopg.AsyncConnection.connect(journal_url, autocommit=True) as owner:
        await owner.execute(f"create role {role} login password 'old' in role pg_read_all_data")
        try:
            await search.books()
            await owner.execute(f"alter role {role} password 'new'")
            now = make_conninfo(journal_url, password="new")
            cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s"
            await owner.execute(cut, (role,))

            assert await search.books()
        finally:
            search.close()
            await owner.execute(f"drop role {role}")


async def test_a_search_notices_a_database_that_has_gone_without_a_word(journal_url):
    """A host that lost its power says no goodbye: a thread that waits for it is free after
    seconds, as every other connection is, and not after the system's two hours."""
    selects = Selects(lambda: journal_url)
    with contextlib.closing(selects._connect()) as connection:
        parameters = connection.info.get_parameters()
    selects.close()

    watched = {name: str(value) for name, value in connect.WATCH.items()}
    watched.pop("keepalives")  # what is the default is not told
    assert watched.items() <= parameters.items()


async def test_the_read_side_cannot_write(search):
    """Its transactions are read only."""
    writes = lambda db: db.execute(tables.tally.delete())  # noqa: E731
    with pytest.raises(Exception, match="25006"):
        await search.ask(lambda journal: journal.read(writes))


def test_a_time_touches_no_partition_outside_it(scribe):
    """A time is a range of ids, so the planner prunes days."""
    plan = scribe.plan(select_signals(Query(since=START, until=START + SECOND), Page()))

    assert "signal_20260314" in plan
    assert "signal_20260315" not in plan and "signal_20260316" not in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "pkey"),
        (Query(channel="c3"), "origin_id_idx"),
        (Query(control_id="C77"), "control_id_idx"),
        (Query(patient="P77"), "patient_idx"),
    ],
    ids=["newest", "channel", "control id", "patient"],
)
def test_a_search_goes_by_an_index(scribe, query, index):
    """No search reads the history from end to end."""
    scribe.many(20_000)
    plan = scribe.plan(select_signals(query, Page(limit=20)))
    day = plan.split("signal_20260314")

    assert "Seq Scan on signal_20260314" not in plan, plan
    assert "Seq Scan on waiting" not in plan, plan
    assert any(index in part.split()[0] for part in day[1:]), plan


def test_the_books_never_read_history(scribe):
    """Counting is the writer's work; reading the books touches no partition."""
    plan = scribe.plan(select_books())

    assert "signal_2026" not in plan and "delivery_2026" not in plan


async def test_slow_searches_keep_no_thread_from_messages(journal_url):
    """Intake reads large messages in the loop's threads; people's questions have their own."""
    search, slow = Search(lambda: journal_url), sa.text("select pg_advisory_xact_lock(7)")
    most = min(32, (os.cpu_count() or 1) + 4)
    async with await connect.connect(journal_url) as holder:
        await connect.run(holder, "select pg_advisory_lock(7)")
        asked = [
            asyncio.ensure_future(
                search.ask(lambda journal: journal.read(lambda db: db.execute(slow).one()))
            )
            for _ in range(most)
        ]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert not any(one.done() for one in asked)
    search.close()
    await asyncio.gather(*asked, return_exceptions=True)
