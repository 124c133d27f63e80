"""Files as the messages they hold: a Signal for each (`batch:` of SITE, B1 to B6).

A file source reads a file twice. `survey` says whether it may be taken at all, because a wrong
count is an error for the whole file (B2); `members` then gives one message after the other.
Both stream: memory is bound by the longest message, whatever the file's size.

    found = survey(chunks(), content, rules, limit)           # BatchInvalid: refuse the file
    for member in members(chunks(), content, rules, limit, after=journaled):
        ...                                                   # journal it, remember its number

A member's number is the mark to go on from: after a crash ask for those behind the last one
that the journal has (B6). Nothing here decides what a repeated file is.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from msgspec import Struct

from portico.errors import BatchInvalid
from portico.hl7 import batch, wide
from portico.language.content import Content
from portico.language.csvfile import HeadedRow, RowReader
from portico.policy.answer import BatchRules


class Member(Struct, frozen=True, gc=False):
    """One message of a file, byte for byte; a CSV row below the file's row of names.

    number: from 1. offset, size: of its own bytes in the file; of a UTF-16 file in UTF-8.
    """

    content: bytes
    number: int
    offset: int
    size: int


class Survey(Struct, frozen=True, gc=False):
    """What a file holds. faults: what `lenient` passed over, each without patient data."""

    members: int
    faults: tuple[str, ...] = ()


def members(
    chunks: Iterable[bytes],
    content: Content,
    rules: BatchRules | None,
    limit: int,
    charset: str = "ascii",
    on_charset_error: str = "refuse",
    *,
    after: int = 0,
) -> Iterator[Member]:
    """The messages of a file in their order, those behind number `after`.

    rules: the channel's `batch`; None: the file is one message, as JSON, XML and bytes always
    are. limit: bytes of one message. Raises BatchInvalid for one past the limit, MessageError
    kinds for what cannot be taken apart; a wrong count raises nothing here, see `survey`.
    """
    kind = content.type if rules is not None else "bytes"
    if kind == "hl7":
        found = _messages(chunks, limit)
    elif kind == "csv":
        found = _rows(chunks, RowReader(content, limit, charset, on_charset_error))
    else:
        found = _whole(chunks, limit)
    return islice(found, after, None)


def survey(
    chunks: Iterable[bytes],
    content: Content,
    rules: BatchRules | None,
    limit: int,
    charset: str = "ascii",
    on_charset_error: str = "refuse",
) -> Survey:
    """Reads a file once and keeps nothing. Raises MessageError kinds: the file is refused.

    counts `strict`: a BTS-1 or FTS-1 that does not agree is an error; `lenient`: a fault to
    tell of. Whatever else is wrong with a file is an error under both.
    """
    if rules is not None and content.type == "hl7":
        found = batch.survey(wide.chunks_of(chunks)[1], rules.counts, limit)
        return Survey(found.messages, tuple(fault.text for fault in found.faults))
    every = members(
        chunks, content, rules, limit, charset=charset, on_charset_error=on_charset_error
    )
    return Survey(sum(1 for _ in every))


def _messages(chunks: Iterable[bytes], limit: int) -> Iterator[Member]:
    codec, narrow = wide.chunks_of(chunks)
    number = 0
    for event in batch.events(narrow, limit):
        if isinstance(event, batch.Member):
            number += 1
            content = _widened(event.content, codec) if codec else event.content
            yield Member(content, number, event.offset, len(event.content))
        elif isinstance(event, batch.Fault) and not event.counts:
            raise BatchInvalid(event.text, event.location or None)


def _widened(content: bytes, codec: str) -> bytes:
    """A message of a UTF-16 file as it stands there, with a byte order mark of its own."""
    return ("\ufeff" + content.decode()).encode(codec)


def _rows(chunks: Iterable[bytes], reader: RowReader) -> Iterator[Member]:
    rows = chain(chain.from_iterable(map(reader.feed, chunks)), _last(reader))
    for number, row in enumerate(rows, 1):
        yield Member(row.content, number, row.offset, row.size)


def _last(reader: RowReader) -> Iterator[HeadedRow]:
    yield from reader.end()  # asked once the file is over, not before


def _whole(chunks: Iterable[bytes], limit: int) -> Iterator[Member]:
    whole = bytearray()
    for chunk in chunks:
        whole += chunk
        if len(whole) > limit:
            raise BatchInvalid(f"the file exceeds {limit} bytes")
    if whole:
        yield Member(bytes(whole), 1, 0, len(whole))
