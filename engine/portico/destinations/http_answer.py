"""What an HTTP answer makes of a Delivery: its ACK where it is HL7, else its status.

Source: RFC 9110 sections 10.2.3 (Retry-After) and 15; PROTOCOLS A11.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx2

from portico.errors import MessageError
from portico.hl7 import ack, header
from portico.model.delivery import Answered, Attempt, Delivery
from portico.tls import faults

_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_LONGEST_WAIT = 3600.0  # seconds of Retry-After that we heed


def judged(
    status: int,
    fields: Mapping[str, str],
    body: bytes,
    delivery: Delivery,
    micros: int,
    now_ns: int,
) -> Attempt:
    """The attempt of an answer: its ACK's code where it is HL7, else its status."""
    after = wait_of(fields.get("retry-after", ""), now_ns)
    if fields.get("content-type", "").lower().startswith("application/hl7-v2"):
        if (attempt := acknowledged(body, delivery, micros, after)) is not None:
            return attempt
    return Attempt(Answered.ANSWERED, str(status), body, micros, after=after)


def acknowledged(
    body: bytes, delivery: Delivery, micros: int, after: float = 0.0
) -> Attempt | None:
    """The attempt of an HL7 answer; None when it is none."""
    try:
        said = ack.read(body)
    except MessageError:
        return None
    wanted = header.control_id(delivery.content)
    if wanted is not None and said.control_id != wanted:
        text = "the answer names another message"
        return Attempt(Answered.UNCLEAR, "wrong_id", body, micros, text, after)
    return Attempt(Answered.ANSWERED, said.code, body, micros, after=after)


def unanswered(error: Exception, where: str, micros: int) -> Attempt:
    """The attempt that brought no answer. where: scheme and host."""
    tls = faults.within(error)
    if isinstance(error, _UNSENT) or (tls is not None and tls.unread):
        code = "no_connection" if tls is None else f"tls_{tls.word}"
        text = f"{where}: {type(error).__name__ if tls is None else tls}"
        return Attempt(Answered.NO_CONNECTION, code, b"", micros, text)
    code, text = "closed", type(error).__name__
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        code, text = "timeout", "no answer in time"
    elif isinstance(error, httpx2.RemoteProtocolError):
        code, text = "garbled", "the answer is no HTTP, or there was none"
    return Attempt(Answered.UNCLEAR, code, b"", micros, text)


def wait_of(text: str, now_ns: int) -> float:
    """Seconds of a Retry-After, a number or a date; 0 when it says nothing. At most an hour."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, min(at - now_ns / 1e9, _LONGEST_WAIT))
