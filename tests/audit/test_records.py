"""What the audit trail tells of each event, by the schema of PS3.15."""

import dataclasses
from datetime import UTC, datetime

import pytest
from lxml import etree

from portico.audit import message, records
from portico.audit.message import Source
from portico.events.acting import MessagesActed, ReplayBegun
from portico.events.asking import ReviewDone
from portico.events.auditing import BackupTaken, LoginAccepted, LoginRefused, RecordsRead
from portico.events.delivering import DestinationDown
from portico.events.fetching import SourceLost
from portico.events.intake import SourceUnreachable
from portico.events.securing import HandshakeFailed
from portico.events.sending import PeerRefused
from portico.events.site import ChannelOpened, EngineReady, EngineStopped

AT = datetime(2026, 3, 14, 8, tzinfo=UTC)
SIGNAL = "019ceb5b-e660-7000-8000-0000000000aa"
TOLD = {
    "start": (EngineReady(1, 1, 1, 0.5), ("110100", "110120"), "E", "0"),
    "stop": (EngineStopped(0.5), ("110100", "110121"), "E", "0"),
    "login": (
        LoginAccepted("web", "10.0.0.1:5", "lab", "basic"), ("110114", "110122"), "E", "0",
    ),
    "no login": (LoginRefused("", "[::1]:5", "", "token"), ("110114", "110122"), "E", "4"),
    "handshake": (
        HandshakeFailed("adt", "10.0.0.1:5", "untrusted", "a text"),
        ("110113", "110126"), "E", "4",
    ),
    "handshake at the API": (
        HandshakeFailed("", "", "no_certificate", "a text"), ("110113", "110126"), "E", "4",
    ),
    "peer of a destination": (
        PeerRefused("his", "10.0.0.1:5", "tls_expired", "a text"),
        ("110113", "110126"), "E", "4",
    ),
    "dialled source": (
        SourceUnreachable("adt", "his:5", "tls_wrong_pin", "a text"),
        ("110113", "110126"), "E", "4",
    ),
    "polled source": (
        SourceLost("lab", "host_key", "a text"), ("110113", "110126"), "E", "4",
    ),
    "destination": (DestinationDown("his", "tls_refused"), ("110113", "110126"), "E", "4"),
    "search": (
        RecordsRead("search", "it", "", "", "patient=***&phi=true"),
        ("110112", "search"), "E", "0",
    ),
    "show": (RecordsRead("show", "it", "10.0.0.1:5", SIGNAL, ""), ("110110", "show"), "R", "0"),
    "edit": (MessagesActed("edit", "it", 1, (SIGNAL,)), ("110110", "edit"), "U", "0"),
    "discard": (MessagesActed("discard", "it", 1, (SIGNAL,)), ("110110", "discard"), "D", "0"),
    "release": (MessagesActed("release", "it", 1, (SIGNAL,)), ("110106", "release"), "R", "0"),
    "resend": (MessagesActed("resend", "it", 1, (SIGNAL,)), ("110106", "resend"), "R", "0"),
    "replay": (ReplayBegun("a-job", "it", 7, 0), ("110106", "replay"), "R", "0"),
    "review": (ReviewDone("a", "s", SIGNAL, "edited", "it"), ("110110", "review"), "U", "0"),
    "backup": (BackupTaken("it", "folder"), ("110106", "backup"), "R", "0"),
}  # fmt: skip


HOUSE = Source("house")


def xml(event, source=HOUSE):
    """The message of an event, as it is read."""
    return etree.fromstring(message.written(records.of(event), source, AT))


@pytest.mark.parametrize("name", TOLD)
def test_t6_each_event_has_its_code_action_and_outcome(name, schema):
    """T6: by PS3.15 A.5.3, and the schema of A.5.1."""
    event, codes, action, outcome = TOLD[name]
    made = xml(event)

    schema.assertValid(made)
    found = made.xpath("//EventID/@csd-code")[0], made.xpath("//EventTypeCode/@csd-code")[0]
    assert found == codes
    said = made.find("EventIdentification")
    assert (said.get("EventActionCode"), said.get("EventOutcomeIndicator")) == (action, outcome)
    assert said.get("EventDateTime") == "2026-03-14T08:00:00.000+00:00"


def test_every_event_that_is_told_is_in_this_file():
    """Nobody adds one without its row."""
    assert {type(event) for event, *_ in TOLD.values()} == set(records.TELLERS)


def test_what_is_no_failed_authentication_is_not_told():
    """A peer that may not connect or cannot be reached has not failed to show who it is."""
    assert records.of(DestinationDown("his", "no_connection")) is None
    assert records.of(SourceLost("lab", "wire.source_away", "a text")) is None
    assert records.of(PeerRefused("his", "10.0.0.1:5", "not_allowed", "")) is None
    assert records.of(ChannelOpened("adt", "mllp", "127.0.0.1:1")) is None


def test_no_field_of_a_told_event_has_room_for_a_patient():
    """What is told are names of the site, users, addresses, codes and ids of Signals."""
    allowed = {
        "channels", "agents", "destinations", "seconds", "channel", "destination", "peer",
        "user", "code", "text", "what", "who", "signal", "query", "messages", "signals", "job",
        "total", "made", "agent", "step", "verdict", "by", "target",
    }  # fmt: skip
    names = {field.name for kind in records.TELLERS for field in dataclasses.fields(kind)}

    assert names <= allowed


def test_who_and_where_are_told():
    """The user, the address without its port, ours as the other side, the Signal's id."""
    made = xml(RecordsRead("show", "it <&>\x01", "[2001:db8::1]:5", SIGNAL, ""))
    reader, us = made.findall("ActiveParticipant")

    assert (reader.get("UserID"), reader.get("UserIsRequestor")) == ("it <&>?", "true")
    assert reader.get("NetworkAccessPointID") == "2001:db8::1"
    assert reader.get("NetworkAccessPointTypeCode") == "2"
    assert (us.get("UserID"), us.get("UserIsRequestor")) == ("portico", "false")
    assert made.xpath("//@ParticipantObjectID") == [SIGNAL]


def test_the_reporter_is_named_as_the_site_says():
    """AuditSourceID always, AuditEnterpriseSiteID where there is one."""
    told = xml(EngineStopped(1.0), Source("engine 1", "St. Mary"))
    assert told.find("AuditSourceIdentification").get("AuditSourceID") == "engine 1"
    assert told.find("AuditSourceIdentification").get("AuditEnterpriseSiteID") == "St. Mary"

    told = xml(EngineStopped(1.0))
    assert "AuditEnterpriseSiteID" not in told.find("AuditSourceIdentification").attrib
