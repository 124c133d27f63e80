"""Replies on their way to a worker: large ones share frames as large contents do."""

import asyncio

from portico.agents.item import Item
from portico.events.running import WorkerDied
from portico.model.call import Reply


def given(works, replies):
    """One item that has had these replies; what becomes of it."""
    future = asyncio.get_running_loop().create_future()
    content = b"MSH|^~\\&|echo||||||ADT^A01|1|P|2.5\r"
    item = Item(bytes(16), content, {}, replies=replies)
    works.pool.submit("acts", item, "", future.set_result)
    return future


async def test_many_items_with_large_replies_end_no_worker(works):
    """Sixty-four answers of a plugin, 300 KiB each, are more than one frame's header holds."""
    await works.activate()
    await asyncio.gather(*(works.submit("echo") for _ in range(200)))  # it is known as fast
    reply = Reply(b"\1" * 16, bytes(300 << 10))

    outcomes = await asyncio.gather(*(given(works, (reply,)) for _ in range(64)))

    assert all(one.result.failure is None for one in outcomes)
    assert works.said(WorkerDied) == []


async def test_an_item_whose_replies_no_frame_holds_fails(works):
    """It is told why, and costs no worker."""
    await works.activate()
    replies = (Reply(b"\1" * 16, bytes(5 << 20)),) * 3

    outcome = await given(works, replies)

    assert outcome.result.failure.code == "step.permanent"
    assert works.said(WorkerDied) == []
