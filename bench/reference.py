"""What the database itself can do: J, c50 and c99, on the table of reference.sql.

Both run in this process on one connection, while the engine that owns the server is idle.
"""

import re
import struct
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from bench.figures import percentile

ROWS = 256  # of one commit
PACE = 0.002  # seconds from one single-row commit to the next
BODY = 1024

_COLUMNS = "id, seq, received, channel, type, control_id, sender, patient, peer, sha256, body"
_COPY = f"copy bench.reference ({_COLUMNS}) from stdin (format binary)"
_ONE = f"insert into bench.reference ({_COLUMNS}) values ({', '.join(['%b'] * 11)})"
# The binary format of COPY: signature, flags, no extension; at the end a row of -1 fields.
# Source: PostgreSQL manual, COPY, "Binary Format".
_HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TAIL = struct.pack("!h", -1)
_CHANNELS = 4
_PATIENTS = 1000
_RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)


class Commit:
    """One prebuilt COPY of 256 rows, made unique again by writing a number into its rows.

    All rows have the same length, so that the number goes into a column of all of them with
    one slice assignment a byte: the sender's cost is next to nothing.
    """

    def __init__(self) -> None:
        rows = [_row(n) for n in range(ROWS)]
        self._stride = len(rows[0])
        self._data = bytearray(_HEAD + b"".join(rows) + _TAIL)
        self._end = len(self._data) - len(_TAIL)
        self._numbers = [len(_HEAD) + found.start() for found in re.finditer(_MARK, rows[0])]
        self._control_id = len(_HEAD) + rows[0].index(_MARK_TEXT)

    def number(self, n: int) -> bytearray:
        """The bytes of the n-th commit; valid until the next call."""
        for start in self._numbers:
            self._write(start, n.to_bytes(len(_MARK), "big"))
        self._write(self._control_id, b"%08x" % n)
        return self._data

    def _write(self, start: int, digits: bytes) -> None:
        for offset, digit in enumerate(digits, start):
            self._data[offset : self._end : self._stride] = bytes((digit,)) * ROWS


def rows_per_second(conninfo: str, seconds: float) -> float:
    """J: rows a second by binary COPY, 256 rows a commit, for that long."""
    commit, commits = Commit(), 0
    with psycopg.connect(conninfo, autocommit=True) as connection:
        _make_table(connection)
        cursor = connection.cursor()
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            with cursor.copy(_COPY) as copy:
                copy.write(commit.number(commits))
            commits += 1
        _drop_table(connection)
    return commits * ROWS / elapsed


def single_commits(conninfo: str, seconds: float) -> tuple[float, float]:
    """c50 and c99: milliseconds of a one-row commit when there is one each 2 ms."""
    took: list[float] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        _make_table(connection)
        cursor = connection.cursor(binary=True)
        began = time.perf_counter()
        for n in range(max(1, round(seconds / PACE))):
            due = began + n * PACE
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            if sent - began > 2 * seconds + 1:
                break
            cursor.execute(_ONE, _values(n), prepare=True)
            took.append((time.perf_counter() - sent) * 1000)
        _drop_table(connection)
    return percentile(took, 0.50), percentile(took, 0.99)


def _make_table(connection: psycopg.Connection) -> None:
    connection.execute(Path(__file__).with_name("reference.sql").read_text("utf-8").encode())


def _drop_table(connection: psycopg.Connection) -> None:
    """And have written what it left behind: its checkpoint is not the next case's cost."""
    connection.execute("drop schema bench cascade")
    connection.execute("checkpoint")


_MARK = b"\xab" * 7  # where the commit's number goes, before the row's own
_MARK_TEXT = b"cdcdcdcd"


def _row(n: int) -> bytes:
    """One row of the binary COPY."""
    fields = (
        bytes(8) + _MARK + bytes((n,)),
        _MARK + bytes((n,)),
        _MARK + bytes((n,)),  # microseconds since 2000
        *_texts(n, _MARK_TEXT + b"%04x" % n),
        bytes(32),
        _body(n),
    )
    return struct.pack("!h", len(fields)) + b"".join(
        struct.pack("!i", len(field)) + field for field in fields
    )


def _values(n: int) -> tuple[object, ...]:
    """One row as psycopg's parameters."""
    texts = (text.decode() for text in _texts(n, b"%012x" % n))
    return (UUID(int=n), n, _RECEIVED, *texts, bytes(32), _body(n))


def _texts(n: int, control_id: bytes) -> tuple[bytes, ...]:
    """Channel, type, control id, sender, patient, peer; each of one length."""
    return (
        b"channel_%d" % (n % _CHANNELS),
        b"ADT^A01",
        control_id,
        b"HIS|STVITUS",
        b"P%06d" % (n * 7919 % _PATIENTS),
        b"127.0.0.1:50000",
    )


def _body(n: int) -> bytes:
    return (b"%08d" % n) * (BODY // 8)
