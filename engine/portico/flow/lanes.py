"""The lanes of one destination in memory: what is ready, held, or left in the journal.

At most WINDOW Deliveries are held; what comes later is left in the journal and read on in its
order. A lane that is blocked while memory is scarce is shut: its tail is left in the journal
too and read again by lane once it moves, so that one stuck patient cannot fill the window.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from portico.model.delivery import Delivery

WINDOW = 4096
PAGE = 512


class Lane:
    """One order key's Deliveries in memory, oldest first.

    busy: its head is out, or its mark is on the way. blocked: it backs off, or waits for a
    person. shut: from this place on its Deliveries lie in the journal only; missed: more came
    since they were last asked for. since: monotonic seconds of its head's first failure.
    """

    __slots__ = ("blocked", "busy", "items", "key", "missed", "shut", "since", "timer")

    def __init__(self, key: str) -> None:
        self.key = key
        self.items: deque[Delivery] = deque()
        self.busy = False
        self.blocked = False
        self.shut: int | None = None
        self.missed = False
        self.since: float | None = None
        self.timer: asyncio.TimerHandle | None = None


class Lanes:
    """All lanes of one destination.

    cursor: the last place that was let in or set aside. behind: later ones lie in the journal
    only; missed: more came since it was last asked.
    """

    def __init__(self, held: Iterable[str] = ()) -> None:
        self._lanes: dict[str, Lane] = {}
        self._ready: deque[Lane] = deque()
        self.count = 0
        self.cursor = -1
        self.behind = True
        self.missed = True
        for key in held:
            self._lanes[key] = lane = Lane(key)
            lane.blocked = True

    def offer(self, delivery: Delivery) -> None:
        """Take a new Delivery if there is room and none before it is still in the journal.

        The journal shows one as soon as it is committed: it may have been read by now.
        """
        if delivery.seq <= self.cursor:
            return
        if self.behind or self.count >= WINDOW:
            self.behind = self.missed = True
        else:
            self.admit(delivery)

    def admit(self, delivery: Delivery) -> None:
        """Take one; Deliveries come in the journal's order."""
        self.cursor = delivery.seq
        lane = self._lanes.get(delivery.lane)
        if lane is None:
            lane = self._lanes[delivery.lane] = Lane(delivery.lane)
        elif lane.shut is not None or (lane.blocked and self.count >= WINDOW // 2):
            lane.shut = delivery.seq if lane.shut is None else lane.shut
            lane.missed = True
            return
        self.append(lane, delivery)

    def append(self, lane: Lane, delivery: Delivery) -> None:
        """Put a Delivery at the end of its lane."""
        lane.items.append(delivery)
        self.count += 1
        if len(lane.items) == 1:
            self.wake(lane)

    def wake(self, lane: Lane) -> None:
        """The lane is ready if it has a head and nothing keeps it."""
        if lane.items and not lane.busy and not lane.blocked:
            self._ready.append(lane)

    def next(self) -> Lane | None:
        """The next ready lane, now busy."""
        while self._ready:
            lane = self._ready.popleft()
            if lane.items and not lane.busy and not lane.blocked:
                lane.busy = True
                return lane
        return None

    def again(self, lane: Lane) -> None:
        """The lane's head could not leave for no fault of its own: it goes first next time."""
        lane.busy = False
        if not lane.blocked:
            self._ready.appendleft(lane)

    def drop_head(self, lane: Lane) -> None:
        """The head is settled; forget the lane when nothing is left of it."""
        lane.items.popleft()
        self.count -= 1
        lane.busy, lane.since = False, None
        if lane.items:
            self.wake(lane)
        elif lane.shut is None and not lane.blocked:
            del self._lanes[lane.key]

    def block(self, lane: Lane) -> None:
        """Keep the lane from sending; when memory is scarce, keep only its head."""
        lane.busy, lane.blocked = False, True
        if self.count > WINDOW // 2 and len(lane.items) > 1:
            lane.shut = lane.items[1].seq
            lane.missed = True
            self.count -= len(lane.items) - 1
            lane.items = deque([lane.items[0]])

    def unblock(self, lane: Lane) -> None:
        """Let the lane send again."""
        lane.blocked, lane.timer = False, None
        if lane.items:
            self.wake(lane)
        elif lane.shut is None:
            self._lanes.pop(lane.key, None)

    def find(self, key: str) -> Lane | None:
        """The lane of this key, if it is in memory."""
        return self._lanes.get(key)

    def oldest(self) -> int:
        """When the oldest Signal in memory came, nanoseconds since 1970 UTC; 0 for none."""
        heads = (lane.items[0].received for lane in self._lanes.values() if lane.items)
        return min(heads, default=0)

    def hungry(self, lane: Lane) -> bool:
        """The lane ran dry and the journal has more of it."""
        return not lane.items and lane.shut is not None and not lane.blocked

    def room(self) -> bool:
        """The journal has more, and there is room for a page."""
        return self.behind and self.count <= WINDOW - PAGE
