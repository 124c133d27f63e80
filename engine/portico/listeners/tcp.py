"""The TCP source: `source: {type: tcp, listen|address: HOST:PORT, frame: {...}}`.

HL7 content is answered by its ACK, as the channel's `acknowledge` says; other content by
`reply` (or `acknowledge.text`), or not at all. There is no word for "no" in such a protocol:
where an answer cannot be given the connection is closed, so that the sender repeats. Only a
refusal on a channel that answers nothing leaves it open: nobody waits.
"""

from typing import Any, Self

from pydantic import model_validator

from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.framing import Decoder
from portico.listeners.stream import StreamListener, StreamSource
from portico.model.receipt import Receipt, Told
from portico.spec.fields import wrong
from portico.spec.framing import Frame
from portico.spec.rules import TemplateField


class TcpSource(StreamSource):
    """Options of a TCP source. reply: the whole positive answer."""

    frame: Frame
    reply: TemplateField | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.frame.fixed is not None and self.frame.fixed > self.limit:
            text = f"a frame of {self.frame.fixed} bytes is larger than 'limit'"
            raise wrong("config.value", text, "raise 'limit'")
        return self


class TcpFraming:
    """Content in, replies out, by one wire framing."""

    def __init__(self, source: TcpSource) -> None:
        self._framing = source.frame.framing
        self._limit = source.limit
        answers = source.reply is not None
        self.closing = frozenset((Told.FAILED, Told.REFUSED) if answers else (Told.FAILED,))

    def decoder(self) -> Decoder:
        """A decoder with the source's limit."""
        return self._framing.decoder(self._limit)

    def answer(self, receipt: Receipt) -> bytes:
        """Each reply as a frame. Raises FrameBroken for one that cannot be carried."""
        return b"".join([self._framing.encode(reply) for reply in receipt.replies])

    def more(self, receipt: Receipt) -> bytes:
        """The same."""
        return self.answer(receipt)


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> StreamListener:
    return StreamListener(channel, source, TcpFraming, receive, around)


TCP = ListenerType(
    name="tcp",
    summary="frames over TCP: a length, marks, a fixed length or a connection each",
    options=TcpSource,
    build=_build,
)
