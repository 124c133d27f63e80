"""Bundles: a frame that holds several messages, each a Signal of its own, answered together.

Source: HL7 v2.5.1 chapter 2.10.3 (batch protocol); SITE reference, `batch`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from portico.errors import BatchInvalid, MessageError
from portico.hl7 import batch
from portico.hl7.batch import BatchEvent, Member, Reply
from portico.listeners.contract import Arrival
from portico.model.receipt import Receipt, Told
from portico.policy.answer import BatchRules


class Part:
    """One message of a bundle: an Arrival whose answer becomes a part of the whole's."""

    __slots__ = (
        "_bundle",
        "about",
        "connection",
        "content",
        "file",
        "first",
        "peer",
        "received",
    )

    def __init__(self, bundle: "Bundle", content: bytes, arrival: Arrival) -> None:
        self._bundle = bundle
        self.content = content
        self.peer, self.received = arrival.peer, arrival.received
        self.file, self.connection = arrival.file, arrival.connection
        self.about = arrival.about
        self.first: tuple[bytes, ...] = ()

    def answer(self, receipt: Receipt) -> None:
        """Its answer; one that promises more waits for it, since a batch is answered once."""
        if receipt.more:
            self.first = receipt.replies
        else:
            self._bundle.answered(self, receipt)

    def say(self, receipt: Receipt) -> None:
        """The second answer, beside the first."""
        replies = self.first + receipt.replies
        self._bundle.answered(self, replace(receipt, replies=replies))


@dataclass(slots=True)
class Bundle:
    """A frame taken apart. fault: why none of its messages is taken.

    reply: makes the batch that answers, None where no envelope asks for one.
    """

    arrival: Arrival
    events: list[BatchEvent]
    reply: Reply | None
    parts: list[Part]
    receipts: dict[int, Receipt]
    fault: MessageError | None = None

    @staticmethod
    def of(
        arrival: Arrival, rules: BatchRules, limit: int, control_id: Callable[[], str]
    ) -> "Bundle":
        """The messages of a frame; control_id: makes that of the reply's envelope."""
        fault: MessageError | None = None
        try:
            batch.survey([arrival.content], rules.counts, limit)
        except BatchInvalid as error:
            fault = error
        events = list(batch.events([arrival.content], limit))
        enveloped = any(getattr(event, "header", None) is not None for event in events)
        errors_only = rules.reply == "errors"
        reply = (
            Reply(control_id(), arrival.received, errors_only=errors_only)
            if enveloped and rules.reply != "none"
            else None
        )
        bundle = Bundle(arrival, events, reply, [], {}, fault)
        members = [event for event in events if isinstance(event, Member)]
        bundle.parts = [Part(bundle, member.content, arrival) for member in members]
        return bundle

    def answered(self, part: Part, receipt: Receipt) -> None:
        """One more; the last one lets the whole answer leave."""
        self.receipts[id(part)] = receipt
        if len(self.receipts) == len(self.parts):
            self.finish()

    def finish(self) -> None:
        """Answer the frame: nothing positive when one of its messages is not stored."""
        receipts = [self.receipts[id(part)] for part in self.parts]
        empty_and_wrong = self.fault is not None and not receipts
        if empty_and_wrong or any(receipt.close for receipt in receipts):
            self.arrival.answer(Receipt(Told.SILENT, close=True))
            return
        worst = next((one for one in receipts if one.told is not Told.ACCEPTED), None)
        told = Told.ACCEPTED if worst is None else worst.told
        text = "" if worst is None else worst.text
        if self.reply is not None:
            replies: tuple[bytes, ...] = (self._batch(self.reply, receipts),)
        else:
            replies = tuple(reply for receipt in receipts for reply in receipt.replies)
        self.arrival.answer(Receipt(told, replies, code="batch", text=text))

    def _batch(self, reply: Reply, receipts: list[Receipt]) -> bytes:
        pieces, answers = [], iter(receipts)
        for event in self.events:
            if isinstance(event, Member):
                receipt = next(answers)
                positive = receipt.told is Told.ACCEPTED
                pieces += [reply.answer(one, positive=positive) for one in receipt.replies]
            else:
                pieces.append(reply.feed(event))
        return b"".join(pieces)
