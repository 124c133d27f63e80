"""A database that would lose what it confirms is refused, with what would be right."""

import dataclasses

import pytest

from portico.errors import JournalUnsafe
from portico.journal import safety

SAFE = safety.Settings(
    version=18,
    fsync="on",
    full_page_writes="on",
    synchronous_commit="on",
    standby=False,
    encoding="UTF8",
)


@pytest.mark.parametrize("level", ["on", "local", "remote_write", "remote_apply"])
def test_a_database_that_waits_for_its_disk_is_safe(level):
    """How far a commit waits for standbys is the operator's choice."""
    assert safety.faults(dataclasses.replace(SAFE, synchronous_commit=level)) == []


def test_a_service_that_hides_a_setting_is_not_accused():
    """Some hosted databases do not know fsync at all."""
    assert safety.faults(dataclasses.replace(SAFE, fsync=None, full_page_writes=None)) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fsync": "off"}, "fsync is off, .* set fsync = on"),
        ({"full_page_writes": "off"}, "set full_page_writes = on"),
        ({"synchronous_commit": "off"}, "set synchronous_commit = on"),
        ({"standby": True}, "standby .* name the primary"),
        ({"version": 14}, "PostgreSQL 14 is too old; use 15"),
        ({"encoding": "SQL_ASCII"}, "encoding is SQL_ASCII; make one with UTF8"),
    ],
)
def test_each_unsafe_setting_is_named_with_its_remedy(changed, says):
    """The operator reads what to change, not only that something is wrong."""
    with pytest.raises(JournalUnsafe, match=f"the database at db:5432/x is not safe: .*{says}"):
        safety.require(dataclasses.replace(SAFE, **changed), "db:5432/x")


def test_all_faults_are_told_at_once():
    """Nobody repairs one setting only to meet the next."""
    found = safety.faults(dataclasses.replace(SAFE, fsync="off", standby=True, version=9))
    assert len(found) == 3
