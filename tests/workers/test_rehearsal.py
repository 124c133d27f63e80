"""workers/rehearsal.py: what is made once in the parent, so that workers share it."""

import re
import sys
from pathlib import Path

from portico.workers import rehearsal


def test_a_rehearsal_leaves_nothing_that_a_site_could_meet(tmp_path):
    """Neither its module nor its finder is there when a worker looks for the site's own."""
    modules, finders = set(sys.modules), list(sys.meta_path)

    rehearsal.rehearse(tmp_path)

    assert sys.meta_path == finders
    assert not {name for name in set(sys.modules) - modules if "rehearsal" in name}


async def test_a_warm_worker_has_few_pages_of_its_own(works):
    """All others are its parent's: fifty of them cost no more than one of another kind."""
    await works.activate()
    await works.run(*["echo"] * 100)
    (pid,) = works.pids()
    shares = Path(f"/proc/{pid}/smaps_rollup").read_text()

    assert int(re.search(r"Private_Dirty: +(\d+) kB", shares)[1]) < 6 << 10
