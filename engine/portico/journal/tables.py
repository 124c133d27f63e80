"""The journal's schema, in SQLAlchemy Core; migrations/ must produce exactly this.

History is append-only and partitioned by the Signal's id (UUIDv7, so by day of arrival): all
that belongs to a Signal lies in partitions of the same day and goes with them. State lives in
narrow rows (`waiting`, `queued`, `parked`) that are deleted when done, never in the wide ones.
Order is `seq`: flush number x 2^20 + position, given by the one writer.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

metadata = MetaData()


def _moment(name: str, primary_key: bool = False) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=False, primary_key=primary_key)


signal = Table(
    "signal",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("origin", Text, nullable=False),
    _moment("received"),
    Column("type", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("order_key", Text, nullable=False),
    Column("repeat_key", BigInteger, nullable=False),
    Column("peer", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("flags", Text, nullable=False),
    Column("parent", UUID),
    Column("ended", Text, nullable=False),  # empty, a rule's name, `refused:CODE`
    Index("signal_by_origin", "origin", "id"),
    Index("signal_by_control_id", "control_id"),
    Index("signal_by_patient", "patient", postgresql_where=text("patient <> ''")),
    Index("signal_by_repeat_key", "repeat_key", "id", postgresql_where=text("repeat_key <> 0")),
    postgresql_partition_by="RANGE (id)",
)

# part 0 is what was received; part n what Delivery n was the first to send; part -n the value
# of session n, where the channel answers with it.
body = Table(
    "body",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),  # STORAGE EXTERNAL, by migration
    postgresql_partition_by="RANGE (signal)",
)

session = Table(
    "session",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, nullable=False),  # empty: the channel's own verdict
    Column("version", Text, nullable=False),
    Column("verdict", Text, nullable=False),  # deliver drop refuse fault duplicate
    Column("step", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    _moment("concluded"),
    Column("detail", JSON, nullable=False),  # runs, refusal, failure, logs
    postgresql_partition_by="RANGE (signal)",
)

# What a step asked the engine (`llm`, `plugin`) and what came of it. sent: the exact bytes that
# left this machine; detail: JSON: model, prompt, policy, usage. final: it failed for good, and
# is not asked again before a person releases its Signal.
call = Table(
    "call",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    _moment("at", primary_key=True),
    Column("step", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("sent", LargeBinary, nullable=False),
    Column("received", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("final", Boolean, nullable=False, server_default=text("false")),
    postgresql_partition_by="RANGE (signal)",
)

delivery = Table(
    "delivery",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("session", SmallInteger, nullable=False),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("part", SmallInteger, nullable=False),
    Column("file", Text, nullable=False),
    postgresql_partition_by="RANGE (signal)",
)

attempt = Table(
    "attempt",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("try", Integer, primary_key=True, autoincrement=False),
    _moment("at"),
    Column("outcome", Text, nullable=False),  # delivered retry parked
    Column("code", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (signal)",
)

waiting = Table(
    "waiting",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("signal", UUID, nullable=False),
    Column("origin", Text, nullable=False),
)

queued = Table(
    "queued",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("signal", UUID, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("lane", Text, nullable=False),
    Column("tries", Integer, nullable=False),
)

# kind `signal`: number is the session's; kind `delivery`: number is the delivery's.
parked = Table(
    "parked",
    metadata,
    Column("signal", UUID, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("name", Text, nullable=False),  # the channel's origin, or the destination
    Column("agent", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("hold", Boolean, nullable=False),  # keeps its lane for a person
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    _moment("since"),
    Index("parked_by_name", "name", "seq"),
)

# What people did to messages, append-only; retention by `audit`. what: `release discard edit
# resend replay`; kind and number as in `parked`, number 0: the Signal. tries: a Delivery's
# until then. other: the Signal that came of it. place: flush number x 2^20 + position.
act = Table(
    "act",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    _moment("at"),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("signal", UUID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("other", UUID),
    Column("job", UUID),
    Index("act_by_signal", "signal"),
    Index("act_by_other", "other", postgresql_where=text("other is not null")),
    Index("act_by_job", "job", "signal", unique=True, postgresql_where=text("job is not null")),
)

# Replays of many Signals, written with each of their steps. state: `running done cancelled
# failed`; cursor: the last Signal that was taken.
job = Table(
    "job",
    metadata,
    Column("id", UUID, primary_key=True),
    _moment("at"),
    Column("who", Text, nullable=False),
    Column("query", Text, nullable=False),  # JSON, as flow/jobs.py writes it
    Column("state", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("cursor", UUID),
    Column("note", Text, nullable=False),
)

# The books (promise P2): how many are in each state, kept in the same transactions.
tally = Table(
    "tally",
    metadata,
    Column("scope", Text, primary_key=True),  # channel, destination
    Column("name", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
)

# What an operator wants of a noun, until somebody wants something else.
wish = Table(
    "wish",
    metadata,
    Column("scope", Text, primary_key=True),  # channel, agent, destination
    Column("name", Text, primary_key=True),
    Column("wish", Text, nullable=False),  # running paused draining stopped
    _moment("since"),
    Column("by", Text, nullable=False),
)

# Alarms that are open, so that a restart tells nobody twice.
alarm = Table(
    "alarm",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _moment("since"),
    Column("told", Boolean, nullable=False),
)

# epoch grows with every owner; flushed is the number of the last flush, so that the next one's
# can be told, and a commit whose answer was lost from one that never happened.
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("flushed", BigInteger, nullable=False),
)

# Files that were read and stay where they are (`after: keep`). changed: nanoseconds.
kept = Table(
    "kept",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("name", LargeBinary, primary_key=True),  # as the file system spells it
    Column("size", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    _moment("seen"),
)

# A schedule's planned times (seconds since 1970 UTC) and what became of them. plan: whose they
# are; null where an engine has written that did not keep it.
firing = Table(
    "firing",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("planned", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", Text, nullable=False),  # begun fired missed overlapped
    _moment("at"),
    Column("plan", Text),
)

# What a channel's claims in a shared folder bear, so that they are known as its own.
mark = Table(
    "mark",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("mark", Text, nullable=False),
)

# Names that nouns had: old history is found under them. first: the earliest name of `new`.
renamed = Table(
    "renamed",
    metadata,
    Column("scope", Text, primary_key=True),  # channel, agent, destination
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),
    Column("first", Text, nullable=False),
    Column("number", Integer, Identity(), nullable=False),
)

# Legal holds: a day that holds such a Signal, or one of such a patient, is not dropped.
hold = Table(
    "hold",
    metadata,
    Column("number", Integer, Identity(), primary_key=True),
    Column("signal", UUID),
    Column("patient", Text, nullable=False),  # PID-3.1; empty: the hold is of `signal`
    Column("reason", Text, nullable=False),
    _moment("since"),
    Column("by", Text, nullable=False),
)

# Days whose bytes of one origin have gone while the day's partition had to stay.
purged = Table(
    "purged",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("day", Date, primary_key=True),
)

# What an agent was made of, by its version: its document and names to digests of its files.
# last: when it was last in force; it stays as long as a day of sessions from then or before.
edition = Table(
    "edition",
    metadata,
    Column("version", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("files", JSON, nullable=False),
    _moment("first"),
    _moment("last"),
)
source = Table(
    "source",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
