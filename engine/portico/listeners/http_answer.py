"""What a request is told: a Receipt as a status, fields and a body.

| Receipt | HL7 content | other content |
|---|---|---|
| accepted | 200 and the ACK; 202 where none is wanted | 202, 200 after a verdict, and the id |
| refused | 422 and the ACK | 422 |
| failed: ours, the message is kept | 500 and the ACK | 500 |
| not stored (P7) | 503, try again | 503, try again |

Errors without an ACK are problem details. Source: RFC 9110 section 15, RFC 9457.
"""

from http import HTTPStatus

import msgspec

from portico.listeners.http_connection import HttpReply
from portico.model.receipt import Receipt, Told

AGAIN = 5  # seconds after which one who was told 503 may come again
HL7 = "application/hl7-v2"

_PROBLEM = b"Content-Type: application/problem+json\r\n"
_JSON = b"Content-Type: application/json\r\n"
_RETRY = b"Retry-After: %d\r\n" % AGAIN


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457, with our stable code, the place in the content and the Signal's id."""

    title: str
    status: int
    code: str = ""
    detail: str = ""
    location: str = ""
    signal: str = ""


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    fields: bytes = b"",
    close: bool = False,
    location: str = "",
    signal: str = "",
) -> HttpReply:
    """A refusal as problem details. fields: further header lines with their ends."""
    phrase = HTTPStatus(status).phrase
    body = msgspec.json.encode(Problem(phrase, status, code, detail, location, signal))
    more = fields + _RETRY if status == 503 else fields
    return HttpReply(status, body, _PROBLEM + more, close)


def status_of(receipt: Receipt, ended: bool) -> int:
    """The status that tells this Receipt. ended: the positive answer speaks of a result."""
    if receipt.told is Told.ACCEPTED:
        return 200 if ended or receipt.replies else 202
    if receipt.told is Told.REFUSED:
        return 422
    if receipt.told is Told.FAILED:
        return 500
    return 503 if receipt.close else 400


def reply_of(receipt: Receipt, ended: bool) -> HttpReply:
    """The answer to a request that held one message."""
    status = status_of(receipt, ended)
    if receipt.replies:
        body = b"".join(receipt.replies)
        return HttpReply(status, body, b"Content-Type: %s\r\n" % media(body).encode())
    if status in (200, 202):
        body = b'{"signal":"%s"}' % receipt.named.encode()
        return HttpReply(status, body, _JSON)
    return problem(
        status,
        receipt.code,
        receipt.text,
        location=receipt.location,
        signal=receipt.named,
    )


def reply_of_many(receipts: list[Receipt], ended: bool) -> HttpReply:
    """The answer to an upload of several files: the worst status, and each file's own end.

    Files that were accepted are kept even where others are refused.
    """
    statuses = [status_of(receipt, ended) for receipt in receipts]
    parts = [
        {
            "status": status,
            "signal": receipt.named,
            "code": receipt.code,
            "detail": receipt.text,
            "location": receipt.location,
        }
        for status, receipt in zip(statuses, receipts, strict=True)
    ]
    shown = [{key: value for key, value in part.items() if value} for part in parts]
    worst = max(statuses)
    fields = _RETRY if worst == 503 else b""
    return HttpReply(worst, msgspec.json.encode({"signals": shown}), _JSON + fields)


def media(body: bytes) -> str:
    """The media type of an answer, by its first bytes."""
    head = body[:64].lstrip()
    if head[:3] in (b"MSH", b"FHS", b"BHS"):
        return HL7
    if head[:1] in (b"{", b"["):
        return "application/json"
    return "application/xml" if head[:1] == b"<" else "text/plain; charset=utf-8"
