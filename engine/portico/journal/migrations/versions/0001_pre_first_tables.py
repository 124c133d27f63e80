"""The first tables: history by day, the narrow rows of work, the books, leases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
compat = 1


def upgrade() -> None:
    """Everything that tables.py describes, and the version of it."""
    op.execute("create table journal_schema (version int not null, compat int not null)")
    op.execute("insert into journal_schema values (0, 0)")
    for make in (_alarm, _attempt, _act, _body, _call, _delivery, _firing, _kept):
        make()
    for make in (_job, _hold, _lease, _mark, _parked, _queued, _renamed, _session):
        make()
    for make in (_signal, _tally, _waiting, _wish, _fence):
        make()


def _alarm() -> None:
    op.create_table(
        "alarm",
        *_texts("kind", "scope", "name"),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "scope", "name"),
    )


def _act() -> None:
    op.create_table(
        "act",
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *_texts("who", "what"),
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("other", sa.UUID(), nullable=True),
        sa.Column("job", sa.UUID(), nullable=True),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("act_by_signal", "act", ["signal"], unique=False)
    op.create_index(
        "act_by_other",
        "act",
        ["other"],
        unique=False,
        postgresql_where=sa.text("other is not null"),
    )
    op.create_index(
        "act_by_job",
        "act",
        ["job", "signal"],
        unique=True,
        postgresql_where=sa.text("job is not null"),
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *_texts("who", "query", "state"),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.UUID(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("try", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *_texts("outcome", "code"),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "number", "try"),
        postgresql_partition_by="RANGE (signal)",
    )


def _call() -> None:
    op.create_table(
        "call",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *_texts("step", "verb"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("sent", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=False),
        *_texts("error", "text"),
        sa.PrimaryKeyConstraint("signal", "agent", "number", "at"),
        postgresql_partition_by="RANGE (signal)",
    )


def _body() -> None:
    op.create_table(
        "body",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "part"),
        postgresql_partition_by="RANGE (signal)",
    )
    # Compression would cost two thirds of the speed. Partitions inherit it.
    op.execute("alter table body alter column content set storage external")


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("session", sa.SmallInteger(), nullable=False),
        *_texts("destination", "lane"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "number"),
        postgresql_partition_by="RANGE (signal)",
    )


def _firing() -> None:
    op.create_table(
        "firing",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("planned", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "planned"),
    )


def _kept() -> None:
    op.create_table(
        "kept",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("seen", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "name"),
    )


def _mark() -> None:
    op.create_table(
        "mark",
        *_texts("channel", "mark"),
        sa.PrimaryKeyConstraint("channel"),
    )


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("signal", sa.UUID(), nullable=True),
        *_texts("patient", "reason"),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )


def _lease() -> None:
    op.create_table(
        "lease",
        *_texts("name", "owner"),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("flushed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _parked() -> None:
    op.create_table(
        "parked",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        *_texts("name", "agent", "lane"),
        sa.Column("hold", sa.Boolean(), nullable=False),
        *_texts("code", "reason", "step", "at", "location"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("signal", "kind", "number"),
    )
    op.create_index("parked_by_name", "parked", ["name", "seq"], unique=False)


def _queued() -> None:
    op.create_table(
        "queued",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("destination", "seq"),
    )


def _renamed() -> None:
    op.create_table(
        "renamed",
        *_texts("scope", "old", "new", "first"),
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "old"),
    )


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        *_texts("agent", "version", "verdict", "step", "error"),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("concluded", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "number"),
        postgresql_partition_by="RANGE (signal)",
    )


def _signal() -> None:
    op.create_table(
        "signal",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("received", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *_texts("type", "control_id", "sender", "patient", "order_key"),
        sa.Column("repeat_key", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("parent", sa.UUID(), nullable=True),
        sa.Column("ended", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("signal_by_control_id", "signal", ["control_id"], unique=False)
    op.create_index("signal_by_origin", "signal", ["origin", "id"], unique=False)
    op.create_index(
        "signal_by_patient",
        "signal",
        ["patient"],
        unique=False,
        postgresql_where=sa.text("patient <> ''"),
    )
    op.create_index(
        "signal_by_repeat_key",
        "signal",
        ["repeat_key", "id"],
        unique=False,
        postgresql_where=sa.text("repeat_key <> 0"),
    )


def _tally() -> None:
    op.create_table(
        "tally",
        *_texts("scope", "name", "state"),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "state"),
    )


def _waiting() -> None:
    op.create_table(
        "waiting",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signal", sa.UUID(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )


def _wish() -> None:
    op.create_table(
        "wish",
        *_texts("scope", "name", "wish"),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name"),
    )


def _fence() -> None:
    # The first statement of every flush: only the lease's holder writes, none of its flushes
    # overtakes one that failed, and the number of the flush stays behind, so that a commit
    # whose answer was lost is known to have happened.
    op.execute("""
        create function fence(name text, epoch bigint, number bigint)
        returns void language plpgsql as $$
        begin
            update lease l set flushed = fence.number, beat = l.beat + 1
            where l.name = fence.name and l.epoch = fence.epoch
                and l.flushed = fence.number - 1;
            if not found then
                perform from lease l where l.name = fence.name and l.epoch = fence.epoch;
                if found then
                    raise exception 'the flush before this one failed' using errcode = 'PF002';
                end if;
                raise exception 'another engine holds this lease' using errcode = 'PF001';
            end if;
        end $$
        """)
