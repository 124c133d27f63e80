"""The HTTP/1.1 request machine: every split point, and every form that two readers could
understand differently."""

import tracemalloc

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import HttpBroken
from portico.wire.http import RequestDecoder, response

LIMIT = 1000
PLAIN = (
    b"POST /adt?x=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-One: 2\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)
CHUNKED = (
    b"POST /adt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n"
)


def requests(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    """Path and body of each request in these reads. Raises HttpBroken."""
    decoder, found, path = RequestDecoder(), [], None
    for piece in pieces:
        decoder.feed(piece)
        while True:
            if path is None:
                if (head := decoder.head()) is None:
                    break
                decoder.expect(head.length, LIMIT)
                path = head.path
            if (body := decoder.body()) is None:
                break
            found.append((path, body))
            path = None
    return found


def status(data: bytes) -> int:
    """Of the refusal of these bytes; 0 when they are taken or wait for more."""
    try:
        requests([data])
    except HttpBroken as fault:
        return fault.status
    return 0


@pytest.mark.parametrize("data", [PLAIN, CHUNKED], ids=["length", "chunked"])
def test_a_request_is_the_same_at_every_split_point(data):
    """Three requests in a row, cut anywhere, are the same three."""
    whole, wanted = data * 3, [("/adt", b"hello")] * 3
    for cut in range(len(whole) + 1):
        assert requests([whole[:cut], whole[cut:]]) == wanted
    assert requests([bytes([one]) for one in whole]) == wanted


def test_a_head_says_all_that_is_asked_for():
    """Method, path, query, fields by lower-case name, repeated ones joined."""
    decoder = RequestDecoder()
    decoder.feed(PLAIN)
    head = decoder.head()
    assert (head.method, head.path, head.query) == ("POST", "/adt", "x=1")
    assert head.fields["x-one"] == "1, 2"
    assert (head.length, head.lasting, head.waits) == (5, True, False)


BROKEN = {
    "both lengths": (b"Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 400),
    "a length twice": (b"Host: a\r\nContent-Length: 5\r\nContent-Length: 5", 400),
    "two lengths in one": (b"Host: a\r\nContent-Length: 5, 5", 400),
    "a negative length": (b"Host: a\r\nContent-Length: -5", 400),
    "a length with a plus": (b"Host: a\r\nContent-Length: +5", 400),
    "a folded line": (b"Host: a\r\nX-A: b\r\n c", 400),
    "a space before the colon": (b"Host: a\r\nContent-Length : 5", 400),
    "a bare line feed": (b"Host: a\nX: b", 400),
    "a bare return": (b"Host: a\r\nX: b\rc", 400),
    "a null byte": (b"Host: a\r\nX: b\0c", 400),
    "no host": (b"X: a", 400),
    "two hosts": (b"Host: a\r\nHost: b", 400),
    "another coding": (b"Host: a\r\nTransfer-Encoding: gzip, chunked", 501),
    "a hidden coding": (b"Host: a\r\nTransfer-Encoding: xchunked", 501),
    "a coding twice": (b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x", 400),
    "too many fields": (b"Host: a" + b"\r\nX: b" * 70, 431),
    "a head that is too large": (b"Host: a\r\nX: " + b"b" * 20_000, 431),
    "a body that is too large": (b"Host: a\r\nContent-Length: 1001", 413),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_form_that_can_be_understood_in_two_ways_is_refused(name):
    """Each with its status, and no request comes out (RFC 9112 11.2)."""
    fields, wanted = BROKEN[name]
    assert status(b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n") == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS to a plain port
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST relative HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST http://a/adt HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        (b"POST / HTTP/1.0\r\n\r\n", 0),
        (b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ],
)
def test_a_request_line_is_taken_as_the_standard_has_it(line, wanted):
    """What is no HTTP/1.1 is told so at once; old and absolute forms are taken."""
    assert status(line) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"5\r\nhello0\r\n\r\n", 400),
        (b"z\r\nhello\r\n0\r\n\r\n", 400),
        (b"-5\r\nhello\r\n0\r\n\r\n", 400),
        (b"0x5\r\nhello\r\n0\r\n\r\n", 400),
        (b"5\nhello\r\n0\r\n\r\n", 400),
        (b"fffffff\r\n", 413),
        (b"fffffffff\r\n", 400),
        (b"5;" + b"x" * 300, 400),
        (b"0\r\nbad trailer\r\n\r\n", 400),
        (b"0\r\n" + b"X: y\r\n" * 4000, 431),
    ],
)
def test_a_chunk_that_lies_is_refused(body, wanted):
    """Sizes that are none, too large, or do not fit what follows."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status(head + body) == wanted


def test_a_body_in_small_chunks_is_in_memory_once():
    """P10: what a body costs is bounded by its limit, however it is cut."""
    decoder = RequestDecoder()
    decoder.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    decoder.expect(decoder.head().length, 1 << 20)
    tracemalloc.start()
    for _ in range(100):
        decoder.feed(b"2\r\nab\r\n" * 2000)
        assert decoder.body() is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * decoder.got
    decoder.feed(b"0\r\n\r\n")
    assert decoder.body() == b"ab" * 200_000


@given(st.binary(max_size=400))
def test_random_bytes_never_do_worse_than_be_refused(data):
    """Nothing but HttpBroken comes out, alone and behind a good line."""
    for one in (data, b"POST / HTTP/1.1\r\nHost: a\r\n" + data):
        status(one)


def test_a_response_is_read_by_another_implementation():
    """h11 reads what we write: status, fields, body, and that the connection ends."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="POST", target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(response(202, b"X-A: b\r\n", b"body", b"now", lasting=False))
    told, data, end = peer.next_event(), peer.next_event(), peer.next_event()
    assert (told.status_code, bytes(data.data), type(end)) == (202, b"body", h11.EndOfMessage)
    assert (b"x-a", b"b") in told.headers
    assert peer.their_state is h11.MUST_CLOSE
