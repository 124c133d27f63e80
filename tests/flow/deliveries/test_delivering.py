"""Lanes: order, retries, one probe, and queues that stay in the journal (P3, P4, P6)."""

import asyncio
import itertools
from collections import Counter

import pytest
from msgspec.structs import replace

from portico.destinations.log import LogDestination
from portico.flow.deliveries import lanes, refill
from portico.flow.deliveries.delivering import DeliveringWorld, Outbox, Terms
from portico.ids import SignalId
from portico.model.delivery import Answered, Attempt, Delivery

DOWN = Attempt(Answered.NO_CONNECTION, "no_connection")
UNCLEAR = Attempt(Answered.UNCLEAR, "timeout")


def answered(code):
    """The peer said so."""
    return Attempt(Answered.ANSWERED, code)


class Adapter:
    """A destination that answers when told to."""

    def __init__(self, width=4):
        self.width = width
        self.out = []

    def deliver(self, delivery, done):
        """Remember it."""
        self.out.append((delivery, done))

    async def stop(self, grace):
        """What is out is unclear."""
        for _, done in self.out:
            done(UNCLEAR)
        self.out.clear()

    def say(self, attempt, at=0):
        """Answer one."""
        delivery, done = self.out.pop(at)
        done(attempt)
        return delivery.content.decode()


class Waits(Adapter):
    """One whose peer answers on another connection."""

    ack_on = "replies"
    aside = None

    def credit(self, told, content, sender):
        """Not asked here."""


class QueueTwin:
    """The journal's queue of one destination; marks are committed on demand."""

    def __init__(self):
        self.rows, self.marks, self.marked = {}, [], []
        self.reads = 0

    def mark(self, mark, urgent):
        """Queue."""
        self.marks.append(mark)

    def commit(self):
        """Store all marks, and tell."""
        while self.marks:
            marks, self.marks = self.marks, []
            for mark in marks:
                self.marked.append(mark)
                if mark.outcome != "retry":
                    del self.rows[mark.seq]
                mark.stored()

    async def queued(self, destination, after, limit):
        """A page."""
        self.reads += 1
        await asyncio.sleep(0)
        return [d for seq, d in sorted(self.rows.items()) if seq > after][:limit]

    async def queued_in_lane(self, destination, lane, first, last, limit):
        """A page of one lane."""
        await asyncio.sleep(0)
        rows = sorted(self.rows.items())
        return [d for seq, d in rows if first <= seq <= last and d.lane == lane][:limit]


class Nothing:
    """Metrics that count nothing."""

    def delivered(self, *labels):
        """Nothing."""


class House:
    """One outbox, its queue, its peer."""

    def __init__(self, time, queue=None, held=frozenset(), width=4, adapter=Adapter, **terms):
        self.time, self.queue, self.adapter = time, queue or QueueTwin(), adapter(width)
        self.events, self.settled = [], []
        world = DeliveringWorld(
            self.queue, self.queue, time, time.later, lambda: 0.5, self.events.append,
            Nothing(), lambda delivery, outcome, attempt: self.settled.append(outcome),
        )  # fmt: skip
        self.outbox = Outbox("his", self.adapter, Terms(**terms), world, held)
        self.seq = max(self.queue.rows, default=0)

    def owe(self, lane, text, tell=True):
        """One more Delivery is journaled, and told to the outbox."""
        self.seq += 1
        delivery = Delivery(SignalId(bytes(16)), 1, self.seq, "his", lane, text.encode())
        self.queue.rows[self.seq] = delivery
        if tell:
            self.outbox.enqueue(delivery)
        return delivery

    async def settle(self):
        """Until nothing is read any more."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def drain(self, say=None):
        """Answer all with AA until nothing is out; gives the order by lane."""
        order = {}
        while self.adapter.out:
            lane = self.adapter.out[0][0].lane
            order.setdefault(lane, []).append(self.adapter.say(say or answered("AA")))
            self.queue.commit()
            await self.settle()
        return order

    @property
    def out(self):
        """What is with the peer."""
        return [delivery.content.decode() for delivery, _ in self.adapter.out]


@pytest.fixture
def open_house(time):
    """Makes an outbox that has read its queue."""

    async def make(*args, **settings):
        house = House(time, *args, **settings)
        house.outbox.start()
        await house.settle()
        return house

    return make


@pytest.fixture
def small(monkeypatch):
    """A window of eight, pages of two."""
    monkeypatch.setattr(lanes, "WINDOW", 8)
    monkeypatch.setattr(lanes, "PAGE", 2)
    monkeypatch.setattr(refill, "PAGE", 2)
    monkeypatch.setattr(refill, "_LANE_PAGE", 2)


async def test_large_ones_wait_in_the_journal_however_few_they_are(open_house, monkeypatch):
    """A destination that is away while a thousand scanned letters come: memory holds so many
    bytes of them, and all leave once it is back, in their order."""
    monkeypatch.setattr(lanes, "MOST_BYTES", 8000)
    monkeypatch.setattr(lanes, "PAGE_BYTES", 1000)
    house = await open_house()
    for n in range(100):
        house.owe("abc"[n % 3], f"{n:1000}")
    await house.settle()
    assert house.outbox._lanes.count == 8

    order = await house.drain()
    assert {key: list(map(int, texts)) for key, texts in order.items()} == {
        key: list(range(n, 100, 3)) for n, key in enumerate("abc")
    }


async def test_the_next_of_a_lane_leaves_when_the_mark_is_committed(open_house):
    """P3: an answer alone is not enough; other lanes do not wait."""
    house = await open_house()
    house.owe("a", "a1")
    house.owe("a", "a2")
    house.owe("b", "b1")
    assert house.out == ["a1", "b1"]

    house.adapter.say(answered("AA"))
    assert house.out == ["b1"]
    house.queue.commit()

    assert house.out == ["b1", "a2"]


async def test_no_more_are_out_than_the_destination_takes(open_house):
    """connections: 2."""
    house = await open_house(width=2)
    for n in range(5):
        house.owe(str(n), str(n))

    assert house.out == ["0", "1"]


async def test_what_waits_for_another_connection_is_in_nobodys_way(open_house):
    """A12: it counts for no line, and for no probe of a destination that went down since."""
    house = await open_house(width=1, adapter=Waits)
    for n in range(3):
        house.owe(str(n), str(n))
    house.adapter.aside(1)
    assert house.out == ["0", "1"]
    house.adapter.say(DOWN, at=1)
    house.queue.commit()
    house.time.pass_(60)

    assert house.out == ["0", "1"]
    house.adapter.aside(-1)
    house.adapter.say(answered("AA"))
    house.adapter.say(answered("AA"))
    house.queue.commit()
    assert (house.out, house.outbox.flying) == (["2"], 1)


async def test_a_lane_that_must_retry_keeps_its_order(open_house):
    """Three bad answers: the same bytes again, the next one only after it."""
    house = await open_house(answers={"AA": "done", "AE": 3})
    house.owe("a", "a1")
    house.owe("a", "a2")
    sent = []
    for code in ("AE", "AE", "AE", "AA", "AA"):
        sent.append(house.adapter.say(answered(code)))
        house.queue.commit()
        house.time.pass_(60)

    assert sent == ["a1", "a1", "a1", "a1", "a2"]
    assert [mark.tries for mark in house.queue.marked] == [1, 2, 3, 4, 1]


async def test_retries_end_and_the_lane_goes_on(open_house):
    """AE: {retry: 1}: the second is parked with its code, the next of its lane leaves."""
    house = await open_house(answers={"AE": 1})
    house.owe("a", "a1")
    house.owe("a", "a2")
    for _ in range(2):
        house.adapter.say(answered("AE"))
        house.queue.commit()
        house.time.pass_(60)

    assert [mark.outcome for mark in house.queue.marked] == ["retry", "parked"]
    assert house.queue.marked[-1].parked.code == "AE"
    assert house.settled == ["parked"]
    assert house.out == ["a2"]


async def test_a_lane_that_stops_holds_what_follows_also_after_a_restart(open_house):
    """on_reject: stop: other lanes go on."""
    house = await open_house(stop_on_reject=True)
    house.owe("a", "a1")
    house.owe("a", "a2")
    house.owe("b", "b1")
    house.adapter.say(answered("AR"))
    house.queue.commit()
    assert house.out == ["b1"]
    assert house.queue.marked[0].parked.hold

    again = await open_house(house.queue, held=frozenset({"a"}))
    again.owe("a", "a3")

    assert again.out == ["b1"]


async def test_an_unreachable_destination_is_probed_by_one(open_house):
    """All lanes rest; one Delivery knocks, later and later; then all go on in order."""
    house = await open_house(first=1.0, most=8.0)
    for lane in "abc":
        house.owe(lane, f"{lane}1")
        house.owe(lane, f"{lane}2")
    while house.adapter.out:
        house.adapter.say(DOWN)
    house.queue.commit()
    assert house.outbox.trouble == DOWN.code
    knocks = []
    for _ in range(40):
        house.time.pass_(0.5)
        if house.adapter.out:
            assert len(house.adapter.out) == 1
            knocks.append(house.time.now)
            house.adapter.say(DOWN)
            house.queue.commit()
    gaps = [later - sooner for sooner, later in itertools.pairwise(knocks)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 4

    house.time.pass_(10)
    assert len(house.adapter.out) == 1
    order = await house.drain()

    assert (order, house.outbox.trouble) == ({x: [f"{x}1", f"{x}2"] for x in "abc"}, "")
    names = Counter(type(event).__name__ for event in house.events)
    assert names == {"DestinationDown": 1, "DestinationUp": 1}


async def test_a_long_queue_goes_through_a_small_window_in_order(open_house, small):
    """Forty Deliveries of four lanes, eight in memory: each once, in its lane's order."""
    house = await open_house()
    for n in range(40):
        house.owe("abcd"[n % 4], str(n))
        assert house.outbox._lanes.count <= 8

    order = await house.drain()

    assert order == {lane: [str(n) for n in range(i, 40, 4)] for i, lane in enumerate("abcd")}
    assert not house.queue.rows


async def test_a_blocked_lane_does_not_fill_the_window(open_house, small):
    """Its tail is left in the journal; others pass; then it goes on in its order."""
    house = await open_house(answers={"AE": "retry", "AA": "done"}, first=1000.0, most=1000.0)
    house.owe("stuck", "s0")
    house.adapter.say(answered("AE"))
    house.queue.commit()
    for n in range(1, 20):
        house.owe("stuck", f"s{n}")
        house.owe("other", f"o{n}")

    assert await house.drain() == {"other": [f"o{n}" for n in range(1, 20)]}

    house.time.pass_(1100)
    assert await house.drain() == {"stuck": [f"s{n}" for n in range(20)]}


async def test_a_lane_that_blocks_late_gives_its_memory_back(open_house, small):
    """What it holds beyond its head returns to the journal and comes back in order."""
    house = await open_house(answers={"AE": "retry", "AA": "done"}, first=1000.0, most=1000.0)
    for n in range(7):
        house.owe("stuck", f"s{n}")
    house.adapter.say(answered("AE"))
    house.queue.commit()
    assert house.outbox._lanes.count == 1
    house.owe("stuck", "s7")

    house.time.pass_(1100)

    assert await house.drain() == {"stuck": [f"s{n}" for n in range(8)]}


async def test_a_lane_that_a_person_holds_gives_its_memory_back(open_house, small):
    """Its tail waits in the journal for as long as the person takes, then goes in order."""
    house = await open_house(stop_on_reject=True)
    for n in range(7):
        house.owe("held", f"h{n}")
    house.adapter.say(answered("AR"))
    house.queue.commit()
    assert house.outbox._lanes.count == 0
    for n in range(20):
        house.owe("other", f"o{n}")
    assert await house.drain() == {"other": [f"o{n}" for n in range(20)]}

    house.outbox.free("held")
    await house.settle()

    assert await house.drain() == {"held": [f"h{n}" for n in range(1, 7)]}


async def test_what_was_read_before_its_news_came_leaves_once(open_house, small):
    """The reader may see a committed Delivery a moment before the outbox is told."""
    house = await open_house()
    for n in range(9):
        house.owe(str(n), str(n))
    late = house.owe("late", "late", tell=False)
    order = await house.drain()
    house.outbox.enqueue(late)

    assert sorted(order) == [*map(str, range(9)), "late"]
    assert not house.adapter.out


async def test_a_restart_sends_what_is_queued(open_house):
    """In order, with its tries."""
    house = await open_house()
    house.owe("a", "a1")
    house.owe("a", "a2")

    again = await open_house(house.queue)

    assert await again.drain() == {"a": ["a1", "a2"]}


async def test_stop_returns_when_every_mark_is_committed(open_house):
    """Who reads the queue after it finds nothing that was delivered."""
    house = await open_house()
    house.owe("a", "a1")
    house.adapter.say(answered("AA"))
    stopping = asyncio.ensure_future(house.outbox.stop(0.001))
    await asyncio.sleep(0.02)
    assert not stopping.done()

    house.queue.commit()
    await stopping

    assert not house.queue.rows


async def test_what_was_taken_never_leaves_again_while_its_mark_waits(open_house, small):
    """A full disk stores no mark for an hour: what comes and is read meanwhile brings none of
    what the peer has taken; afterwards each leaves once, in its lane's order."""
    house = await open_house()
    for n in range(20):
        house.owe("abcd"[n % 4], str(n))
    taken = []
    while house.adapter.out:
        taken.append(house.adapter.say(answered("AA")))
        await house.settle()
    assert taken == ["0", "1", "2", "3"]
    for n in range(20, 40):
        house.owe("abcd"[n % 4], str(n))
        house.time.pass_(180)
        await house.settle()
        assert house.out == []

    house.queue.commit()
    await house.settle()
    order = await house.drain()
    assert order == {
        lane: [str(n) for n in range(i + 4, 40, 4)] for i, lane in enumerate("abcd")
    }
    assert not house.queue.rows


async def test_a_paused_outbox_sends_nothing(open_house):
    """Not what comes, not what was to be tried again."""
    house = await open_house(answers={"AE": "retry"})
    house.owe("a", "a1")
    house.adapter.say(answered("AE"))
    house.queue.commit()
    await house.outbox.pause(0.001)
    house.owe("b", "b1")
    house.time.pass_(100)

    assert not house.adapter.out


async def test_an_answer_after_retries_have_lasted_too_long_parks(open_house):
    """retry: {for: 10s}."""
    house = await open_house(lasting=10.0, first=1.0, most=4.0)
    house.owe("a", "a1")
    for _ in range(8):
        if house.adapter.out:
            house.adapter.say(UNCLEAR)
            house.queue.commit()
        house.time.pass_(4.5)

    assert house.settled == ["parked"]


async def released(house, delivery):
    """A person releases what was parked; gives what is told to the outbox."""
    house.outbox.expect(delivery)
    house.queue.rows[delivery.seq] = delivery
    await house.settle()
    house.outbox.put_back(delivery)


async def test_a_released_delivery_goes_before_what_came_after_it(open_house):
    """At its old place, but behind what is being sent."""
    house = await open_house(width=1)
    parked = house.owe("a", "a1")
    house.adapter.say(answered("AR"))
    house.queue.commit()
    for text in ("a2", "a3"):
        house.owe("a", text)
    await released(house, parked)

    assert house.out == ["a2"]
    assert await house.drain() == {"a": ["a2", "a1", "a3"]}


async def test_a_released_head_frees_its_lane_and_goes_first(open_house):
    """on_reject: stop; what waited follows in order."""
    house = await open_house(stop_on_reject=True)
    parked = house.owe("a", "a1")
    house.owe("a", "a2")
    house.adapter.say(answered("AR"))
    house.queue.commit()
    await released(house, parked)
    assert house.out == []

    house.outbox.free("a")

    assert await house.drain() == {"a": ["a1", "a2"]}


async def test_reading_the_queue_does_not_bring_a_released_delivery_twice(open_house, small):
    """The journal shows it as soon as it is committed; a page may have it before we hear."""
    house = await open_house(held=frozenset({"a"}))
    deliveries = [house.owe("a" if n < 20 else "b", str(n)) for n in range(40)]
    back = deliveries[12]
    del house.queue.rows[back.seq]
    await house.settle()
    await released(house, back)
    house.outbox.free("a")
    await house.settle()
    order = await house.drain()

    assert sorted(order["a"], key=int) == [str(n) for n in range(20)]
    assert order["b"] == [str(n) for n in range(20, 40)]


async def test_tries_from_before_a_release_do_not_count(open_house):
    """AE is tried three times more again."""
    house = await open_house()
    parked = replace(house.owe("a", "a1"), tries=4, spent=4)
    house.adapter.say(answered("AR"))
    house.queue.commit()
    await released(house, parked)
    for _ in range(3):
        house.adapter.say(answered("AE"))
        house.queue.commit()
        house.time.pass_(60)
    assert [mark.outcome for mark in house.queue.marked[1:]] == ["retry"] * 3
    assert [mark.tries for mark in house.queue.marked[1:]] == [5, 6, 7]
    house.adapter.say(answered("AE"))
    house.queue.commit()
    assert house.queue.marked[-1].outcome == "parked"


async def test_the_time_limit_goes_on_where_the_last_engine_left_it(open_house, time):
    """retry.for counts from the first failure that the journal knows."""
    house = await open_house(lasting=100.0)
    first = time.time_ns() - 99 * 10**9
    delivery = replace(house.owe("a", "a1"), tries=7, since=first)
    house.queue.rows[delivery.seq] = delivery
    again = await open_house(house.queue, lasting=100.0)
    again.adapter.say(UNCLEAR)
    again.queue.commit()
    assert again.queue.marked[-1].outcome == "retry"
    again.time.pass_(70)
    again.adapter.say(UNCLEAR)
    again.queue.commit()
    assert again.queue.marked[-1].outcome == "parked"


async def test_a_destination_that_answers_at_once_takes_all_of_a_page(open_house):
    """`type: log`, and whatever is done once it is written: no lane is left out for ever,
    however many have something to send when the queue is read."""
    queue = QueueTwin()
    for n in range(refill.PAGE):
        queue.rows[n] = Delivery(SignalId(bytes(16)), 1, n, "his", str(n), b"", str(n))
    house = await open_house(queue, adapter=lambda width: LogDestination("his", None, None))
    house.queue.commit()

    assert (len(house.settled), house.outbox.flying) == (refill.PAGE, 0)


async def test_what_cannot_be_sent_says_nothing_of_the_peer(open_house):
    """It never left: a destination that is down is not up for it, and its wait grows on."""
    house = await open_house(answers={"unsendable": "reject", "AA": "done"}, width=1)
    for lane in "abc":
        house.owe(lane, lane)
    house.adapter.say(DOWN)
    house.queue.commit()
    house.time.pass_(2)
    house.adapter.say(answered("unsendable"))
    house.queue.commit()

    assert (house.out, house.outbox.down) == (["b"], True)
    assert [type(event).__name__ for event in house.events] == [
        "DestinationDown",
        "DeliveryParked",
    ]
