"""The answer to a file of HL7 messages, as a file: a batch of their ACKs, or the ACKs alone.

Source: HL7 v2.5.1 chapter 2, section 2.10.3.3; PROTOCOLS B5.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from portico.hl7 import batch, wide
from portico.hl7.batch import BatchEvent, Member, Reply
from portico.policy.answer import BatchRules

_CHUNK = 1 << 18


def pieces(
    file: BinaryIO,
    rules: BatchRules | None,
    answers: Iterable[tuple[bool, bytes]],
    control_id: str,
    at_ns: int,
) -> Iterator[bytes]:
    """The pieces of the answer; blocking. answers: `(positive, bytes)` of each message that was
    handed up, in their order; a file whose parts are wrong may hold more. at_ns: its time.

    A file without an envelope, and any where the channel's `batch.reply` is none, is answered
    by its ACKs.
    """
    enveloped = any(getattr(event, "header", None) is not None for event in _events(file))
    if rules is None or rules.reply == "none" or not enveloped:
        yield from (said for _, said in answers)
        return
    reply = Reply(control_id, at_ns, errors_only=rules.reply == "errors")
    told = iter(answers)
    for event in _events(file):
        if not isinstance(event, Member):
            yield reply.feed(event)
        elif (answer := next(told, None)) is not None and answer[1]:
            yield reply.answer(answer[1], positive=answer[0])


def _events(file: BinaryIO) -> Iterator[BatchEvent]:
    file.seek(0)
    return batch.events(wide.chunks_of(iter(lambda: file.read(_CHUNK), b""))[1])
