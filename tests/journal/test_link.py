"""portico.journal.link on a real PostgreSQL: few connections, whoever asks."""

import asyncio

import pytest

from portico.errors import JournalRefused, JournalUnavailable
from portico.journal.link import Link

MINE = "select count(*) from pg_stat_activity where application_name = 'test link'"


@pytest.fixture
async def linked(journal_url):
    """`linked(**options)`: a link to an empty journal."""
    made = []

    def make(**options):
        options = {"deadline": 5.0, "name": "test link", **options}
        made.append(Link(lambda: journal_url, **options))
        return made[-1]

    yield make
    for link in made:
        await link.close()


async def test_a_hundred_who_ask_at_once_share_one_connection(linked):
    """A server takes a few dozen clients, and the engine is not to be kept out by itself."""
    link = linked()
    counts = await asyncio.gather(*(link.run(MINE) for _ in range(100)))

    assert {rows[0][0] for rows in counts} == {1}


async def test_after_a_fault_another_connection_is_made_with_its_settings(linked):
    """Nothing of what went wrong is left in it."""
    link = linked(settings=("set lock_timeout = '7s'",))
    with pytest.raises(JournalRefused):
        await link.run("select 1 / 0")
    with pytest.raises(JournalUnavailable, match=r"0\.1 s"):
        await linked(deadline=0.1, reads=True).run("select pg_sleep(5)")

    assert await link.run("show lock_timeout") == [("7s",)]


async def test_a_statement_that_is_cancelled_leaves_nothing_to_the_next(linked):
    """Whoever asks next does not wait for it, and gets rows of its own."""
    link = linked()
    async with asyncio.timeout(5):
        slow = asyncio.ensure_future(link.run("select pg_sleep(60)"))
        while link._connection is None:
            await asyncio.sleep(0)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

        assert await link.run("select 7") == [(7,)]
