"""How a step asks the engine, and goes on with the reply (model/call.py)."""

from collections.abc import Sequence

from portico.errors import Permanent, StepTimeout, Transient
from portico.model.call import Call, Reply


class Suspended(BaseException):
    """Ends a run that asks for what it has no reply to; no Exception, so nothing mends it."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


class Asking:
    """The replies of one run, in the order of its calls; shared by the parts of a split.

    same: the version that runs is the one that asked for them. Another may ask something else,
    and goes on from there.
    """

    __slots__ = ("_asked", "_replies", "_same")

    def __init__(self, replies: Sequence[Reply], same: bool = True) -> None:
        self._replies = replies
        self._same = same
        self._asked = 0

    def ask(self, verb: str, step: str, request: bytes) -> bytes:
        """The outcome. Raises Suspended when there is no reply yet; a StepError for what
        went wrong, or when the same version asks something else than it did before."""
        self._asked += 1
        call = Call(verb, step, self._asked, request)
        if self._asked > len(self._replies):
            raise Suspended(call)
        reply = self._replies[self._asked - 1]
        if reply.digest != call.digest:
            if not self._same:
                raise Suspended(call)
            raise Permanent(
                "asked something else than when it was first run; "
                "the steps before it must do the same each time"
            )
        if reply.error:
            late = StepTimeout if reply.error.endswith(".timeout") else Permanent
            kind = Transient if reply.transient else late
            raise kind(f"{reply.text} [{reply.error}]")
        return reply.outcome
