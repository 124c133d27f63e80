"""The line around an audit message: RFC 5424, RFC 5425."""

from datetime import UTC, datetime

from portico.audit import syslog

AT = datetime(2026, 3, 14, 8, 0, 0, 120_000, tzinfo=UTC)


def test_t6_the_head_is_as_ihe_wants_it():
    """T6: facility 10, severity 5 or 4, MSGID IHE+RFC-3881, no structured data, UTF-8."""
    good = syslog.line(b"<x/>", AT, "engine1", 77, False)
    assert good == (
        b"<85>1 2026-03-14T08:00:00.120Z engine1 portico 77 IHE+RFC-3881 - \xef\xbb\xbf<x/>"
    )
    assert syslog.line(b"<x/>", AT, "engine1", 77, True).startswith(b"<84>1 ")


def test_a_hosts_odd_name_cannot_shift_a_field():
    """What RFC 5424 does not allow there is replaced; no name is `-`."""
    assert b" my_host_ portico " in syslog.line(b"", AT, "my host\n", 1, False)
    assert b"Z - portico " in syslog.line(b"", AT, "", 1, False)


def test_a_frame_begins_with_its_length():
    """Octets, not characters: RFC 5425, section 4.3."""
    assert syslog.framed("ä".encode()) == b"2 \xc3\xa4"
