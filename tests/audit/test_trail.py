"""A trail and real repositories: `openssl s_server` by TLS, a socket by UDP."""

import threading
import time

from audit.repository import Distance
from portico.audit import trail as trails
from portico.clock import SystemClock
from portico.events.auditing import LoginAccepted, LoginRefused
from portico.events.site import EngineReady, EngineStopped
from portico.spec.auditing import Audit

START, STOP = EngineReady(1, 1, 1, 0.5), EngineStopped(0.5)
REFUSED = LoginRefused("web", "127.0.0.1:5", "lab", "basic")


def test_t6_messages_arrive_over_mutual_tls_in_order(house, papers, repository, until):
    """T6: framed by RFC 5425, each valid by the schema; nothing is left in the spool. The name
    that is dialled is enough."""
    there = repository(hosts=("127.0.0.1",))
    trail = house.trail(f"tls://127.0.0.1:{there.port}", papers.tls("us"))
    for event in (START, REFUSED, STOP):
        trail.event(event)

    heard = until(lambda: len(found := there.heard()) == 3 and found)
    assert [one.codes[1] for one in heard] == ["110120", "110122", "110121"]
    assert [one.priority for one in heard] == [85, 84, 85]
    assert heard[1].users == ["lab", "portico"]
    until(lambda: not house.waiting())
    assert house.said == [] and trail.trouble() == ""


def test_t6_messages_arrive_over_udp(house, datagrams, until):
    """T6: RFC 5426, one a datagram."""
    trail = house.trail(f"udp://127.0.0.1:{datagrams.port}")
    trail.event(START)
    trail.event(STOP)

    heard = until(lambda: len(found := datagrams.heard()) == 2 and found)
    assert [one.codes[1] for one in heard] == ["110120", "110121"]
    until(lambda: not house.waiting())


def test_what_is_told_while_the_repository_is_away_comes_later(
    house, papers, repository, until
):
    """Away before, away in between: it is said once each time, and nothing is missing."""
    there = repository()
    there.close()
    tls = papers.tls("us")
    trail = house.trail(f"tls://127.0.0.1:{there.port}", tls)
    trail.event(START)
    until(lambda: house.told("AuditAway"))
    assert len(until(house.waiting)) == 1

    again = repository(port=there.port)
    until(lambda: len(again.heard()) == 1)
    until(lambda: not house.waiting())
    again.close()
    trail.event(REFUSED)
    until(lambda: len(house.told("AuditAway")) == 2)
    third = repository(port=there.port)
    heard = until(lambda: len(found := third.heard()) == 2 and found)
    assert [one.codes[1] for one in heard] == ["110120", "110122"]
    until(lambda: [type(one).__name__ for one in house.said][-1] == "AuditBack")


def test_what_one_trail_leaves_the_next_one_sends(house, papers, repository, until):
    """A crash or a stop while the repository is away loses nothing that was told."""
    there = repository()
    there.close()
    tls = papers.tls("us")
    first = house.trail(f"tls://127.0.0.1:{there.port}", tls)
    first.event(STOP)
    until(house.waiting)
    first.close(0.1)

    again = repository(port=there.port)
    house.trail(f"tls://127.0.0.1:{there.port}", tls)
    until(lambda: [one.codes[1] for one in again.heard()] == ["110121"])


def test_the_last_message_leaves_at_the_end(house, papers, repository):
    """`close` keeps what waits and sends it."""
    there = repository()
    trail = house.trail(f"tls://127.0.0.1:{there.port}", papers.tls("us"))
    trail.event(STOP)
    trail.close(10)

    assert house.waiting() == []
    assert [one.codes[1] for one in there.heard()] == ["110121"]


def test_what_is_told_before_the_start_is_kept(house, datagrams):
    """Also where the end comes first: a reload waits for the trail before it."""
    options = Audit.model_validate({"to": f"udp://127.0.0.1:{datagrams.port}"})
    trail = trails.Trail(options, house.data, SystemClock(), house.said.append)
    trail.event(START)
    assert house.waiting() == []
    trail.close(10)

    assert [one.codes[1] for one in datagrams.heard()] == ["110120"]


def test_a_repository_that_refuses_our_certificate_has_none_of_it(
    house, papers, repository, until
):
    """With TLS 1.3 its refusal comes after our side of the handshake, and has a long way here:
    the message stays."""
    there = repository()
    far = Distance(there.port, 0.2)
    trail = house.trail(f"tls://127.0.0.1:{far.port}", papers.tls())
    trail.event(START)

    until(lambda: house.told("AuditAway") == ["tls_refused"])
    assert len(house.waiting()) == 1
    assert there.heard() == []
    far.close()


def test_a_repository_of_another_name_gets_nothing(house, papers, repository, until):
    """The name that was dialled must stand in its certificate."""
    there = repository(hosts=("audit.example",))
    trail = house.trail(f"tls://127.0.0.1:{there.port}", papers.tls("us"))
    trail.event(START)

    until(lambda: house.told("AuditAway") == ["tls_wrong_name"])
    assert len(house.waiting()) == 1


def test_a_full_spool_loses_what_comes_and_says_so(house, until):
    """Each is an event, and people are told; the oldest stay."""
    trail = house.trail("udp://127.0.0.1:1", spool="4KiB")
    trail._line.send = _refuse
    for _ in range(10):
        trail.event(REFUSED)

    until(lambda: len(house.told("AuditLost")) >= 5)
    assert set(house.told("AuditLost")) == {"full"}
    assert sum(one.stat().st_size for one in house.waiting()) <= 4096
    assert "lost" in trail.trouble()


def _refuse(messages):
    raise trails.Refused("no_connection")


def test_a_fault_of_ours_ends_neither_thread(house, datagrams, until, monkeypatch):
    """What was about it is told; what comes next is kept and sent."""
    trail = house.trail(f"udp://127.0.0.1:{datagrams.port}")
    put, send = trail._spool.put, trail._line.send
    monkeypatch.setattr(trail._spool, "put", _broken)
    trail.event(REFUSED)
    until(lambda: house.told("AuditLost") == ["ZeroDivisionError"])
    monkeypatch.setattr(trail._spool, "put", put)
    monkeypatch.setattr(trail._line, "send", _broken)
    trail.event(STOP)
    until(lambda: house.told("AuditAway") == ["ZeroDivisionError"])
    monkeypatch.setattr(trail._line, "send", send)

    until(lambda: [one.codes[1] for one in datagrams.heard()] == ["110121"])


def _broken(*_):
    raise ZeroDivisionError


def test_a_disk_that_hangs_holds_nobody_up(house, until, monkeypatch):
    """What waits for it is bounded, and the rest is said to be lost."""
    monkeypatch.setattr(trails, "_MOST", 3)
    trail, going = house.trail("udp://127.0.0.1:1"), threading.Event()
    monkeypatch.setattr(trail._spool, "put", lambda *_: going.wait(10))
    for _ in range(10):
        trail.event(REFUSED)
    going.set()

    assert set(until(lambda: house.told("AuditLost"))) == {"slow"}
    assert 6 <= len(house.told("AuditLost")) <= 7


def test_people_are_told_of_a_repository_that_stays_away(house, until, monkeypatch):
    """After a minute; here after none."""
    monkeypatch.setattr(trails, "_AWAY", 0.0)
    trail = house.trail("udp://127.0.0.1:1")
    trail._line.send = _refuse
    assert trail.trouble() == ""
    trail.event(START)

    assert "cannot be reached" in until(trail.trouble)


def test_a_client_that_logs_in_for_every_request_is_told_once(house, datagrams, until):
    """From one address, by one way; another user, or a refusal, is news each time."""
    trail = house.trail(f"udp://127.0.0.1:{datagrams.port}")
    for port in range(5):
        trail.event(LoginAccepted("web", f"127.0.0.1:{port}", "lab", "basic"))
    trail.event(LoginAccepted("web", "127.0.0.1:9", "his", "basic"))
    trail.event(REFUSED)
    trail.event(REFUSED)

    heard = until(lambda: len(found := datagrams.heard()) == 4 and found)
    assert [one.users[0] for one in heard] == ["lab", "his", "lab", "lab"]
    assert [one.outcome for one in heard] == ["0", "0", "4", "4"]


def test_what_a_command_puts_is_sent_by_the_engine(house, datagrams, until):
    """Two processes share the spool."""
    options = Audit.model_validate({"to": f"udp://127.0.0.1:{datagrams.port}"})
    trails.put(house.data, options, (STOP,), time.time_ns())
    house.trail(f"udp://127.0.0.1:{datagrams.port}")

    until(lambda: [one.codes[1] for one in datagrams.heard()] == ["110121"])


def test_a_folder_that_cannot_be_written_is_said(house, until):
    """The engine goes on."""
    house.data.write_text("no folder")
    trail = house.trail("udp://127.0.0.1:1")
    trail.event(START)

    until(lambda: house.told("AuditLost") == ["FileExistsError"])
