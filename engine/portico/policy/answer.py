"""What a channel tells its sender: from an outcome to a Receipt, in HL7's words for HL7.

Source: HL7 v2.5.1 chapter 2.9; SITE reference, `acknowledge`.
"""

from msgspec import Struct
from msgspec.structs import replace

from portico import ids
from portico.errors import MessageError
from portico.hl7 import ack
from portico.hl7.ack import AckError, Outcome
from portico.hl7.header import Header
from portico.ids import SignalId
from portico.language.template import Template
from portico.model.receipt import Receipt, Told
from portico.model.verdict import Refusal

NOTHING = Receipt(Told.SILENT)
CLOSE = Receipt(Told.SILENT, close=True)

# What senders are told wherever no agent takes a message, or one could not be processed.
UNMATCHED = Refusal("AR", "200", "no agent takes this type of message", "MSH-9")
CHANGED = Refusal("AE", "205", "another message came under this control id", "MSH-10")
KEPT = "the message is kept, but could not be processed"

_OUTCOMES = {"AA": Outcome.SUCCESS, "AE": Outcome.ERROR, "AR": Outcome.REJECT}


class Answering(Struct, frozen=True):
    """A channel's `acknowledge`.

    when: `journaled processed delivered`. mode: see hl7.ack.Mode. on_error: `AE AR close`, our
    fault. on_refuse: `AE` or `AR`, an agent's refusal. text: MSA-3 of a positive answer.
    """

    when: str = "journaled"
    mode: str = "auto"
    on_error: str = "AE"
    on_refuse: str = "AE"
    text: Template | None = None


def accepted(rules: Answering, header: Header | None, signal: SignalId, text: str) -> Receipt:
    """The positive answer. It is the same each time it is made for a Signal."""
    return _receipt(rules, header, signal, Told.ACCEPTED, "AA", text, None)


def unacceptable(
    rules: Answering, header: Header | None, signal: SignalId, fault: MessageError
) -> Receipt:
    """Intake could not take it. Without an MSH nothing can be answered: the peer is closed."""
    if header is None:
        return Receipt(Told.REFUSED, close=True)
    receipt = _receipt(rules, header, signal, Told.REFUSED, "AE", "", ack.error_of(fault))
    if len(receipt.replies) < 2:
        return receipt
    return replace(receipt, replies=receipt.replies[:1])  # it never reached the other phase


def refused(
    rules: Answering, header: Header | None, signal: SignalId, refusal: Refusal
) -> Receipt:
    """An agent would not have it; the worse of its code and the channel's counts."""
    code = "AR" if "AR" in (refusal.ack, rules.on_refuse) else "AE"
    error = AckError(refusal.code, refusal.location, refusal.text)
    return _receipt(rules, header, signal, Told.REFUSED, code, refusal.text, error)


def failed(rules: Answering, header: Header | None, signal: SignalId, text: str) -> Receipt:
    """Our fault, or too late: the message is kept, and the sender is told so or cut off."""
    if rules.on_error == "close":
        return Receipt(Told.FAILED, close=True)
    error = AckError("207", "", text)
    return _receipt(rules, header, signal, Told.FAILED, rules.on_error, text, error)


def _receipt(
    rules: Answering,
    header: Header | None,
    signal: SignalId,
    told: Told,
    code: str,
    text: str,
    error: AckError | None,
) -> Receipt:
    if header is None:
        return Receipt(told)
    answers = ack.decide(header, rules.mode, _OUTCOMES[code])
    at_ns = ids.millis(signal) * 1_000_000
    replies = tuple(
        ack.build(
            header,
            code=one,
            control_id=_control_id(signal, phase),
            at_ns=at_ns,
            text=text,
            error=error,
        )
        for phase, one in enumerate(answers)
        if one is not None
    )
    said = next((str(one) for one in answers if one is not None), "")
    return Receipt(told, replies, code=said)


def _control_id(signal: SignalId, phase: int) -> str:
    """MSH-10 of the answer, made from the Signal's id; the accept phase begins otherwise."""
    short = ids.short(signal)
    return short if phase else "C" + short[1:]
