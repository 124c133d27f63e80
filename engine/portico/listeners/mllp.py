"""The MLLP listener: `source: {type: mllp, listen: HOST:PORT}`.

Release 2 writes a commit block before the HL7 answer, which is content of its own (R1, R3);
the commit blocks that a peer sends for our answers are read and dropped.
Source: HL7 Transport Specification: MLLP, Releases 1 and 2.
"""

from typing import Any, Literal

from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.framing import Decoder, Framing
from portico.listeners.stream import StreamListener, StreamSource
from portico.model.receipt import Receipt, Told
from portico.wire import mllp
from portico.wire.mllp import MllpDecoder


class MllpSource(StreamSource):
    """Options of an MLLP source; see wire/mllp.py for what strict and lenient accept."""

    release: Literal["1", "2"] = "1"
    framing: Literal["strict", "lenient"] = "lenient"


class Release1:
    """Content in, answers out."""

    closing: frozenset[Told] = frozenset()

    def __init__(self, source: MllpSource) -> None:
        self._limit = source.limit
        self._strict = source.framing == "strict"

    def decoder(self) -> Decoder:
        """A decoder with the source's limit and framing."""
        return MllpDecoder(self._limit, self._strict)

    def answer(self, receipt: Receipt) -> bytes:
        """Each reply as a frame. Raises FrameBroken when a reply holds the end mark."""
        return b"".join([mllp.encode(reply) for reply in receipt.replies])

    def more(self, receipt: Receipt) -> bytes:
        """The same: an answer of the second phase is a frame like any other (R3)."""
        return b"".join([mllp.encode(reply) for reply in receipt.replies])


class _Release2Decoder(MllpDecoder):
    """Drops the commit blocks for our own answers."""

    def feed(self, data: bytes) -> list[bytes]:
        return _messages(super().feed(data))

    def settle(self) -> list[bytes]:
        return _messages(super().settle())


def _messages(contents: list[bytes]) -> list[bytes]:
    return [one for one in contents if one not in (mllp.STORED, mllp.NOT_STORED)]


class Release2(Release1):
    """A commit block first: NAK where nothing was stored, which a silent close says."""

    def decoder(self) -> Decoder:
        """The same without commit blocks."""
        return _Release2Decoder(self._limit, self._strict)

    def answer(self, receipt: Receipt) -> bytes:
        """The commit block, then each reply. Raises FrameBroken."""
        stored = receipt.told is not Told.SILENT or not receipt.close
        commit = mllp.encode(mllp.STORED if stored else mllp.NOT_STORED)
        return commit + super().answer(receipt)


def _framing(source: MllpSource) -> Framing:
    return Release2(source) if source.release == "2" else Release1(source)


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> StreamListener:
    return StreamListener(channel, source, _framing, receive, around)


MLLP = ListenerType(
    name="mllp",
    summary="HL7 messages over MLLP, releases 1 and 2; they connect, or we do",
    options=MllpSource,
    build=_build,
)
