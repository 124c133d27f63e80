"""What the messages of one file were told, in the order in which they stand in it.

Receipts come in any order, those of a file of a million messages too: all but the late ones lie
in a temporary file that has no name.
"""

import struct
import tempfile
from collections.abc import Iterator

from portico.model.receipt import Receipt, Told

_IN_MEMORY = 1 << 20  # bytes that are kept in memory
_HEAD = struct.Struct(">?I")  # positive; bytes of the answer

Answer = tuple[bool, bytes]


class Answers:
    """Collects, then gives: `(positive, bytes)` of each message, empty bytes for silence.

    scratch: the folder of the file.
    """

    def __init__(self, scratch: str | None = None) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=scratch)
        self._next = 1
        self._early: dict[int, bytes] = {}

    def add(self, number: int, receipt: Receipt, first: tuple[bytes, ...]) -> None:
        """Of the message of that number, counted from 1; first: what it was told before."""
        said = b"".join(first + receipt.replies)
        self._early[number] = _HEAD.pack(receipt.told is Told.ACCEPTED, len(said)) + said
        while (record := self._early.pop(self._next, None)) is not None:
            self._file.write(record)
            self._next += 1

    def __iter__(self) -> Iterator[Answer]:
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            positive, size = _HEAD.unpack(head)
            yield positive, self._file.read(size)

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
