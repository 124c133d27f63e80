"""Which events the audit trail tells, and as what.

| here                              | PS3.15, A.5.3                                     |
|-----------------------------------|---------------------------------------------------|
| start and stop                    | Application Activity                              |
| logins, good and bad              | User Authentication, Login                        |
| a peer's TLS that failed          | Security Alert, Node Authentication               |
| a search, a list                  | Query                                             |
| one Signal read; edit, discard, review | Patient Record                               |
| release, resend, replay, backup   | Export                                            |

No identifier of a patient is told: what it was about are ids of Signals, which the journal
resolves for those who may read it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from portico.audit.message import Code, Participant, Record, Thing
from portico.events.acting import MessagesActed, ReplayBegun
from portico.events.asking import ReviewDone
from portico.events.auditing import BackupTaken, LoginAccepted, LoginRefused, RecordsRead
from portico.events.delivering import DestinationDown
from portico.events.emit import Event
from portico.events.fetching import SourceLost
from portico.events.intake import SourceUnreachable
from portico.events.securing import HandshakeFailed
from portico.events.sending import PeerRefused
from portico.events.site import EngineReady, EngineStopped

_US, _API = "portico", "api"

_ACTIVITY = Code("110100", "Application Activity")
_START, _STOP = Code("110120", "Application Start"), Code("110121", "Application Stop")
_AUTHENTICATION, _LOGIN = Code("110114", "User Authentication"), Code("110122", "Login")
_ALERT, _NODE = Code("110113", "Security Alert"), Code("110126", "Node Authentication")
_QUERY, _RECORD = Code("110112", "Query"), Code("110110", "Patient Record")
_EXPORT = Code("110106", "Export")
_APPLICATION = Code("110150", "Application")
_ORIGIN, _TARGET = Code("110153", "Source Role ID"), Code("110152", "Destination Role ID")
_MEDIA = Code("110154", "Destination Media")
_NODE_ID = Code("110182", "Node ID")
_FAILED = 4
_UNPROVEN = ("tls_", "host_key")  # how codes begin that say so

_REPORT, _RESOURCE, _JOB, _ASKED = "3", "13", "20", "24"  # roles, A.5.1.2.2
_SIGNAL = Code("signal", "Signal of a journal", "Portico")
_LISTS = frozenset(("search", "parked", "reviews", "holds"))
_EXPORTS = frozenset(("release", "resend"))


def of(event: Event) -> Record | None:
    """What is told of this event; None for those of which nothing is."""
    teller = TELLERS.get(type(event))
    return None if teller is None else teller(event)


def _own(what: str) -> Code:
    return Code(what, f"portico {what}", "Portico")


def _us(requests: bool = False) -> Participant:
    return Participant(_US, requests, _APPLICATION)


def _host(peer: str) -> str:
    """`host:port` without the port."""
    return peer.rpartition(":")[0].strip("[]") if ":" in peer else peer


def _activity(kind: Code) -> Callable[[Any], Record]:
    return lambda _: Record(_ACTIVITY, "E", (_us(),), kind)


def _login(event: Any) -> Record:
    refused = isinstance(event, LoginRefused)
    person = Participant(event.user or "unknown", True, None, _host(event.peer))
    why = f"{event.code} is not right" if refused else ""
    return Record(
        _AUTHENTICATION,
        "E",
        (person, _us()),
        _LOGIN,
        _FAILED if refused else 0,
        why,
        (Thing(event.channel or _API, _own("channel"), _RESOURCE, (("way", event.code),)),),
    )


def _node(event: Any) -> Record | None:
    """A handshake that failed, or a host key that is not the one we know; what else keeps two
    machines apart is no authentication.
    """
    if not isinstance(event, HandshakeFailed) and not event.code.startswith(_UNPROVEN):
        return None
    name = getattr(event, "channel", "") or getattr(event, "destination", "") or _API
    peer = getattr(event, "peer", "")
    code = event.code.removeprefix("tls_")
    return Record(
        _ALERT,
        "E",
        (_us(True), Participant(peer or name, False, None, _host(peer))),
        _NODE,
        _FAILED,
        f"it has not shown who it is: {code}",
        (Thing(name, _NODE_ID, _RESOURCE, (("Alert Description", code),)),),
    )


def _read(event: RecordsRead) -> Record:
    reader = Participant(event.who, True, None, _host(event.peer))
    if event.what in _LISTS:
        thing = Thing(event.what, _own("query"), _ASKED, (("query", event.query),))
        return Record(_QUERY, "E", (reader, _us()), _own(event.what), things=(thing,))
    return Record(
        _RECORD, "R", (reader, _us()), _own(event.what), things=_signals((event.signal,))
    )


def _acted(event: MessagesActed) -> Record:
    kind, things = _own(event.what), _signals(event.signals)
    person = Participant(event.who, True, _ORIGIN)
    if event.what in _EXPORTS:
        target = Participant(_US, False, _TARGET)
        return Record(_EXPORT, "R", (person, target), kind, things=things)
    action = "D" if event.what == "discard" else "U"
    return Record(_RECORD, action, (person, _us()), kind, things=things)


def _replayed(event: ReplayBegun) -> Record:
    counts = (("signals", str(event.total)), ("made", str(event.made)))
    return Record(
        _EXPORT,
        "R",
        (Participant(event.who, True, _ORIGIN), Participant(_US, False, _TARGET)),
        _own("replay"),
        things=(Thing(event.job, _own("job"), _JOB, counts),),
    )


def _reviewed(event: ReviewDone) -> Record:
    details = (("verdict", event.verdict), ("agent", event.agent), ("step", event.step))
    thing = Thing(event.signal, _SIGNAL, _REPORT, details)
    who = (Participant(event.by, True), _us())
    return Record(_RECORD, "U", who, _own("review"), things=(thing,))


def _backed_up(event: BackupTaken) -> Record:
    who = (Participant(event.who, True, _ORIGIN), Participant(event.target, False, _MEDIA))
    thing = Thing("journal", _own("backup"), _REPORT)
    return Record(_EXPORT, "R", who, _own("backup"), things=(thing,))


def _signals(ids: tuple[str, ...]) -> tuple[Thing, ...]:
    return tuple(Thing(one, _SIGNAL, _REPORT) for one in ids)


TELLERS: Mapping[type[Event], Callable[[Any], Record | None]] = {
    EngineReady: _activity(_START),
    EngineStopped: _activity(_STOP),
    LoginAccepted: _login,
    LoginRefused: _login,
    HandshakeFailed: _node,
    PeerRefused: _node,
    SourceUnreachable: _node,
    SourceLost: _node,
    DestinationDown: _node,
    RecordsRead: _read,
    MessagesActed: _acted,
    ReplayBegun: _replayed,
    ReviewDone: _reviewed,
    BackupTaken: _backed_up,
}
