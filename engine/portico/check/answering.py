"""How senders are answered, where it takes a destination or another channel to do it."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.check.references import heard
from portico.spec.channel import Acknowledge, Channel
from portico.spec.destination import Destination
from portico.spec.document import Document, Location
from portico.spec.fields import nearest
from portico.spec.finding import Finding

_SILENT = ("folder", "log", "sftp", "ftp")  # types whose peers say nothing of a message
_LINES = ("mllp", "tcp")  # types of channels to which a peer sends ACKs of its own
_CODE = "site.acknowledge"


def misfits(draft: Draft) -> Iterator[Finding]:
    """Parts of `acknowledge` and `ack_on` that cannot hold, or that name nothing."""
    for name, channel in draft.channels.items():
        document, told = draft.named["channel", name], channel.acknowledge
        for key, text, hint in (*_reply(told), *_deferred(told, channel)):
            yield document.finding(("acknowledge", key), _CODE, text, hint)
        yield from _reply_files(document, channel)
        if told.reply not in ("ack", "result"):
            yield from _replier(draft, document, name, told.reply)
        if told.deferred is not None:
            yield from _taker(draft, document, told.deferred)
    for name, destination in draft.destinations.items():
        yield from _elsewhere(draft, draft.named["destination", name], destination)


def _reply_files(document: Document, channel: Channel) -> Iterator[Finding]:
    if not getattr(channel.source.options, "replies", ""):
        return
    text = ""
    if channel.content.type != "hl7":
        text = "only HL7 has ACKs to put into a file"
    elif channel.acknowledge.mode == "none":
        text = "mode none gives no ACKs to put into a file"
    if text:
        yield document.finding(("source", "replies"), _CODE, text, "remove it")


def _reply(told: Acknowledge) -> Iterator[tuple[str, str, str]]:
    if told.reply == "result" and told.when == "journaled":
        yield "reply", "the answer leaves before an agent has run", "add 'when: processed'"
    elif told.reply not in ("ack", "result") and told.when != "delivered":
        text = f"the answer leaves before {told.reply!r} has answered"
        yield "reply", text, "add 'when: delivered'"


def _deferred(told: Acknowledge, channel: Channel) -> Iterator[tuple[str, str, str]]:
    if told.deferred is None:
        return
    if channel.content.type != "hl7":
        yield "deferred", "only HL7 has an application ACK", "remove it"
    if told.mode in ("original", "none"):
        text = f"mode {told.mode} has no answer that could come later"
        yield "deferred", text, "try 'mode: enhanced'"
    if told.when == "journaled":
        text = "the accept answer says already that it is journaled"
        yield "deferred", text, "add 'when: processed' or 'when: delivered'"
    if told.reply != "ack":
        yield "reply", "what is deferred is an ACK of ours", "remove 'reply' or 'deferred'"
    if told.on_error == "close":
        yield "on_error", "a deferred answer has no connection to close", "try AE"


def _replier(draft: Draft, document: Document, name: str, to: str) -> Iterator[Finding]:
    at: Location = ("acknowledge", "reply")
    if ("destination", to) not in draft.named:
        yield _unknown(document, at, "destination", to, draft)
        return
    replier = draft.destinations.get(to)
    silent = replier is not None and (
        replier.type in _SILENT or getattr(replier.options, "ack", "") == "none"
    )
    if silent:
        yield document.finding(at, _CODE, f"{to!r} gives no answer", "name one that does")
    agents = {n for n, agent in draft.agents.items() if name in heard(agent, draft)}
    sent = {
        named.name
        for pipeline in draft.pipelines
        if pipeline.document.name in agents
        for named in pipeline.wanted("send", "to")
    }
    if to not in sent:
        text = f"no agent of this channel sends to {to!r}"
        yield document.finding(at, _CODE, text, "its answer would be to another message")


def _taker(draft: Draft, document: Document, to: str) -> Iterator[Finding]:
    at: Location = ("acknowledge", "deferred")
    if ("destination", to) not in draft.named:
        yield _unknown(document, at, "destination", to, draft)
        return
    taker = draft.destinations.get(to)
    if taker is None:
        return
    if getattr(taker.options, "ack", "none") == "application" or _ack_on(taker):
        text = f"{to!r} waits for an application answer, and an ACK has none"
        yield document.finding(at, _CODE, text, "give that destination 'ack: any' or 'none'")


def _elsewhere(draft: Draft, document: Document, destination: Destination) -> Iterator[Finding]:
    name = _ack_on(destination)
    if not name:
        return
    if ("channel", name) not in draft.named:
        yield _unknown(document, ("ack_on",), "channel", name, draft)
        return
    channel = draft.channels.get(name)
    if channel is not None and channel.source.type not in _LINES:
        text = f"{name!r} is a {channel.source.type} channel, and ACKs come over a line"
        yield document.finding(("ack_on",), _CODE, text, "name one of type mllp or tcp")
    elif channel is not None and channel.content.type != "hl7":
        text = f"{name!r} takes {channel.content.type}, and an ACK is HL7"
        yield document.finding(("ack_on",), _CODE, text, "name a channel of HL7")


def _ack_on(destination: Destination) -> str | None:
    return getattr(destination.options, "ack_on", None)


def _unknown(document: Document, at: Location, noun: str, name: str, draft: Draft) -> Finding:
    known = {each for kind, each in draft.named if kind == noun}
    hint = nearest(name, known) if known else ""
    return document.finding(at, f"site.unknown_{noun}", f"there is no {noun} {name!r}", hint)
