"""The reference measurements, on a real PostgreSQL."""

import asyncio
import os
import subprocess
import sys

import psycopg

from bench import processes, reference


def test_every_commit_of_the_copy_has_rows_of_its_own():
    """The prebuilt bytes of two commits differ in every row and are of one length."""
    commit = reference.Commit()
    first, second = bytes(commit.number(1)), bytes(commit.number(2))
    differing = sum(a != b for a, b in zip(first, second, strict=True))

    assert differing == 4 * reference.ROWS  # a digit of id, seq, received and control id


async def test_the_copy_and_the_single_rows_fit_the_table(journal_url):
    """J, c50 and c99 come from rows that PostgreSQL took; nothing is left behind."""
    rows = await asyncio.to_thread(reference.rows_per_second, journal_url, 0.1)
    c50, c99 = await asyncio.to_thread(reference.single_commits, journal_url, 0.1)
    async with await psycopg.AsyncConnection.connect(journal_url) as connection:
        left = await connection.execute("select to_regclass('bench.reference')")

        assert await left.fetchone() == (None,)
    assert rows > 0
    assert 0 < c50 <= c99


def test_the_cpu_of_children_that_ended_is_not_lost():
    """A recycled worker's time stays in the sum of its group."""
    burn = "[sum(range(1000)) for _ in range(20000)]"
    child = f"""if True:
        import subprocess, sys
        subprocess.run([sys.executable, "-c", {burn!r}])
        print(flush=True)
        sys.stdin.readline()
        """
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        before = processes.cpu(os.getpid())["workers"]
        parent.stdout.readline()
        spent = processes.cpu(os.getpid())["workers"] - before
        parent.communicate(b"\n")

    assert spent > 0


def test_memory_counts_shared_pages_once():
    """PSS is never more than RSS, and this process has some."""
    found = processes.memory(os.getpid())

    assert 0 < found["pss_mib"] <= found["rss_mib"]
