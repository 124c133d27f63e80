"""portico.flow.sessions.dispatch with several origins: each has room, none runs twice."""

import asyncio
import itertools
import random
from hashlib import sha256

import pytest

from portico.flow.runs import Run
from portico.flow.sessions import dispatch
from portico.flow.sessions.dispatch import Dispatcher, DispatchWorld
from portico.ids import SignalId
from portico.journal.contract import Recovered
from portico.model.signal import Signal


class Ward:
    """A journal, its dispatcher, and what it began. out: Runs that have not ended. bulk: some
    are larger than others by so many bytes."""

    bulk = 0

    def __init__(self):
        self.rows, self.begun, self.out, self.seq = {}, [], {}, 0
        self.dispatcher = Dispatcher(
            DispatchWorld(
                self._waiting, self._recall, self._start, lambda *later: None, print, 1
            ),
            None,
        )

    async def _waiting(self, after, limit, without=(), only=""):
        """As journal.reader; the loop goes on meanwhile."""
        await asyncio.sleep(0)
        found = [
            Recovered(seq, self.rows[seq], (), 0, (), ())
            for seq in sorted(self.rows)
            if seq > after
            and self.rows[seq].origin not in without
            and only in ("", self.rows[seq].origin)
        ]
        await asyncio.sleep(0)
        sizes = (len(one.signal.content) for one in found)
        before = itertools.accumulate(sizes, initial=0)
        light = (b < dispatch.PAGE_BYTES for b in before)
        return list(itertools.compress(found, light))[:limit]

    def _recall(self, recovered, waiter):
        return Run(recovered.signal, recovered.seq, {"a"}, {}, waiter)

    def _start(self, run):
        self.begun.append((run.signal.origin, run.seq))
        self.out[run.seq] = run

    def store(self, origin):
        """A Signal that waits, committed; nobody has offered it yet."""
        self.seq += 1
        content = bytes(self.seq % 4 * self.bulk)
        digest = sha256(content).digest()
        signal = Signal(SignalId(self.seq.to_bytes(16)), origin, 0, content, digest)
        self.rows[self.seq] = signal
        return Run(signal, self.seq, {"a"}, {})

    def offer(self, origin):
        """One arrives."""
        self.dispatcher.offer(self.store(origin))

    def end(self, seq):
        """Its sessions have concluded."""
        self.rows.pop(seq, None)
        self.dispatcher.ended(self.out.pop(seq))

    async def settle(self):
        """Until nothing is read any more."""
        while self.dispatcher._reading is not None:
            await self.dispatcher._reading


@pytest.fixture
async def ward(monkeypatch):
    """Memory for forty, pages of four."""
    monkeypatch.setattr(dispatch, "WINDOW", 40)
    monkeypatch.setattr(dispatch, "PAGE", 4)
    made = Ward()
    made.dispatcher.start()
    await made.settle()
    return made


async def test_an_origin_whose_sessions_wait_leaves_room_for_others(ward):
    """A provider that is down for a day, and a thousand Signals behind it; so does a second."""
    for origin in ("slow", "slower"):
        for _ in range(500):
            ward.offer(origin)
        await ward.settle()

    for _ in range(100):
        ward.offer("quick")
        await ward.settle()
        origin, seq = ward.begun[-1]
        assert (origin, seq) == ("quick", ward.seq)
        ward.end(seq)

    assert ward.dispatcher.running["slow"] <= 21
    assert ward.dispatcher.count < 40


async def test_after_a_restart_they_have_room_at_once(ward):
    """What waits of the slow one is not read to reach what waits behind it."""
    for _ in range(300):
        ward.store("slow")
    ward.store("quick")
    ward.dispatcher = Dispatcher(ward.dispatcher._world, None)
    ward.dispatcher._known = ward.seq
    ward.dispatcher.start()
    await ward.settle()

    assert ("quick", ward.seq) in ward.begun
    assert len(ward.begun) < 40


async def test_what_was_read_by_itself_is_not_read_again_with_all(ward):
    """An origin was held and is no more; then memory is full, and reading goes on behind it."""
    for _ in range(100):
        ward.store("slow")
    ward.dispatcher = Dispatcher(ward.dispatcher._world, None)
    ward.dispatcher._known = ward.seq
    ward.dispatcher.start()
    await ward.settle()
    while len(ward.begun) < 100 or len(ward.out) > 3:
        ward.end(min(ward.out))
        await ward.settle()
    for _ in range(40):  # a person releases more than there is room for
        run = ward.store("parked")
        del ward.rows[run.seq]
        ward.dispatcher.resume(run)
    ward.offer("quick")
    for seq in list(ward.out)[5:]:
        ward.end(seq)
        await ward.settle()

    assert [origin for origin, _ in ward.begun].count("slow") == 100
    assert ward.begun[-1] == ("quick", ward.seq)


async def test_large_ones_take_more_room(ward, monkeypatch):
    """Workers that are slower than what comes, and each a scanned letter: the rest of them
    waits in the journal, and comes in its order."""
    monkeypatch.setattr(dispatch, "_SLOT", 100)
    ward.bulk = 1000
    for _ in range(100):
        ward.offer("letters")
        await ward.settle()
    assert sum(len(run.signal.content) for run in ward.out.values()) <= 4000

    while ward.out:
        ward.end(min(ward.out))
        await ward.settle()
    assert [seq for _, seq in ward.begun] == list(range(1, 101))


@pytest.mark.parametrize("bulk", [0, 40])
@pytest.mark.parametrize("room", [6, 12, 40])
@pytest.mark.parametrize("seed", range(10))
async def test_each_is_begun_once_and_in_the_order_of_its_origin(
    ward, seed, room, bulk, monkeypatch
):
    """Whatever arrives, ends and is set aside, in whatever order, in little room and more."""
    monkeypatch.setattr(dispatch, "WINDOW", room)
    monkeypatch.setattr(dispatch, "_SLOT", 50)
    monkeypatch.setattr(dispatch, "PAGE_BYTES", 100)
    ward.bulk = bulk
    chance, aside, taken = random.Random(seed), set(), set()
    origins = ["a"] * 8 + ["b"] * 3 + ["c"]
    for _ in range(600):
        dice = chance.random()
        if dice < 0.55:
            ward.offer(chance.choice(origins))
        elif dice < 0.6:
            aside.add(ward.store(chance.choice(origins)).seq)
            ward.dispatcher.aside(ward.seq)
        elif dice < 0.65 and aside:
            ward.rows.pop(one := aside.pop())
            taken.add(one)
        elif ward.out:
            ward.end(chance.choice(list(ward.out)))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await ward.settle()
    while ward.out:
        ward.end(next(iter(ward.out)))
        await ward.settle()

    begun = [seq for _, seq in ward.begun]
    assert sorted(begun) == sorted(set(range(1, ward.seq + 1)) - aside - taken)
    for origin in "abc":
        mine = [seq for of, seq in ward.begun if of == origin]
        assert mine == sorted(mine)
    assert set(ward.rows) == aside
    assert not ward.dispatcher._held
