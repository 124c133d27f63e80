"""A Call: what a step asks the engine to do for it; the Reply: what came of it.

Workers have no sockets and no secrets, so an `llm` or `plugin` step asks. Its run ends there;
once the reply is journaled the Signal runs again from the first step, with every reply it has
had, and each step asks the same as before: nothing of a run that is half done is ever kept.
"""

from hashlib import blake2b

from msgspec import Struct

MEANWHILE = "review_meanwhile"  # a verb: its lane goes on before there is a reply


class Call(Struct, frozen=True, gc=False):
    """verb: `llm`, `plugin`. step: its name. number: from 1, counts what the run has asked.
    request: JSON, as the verb defines it.
    """

    verb: str
    step: str
    number: int
    request: bytes

    @property
    def digest(self) -> bytes:
        """16 bytes that are the same when the same step asks the same."""
        whole = b"\x00".join((self.verb.encode(), self.step.encode(), self.request))
        return blake2b(whole, digest_size=16).digest()


class Reply(Struct, frozen=True, gc=False, array_like=True):
    """What the engine answers. digest: the Call's. outcome: JSON, as the verb defines it.

    error: the code of what went wrong, empty when nothing did; text: one line without patient
    data; transient: asking again may work.
    """

    digest: bytes
    outcome: bytes = b""
    error: str = ""
    text: str = ""
    transient: bool = False
