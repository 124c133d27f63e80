"""From the journal's rows to JSON: nothing of a patient unless asked for."""

from datetime import UTC, datetime

from portico import ids
from portico.api import answers
from portico.ids import SignalId
from portico.journal.found import Book

OLDEST = SignalId(ids.floor_at(1_773_475_200_000))


def test_the_books_of_a_journal_without_an_engine_add_up():
    """Nothing runs and nothing is being sent; how long the oldest waits is known."""
    made = answers.channel(Book({"received": 5, "waiting": 3, "done": 2}, OLDEST))
    owed = answers.destination(Book({"owed": 4, "queued": 2, "delivered": 2}))

    assert (made.waiting, made.running, made.balanced) == (3, 0, True)
    assert made.oldest == datetime(2026, 3, 14, 8, tzinfo=UTC)
    assert (owed.queued, owed.sending, owed.balanced, owed.oldest) == (2, 0, True, None)


def test_a_book_that_lost_something_says_so():
    """Promise P2 is checked by adding up, not by trust."""
    assert not answers.channel(Book({"received": 5, "done": 4})).balanced
    assert not answers.destination(Book({"owed": 5, "delivered": 4})).balanced


def test_content_that_is_not_hl7_is_masked_from_end_to_end():
    """There is no telling which part of it is a name."""
    assert answers.message(b'{"mrn": 4711}', False).lines == ('{"xxx": 9999}',)


def test_content_in_no_known_character_set_is_shown_all_the_same():
    """A person must be able to look at what was refused for its characters."""
    latin = "MSH|^~\\&|HIS|ST|||1||ADT^A01|1|P|2.5||||||8859/1\rPID|1||||Groß\r".encode(
        "latin-1"
    )

    assert "Groß" in answers.message(latin, True).lines[1]
    assert answers.message(b"\xff\xfe", True).size == 2


def test_a_body_that_retention_dropped_is_empty():
    """Headers outlive bodies."""
    assert answers.message(b"", True).lines == ()
