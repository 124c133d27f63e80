"""Lanes and barriers of one destination, whatever comes, fails and dies (P2, P3, P4)."""

import asyncio
import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from portico.flow.deliveries import lanes, refill
from portico.flow.deliveries.delivering import DeliveringWorld, Outbox, Terms
from portico.ids import SignalId, floor_at
from portico.model import lane as names
from portico.model.delivery import Answered, Attempt, Delivery

AA, AE = Attempt(Answered.ANSWERED, "AA"), Attempt(Answered.ANSWERED, "AE")
DOWN = Attempt(Answered.NO_CONNECTION, "no_connection")
LATE = Attempt(Answered.UNCLEAR, "timeout")
KEYS = "abcde"


def delivery(seq, *keys):
    """One that belongs to these lanes."""
    content = bytes(seq % 5)
    return Delivery(
        SignalId(bytes(16)), 1, seq, "his", names.joined(keys), content, received=seq
    )


class Queue:
    """The journal's queue: marks are durable when it says so."""

    def __init__(self):
        self.rows, self.marks = {}, []

    def mark(self, mark, urgent):
        """Queue."""
        self.marks.append(mark)

    def commit(self):
        """Store all marks, and tell."""
        marks, self.marks = self.marks, []
        for mark in marks:
            row = self.rows.pop(mark.seq)
            if mark.outcome == "retry":
                self.rows[mark.seq] = replace(row, tries=mark.tries)
            mark.stored()

    async def queued(self, destination, after, limit):
        """A page."""
        await asyncio.sleep(0)
        return cut([one for seq, one in sorted(self.rows.items()) if seq > after], limit)

    async def queued_in_lane(self, destination, lane, first, last, limit):
        """A page of one lane."""
        await asyncio.sleep(0)
        rows = sorted(self.rows.items())
        fits = [d for seq, d in rows if first <= seq <= last and lane in names.keys(d.lane)]
        return cut(fits, limit)


def cut(rows, limit):
    """A page of them, as the journal's: the one with which it is heavy is its last."""
    before = itertools.accumulate((len(one.content) for one in rows), initial=0)
    return [one for one, size in zip(rows, before, strict=False) if size < refill.PAGE_BYTES][
        :limit
    ]


class Life:
    """One life of an outbox on a queue; the peer answers when told to."""

    width = 4

    def __init__(self, queue, time):
        self.queue, self.out, self.wrong = queue, [], []
        world = DeliveringWorld(
            queue, queue, time, time.later, lambda: 0.5, lambda event: None,
            type("Nothing", (), {"delivered": lambda *labels: None})(),
            lambda delivery, outcome, attempt: None,
        )  # fmt: skip
        terms = Terms(answers={"AA": "done", "AE": "retry"}, most=4.0)
        self.outbox = Outbox("his", self, terms, world)

    def deliver(self, one, done):
        """To the peer: nothing older of any of its lanes may still be queued."""
        mine = set(names.keys(one.lane))
        older = [d for seq, d in self.queue.rows.items() if seq < one.seq]
        if any(mine & set(names.keys(d.lane)) for d in older):
            self.wrong.append(f"{one.seq} overtakes")
        if one.seq in [sent.seq for sent, _ in self.out]:
            self.wrong.append(f"{one.seq} is out twice")
        row = self.queue.rows.get(one.seq)
        if row is None or row.tries != one.tries:
            self.wrong.append(f"{one.seq} is not as queued")
        self.out.append((one, done))

    def answer(self, chance, attempt):
        """The peer says so to one of those that are out."""
        if self.out:
            _, done = self.out.pop(chance.randrange(len(self.out)))
            done(attempt)


async def settle():
    """Until nothing is read any more."""
    for _ in range(30):
        await asyncio.sleep(0)


async def live(time, chance, most):
    """Deliveries come, are answered in any order, fail; the engine dies now and then."""
    queue = Queue()
    life, seq = Life(queue, time), 0
    life.outbox.start()
    while seq < most or queue.rows:
        assert not life.wrong, life.wrong
        act = chance.choice("ooaaaaaaccttef dk" if seq < most else "aaaaaccctt")
        if act == "o" and seq < most:
            seq += 1
            count = chance.choice((1, 1, 1, 1, 2, 3))
            made = delivery(seq, *chance.sample(KEYS, count))
            queue.rows[seq] = made
            if chance.random() < 0.8:
                await asyncio.sleep(0)
            life.outbox.enqueue(made)
        elif act in "aefd":
            life.answer(chance, {"a": AA, "e": AE, "f": LATE, "d": DOWN}[act])
        elif act == "c":
            queue.commit()
        elif act == "t":
            time.pass_(1.0)
            await settle()
        elif act == "k" and chance.random() < 0.2:
            await settle()
            life.outbox._paused = True
            life.outbox._refill.stop()
            queue.marks.clear()
            life = Life(queue, time)
            life.outbox.start()
    await settle()
    assert not life.wrong, life.wrong
    assert life.outbox._lanes.count == life.outbox._lanes.size == 0
    assert not life.outbox._lanes._lanes


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    window=st.sampled_from((6, 10, 4096)),
    most=st.sampled_from((12, 20, 1 << 20)),
)
def test_order_holds_for_each_key_and_everything_is_delivered(time, seed, window, most):
    """Barriers among lanes, in a window that holds few of them, with failures and restarts:
    none overtakes another of any of its keys, none is sent twice in one life, none starves."""
    loop = asyncio.new_event_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "WINDOW", window)
        patch.setattr(lanes, "MOST_BYTES", most)
        patch.setattr(lanes, "PAGE_BYTES", most // 4)
        patch.setattr(refill, "PAGE_BYTES", most // 4)
        patch.setattr(lanes, "PAGE", 2)
        patch.setattr(refill, "PAGE", 2)
        patch.setattr(refill, "_LANE_PAGE", 2)
        chance = random.Random(seed)
        try:
            loop.run_until_complete(asyncio.wait_for(live(type(time)(), chance, 60), 20))
        finally:
            loop.close()


def test_a_drained_queue_ends_where_it_was_asked():
    """What came later stays, in lanes of its own and behind others; then all of it leaves."""
    one = lanes.Lanes()
    one.behind = False
    for seq, key in ((1, "a"), (2, "b")):
        one.offer(delivery(seq, key))
    one.let(2)
    for seq, key in ((3, "a"), (4, "c")):
        one.offer(delivery(seq, key))
    assert emptied(one) == [1, 2]
    one.let(None)
    assert sorted(emptied(one)) == [3, 4]


def emptied(one):
    """The places that leave, until none does."""
    left = []
    while (lane := one.next()) is not None:
        left.append(lane.items[0].seq)
        one.drop_head(lane)
    return left


def test_a_queue_is_as_old_as_what_waits_in_it():
    """A replay counts from its own id, not from its original's arrival; what a person gives
    back counts from then on."""
    one = lanes.Lanes()
    one.behind = False
    assert one.oldest() == 0
    now = 1_790_000_000_000
    replayed = replace(delivery(1, "a"), signal=floor_at(now), received=5)
    one.offer(replayed)
    assert one.oldest() == now * 1_000_000
    released = replace(delivery(0, "b"), signal=floor_at(now - 86_400_000))
    one.returned[0] = (now + 1) * 1_000_000
    one.put_back(released)
    assert one.oldest() == now * 1_000_000
    one.drop_head(one.next())
    assert one.oldest() == (now + 1) * 1_000_000
    one.drop_head(one.next())
    assert one.oldest() == 0 and not one.returned


def test_a_place_that_a_person_gave_back_is_forgotten_once_it_is_settled():
    """Not while a read is under way that may have seen it; and not what is parked again and
    given back again."""
    one = lanes.Lanes()
    one.behind = False
    released = delivery(3, "a")
    one.expect(3)
    one.put_back(released)
    one.reading(1)
    assert emptied(one) == [3]
    one.admit(released)
    assert emptied(one) == []
    one.expect(3)
    one.reading(-1)
    one.admit(released)
    assert emptied(one) == []

    one.put_back(released)
    assert emptied(one) == [3]
    assert not one.aside


def test_a_lane_that_waits_for_a_person_is_kept_by_its_name_alone():
    """As long as nothing stands in it; before and after something has."""
    one = lanes.Lanes({"a", names.joined("bc")})
    one.behind = False
    assert [one.find(key) for key in "abc"] == [None] * 3
    one.offer(delivery(1, "a"))
    assert emptied(one) == []
    one.unblock(*one.held("a"))
    one.hold(one.next())
    assert one.find("a") is None
    assert [lane.key for lane in one.held(names.joined("ab"))] == ["a", "b"]


def test_a_place_that_nobody_gives_back_is_forgotten():
    """Not while a read is under way, and not what an earlier release has brought."""
    one = lanes.Lanes()
    one.expect(3)
    one.reading(1)
    one.forgo(3)
    assert one.aside
    one.reading(-1)
    assert not one.aside

    one.expect(4)
    one.returned[4] = 1
    one.put_back(delivery(4, "a"))
    one.expect(4)
    one.forgo(4)
    assert emptied(one) == [4]
    assert not one.aside


def test_what_a_person_gives_back_goes_before_a_head_that_could_not_leave():
    """It found nobody to connect to, so nobody has seen it; a barrier steps back in the lane
    that has an older one now, and passes once that has gone."""
    one = lanes.Lanes()
    one.behind = False
    for made in (delivery(3, "a"), delivery(4, "a"), delivery(5, "b", "c")):
        one.offer(made)
    plain, barrier = one.next(), one.next()
    one.put_back(delivery(1, "a"))
    one.put_back(delivery(2, "c"))
    one.again(plain)
    one.again(barrier)

    assert emptied(one) == [1, 2, 3, 5, 4]


def test_barriers_that_a_person_gave_back_never_wait_for_each_other():
    """One while a later one was out, one while that backs off: in each lane the oldest is
    first, once nothing is out."""
    one = lanes.Lanes()
    one.behind = False
    one.offer(delivery(10, "a", "b"))
    out = one.next()
    one.put_back(delivery(5, "a"))
    one.block(out)
    one.put_back(delivery(7, "a", "b"))
    one.unblock(out)

    assert emptied(one) == [5, 7, 10]


async def test_a_barrier_given_back_does_not_wait_for_what_the_journal_has(time, monkeypatch):
    """One of its lanes was stuck, and its tail left in the journal: what comes before the
    barrier is read, though the lane is not empty."""
    monkeypatch.setattr(lanes, "WINDOW", 6)
    monkeypatch.setattr(lanes, "PAGE", 2)
    queue = Queue()
    life = Life(queue, time)
    life.width = 1
    life.outbox.start()
    await settle()
    for made in (delivery(1, "a"), delivery(2, "c"), delivery(3, "c"), delivery(4, "a", "b")):
        queue.rows[made.seq] = made
        life.outbox.enqueue(made)
        if made.seq == 1:
            life.answer(random, AE)
            queue.commit()
    back = delivery(6, "a", "b")
    life.outbox.expect(back)
    queue.rows[6] = back
    life.outbox.put_back(back)
    left = []
    for _ in range(20):
        time.pass_(5.0)
        await settle()
        left += [sent.seq for sent, _ in life.out]
        life.answer(random, AA)
        queue.commit()

    assert (sorted(left), left[-2:]) == ([1, 2, 3, 4, 6], [4, 6])
