"""A stalled loop is measured, and a long stall is an event."""

from portico.events.site import ReactorStalled
from portico.events.stall import StallMeter


class Loop:
    """A loop and clock whose time passes when told."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def monotonic(self):
        return self.now

    def time_ns(self):
        return int(self.now * 1e9)

    def call_later(self, delay, callback):
        handle = Handle(self.now + delay, callback)
        self.calls.append(handle)
        return handle

    def run(self, seconds, late=0.0):
        """Let time pass; what is due runs `late` seconds after its time."""
        self.now += seconds + late
        due, self.calls = self.calls, []
        for handle in due:
            if not handle.gone:
                handle.callback()


class Handle:
    def __init__(self, when, callback):
        self.when, self.callback, self.gone = when, callback, False

    def cancel(self):
        self.gone = True


def meter(loop):
    """A meter with what it observed and emitted."""
    seen, events = [], []
    made = StallMeter(loop, loop, seen.append, events.append, every=0.25, alarm=1.0)
    made.start()
    return made, seen, events


def test_a_loop_in_time_is_not_late():
    """Nothing blocks, nothing is told."""
    loop = Loop()
    _, seen, events = meter(loop)
    loop.run(0.25)
    loop.run(0.25)

    assert seen == [0.0, 0.0]
    assert events == []


def test_lateness_is_measured_from_the_due_time():
    """What blocked the loop for half a second shows as half a second."""
    loop = Loop()
    _, seen, events = meter(loop)
    loop.run(0.25, late=0.5)

    assert seen == [0.5]
    assert events == []


def test_a_long_stall_is_one_event():
    """A stall of the alarm's length is told once, and the next call is in time again."""
    loop = Loop()
    _, seen, events = meter(loop)
    loop.run(0.25, late=2.0)
    loop.run(0.25)

    assert events == [ReactorStalled(2.0)]
    assert seen == [2.0, 0.0]


def test_a_stopped_meter_asks_no_more():
    """After stop nothing is left in the loop that would call."""
    loop = Loop()
    made, seen, _ = meter(loop)
    made.stop()
    loop.run(0.25)

    assert seen == []


def test_a_second_start_does_not_measure_twice():
    """Start is safe to repeat."""
    loop = Loop()
    made, seen, _ = meter(loop)
    made.start()
    loop.run(0.25)

    assert seen == [0.0]
