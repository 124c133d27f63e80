"""The group commit on a real PostgreSQL: told means stored, and stored means told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from portico.clock import SystemClock
from portico.errors import JournalError
from portico.ids import IdMaker, SignalId, floor_at
from portico.journal import connect, statements
from portico.journal.batch import Books
from portico.journal.contract import (
    Conclusion,
    Earlier,
    Mark,
    Owed,
    ParkedRow,
    SessionRow,
)
from portico.journal.partitions import PARTITIONED, day_of, name
from portico.journal.postgres import Journal, Told
from portico.journal.writer import Hooks
from portico.model.delivery import Answered, Attempt
from portico.model.signal import Signal
from portico.model.states import SignalState

IDS = IdMaker(SystemClock())
_CUT = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where application_name = 'portico writer' and datname = current_database()"
)


@dataclass
class Heard:
    """What the journal told."""

    down: list[JournalError] = field(default_factory=list)
    up: int = 0
    fenced: int = 0
    rejected: list[str] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)
    waiting: int = 0
    items: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    when_down: Callable[[], None] = lambda: None

    def told(self) -> Told:
        """The hooks that fill it."""
        return Told(
            Hooks(
                self._flushed,
                self._down,
                self._up,
                self._fenced,
                self.rejected.append,
                self.broken.append,
            ),
            self._waiting,
            lambda done: None,
        )

    def _flushed(self, items: int, seconds: float, books: Books) -> None:
        self.items.append(items)
        self.seconds.append(seconds)

    def _down(self, error: JournalError) -> None:
        self.down.append(error)
        self.when_down()

    def _up(self) -> None:
        self.up += 1

    def _fenced(self) -> None:
        self.fenced += 1

    def _waiting(self) -> None:
        self.waiting += 1


class Inbound:
    """A Pending that can be awaited: (seq, earlier), or the error."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.known: tuple[Earlier, ...] = ()
        self.result: asyncio.Future = asyncio.get_running_loop().create_future()
        self.calls: list[str] = []

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """Durable."""
        self.calls.append("stored")
        if not self.result.done():
            self.result.set_result((seq, earlier))

    def failed(self, error: JournalError) -> None:
        """Not durable, or unknown."""
        self.calls.append("failed")
        if not self.result.done():
            self.result.set_exception(error)


def a_signal(content: bytes = b"MSH|^~\\&|", **changes) -> Signal:
    """A Signal of channel `adt_in`."""
    fields = {"received": SystemClock().time_ns(), "type": "ADT^A01"} | changes
    return Signal(
        fields.pop("id", None) or IDS.next(),
        fields.pop("origin", "adt_in"),
        fields.pop("received"),
        content,
        sha256(content).digest(),
        **fields,
    )


@asynccontextmanager
async def a_journal(conninfo: str, heard: Heard, owner: str = "one") -> AsyncIterator[Journal]:
    """An open journal, closed afterwards."""
    loop = asyncio.get_running_loop()
    journal = Journal(lambda: conninfo, owner, SystemClock(), loop, heard.told())
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close(2)


@pytest.fixture
def heard() -> Heard:
    """What the journal of a test tells."""
    return Heard()


@pytest.fixture
async def journal(journal_url: str, heard: Heard) -> AsyncIterator[Journal]:
    """An open journal on a database of its own."""
    async with a_journal(journal_url, heard) as opened:
        yield opened


async def rows(conninfo: str, query: str) -> list[tuple]:
    """What the database says."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await (await connection.execute(query)).fetchall()


async def store(journal: Journal, *signals: Signal) -> list[tuple[int, tuple[Earlier, ...]]]:
    """Accept these and wait for all of them."""
    pendings = [Inbound(one) for one in signals]
    for pending in pendings:
        journal.writer.accept(pending)
    return await asyncio.gather(*(p.result for p in pendings))


async def conclude(journal: Journal, signal: Signal, seq: int, **parts) -> int:
    """Conclude a Signal's only session; the first Delivery's place."""
    done = asyncio.get_running_loop().create_future()
    row = SessionRow(1, "agent", "v1", "deliver", SystemClock().time_ns())
    state = parts.pop("state", SignalState.DONE)
    journal.writer.conclude(
        Conclusion(signal.id, signal.origin, seq, row, done.set_result, state=state, **parts)
    )
    return await done


def a_conclusion(signal: Signal, seq: int, done: list[int]) -> Conclusion:
    """A Signal's only session, which owes one Delivery; its place is added to `done`."""
    row = SessionRow(1, "agent", "v1", "deliver", SystemClock().time_ns())
    owed = (Owed(1, "lab", "lane", 0, None, "", ""),)
    return Conclusion(
        signal.id, signal.origin, seq, row, done.append, owed, state=SignalState.DONE
    )


async def test_an_accepted_signal_is_stored_bit_for_bit_and_waits(journal, journal_url):
    """Promise P5: the body is the received bytes; and what was told stored is there (P1)."""
    content = bytes(range(256)) * 5
    signal = a_signal(content, patient="4711", order_key="k", flags=("replay",))

    ((seq, earlier),) = await store(journal, signal)

    body = await rows(journal_url, "select content from body")
    waits = await rows(journal_url, "select seq, origin from waiting")
    row = await rows(journal_url, "select sha256, size, patient, flags, seq from signal")
    assert (bytes(body[0][0]), waits, earlier) == (content, [(seq, "adt_in")], ())
    assert row == [(sha256(content).digest(), 1280, "4711", "replay", seq)]


async def test_the_order_of_the_journal_is_the_order_of_arrival(journal):
    """Places grow with each accept, over many flushes."""
    answers = await store(journal, *(a_signal() for _ in range(700)))

    places = [seq for seq, _ in answers]
    assert places == sorted(places)
    assert len(set(places)) == 700


async def test_what_ended_at_intake_does_not_wait(journal, journal_url):
    """Refused and unmatched Signals are kept with their bytes, and nothing is left to do."""
    await store(journal, a_signal(ended="refused:message.not_hl7"), a_signal(ended="unmatched"))

    assert await rows(journal_url, "select count(*) from waiting") == [(0,)]
    assert await rows(journal_url, "select count(*) from body") == [(2,)]
    books = await rows(journal_url, "select state, n from tally order by state")
    assert books == [("filtered", 1), ("received", 2), ("refused", 1)]


async def test_what_is_known_of_keys_hides_no_repeat(journal):
    """A13: filled from the journal, asked for what came before and after that; of what is new
    no search is made."""
    before = a_signal(repeat_key=1 << 40)
    await store(journal, before)
    known, since = journal.writer.known, floor_at(0)
    known.begin()
    await known.fill(since, journal.reader.keys)
    assert known.among([1 << 40, 3 << 40], since) == [1 << 40]

    after = a_signal(repeat_key=3 << 40)
    answers = await store(journal, a_signal(repeat_key=1 << 40), after)
    ((_, later),) = await store(journal, a_signal(repeat_key=3 << 40))
    assert [earlier for _, earlier in answers] == [(Earlier(before.id, before.sha256),), ()]
    assert later == (Earlier(after.id, after.sha256),)


async def test_a_repeat_is_told_of_the_earlier_one(journal):
    """A13: by repeat key; also within one flush; a refused one is no earlier one."""
    first, second = a_signal(repeat_key=77), a_signal(b"other", repeat_key=77)
    refused = a_signal(repeat_key=99, ended="refused:message")
    answers = await store(journal, refused, first, second, a_signal(repeat_key=99))
    ((_, later),) = await store(journal, a_signal(repeat_key=77))

    assert [earlier for _, earlier in answers] == [
        (),
        (),
        (Earlier(first.id, first.sha256),),
        (),
    ]
    assert [one.signal for one in later] == [second.id, first.id]


async def test_a_flag_that_is_known_late_stands_once_among_the_others(journal, journal_url):
    """`changed` is known only once the journal has told of the earlier ones (A13)."""
    signal, other = a_signal(flags=("bad_charset",)), a_signal()
    (seq, _), (place, _) = await store(journal, signal, other)

    await conclude(journal, signal, seq, flag="changed", state=None)
    done = asyncio.get_running_loop().create_future()
    row = SessionRow(2, "b", "v1", "deliver", SystemClock().time_ns())
    end = Conclusion(signal.id, signal.origin, seq, row, done.set_result, flag="changed")
    journal.writer.conclude(end)
    await done
    await conclude(journal, other, place)

    flags = await rows(journal_url, "select flags from signal order by seq")
    assert flags == [("bad_charset changed",), ("",)]


async def test_what_the_sender_was_told_is_found_again(journal):
    """A13: a repeat is answered with an agent's last value, or with a destination's answer."""
    signal = a_signal(b"in")
    ((seq, _),) = await store(journal, signal)
    owed = (Owed(1, "registry", "", 0), Owed(2, "lab", "", 0))
    first = await conclude(journal, signal, seq, owed=owed, value=b"RSP", state=None)
    now = SystemClock().time_ns()
    waiting = await journal.reader.owing([signal.id])
    for number, (to, code) in enumerate((("registry", b"MSA|AE"), ("lab", b"MSA|AA")), 1):
        done = asyncio.Event()
        attempt = Attempt(Answered.ANSWERED, "AE", code)
        journal.writer.mark(
            Mark(
                signal.id,
                number,
                to,
                first + number - 1,
                "delivered",
                1,
                now,
                attempt,
                done.set,
            ),
            urgent=True,
        )
        await done.wait()

    assert await journal.reader.answer_of(signal.id, "result") == b"RSP"
    assert await journal.reader.answer_of(signal.id, "registry") == b"MSA|AE"
    assert await journal.reader.answer_of(signal.id, "nobody") is None
    assert waiting == {signal.id: (True, False)}
    assert await journal.reader.owing([signal.id]) == {signal.id: (False, False)}


async def test_a_conclusion_moves_the_signal_from_waiting_to_its_deliveries(
    journal, journal_url
):
    """Session, Deliveries, new bodies and the queue are one commit (the outbox)."""
    signal = a_signal(b"in")
    ((seq, _),) = await store(journal, signal)

    first = await conclude(
        journal,
        signal,
        seq,
        owed=(Owed(1, "lab", "k", 0), Owed(2, "pacs", "k", 2, b"out", "C1", "f.hl7")),
    )

    assert await rows(journal_url, "select count(*) from waiting") == [(0,)]
    queue = await rows(journal_url, "select destination, seq, number from queued order by seq")
    assert queue == [("lab", first, 1), ("pacs", first + 1, 2)]
    (lab,) = await journal.reader.queued("lab", -1, 10)
    (pacs,) = await journal.reader.queued("pacs", -1, 10)
    assert (lab.content, pacs.content, pacs.control_id, pacs.file) == (
        b"in",
        b"out",
        "C1",
        "f.hl7",
    )
    assert lab.received == signal.received // 1000 * 1000


async def test_a_page_of_a_queue_ends_with_the_one_with_which_it_is_heavy(journal):
    """However few they are: who reads on has room for the page, and the rest comes next."""
    signal = a_signal(b"in")
    ((seq, _),) = await store(journal, signal)
    large = bytes(statements.PAGE_BYTES * 5 // 8)
    first = await conclude(
        journal, signal, seq, owed=[Owed(n, "lab", "k", n, large) for n in (1, 2, 3)]
    )

    reader = journal.reader
    assert [one.number for one in await reader.queued("lab", -1, 10)] == [1, 2]
    assert [one.number for one in await reader.queued("lab", first + 1, 10)] == [3]
    asked = "lab", "k", first, first + 9, 10
    assert [one.number for one in await reader.queued_in_lane(*asked)] == [1, 2]


async def test_a_page_of_what_waits_ends_with_the_one_with_which_it_is_heavy(journal):
    """The same after a restart, of Signals."""
    large = bytes(statements.PAGE_BYTES * 5 // 8)
    signals = [a_signal(large) for _ in range(3)]
    await store(journal, *signals)

    page = await journal.reader.waiting(-1, 10, 0)
    assert [one.signal.id for one in page] == [one.id for one in signals[:2]]
    (last,) = await journal.reader.waiting(page[-1].seq, 10, 0)
    assert last.signal.id == signals[2].id


async def test_marks_take_deliveries_from_the_queue_or_leave_them_there(journal, journal_url):
    """Delivered and parked ones leave; a retry stays with its count; each is an attempt."""
    signal = a_signal()
    ((seq, _),) = await store(journal, signal)
    owed = tuple(Owed(n, "lab", f"k{n}", 0) for n in (1, 2, 3))
    first = await conclude(journal, signal, seq, owed=owed)
    attempt = Attempt(Answered.ANSWERED, "AA", b"MSA|AA", 12)

    async def mark(number: int, outcome: str, parked: ParkedRow | None = None) -> None:
        done = asyncio.Event()
        journal.writer.mark(
            Mark(
                signal.id,
                number,
                "lab",
                first + number - 1,
                outcome,
                1,
                SystemClock().time_ns(),
                attempt,
                done.set,
                parked,
            ),
            urgent=True,
        )
        await done.wait()

    await mark(1, "delivered")
    await mark(2, "retry")
    place = first + 2
    now = SystemClock().time_ns()
    await mark(3, "parked", ParkedRow(signal.id, "delivery", 3, place, "lab", now, hold=True))

    assert await rows(journal_url, "select number, tries from queued") == [(2, 1)]
    kept = await rows(journal_url, "select number, outcome, answer from attempt order by 1")
    assert [(n, outcome, bytes(answer)) for n, outcome, answer in kept] == [
        (1, "delivered", b"MSA|AA"),
        (2, "retry", b"MSA|AA"),
        (3, "parked", b"MSA|AA"),
    ]
    books = await rows(journal_url, "select state, n from tally where scope = 'destination'")
    assert dict(books) == {"owed": 3, "queued": 1, "delivered": 1, "parked": 1}
    assert await journal.reader.held_lanes("lab") == frozenset({""})


async def test_a_text_that_postgresql_cannot_hold_does_not_stop_the_flush(journal, journal_url):
    """NUL and lone surrogates in a control id are kept readable; the bytes are exact."""
    await store(journal, a_signal(b"\0raw", control_id="a\0b\ud800"))

    assert await rows(journal_url, "select control_id from signal") == [("a\ufffdb?",)]


async def test_a_signal_of_a_day_without_partition_makes_the_day(journal, journal_url):
    """A clock that is far ahead costs one more statement, not the message."""
    far = SignalId(floor_at(4_102_444_800_000)[:9] + b"1234567")
    await store(journal, a_signal(id=far), a_signal())

    assert await rows(journal_url, "select count(*) from signal") == [(2,)]


async def test_a_day_whose_bodies_have_gone_takes_a_signal_again(journal, journal_url):
    """A clock that was set back by more than bodies are kept: what is missing of that day is
    made, and the message is stored; nothing is tried again and again."""
    old = SignalId(floor_at(1_700_000_000_000)[:9] + b"1234567")
    await store(journal, a_signal(id=old))
    await done(journal_url, f"drop table {name('body', day_of(old))}")

    async with asyncio.timeout(10):
        await store(journal, a_signal(id=SignalId(old[:9] + b"7654321")))

    assert await rows(journal_url, "select count(*) from body") == [(1,)]


async def test_a_day_is_made_while_somebody_reads(journal, journal_url):
    """A long look at all history (a dump, a report) holds up neither the new day nor who
    writes."""
    async with await psycopg.AsyncConnection.connect(journal_url) as reader:
        await reader.execute("select count(*) from signal join body on body.signal = signal.id")
        far = SignalId(floor_at(4_102_444_800_000)[:9] + b"1234567")
        async with asyncio.timeout(5):
            await store(journal, a_signal(id=far), a_signal())


async def test_what_came_of_a_message_whose_day_has_gone_is_kept(journal, journal_url):
    """Sent once more while retention let its day go: the mark makes that day again, and stops
    nobody's flushes."""
    signal = a_signal(id=SignalId(floor_at(1_700_000_000_000)[:9] + b"1234567"))
    ((seq, _),) = await store(journal, signal)
    first = await conclude(journal, signal, seq, owed=(Owed(1, "lab", "", 0),))
    await done(
        journal_url, *(f"drop table {name(one, day_of(signal.id))}" for one in PARTITIONED)
    )
    told = asyncio.Event()
    attempt = Attempt(Answered.ANSWERED, "AA", b"MSA|AA")
    now = SystemClock().time_ns()
    mark = (signal.id, 1, "lab", first, "delivered", 1, now, attempt, told.set)
    journal.writer.mark(Mark(*mark), urgent=True)

    async with asyncio.timeout(10):
        await told.wait()
        await store(journal, a_signal())
    assert await rows(journal_url, "select count(*) from attempt") == [(1,)]


async def test_a_row_at_fault_is_found_and_the_others_are_stored(journal, journal_url, heard):
    """A Signal whose id is there already fails alone; its companions of the flush do not."""
    taken = a_signal()
    await store(journal, taken)
    good = [Inbound(a_signal()) for _ in range(5)]
    bad = Inbound(taken)
    for pending in (*good[:2], bad, *good[2:]):
        journal.writer.accept(pending)

    await asyncio.gather(*(pending.result for pending in good))
    with pytest.raises(JournalError):
        await bad.result
    assert await rows(journal_url, "select count(*) from signal") == [(6,)]
    assert heard.rejected == ["23505"]


async def done(conninfo: str, *statements: str) -> None:
    """These are executed."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement)


@pytest.mark.parametrize("sqlstate", ["53100", "58030"])
async def test_a_mark_waits_out_a_full_disk_and_is_told_once(
    journal, journal_url, heard, sqlstate
):
    """P3: PostgreSQL refuses the flush for want of room, or as an I/O error; the connection is
    made anew, again and again. The mark is stored when there is room, and told of then."""
    signal = a_signal()
    ((seq, _),) = await store(journal, signal)
    first = await conclude(journal, signal, seq, owed=(Owed(1, "lab", "", 0),))
    await done(
        journal_url,
        "create function full_disk() returns trigger language plpgsql as $$ begin "
        f"raise exception using errcode = '{sqlstate}'; end $$",
        "create trigger full_disk before insert on attempt execute function full_disk()",
    )
    told = []
    attempt = Attempt(Answered.ANSWERED, "AA", b"MSA|AA")
    now = SystemClock().time_ns()
    mark = (signal.id, 1, "lab", first, "delivered", 1, now, attempt, lambda: told.append(1))
    journal.writer.mark(Mark(*mark), urgent=True)
    async with asyncio.timeout(10):
        while len(heard.down) < 3:
            await asyncio.sleep(0.01)
    assert told == []
    assert await rows(journal_url, "select count(*) from queued") == [(1,)]

    await done(journal_url, "drop trigger full_disk on attempt")
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.01)
    assert await rows(journal_url, "select count(*) from queued") == [(0,)]
    assert await rows(journal_url, "select count(*) from attempt") == [(1,)]
    assert (told, heard.rejected, heard.broken) == ([1], [], [])


async def test_a_lost_connection_fails_what_arrives_and_stores_the_rest_later(
    journal, journal_url, heard
):
    """P7, P8: no answer while the journal is away; a conclusion is stored when it is back."""
    signal = a_signal()
    ((seq, _),) = await store(journal, signal)
    lost = Inbound(a_signal())
    heard.when_down = lambda: journal.writer.accept(lost)
    await rows(journal_url, _CUT)
    await asyncio.wait([lost.result])
    await conclude(journal, signal, seq)

    with pytest.raises(JournalError):
        await lost.result
    assert lost.calls == ["failed"]
    assert len(heard.down) == 1
    assert heard.up == 2
    assert await rows(journal_url, "select count(*) from signal") == [(1,)]
    assert await rows(journal_url, "select count(*) from waiting") == [(0,)]


async def test_what_was_in_a_flush_that_found_the_connection_dead_is_waited_for(journal):
    """P3: a drain at that instant does not tell that all is stored; it is, once there is a
    connection again."""
    signal, told = a_signal(), []
    ((seq, _),) = await store(journal, signal)
    journal.writer.conclude(a_conclusion(signal, seq, told))
    journal.writer.accept(Inbound(a_signal(b"x" * 500_000)))  # what is written in one piece
    connect.sever(journal.writer._pipeline._pg)  # tells nothing until it is read; it is not yet
    await asyncio.sleep(0)

    assert await journal.writer.drain(10)
    assert len(told) == 1


async def test_how_a_database_isolates_by_default_makes_no_difference(journal_url, heard):
    """The lease is written by the beat while a flush waits for it: no reason to fail."""
    option = "-c default_transaction_isolation=serializable"
    async with a_journal(make_conninfo(journal_url, options=option), heard) as journal:
        pending = Inbound(a_signal())
        async with await psycopg.AsyncConnection.connect(journal_url) as beating:
            await beating.execute("update lease set beat = beat + 1")
            journal.writer.accept(pending)
            await asyncio.sleep(0.05)
        await pending.result
        assert heard.down == []


@asynccontextmanager
async def stuck(conninfo: str) -> AsyncIterator[None]:
    """Flushes wait at their fence meanwhile."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("select 1 from lease for update")
        yield
        await connection.rollback()


async def two_flushes(journal: Journal, first: list[Inbound], second: list[Inbound]) -> None:
    """Accept both, the second while the flush of the first is on its way."""
    for pending in first:
        journal.writer.accept(pending)
    await asyncio.sleep(0.05)
    for pending in second:
        journal.writer.accept(pending)
    await asyncio.sleep(0.05)


async def test_a_second_flush_does_not_wait_for_the_first(journal, journal_url, heard):
    """The engine goes on while the database writes; all are stored in the order of arrival."""
    first, second = ([Inbound(a_signal()) for _ in range(40)] for _ in range(2))
    async with stuck(journal_url):
        await two_flushes(journal, first, second)
        under_way = len(journal.writer._flying)

    found = await asyncio.gather(*(p.result for p in first + second))
    assert heard.items == [40, 40]
    assert under_way == 2, "it was sent only once the first was stored"
    assert [seq for seq, _ in found] == sorted(seq for seq, _ in found)


async def test_a_flush_that_fails_at_its_very_end_is_told_so(journal, journal_url):
    """P1: all its statements went well and the commit did not, as under `serializable`, or
    with a trigger of somebody's own. Nobody hears that it is stored, not even by the answer of
    the flush behind it."""
    await done(
        journal_url,
        "create function late() returns trigger language plpgsql as $$ begin "
        "raise exception using errcode = '40001'; end $$",
        "create constraint trigger late after insert on waiting deferrable initially deferred "
        "for each row when (new.origin = 'late') execute function late()",
    )
    first = [Inbound(a_signal(origin="late")) for _ in range(64)]
    second = [Inbound(a_signal()) for _ in range(64)]
    async with stuck(journal_url):
        await two_flushes(journal, first, second)
    async with asyncio.timeout(5):
        asked = (one.result for one in first + second)
        await asyncio.gather(*asked, return_exceptions=True)

    kept = await rows(journal_url, "select id from signal")
    told = [one for one in first + second if one.calls == ["stored"]]
    assert {one.signal.id for one in told} == {key.bytes for (key,) in kept}
    assert not any("stored" in one.calls for one in first)


async def test_nothing_overtakes_a_flush_that_was_refused(journal, journal_url, heard):
    """One at fault in the first flush: the second stores nothing before the first is mended."""
    taken = a_signal()
    await store(journal, taken)
    bad = Inbound(taken)
    first, second = ([Inbound(a_signal()) for _ in range(40)] for _ in range(2))
    async with stuck(journal_url):
        await two_flushes(journal, [*first[:20], bad, *first[20:]], second)

    found = await asyncio.gather(*(p.result for p in first + second))
    with pytest.raises(JournalError):
        await bad.result
    assert [seq for seq, _ in found] == sorted(seq for seq, _ in found)
    assert heard.rejected == ["23505"]
    assert await rows(journal_url, "select count(*) from signal") == [(81,)]


async def test_two_flushes_in_doubt_go_again_in_their_order(journal, journal_url):
    """P8: the connection is cut under both: what arrived fails, what was decided is stored."""
    signals = [a_signal() for _ in range(80)]
    seqs = [seq for seq, _ in await store(journal, *signals)]
    lost = [Inbound(a_signal()) for _ in range(40)]
    done: list[int] = []
    async with stuck(journal_url):
        for pending, signal, seq in zip(lost[:1] * 40, signals[:40], seqs, strict=False):
            journal.writer.conclude(a_conclusion(signal, seq, done))
            if signal is signals[0]:
                journal.writer.accept(pending)
        await asyncio.sleep(0.05)
        for signal, seq in zip(signals[40:], seqs[40:], strict=True):
            journal.writer.conclude(a_conclusion(signal, seq, done))
        for pending in lost[1:]:
            journal.writer.accept(pending)
        await asyncio.sleep(0.05)
        await rows(journal_url, _CUT)
        await asyncio.wait([pending.result for pending in lost])

    async with asyncio.timeout(10):
        while len(done) < 80:
            await asyncio.sleep(0.01)
    stored = await rows(journal_url, "select signal from delivery order by seq")
    assert [one.bytes for (one,) in stored] == [signal.id for signal in signals]
    assert {tuple(pending.calls) for pending in lost} == {("failed",)}
    assert await rows(journal_url, "select count(*) from waiting") == [(0,)]


async def test_a_second_owner_fences_the_first(journal, journal_url, heard):
    """Promise P9: once the lease has a new epoch, the old owner's flush stores nothing."""
    await rows(journal_url, "update lease set owner = 'two', epoch = epoch + 1 returning 1")
    late = Inbound(a_signal())
    journal.writer.accept(late)

    with pytest.raises(JournalError):
        await late.result
    assert heard.fenced == 1
    assert await rows(journal_url, "select count(*) from signal") == [(0,)]


async def test_an_engine_takes_its_own_old_lease_at_once(journal_url, heard):
    """A kill leaves the lease behind; the same data folder need not wait for it."""
    async with a_journal(journal_url, heard) as first:
        again = Heard()
        loop = asyncio.get_running_loop()
        second = Journal(lambda: journal_url, "one", SystemClock(), loop, again.told())
        await asyncio.wait_for(second.open(), 60)
        late = Inbound(a_signal())
        first.writer.accept(late)
        with pytest.raises(JournalError):
            await late.result
        await second.close(1)

    assert (heard.fenced, again.waiting) == (1, 0)


async def test_what_waits_is_read_back_in_order_with_what_it_has_had(journal):
    """After a restart the work is what the journal says, with all that a Signal has had."""
    one, two = a_signal(b"1", repeat_key=5), a_signal(b"2", repeat_key=5, patient="p")
    (first, _), (second, _) = await store(journal, one, two)
    await conclude(journal, one, first, state=None, owed=(Owed(1, "lab", "k", 0),))

    back = await journal.reader.waiting(-1, 10, 0)

    assert [(r.seq, r.signal.content, r.agents, r.deliveries) for r in back] == [
        (first, b"1", ("agent",), 1),
        (second, b"2", (), 0),
    ]
    assert back[1].earlier == (Earlier(one.id, one.sha256),)
    assert back[1].signal == two or back[1].signal.received == two.received // 1000 * 1000


async def test_what_is_read_back_knows_what_became_of_those_that_it_repeats(journal):
    """So that it is judged as when it came: that of one that was refused is no repeat."""
    deliver, refuse, fault, waits = (
        a_signal(name, repeat_key=5) for name in (b"1", b"2", b"3", b"4")
    )
    last = a_signal(b"5", repeat_key=5)
    places = [seq for seq, _ in await store(journal, deliver, refuse, fault, waits, last)]
    now, done = SystemClock().time_ns(), asyncio.get_running_loop().create_future()
    ends = {
        "deliver": SignalState.DONE,
        "refuse": SignalState.REFUSED,
        "fault": SignalState.PARKED,
    }
    for seq, signal, verdict in zip(places, (deliver, refuse, fault), ends, strict=False):
        kept = ParkedRow(signal.id, "signal", 1, seq, "adt_in", now, agent="agent")
        journal.writer.conclude(
            Conclusion(
                signal.id,
                "adt_in",
                seq,
                SessionRow(1, "agent", "v1", verdict, now),
                done.set_result if verdict == "fault" else lambda seq: None,
                parked=kept if verdict == "fault" else None,
                state=ends[verdict],
            )
        )
    await done

    (*_, back) = await journal.reader.waiting(-1, 10, 0)

    assert [one.signal for one in back.earlier] == [waits.id, fault.id, refuse.id, deliver.id]
    states = [await journal.reader.state_of(one.signal) for one in back.earlier]
    assert [one.state for one in back.earlier] == states
    assert states == [SignalState.WAITING, *reversed(ends.values())]


async def test_a_callback_that_fails_takes_no_other_with_it(journal, heard):
    """A fault of ours in one message's way is reported, and its flush goes on (P6, P10)."""

    class Broken(Inbound):
        def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
            raise LookupError

    good = Inbound(a_signal())
    for pending in (Broken(a_signal()), good):
        journal.writer.accept(pending)

    await good.result
    assert [type(fault) for fault in heard.broken] == [LookupError]
    await store(journal, a_signal())


async def test_what_a_source_said_beside_a_message_is_read_back(journal):
    """P2: agents that answer by a header answer by it after a restart too."""
    await store(journal, a_signal(b"1", about=b'{"header":{"x-ward":"7"}}'), a_signal(b"2"))

    back = await journal.reader.waiting(-1, 10, 0)

    assert [one.signal.about for one in back] == [b'{"header":{"x-ward":"7"}}', b""]
    assert [one.signal.content for one in back] == [b"1", b"2"]
