"""The lanes of one destination in memory: what is ready, held, or left in the journal.

At most WINDOW Deliveries are held, of about MOST_BYTES; what comes later is left in the journal
and read on in its order. A lane that is stuck while memory is scarce is shut: its tail is left
in the journal too and read again by lane once it moves, so that one stuck patient cannot fill
the window.

A barrier (model.lane) stands in several lanes, and leaves when it is the head of each. Two
barriers cannot wait for each other: every lane holds its Deliveries in the journal's order, so
the oldest of all is at the head wherever it stands.
"""

import asyncio
from bisect import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from portico.ids import millis
from portico.journal.statements import PAGE_BYTES
from portico.model import lane as names
from portico.model.delivery import Delivery

WINDOW = 4096
PAGE = 512
MOST_BYTES = 8 * PAGE_BYTES
MOST_RETURNED = 1024  # that people gave back, beside the window


@dataclass(slots=True, eq=False)
class Lane:
    """One order key's Deliveries in memory, oldest first.

    busy: its head is out, or its mark is on the way. blocked: it backs off, or waits for a
    person. shut: from this place on its Deliveries lie in the journal only; missed: more came
    since they were last asked for; reading: they are being asked for. since: monotonic seconds
    of its head's first failure.
    """

    key: str
    items: deque[Delivery] = field(default_factory=deque)
    busy: bool = False
    blocked: bool = False
    shut: int | None = None
    missed: bool = False
    reading: bool = False
    since: float | None = None
    timer: asyncio.TimerHandle | None = None


class Lanes:
    """All lanes of one destination. held: order keys that wait for a person.

    count, size: Deliveries in memory, and their bytes; a barrier once for each of its lanes.
    aside: places that a person gives back (`put_back`): reading passes them by. cursor: the
    last place that was let in or set aside. behind: later ones lie in the journal only; missed:
    more came since it was last asked. through: nothing after this place leaves. returned: when
    a person gave a place back, nanoseconds.
    """

    def __init__(self, held: Iterable[str] = ()) -> None:
        self._lanes: dict[str, Lane] = {}
        self._ready: deque[Lane] = deque()
        self.count = self.size = 0
        self.aside: set[int] = set()
        self._settled: set[int] = set()  # of `aside`; a read under way may have seen them
        self._reads = 0
        self.cursor = -1
        self.behind = True
        self.missed = True
        self.through: int | None = None
        self.returned: dict[int, int] = {}
        # Keys that wait for a person, as long as nothing of them is in memory.
        self._held = {key for text in held for key in names.keys(text)}

    def offer(self, delivery: Delivery) -> None:
        """Take a new Delivery if there is room and none before it is still in the journal.

        The journal shows one as soon as it is committed: it may have been read by now.
        """
        if delivery.seq <= self.cursor:
            return
        if self.behind or self._holds(1):
            self.behind = self.missed = True
        else:
            self.admit(delivery)

    def admit(self, delivery: Delivery) -> None:
        """Take one; Deliveries come in the journal's order."""
        self.cursor = delivery.seq
        if self.aside and delivery.seq in self.aside:
            return
        if names.several(delivery.lane):
            for key in names.keys(delivery.lane):
                self._admit_to(self._lane(key), delivery)
        else:
            self._admit_to(self._lane(delivery.lane), delivery)

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            lane.blocked = key in self._held
            self._held.discard(key)
        return lane

    def _admit_to(self, lane: Lane, delivery: Delivery) -> None:
        if lane.shut is None and self._holds(2) and self._stuck(lane):
            lane.shut = delivery.seq
        if lane.shut is not None:
            lane.missed = True
        else:
            self.append(lane, delivery)

    def append(self, lane: Lane, delivery: Delivery) -> None:
        """Put a Delivery at the end of its lane."""
        lane.items.append(delivery)
        self.count += 1
        self.size += len(delivery.content)
        if len(lane.items) == 1:
            self.wake(lane)

    def extend(self, lane: Lane, page: list[Delivery]) -> None:
        """What the journal has next of a lane that ran dry."""
        for delivery in page:
            if delivery.seq not in self.aside:
                self._insert(lane, delivery)
        if not lane.items:
            self._forget(lane)

    def expect(self, place: int) -> None:
        """What stands there comes by `put_back`, and by no reading."""
        self.aside.add(place)
        self._settled.discard(place)

    def forgo(self, place: int) -> None:
        """Nobody gives back what stands there, unless that has happened before."""
        if place in self.aside and place not in self.returned:
            self._settled.add(place)
            self._let_aside_go()

    def reading(self, reads: int) -> None:
        """So many more reads of the journal are under way; negative: fewer."""
        self._reads += reads
        self._let_aside_go()

    def _let_aside_go(self) -> None:
        """What is settled is in the journal's queue no more: no read to come finds it."""
        if self._settled and not self._reads:
            self.aside -= self._settled
            self._settled.clear()

    def put_back(self, delivery: Delivery) -> None:
        """A Delivery that a person released: at its old place, behind a head that is out."""
        for key in names.keys(delivery.lane):
            self._insert(self._lane(key), delivery)

    def _insert(self, lane: Lane, delivery: Delivery) -> None:
        at = bisect(lane.items, delivery.seq, key=_place)
        lane.items.insert(max(at, 1) if lane.busy else at, delivery)
        self.count += 1
        self.size += len(delivery.content)
        if lane.items[0] is delivery:
            lane.since = None
            self.wake(lane)

    @property
    def crowded(self) -> bool:
        """So much that people gave back waits here that more would fill memory."""
        return len(self.returned) >= MOST_RETURNED

    def held(self, text: str) -> list[Lane]:
        """The lanes of these order keys that wait for a person."""
        ours = (key for key in names.keys(text) if key in self._lanes or key in self._held)
        return [one for one in map(self._lane, ours) if one.blocked and one.timer is None]

    def wake(self, lane: Lane) -> None:
        """The lane is ready if it has a head and nothing keeps it."""
        if lane.items and not lane.busy and not lane.blocked:
            self._ready.append(lane)

    def next(self) -> Lane | None:
        """The next ready lane, now busy; of a barrier its first, with the others."""
        while self._ready:
            lane = self._ready.popleft()
            if not lane.items or lane.busy or lane.blocked:
                continue
            if self.through is not None and lane.items[0].seq > self.through:
                continue
            if not names.several(lane.items[0].lane):
                lane.busy = True
                return lane
            if self._meets(lane.items[0]):
                abreast = self.abreast(lane)
                for one in abreast:
                    one.busy = True
                return abreast[0]
            self._spare(lane, 1)
        return None

    def let(self, through: int | None) -> None:
        """Let leave what stands up to this place; None: everything."""
        self.through = through
        for lane in self._lanes.values():
            self.wake(lane)

    def again(self, lane: Lane) -> None:
        """The lane's head could not leave, for no fault of its own: it goes first next time,
        unless a person has given back an older one meanwhile."""
        for one in self.abreast(lane):
            self._step_back(one)
        if not lane.blocked:
            self._ready.appendleft(lane)

    def _step_back(self, lane: Lane) -> None:
        """The lane's head is here again: behind an older one that a person gave back."""
        lane.busy = False
        if len(lane.items) > 1 and lane.items[1].seq < lane.items[0].seq:
            head = lane.items.popleft()
            lane.items.insert(bisect(lane.items, head.seq, key=_place), head)
            lane.since = None
            self.wake(lane)

    def amend(self, lane: Lane, delivery: Delivery) -> None:
        """The lane's head has been tried once more."""
        for one in self.abreast(lane):
            one.items[0] = delivery

    def drop_head(self, lane: Lane) -> None:
        """The head is settled; forget the lane when nothing is left of it."""
        place = lane.items[0].seq
        self.returned.pop(place, None)
        if place in self.aside:
            self._settled.add(place)
            self._let_aside_go()
        for one in self.abreast(lane):
            self.size -= len(one.items.popleft().content)
            self.count -= 1
            one.busy, one.since = False, None
            if one.items:
                self.wake(one)
            else:
                self._forget(one)

    def block(self, lane: Lane) -> None:
        """Keep the head from leaving; when memory is scarce, keep only it."""
        for one in self.abreast(lane):
            self._step_back(one)
            self._spare(one, 1)
        lane.blocked = True

    def hold(self, lane: Lane) -> None:
        """The head is settled, and what is behind it waits for a person."""
        for one in self.abreast(lane):
            one.blocked = True
            self._spare(one, 1)
        self.drop_head(lane)

    def unblock(self, lane: Lane) -> None:
        """Let the lane send again."""
        lane.blocked, lane.timer = False, None
        if lane.items:
            self.wake(lane)
        else:
            self._forget(lane)

    def find(self, key: str) -> Lane | None:
        """The lane of this key, if it is in memory."""
        return self._lanes.get(key)

    def abreast(self, lane: Lane) -> list[Lane]:
        """The lanes whose head is this lane's head."""
        if not lane.items or not names.several(lane.items[0].lane):
            return [lane]
        return [self._lanes[key] for key in names.keys(lane.items[0].lane)]

    def oldest(self) -> int:
        """Since when the oldest in memory waits, nanoseconds since 1970 UTC; 0 for none.

        A replay keeps its original's `received`, and waits since its own id was made.
        """
        heads = (lane.items[0] for lane in self._lanes.values() if lane.items)
        since = (
            max(self.returned.get(one.seq, 0), millis(one.signal) * 1_000_000) for one in heads
        )
        return min(since, default=0)

    def hungry(self, lane: Lane) -> bool:
        """The lane ran dry and the journal has more of it, for which nobody has asked; it is
        dry, too, when a person gave back what comes after that."""
        if lane.shut is None or lane.busy or lane.blocked or lane.reading:
            return False
        return not lane.items or lane.items[0].seq >= lane.shut

    def starving(self) -> Iterator[Lane]:
        """Every hungry lane."""
        return filter(self.hungry, list(self._lanes.values()))

    def room(self) -> bool:
        """The journal has more, and there is room for a page."""
        free = self.count <= WINDOW - PAGE and self.size <= MOST_BYTES - PAGE_BYTES
        return self.behind and free

    def _holds(self, share: int) -> bool:
        """Whether memory holds so large a part, an n-th, of what it may."""
        return self.count * share >= WINDOW or self.size * share >= MOST_BYTES

    def _meets(self, barrier: Delivery) -> bool:
        """Whether it is the head of all its lanes, and nothing keeps any of them."""
        for key in names.keys(barrier.lane):
            lane = self._lanes[key]
            if lane.blocked or lane.busy or not lane.items:
                return False
            if lane.items[0].seq != barrier.seq:
                return False
        return True

    def _stuck(self, lane: Lane) -> bool:
        """Nothing of it can leave until something else has happened."""
        if lane.blocked or not lane.items or lane.busy:
            return lane.blocked
        head = lane.items[0]
        return names.several(head.lane) and not self._meets(head)

    def _spare(self, lane: Lane, kept: int) -> None:
        """When memory is scarce, leave all but the first ones to the journal."""
        if not self._holds(2) or len(lane.items) <= kept:
            return
        stays, leaves = list(lane.items)[:kept], list(lane.items)[kept:]
        stays += [one for one in leaves if one.seq in self.aside]
        leaves = [one for one in leaves if one.seq not in self.aside]
        if leaves:
            lane.shut, lane.missed = leaves[0].seq, True
            self.count -= len(leaves)
            self.size -= sum(len(one.content) for one in leaves)
            lane.items = deque(stays)

    def _forget(self, lane: Lane) -> None:
        if lane.shut is None:
            self._lanes.pop(lane.key, None)
            if lane.blocked:
                self._held.add(lane.key)


def _place(delivery: Delivery) -> int:
    return delivery.seq
