"""portico.flow.arrivals.reading: what is parsed off the event loop, in the order of arrival."""

import asyncio

import pytest

from portico.flow.arrivals.desk import Policy
from portico.flow.arrivals.reading import LARGE, Queue
from portico.language.content import Content
from portico.language.place import Place
from portico.policy.answer import Answering
from portico.policy.routing import Rules

RULES = Rules("adt", Content("xml"), order_by=(Place.parse("/order/id"),))


def order(number, size=0):
    """An order in XML of about that size."""
    items = b"<item><code>X1</code></item>" * (size // 28)
    return b"<order><id>%d</id>%b</order>" % (number, items)


async def journaled(engine, count):
    """Wait until so many messages are on their way into the journal."""
    async with asyncio.timeout(10):
        while len(engine.journal.pending) < count:
            await asyncio.sleep(0)


async def test_large_xml_is_read_in_a_thread_and_stays_in_its_place(start):
    """What comes behind it is taken behind it, though it could be read at once."""
    engine = await start()
    engine.intake.policy = Policy(RULES, Answering())
    contents = [order(1), order(2, 4 * LARGE), order(3), b"<broken" + b" " * LARGE, order(5)]
    senders = [engine.take(content) for content in contents]
    assert len(engine.journal.pending) == 1
    await journaled(engine, 5)
    engine.journal.commit()

    assert [sender.told[0].told.value for sender in senders] == [
        "accepted", "accepted", "accepted", "refused", "accepted",
    ]  # fmt: skip
    assert [signal.order_key for signal in engine.journal.signals.values()] == [
        "1",
        "2",
        "3",
        "",
        "5",
    ]


async def test_the_loop_turns_while_xml_is_read(start):
    """Six megabytes of elements: other work goes on in between."""
    engine = await start()
    engine.intake.policy = Policy(RULES, Answering())
    loop, gaps = asyncio.get_running_loop(), []
    engine.take(order(1, 6 << 20))
    async with asyncio.timeout(30):
        while not engine.journal.pending:
            before = loop.time()
            await asyncio.sleep(0.001)
            gaps.append(loop.time() - before)

    assert len(gaps) > 5, "it was read on the loop"


async def test_a_stopped_queue_takes_nothing_more():
    """What waits is left; its sender was told nothing."""
    seen = []

    async def read(item):
        seen.append(item)
        await asyncio.Event().wait()

    queue = Queue(read)
    queue.put(1)
    queue.put(2)
    await asyncio.sleep(0)
    assert queue.busy
    queue.stop()
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == [1]
    assert not queue.busy


@pytest.mark.parametrize("count", [1, 5])
async def test_a_queue_reads_one_after_the_other(count):
    """In the order they were put, also those put while it reads."""
    seen = []

    async def read(item):
        await asyncio.sleep(0)
        seen.append(item)
        if item < count:
            queue.put(item + count)

    queue = Queue(read)
    for item in range(count):
        queue.put(item)
    while queue.busy:
        await asyncio.sleep(0)
    assert seen == list(range(2 * count))
