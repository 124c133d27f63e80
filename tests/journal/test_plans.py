"""The plans of what the engine reads back: by an index, however long a queue is."""

from datetime import date

import pytest

from portico.journal import connect, outlines, partitions, statements

ASKED = {
    "queued": ("dead", 5000, 512),
    "queued_in_lane": ("dead", 5000, 9000, "P1", "P1", 64),
    "waiting": (5000, ["other"], "adt", 256),
}


@pytest.fixture
async def long(journal_url):
    """A queue of 20,000 for one destination, and as many Signals that wait."""
    days = partitions.days_from(date(2026, 6, 30))
    async with await connect.connect(journal_url) as connection:
        for text in (
            *partitions.creating(days),
            "insert into waiting select n, gen_random_uuid(), 'adt' "
            "from generate_series(1, 20000) n",
            "insert into queued (destination, seq, signal, number, lane, tries) "
            "select 'dead', n, gen_random_uuid(), 1, 'P' || n % 100, 0 "
            "from generate_series(1, 20000) n",
            *statements.READING,
        ):
            await connect.run(connection, text)
        yield connection


def nodes(plan):
    """Every node of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def test_what_waits_is_outlined_by_its_key(long):
    """Page by page, in order; no table is walked through for it."""
    await connect.run(long, "analyze")
    asked = (5000, 9000, 4096)
    (((found,),),) = await connect.run(long, f"explain (format json) {outlines.PAGE}", asked)
    (scan,) = [n for n in nodes(found["Plan"]) if n.get("Relation Name") == "waiting"]
    assert scan["Node Type"] == "Index Scan"
    assert "seq" in scan["Index Cond"]
    assert not [node for node in nodes(found["Plan"]) if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_page_of_a_long_queue_is_read_by_its_key(long, name, analyzed):
    """With statistics and without: an index scan that begins at the place, in order, never a
    sort of the queue nor a walk through a table."""
    if analyzed:
        await connect.run(long, "analyze")
    statement = "explain (format json) " + statements.READ[name]
    (((found,),),) = await connect.run(long, statement, ASKED[name])
    kinds = [
        (node["Node Type"], node.get("Relation Name", "")) for node in nodes(found["Plan"])
    ]

    table = "waiting" if name == "waiting" else "queued"
    (scan,) = [node for node in nodes(found["Plan"]) if node.get("Relation Name") == table]
    assert scan["Node Type"] == "Index Scan"
    assert "seq" in scan["Index Cond"]
    days = tuple(f"{one}_2" for one in partitions.PARTITIONED)
    assert not [kind for kind in kinds if kind[0] == "Seq Scan" and kind[1].startswith(days)]
