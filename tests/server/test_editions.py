"""server/editions.py: old versions of agents, loaded again from what the journal kept."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from portico.clock import SystemClock
from portico.journal.editions import Edition
from portico.model import crews
from portico.server.editions import FOLDER, Editions
from portico.workers.faults import EditionGone


class Kept:
    """A journal that has one version."""

    async def read(self, version):
        return Edition(version, "forward", {}, {"transforms/stamp.py": b""})

    async def in_force(self, versions, at):
        return set(versions)


async def test_a_version_that_cannot_be_written_is_told(tmp_path: Path):
    """On a full disk, say: whoever waits for it hears why, and nothing of it is kept."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / FOLDER).write_text("in the way")
    site = SimpleNamespace(root=tmp_path, config=SimpleNamespace(data="var"))
    editions = Editions(Kept(), None, lambda: site, SystemClock(), print)

    with pytest.raises(EditionGone, match="which cannot be written: "):
        await editions.open(crews.name("forward", "0badcafe"))
    assert not editions._folders
