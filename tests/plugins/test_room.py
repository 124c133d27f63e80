"""portico.plugins.crew on a machine that has no room left."""

import asyncio
import tempfile

import pytest

from portico.plugins.faults import PluginAway
from portico.workers import intensity


async def test_no_room_for_a_scratch_folder_fails_calls_until_there_is(
    bench, call, monkeypatch, tmp_path
):
    """The disk is full: a call may be tried again, takes no place, and the watch goes on."""
    monkeypatch.setattr(intensity, "_FIRST", 0.05)
    crew = bench.crew(bench.plugin("gives(number, what)", pool={"fewest": 1, "most": 1}))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))

    crew.watch()
    with pytest.raises(PluginAway) as failed:
        await call(crew, limit=0.5)
    (tmp_path / "full").mkdir()
    async with asyncio.timeout(10):
        while crew.quarantined:
            await asyncio.sleep(0.02)

    assert failed.value.transient is True
    assert await call(crew, "fine") == "fine"
    assert crew.status()["queue"] == 0
