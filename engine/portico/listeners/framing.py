"""What a stream listener needs of its protocol: frames cut, and answers written."""

from typing import Protocol

from portico.errors import WireError
from portico.model.receipt import Receipt, Told


class Decoder(Protocol):
    """A byte machine of wire/: see wire/mllp.py for what the parts mean."""

    limit: int
    discarded: int
    fault: WireError | None

    def feed(self, data: bytes) -> list[bytes]:
        """Contents of the frames that these bytes complete."""
        ...

    def settle(self) -> list[bytes]:
        """The frame that may be taken as ended when nothing follows."""
        ...

    @property
    def unfinished(self) -> int:
        """Bytes of a begun frame."""
        ...

    @property
    def ends_bare(self) -> bool:
        """Whether settle() would take something."""
        ...


class Framing(Protocol):
    """How a protocol cuts its stream, and how it writes an answer. closing: what of the kinds
    of answer can only be told by the end of the connection, where there are no words for it.
    """

    closing: frozenset[Told]

    def decoder(self) -> Decoder:
        """A decoder for a new connection."""
        ...

    def answer(self, receipt: Receipt) -> bytes:
        """The bytes that tell the sender; empty for silence. Raises WireError."""
        ...

    def more(self, receipt: Receipt) -> bytes:
        """The bytes of a further answer to the same message. Raises WireError."""
        ...
