"""Renames in a real PostgreSQL: chains, merges, pages, and names that come back."""

import psycopg
import pytest
import sqlalchemy as sa

from portico.journal import renaming
from portico.journal.criteria import names_of
from portico.journal.lease import Lease
from portico.journal.operating import OperatorDesk

OLD = "00000000-0000-7000-8000-{:012x}"


@pytest.fixture
def run(journal_url):
    """Statements, each in its own transaction; the rows of the last one."""
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(journal_url)
    )

    def run(*texts):
        with engine.begin() as connection:
            for text in texts:
                found = connection.execute(sa.text(text))
            return [tuple(row) for row in found] if found.returns_rows else []

    run.engine = engine
    yield run
    engine.dispose()


@pytest.fixture
def desk(run, journal_url):
    """A desk under a lease of its own."""
    run("insert into lease values ('trial', 'me', 1, 0, 0)")
    yield OperatorDesk(lambda: journal_url, lambda: Lease("trial", "me", 1))
    run("delete from lease where name = 'trial'")


async def test_a_chain_of_names_ends_at_the_last_and_knows_the_first(desk, run):
    """a, then b, then c, however often it is said; and back to a."""
    for old, new in [("a", "b"), ("b", "c"), ("b", "c")]:
        await desk.rename("channel", old, new)
    found = await desk.renamed("channel", ["c"])
    assert {(one.old, one.new, one.first) for one in found} == {
        ("a", "c", "a"),
        ("b", "c", "a"),
    }
    with run.engine.connect() as db:
        assert sorted(names_of(db, "c")) == sorted(names_of(db, "a")) == ["a", "b", "c"]
        assert names_of(db, "other") == ()

    await desk.rename("channel", "c", "a")
    found = await desk.renamed("channel", ["a"])
    assert {(one.old, one.new, one.first) for one in found} == {
        ("b", "a", "a"),
        ("c", "a", "a"),
    }


async def test_a_name_that_is_used_again_belongs_to_its_new_noun(desk):
    """History, repeats and order of the two are apart from then on."""
    await desk.rename("channel", "a", "b")
    await desk.rename("channel", "b", "c")
    (left,) = await desk.renamed("channel", ["a", "c"])
    assert (left.old, left.new, left.first) == ("b", "c", "b")


async def test_a_queue_moves_page_by_page_and_the_books_are_added_up(desk, run, monkeypatch):
    """All of it, with its Deliveries; a wish of the new name stands, one of the old moves only
    where there is none."""
    monkeypatch.setattr(renaming, "PAGE", 2)
    run(
        "insert into tally values ('destination', 'old', 'queued', 5),"
        "('destination', 'new', 'queued', 2), ('channel', 'old', 'received', 9)",
        "insert into wish values ('destination', 'old', 'paused', now(), 'me'),"
        "('destination', 'new', 'running', now(), 'you')",
        *(
            f"insert into queued values ('old', {n}, '{OLD.format(n)}', 1, 'k', 0)"
            for n in range(5)
        ),
        f"insert into parked values ('{OLD.format(9)}', 'delivery', 1, 9, 'old', '', 'k', true,"
        "'AR', '', '', '', '', 1, now())",
    )
    assert await desk.rename("destination", "old", "new") == 6
    assert run("select seq from queued where destination = 'new' order by seq") == [
        (n,) for n in range(5)
    ]
    assert run("select name from parked") == [("new",)]
    assert sorted(run("select scope, name, n from tally")) == [
        ("channel", "old", 9),
        ("destination", "new", 7),
    ]
    assert run("select name, wish from wish") == [("new", "running")]
    assert await desk.rename("destination", "old", "new") == 0


async def test_what_a_source_remembers_goes_with_its_channel(desk, run):
    """Files that were read, planned times, its mark."""
    run(
        "insert into kept values ('old', 'x', 1, 2, now()), ('new', 'x', 3, 4, now()),"
        "('old', 'y', 5, 6, now())",
        "insert into firing values ('old', 100, 'fired', now())",
        "insert into mark values ('old', 'abc')",
        f"insert into waiting values (7, '{OLD.format(7)}', 'old'),"
        f"(8, '{OLD.format(8)}', 'other')",
    )
    await desk.rename("channel", "old", "new")
    assert sorted(run("select channel, size from kept")) == [("new", 3), ("new", 5)]
    assert run("select channel, planned from firing") == [("new", 100)]
    assert run("select channel, mark from mark") == [("new", "abc")]
    assert sorted(run("select seq, origin from waiting")) == [(7, "new"), (8, "other")]
