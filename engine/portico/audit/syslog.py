"""Audit messages as syslog: RFC 5424, framed for TLS by RFC 5425, one a datagram by RFC 5426.

IHE ITI TF-2, 3.20.4.1: facility 10 (security), severity 5 (notice) or 4 (warning), MSGID
`IHE+RFC-3881`, and the XML as the message, after the mark of UTF-8.
"""

import re
from datetime import datetime

_FACILITY = 10
_NOTICE, _WARNING = 5, 4
_MSGID = "IHE+RFC-3881"
_BOM = b"\xef\xbb\xbf"
_NOT_PRINTED = re.compile(r"[^\x21-\x7e]")
LONGEST_DATAGRAM = 65_000  # bytes; what UDP over IPv4 can carry, and a little less


def line(content: bytes, at: datetime, host: str, process: int, warning: bool) -> bytes:
    """One SYSLOG-MSG. at: aware, UTC."""
    priority = _FACILITY * 8 + (_WARNING if warning else _NOTICE)
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name = _NOT_PRINTED.sub("_", host)[:255] or "-"
    head = f"<{priority}>1 {time} {name} portico {process} {_MSGID} - "
    return head.encode("ascii") + _BOM + content


def framed(message: bytes) -> bytes:
    """With its length before it (RFC 5425, section 4.3)."""
    return b"%d %s" % (len(message), message)
