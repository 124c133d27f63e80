"""destinations/elsewhere.py: which message an answer on another connection names."""

from portico.destinations.elsewhere import Elsewhere
from portico.destinations.exchange import Exchange, Terms
from portico.hl7 import ack

TERMS = Terms("any", False, elsewhere=True)


def sent(control_id="M1", receiver="LAB|ST"):
    """A message that is under way."""
    content = f"MSH|^~\\&|HIS|H|{receiver}|2026||ADT^A01|{control_id}|P|2.5\r".encode()
    return Exchange(content, TERMS, lambda attempt: None, 0.0)


def told(control_id="M1"):
    """A peer's answer."""
    return ack.read(f"MSH|^~\\&|LAB|ST|HIS|H|2026||ACK|9|P|2.5\rMSA|AA|{control_id}\r".encode())


def test_an_answer_takes_the_oldest_of_its_id_away():
    """Never credited twice: two answers end two messages, a third ends none."""
    waiting, first, second = Elsewhere(), sent(), sent()
    waiting.add(first)
    waiting.add(second)

    assert [waiting.take(told(), None) for _ in range(3)] == [first, second, None]
    assert not waiting


def test_an_answer_to_another_message_takes_nothing():
    """A foreign MSA-2 is nobody's."""
    waiting = Elsewhere()
    waiting.add(sent())

    assert waiting.take(told("M10"), None) is None
    assert waiting


def test_where_the_sender_counts_it_must_be_the_receiver_of_what_was_sent():
    """One message may be under way to two peers that answer on one channel."""
    waiting, exchange = Elsewhere(), sent()
    waiting.add(exchange)

    assert waiting.take(told(), (b"PACS", b"ST")) is None
    assert waiting.take(told(), (b"LAB", b"ST")) is exchange


def test_what_is_over_waits_no_more():
    """However it ended; to say so twice does no harm."""
    waiting, exchange = Elsewhere(), sent()
    waiting.add(exchange)
    waiting.drop(exchange)
    waiting.drop(exchange)

    assert not list(waiting)
