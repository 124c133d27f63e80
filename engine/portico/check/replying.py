"""Answers of a case that are not ours: what an agent made, or what a destination says."""

from collections.abc import Mapping, Set

from portico.check.site import Site
from portico.errors import MessageError
from portico.hl7 import ack
from portico.hl7.header import Header
from portico.ids import SignalId
from portico.model.delivery import Answered, Attempt
from portico.model.receipt import Receipt
from portico.policy import answer, retry
from portico.policy.answer import Answering
from portico.spec.destination import Destination

_PATIENT = 1_000  # tries after which no retry is left


def body(
    site: Site,
    answering: Answering,
    value: bytes | None,
    sent: Set[str],
    said: Mapping[str, bytes],
) -> bytes | None:
    """What the channel's `reply` names, None where our own answer is due.

    value: of the agent. sent: the destinations that get something; said: what they answer.
    """
    if answering.reply in site.destinations:
        return said.get(answering.reply) if answering.reply in sent else None
    return value


def receipt(
    site: Site,
    answering: Answering,
    header: Header | None,
    signal: SignalId,
    content: bytes | None,
) -> Receipt | None:
    """That answer, or our own where the destination's `answers` call it no success."""
    if content is None:
        return None
    destination = site.destinations.get(answering.reply)
    if destination is None or _takes(destination, content):
        return answer.relayed(answering, header, signal, content)
    return answer.failed(answering, header, signal, "a destination did not take it")


def _takes(destination: Destination, content: bytes) -> bool:
    """Whether a Delivery that is answered so is done; what is no HL7 counts as success."""
    try:
        code = ack.read(content).code
    except MessageError:
        return True
    rules = {**retry.HL7_ANSWERS, **destination.answers}
    attempt = Attempt(Answered.ANSWERED, code)
    return retry.judge(rules, attempt, _PATIENT) == retry.DELIVERED
