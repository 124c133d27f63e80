"""Day partitions as they are made (journal/partitions.py)."""

from datetime import date

from portico.journal import connect, partitions
from portico.journal.partitions import PARTITIONED

_OPTIONS = """
    select coalesce(c.reloptions, '{}'), coalesce(t.reloptions, '{}') from pg_class c
    left join pg_class t on t.oid = c.reltoastrelid where c.relname = %s
    """


async def test_a_day_is_vacuumed_as_it_grows_whatever_it_holds_already(journal_url):
    """For every ten thousand new rows, those of long bytes too; statistics when doubled."""
    day = date(2026, 6, 30)
    wanted = {
        "autovacuum_vacuum_insert_threshold=10000",
        "autovacuum_vacuum_insert_scale_factor=0",
    }
    async with await connect.connect(journal_url) as connection:
        for text in partitions.creating([day]):
            await connect.run(connection, text)
        for table in PARTITIONED:
            name = partitions.name(table, day)
            ((own, aside),) = await connect.run(connection, _OPTIONS, (name,))
            assert set(aside) == wanted, table
            assert set(own) == wanted | {"autovacuum_analyze_scale_factor=1"}, table
