"""The folder destination: Deliveries become files, off the reactor's thread."""

import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from portico.clock import SystemClock
from portico.destinations import placing
from portico.destinations.contract import Surroundings
from portico.destinations.folder import FOLDER, FolderTarget
from portico.destinations.log import LOG, LogTarget
from portico.ids import SignalId
from portico.model.delivery import Answered, Attempt, Delivery

SIGNAL = SignalId(bytes.fromhex("019a3b1c0000700080000000deadbeef"))
NAME = "019a3b1c-0000-7000-8000-0000deadbeef-1.hl7"


def delivery(number: int = 1, file: str = "") -> Delivery:
    """One Delivery."""
    return Delivery(SIGNAL, number, number, "out", "", b"MSH|%d" % number, file=file)


async def attempt(destination: Any, one: Delivery) -> Attempt:
    """Deliver and wait."""
    future = asyncio.get_running_loop().create_future()
    destination.deliver(one, future.set_result)
    return await asyncio.wait_for(future, 10)


@pytest.fixture
async def folder(tmp_path):
    """`folder(exists=...)`: a started destination that writes to `out`, below the site."""
    started = []

    def start(**options: Any) -> Any:
        target = FolderTarget.model_validate({"path": "out", **options})
        around = Surroundings(None, SystemClock(), lambda _: None, tmp_path)
        started.append(FOLDER.build("out", SimpleNamespace(options=target), around))
        return started[-1]

    yield start
    for destination in started:
        await destination.stop(5)


async def test_a_delivery_becomes_a_file_below_the_site(folder, tmp_path):
    """Under the name that was asked for."""
    got = await attempt(folder(), delivery(file="a.hl7"))

    assert (got.answered, got.code, got.answer) == (Answered.ANSWERED, "written", b"a.hl7")
    assert (tmp_path / "out/a.hl7").read_bytes() == b"MSH|1"


async def test_a_delivery_without_a_name_is_named_by_its_identity(folder, tmp_path):
    """The Signal's id and the Delivery's number."""
    await attempt(folder(), delivery())

    assert os.listdir(tmp_path / "out") == [NAME]


async def test_a_hostile_name_stays_in_the_folder(folder, tmp_path):
    """F7: names can come from messages."""
    await attempt(folder(), delivery(file="../../evil\n.hl7"))

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert os.listdir(tmp_path / "out") == ["___.._evil_.hl7"]


async def test_many_at_once_are_all_written(folder, tmp_path):
    """The destination's width is the number of its threads, not a bound on callers."""
    destination = folder()
    ones = [delivery(i, "same.hl7") for i in range(1, 21)]

    got = await asyncio.gather(*(attempt(destination, one) for one in ones))

    assert {one.code for one in got} == {"written"}
    written = sorted(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert written == sorted(one.content for one in ones)


async def test_a_name_that_is_taken_is_unsendable_when_asked_so(folder, tmp_path):
    """`exists: fail`: trying again cannot help; a person must."""
    destination = folder(exists="fail")
    await attempt(destination, delivery(1, "a.hl7"))

    got = await attempt(destination, delivery(2, "a.hl7"))

    assert (got.answered, got.code) == (Answered.ANSWERED, "unsendable")
    assert "a.hl7" not in got.detail


async def test_a_folder_that_cannot_be_opened_is_no_connection(folder):
    """Nothing was delivered; the lane tries again."""
    got = await attempt(folder(path="/dev/full/out"), delivery())

    assert (got.answered, got.code) == (Answered.NO_CONNECTION, "no_connection")
    assert got.detail == "/dev/full/out: Not a directory"


async def test_a_disk_that_is_full_says_so(folder, monkeypatch):
    """An operator reads `disk_full`, not a number."""

    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing.os, "write", full)

    got = await attempt(folder(), delivery())

    assert (got.answered, got.code) == (Answered.NO_CONNECTION, "disk_full")
    assert got.detail == "out: No space left on device"


async def test_stop_reports_a_write_that_does_not_end_as_unclear(folder, monkeypatch):
    """A dead network share cannot keep the engine alive; what is not begun is reported too."""
    go = threading.Event()
    monkeypatch.setattr(placing.os, "fsync", lambda _: go.wait(10))
    destination = folder()
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(6)]
    for number, future in enumerate(futures, 1):
        destination.deliver(delivery(number), future.set_result)

    await destination.stop(0.01)
    go.set()

    assert {(await future).code for future in futures} == {"closed"}


async def test_changed_options_hold_for_the_next_file(folder, tmp_path):
    """Nothing is closed."""
    destination = folder()
    changed = FolderTarget(path="elsewhere")

    assert destination.adopt(SimpleNamespace(options=changed))
    assert not destination.adopt(object())

    await attempt(destination, delivery())
    assert (tmp_path / "elsewhere" / NAME).exists()


async def test_the_log_destination_counts_and_sends_nothing():
    """For trials of a new interface."""
    around = Surroundings(None, SystemClock(), lambda _: None, Path())
    destination = LOG.build("trial", SimpleNamespace(options=LogTarget()), around)

    got = await attempt(destination, delivery())

    assert (got.answered, got.code) == (Answered.ANSWERED, "counted")
