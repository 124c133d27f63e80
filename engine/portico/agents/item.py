"""The Item: one Signal as it is handed to a worker."""

from typing import Any

from msgspec import Struct

from portico.model.call import Reply

RESULT = "result"  # in the envelope: what the last step leaves is the answer to the sender


class Item(Struct, frozen=True, gc=False):
    """One Signal to run.

    signal: its id, 16 bytes. content: the journaled bytes. envelope: by the words of the
    language (`language/context.py`), as JSON carries them. order_key: the session's. attempt:
    from 1, counts runs of this agent on this Signal. replies: to what earlier runs have asked;
    asked: the version of the plan that did, empty for the one that runs now.
    """

    signal: bytes
    content: bytes
    envelope: dict[str, Any]
    order_key: str = ""
    attempt: int = 1
    replies: tuple[Reply, ...] = ()
    asked: str = ""

    @property
    def replied(self) -> int:
        """Bytes of all outcomes."""
        return sum([len(reply.outcome) for reply in self.replies]) if self.replies else 0
