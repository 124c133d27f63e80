"""What a channel tells its sender: from an outcome to a Receipt, in HL7's words for HL7.

Source: HL7 v2.5.1 chapter 2.9; SITE reference, `acknowledge`.
"""

from msgspec import Struct
from msgspec.structs import replace

from portico import ids
from portico.errors import MessageError
from portico.hl7 import ack
from portico.hl7.ack import AckError, Outcome
from portico.hl7.codes import POSITIVE
from portico.hl7.header import Header
from portico.ids import SignalId
from portico.language.context import Context
from portico.language.template import Template
from portico.model.receipt import Receipt, Told
from portico.model.verdict import Refusal

NOTHING = Receipt(Told.SILENT, code="empty", text="there is no content")
SILENCE = Receipt(Told.SILENT)
CLOSE = Receipt(Told.SILENT, close=True, text="it could not be stored")

# What senders are told wherever no agent takes a message, or one could not be processed.
UNMATCHED = Refusal("AR", "200", "no agent takes this type of message", "MSH-9")
CHANGED = Refusal("AE", "205", "another message came under this control id", "MSH-10")
KEPT = "the message is kept, but could not be processed"

_NEGATIVE = ("AE", "AR", "CE", "CR")
_OUTCOMES = {"AA": Outcome.SUCCESS, "AE": Outcome.ERROR, "AR": Outcome.REJECT}


class Answering(Struct, frozen=True):
    """A channel's `acknowledge`.

    when: `journaled processed delivered`. mode: see hl7.ack.Mode. on_error: `AE AR close`, our
    fault. on_refuse: `AE` or `AR`, an agent's refusal. text: MSA-3 of a positive answer, or
    its body where the content is not HL7; bare: the body whatever the content is. reply: `ack`,
    `result` (an agent's last value) or the destination whose answer it is. deferred: the
    destination to which the application's answer goes, where the phases are answered apart;
    accept: what that answer asks for in MSH-15, `AL` or `NE`.
    """

    when: str = "journaled"
    mode: str = "auto"
    on_error: str = "AE"
    on_refuse: str = "AE"
    text: Template | None = None
    bare: bool = False
    reply: str = "ack"
    deferred: str = ""
    accept: str = "NE"

    @property
    def replier(self) -> str:
        """The destination whose answer it is, empty when it is none's."""
        return "" if self.reply in ("ack", "result") else self.reply


class BatchRules(Struct, frozen=True):
    """A channel's `batch`. counts: `strict lenient`; reply: `all errors none`."""

    counts: str = "strict"
    reply: str = "all"


def text_of(rules: Answering, context: Context) -> str:
    """The text of a positive answer; one that cannot be made is no reason to repeat."""
    if rules.text is None:
        return ""
    try:
        return rules.text.render(context)
    except MessageError:
        return ""


def defers(rules: Answering, header: Header | None) -> bool:
    """Whether this sender's application answer is a message of its own (A12)."""
    if not rules.deferred or header is None or not ack.enhanced(header, rules.mode):
        return False
    return any(ack.decide(header, rules.mode, one).application for one in Outcome)


def elsewhere(rules: Answering, header: Header | None, outcome: Outcome) -> bool:
    """Whether a message turned away at the door is told so by a message of its own: nothing
    is to be said on its line. outcome: of the accept phase."""
    if header is None or not defers(rules, header):
        return False
    accept, application = ack.decide(header, rules.mode, outcome)
    return accept is None and application is not None


def committed(rules: Answering, header: Header | None, signal: SignalId) -> Receipt | None:
    """The accept answer where the application's comes later; None when one answer is all.

    Without `more` the sender wants no application answer: this is the last word.
    """
    if header is None or rules.bare:
        return None
    accept = ack.decide(header, rules.mode, Outcome.SUCCESS).accept
    if accept is None:
        return None
    reply = _reply(header, signal, accept, "", None)
    wanted = any(ack.decide(header, rules.mode, one).application for one in Outcome)
    return Receipt(Told.ACCEPTED, (reply,), code=accept, more=wanted, signal=signal)


def accepted(
    rules: Answering, header: Header | None, signal: SignalId, text: str, late: bool = False
) -> Receipt:
    """The positive answer. It is the same each time it is made for a Signal.

    late, here and below: the accept answer has left already, or there is none.
    """
    if header is None or rules.bare:
        body = (text.encode(),) if text else ()
        return Receipt(Told.ACCEPTED, body, code="accepted", signal=signal)
    replies, code = _phases(rules, header, signal, "AA", text, None, late)
    return Receipt(Told.ACCEPTED, replies, code=code, signal=signal)


def relayed(
    rules: Answering, header: Header | None, signal: SignalId, body: bytes, late: bool = False
) -> Receipt:
    """What an agent made or a destination answered, verbatim; if it is an HL7 answer that is
    not positive, so is this."""
    said = _said(body)
    told = Told.REFUSED if said in _NEGATIVE else Told.ACCEPTED
    replies, code = [body], said or told.value
    if header is not None and not rules.bare:
        outcome = Outcome.ERROR if said in _NEGATIVE else Outcome.SUCCESS
        accept, _ = ack.decide(header, rules.mode, Outcome.SUCCESS)
        if not ack.decide(header, rules.mode, outcome).application:
            replies, code = [], accept or ""
        if accept is not None and not late:
            replies.insert(0, _reply(header, signal, accept, "", None))
    return Receipt(told, tuple(replies), code=code, signal=signal)


def _said(body: bytes) -> str:
    """MSA-1 of an HL7 answer, empty for other content and for codes that are none."""
    try:
        code = ack.read(body).code if body.startswith(b"MSH") else ""
    except MessageError:
        return ""
    return code if code in _NEGATIVE or code in POSITIVE else ""


def unacceptable(
    rules: Answering,
    header: Header | None,
    signal: SignalId,
    fault: MessageError,
    late: bool = False,
) -> Receipt:
    """Intake could not take it: the accept phase ends so, and the other never begins.

    Without an MSH nothing can be answered in HL7's words: the peer is closed.
    """
    error = ack.error_of(fault)
    if header is None:
        return _unsaid(Told.REFUSED, signal, fault.code, error, close=True)
    return _turned_away(rules, header, signal, Outcome.ERROR, error, late)


def unmatched(
    rules: Answering, header: Header | None, signal: SignalId, late: bool = False
) -> Receipt:
    """No agent takes it and the channel refuses such: rejected at the door."""
    error = AckError(UNMATCHED.code, UNMATCHED.location, UNMATCHED.text)
    if header is None:
        return _unsaid(Told.REFUSED, signal, error.code, AckError(error.code, "", error.text))
    return _turned_away(rules, header, signal, Outcome.REJECT, error, late)


def _turned_away(
    rules: Answering,
    header: Header,
    signal: SignalId,
    outcome: Outcome,
    error: AckError,
    late: bool,
) -> Receipt:
    """The accept phase ends so; original mode says it with the application's code."""
    accept, application = ack.decide(header, rules.mode, outcome)
    code = application if late else accept or application
    if code is None or rules.bare:
        return _unsaid(Told.REFUSED, signal, "", error)
    reply = _reply(header, signal, code, error.text, error, _asked(rules, late))
    return replace(_unsaid(Told.REFUSED, signal, code, error), replies=(reply,))


def refused(
    rules: Answering,
    header: Header | None,
    signal: SignalId,
    refusal: Refusal,
    late: bool = False,
) -> Receipt:
    """An agent would not have it; the worse of its code and the channel's counts."""
    code = "AR" if "AR" in (refusal.ack, rules.on_refuse) else "AE"
    error = AckError(refusal.code, refusal.location, refusal.text)
    if header is None or rules.bare:
        return _unsaid(Told.REFUSED, signal, refusal.code, error)
    return _ended(rules, header, signal, Told.REFUSED, code, error, late)


def failed(
    rules: Answering, header: Header | None, signal: SignalId, text: str, late: bool = False
) -> Receipt:
    """Our fault, or too late: the message is kept, and the sender is told so or cut off."""
    error = AckError("207", "", text)
    if rules.on_error == "close":
        return _unsaid(Told.FAILED, signal, "", error, close=True)
    if header is None or rules.bare:
        return _unsaid(Told.FAILED, signal, "failed", error)
    return _ended(rules, header, signal, Told.FAILED, rules.on_error, error, late)


def _unsaid(
    told: Told, signal: SignalId, code: str, error: AckError, close: bool = False
) -> Receipt:
    """What is not positive, before any reply is written."""
    return Receipt(
        told,
        close=close,
        code=code,
        text=error.text,
        location=error.location,
        signal=signal,
    )


def _ended(
    rules: Answering,
    header: Header,
    signal: SignalId,
    told: Told,
    code: str,
    error: AckError,
    late: bool,
) -> Receipt:
    replies, said = _phases(rules, header, signal, code, error.text, error, late)
    return replace(_unsaid(told, signal, said, error), replies=replies)


def _phases(
    rules: Answering,
    header: Header,
    signal: SignalId,
    code: str,
    text: str,
    error: AckError | None,
    late: bool,
) -> tuple[tuple[bytes, ...], str]:
    """Both phases of a message that is stored: accepted, and ended with this code. The answers
    and the code that counts."""
    accept, application = ack.decide(header, rules.mode, Outcome.SUCCESS)
    if code != "AA":
        application = ack.decide(header, rules.mode, _OUTCOMES[code]).application
    replies = []
    if accept is not None and not late:
        replies.append(_reply(header, signal, accept, "", None))
    if application is not None:
        replies.append(_reply(header, signal, application, text, error, _asked(rules, late)))
    return tuple(replies), application or accept or ""


def _asked(rules: Answering, late: bool) -> str:
    """MSH-15 of an application answer: only one that goes its own way asks for anything."""
    return rules.accept if late and rules.deferred else ""


def _reply(
    header: Header,
    signal: SignalId,
    code: str,
    text: str,
    error: AckError | None,
    accept: str = "",
) -> bytes:
    """One answer. Its MSH-10 is made from the Signal's id; an accept answer's begins with C."""
    short = ids.short(signal)
    return ack.build(
        header,
        code=code,
        control_id=short if code[0] == "A" else "C" + short[1:],
        at_ns=ids.millis(signal) * 1_000_000,
        text=text,
        error=error,
        accept=accept,
    )
