"""portico.llm.beside: what costs a loop much is done in another, and comes back as it was."""

import asyncio
import subprocess
import sys
import threading

import pytest

from portico.llm.beside import Beside
from portico.llm.contract import ModelFailed

LEFT_BEHIND = """\
import asyncio, threading
from portico.llm.beside import Beside

async def work(back):
    await asyncio.sleep(0)
    threading.Event().wait()

async def main():
    beside = Beside("tests")
    asyncio.ensure_future(beside.do(work))
    await asyncio.sleep(0.05)
    await beside.close(0.05)

asyncio.run(main())
"""


@pytest.fixture
async def beside():
    """Closed after the test."""
    one = Beside("tests")
    yield one
    await one.close(5)


def threads():
    """Of all tests' own."""
    return [one for one in threading.enumerate() if one.name == "tests"]


def endless():
    """(work that does not end, an event when it began, one when it was cancelled)."""
    began, cancelled = threading.Event(), threading.Event()

    async def work(back):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    return work, began, cancelled


async def happens(event):
    """It is set, without holding the loop."""
    assert await asyncio.to_thread(event.wait, 60)


async def test_work_that_holds_its_loop_does_not_hold_ours(beside):
    """It goes on only once our loop has come round, which it could not in our loop."""
    ours = threading.Event()

    async def work(back):
        return ours.wait(60)

    asyncio.get_running_loop().call_soon(ours.set)

    assert await beside.do(work)


async def test_what_work_asks_for_is_done_by_who_waits_for_it(beside):
    """In its task, before the work goes on."""
    order, caller = [], asyncio.current_task()

    async def call():
        order.append(("here", asyncio.current_task() is caller))
        await asyncio.sleep(0)
        order.append("done")

    async def work(back):
        await back(call)
        order.append("there")
        await back(call)

    await beside.do(work)

    assert order == [("here", True), "done", "there", ("here", True), "done"]


async def test_much_work_is_under_way_at_once(beside):
    """In one thread: each has its own answer."""
    gate, waiting = asyncio.Event(), []

    async def call():
        waiting.append(1)
        if len(waiting) == 20:
            gate.set()
        await gate.wait()

    async def work(back, number):
        await back(call)
        return number, threading.current_thread()

    done = await asyncio.gather(
        *(beside.do(lambda back, n=n: work(back, n)) for n in range(20))
    )

    assert [number for number, _ in done] == list(range(20))
    assert {thread for _, thread in done} == set(threads())
    assert len(threads()) == 1


async def test_what_the_work_raises_is_raised_here(beside):
    """The same object: with its code, and all that it holds."""
    fault = ModelFailed("llm.http_429", "too many", True, b"sent")

    async def work(back):
        raise fault

    with pytest.raises(ModelFailed) as told:
        await beside.do(work)

    assert told.value is fault


async def test_what_a_call_raises_ends_the_work(beside):
    """It is raised here as it is, and the work does not go on."""
    went_on, cancelled = [], threading.Event()

    async def call():
        raise ModelFailed("llm.failed", "not stored", False)

    async def work(back):
        try:
            await back(call)
            went_on.append(1)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(ModelFailed):
        await beside.do(work)

    await happens(cancelled)
    assert went_on == []


@pytest.mark.parametrize("way", ["cancel", "timeout"])
async def test_work_is_cancelled_with_who_waits_for_it(way, beside):
    """However the waiting ends."""
    work, began, cancelled = endless()
    limit = asyncio.timeout(None)

    async def waits():
        async with limit:
            await beside.do(work)

    task = asyncio.ensure_future(waits())
    await happens(began)
    if way == "cancel":
        task.cancel()
    else:
        limit.reschedule(asyncio.get_running_loop().time())

    with pytest.raises(TimeoutError if way == "timeout" else asyncio.CancelledError):
        await task
    await happens(cancelled)


async def test_a_time_out_of_the_work_is_told_here(beside):
    """Its clock is the other loop's."""

    async def work(back):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await beside.do(work)


async def test_the_thread_begins_with_the_first_work_and_ends_with_the_close():
    """What is under way then is cancelled, there and here; what comes later, too."""
    one = Beside("tests")
    assert threads() == []
    work, began, cancelled = endless()
    task = asyncio.ensure_future(one.do(work))
    await happens(began)
    assert len(threads()) == 1

    await one.close(5)

    assert threads() == []
    assert cancelled.is_set()
    for ended in (task, one.do(work)):
        with pytest.raises(asyncio.CancelledError):
            await ended
    assert threads() == []
    await one.close(5)


def test_work_that_cannot_be_cancelled_keeps_no_process_from_ending():
    """It is left behind after its time, without a word."""
    done = subprocess.run(
        (sys.executable, "-X", "dev", "-c", LEFT_BEHIND), capture_output=True, timeout=60
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
