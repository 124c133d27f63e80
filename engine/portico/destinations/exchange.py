"""One MLLP message and its answer: what each frame that comes back means.

Source: HL7 v2.5.1 chapter 2.9 (original and enhanced acknowledgement); MLLP Release 2
(commit blocks). PROTOCOLS A11, M5, R2.
"""

from dataclasses import dataclass

from portico.destinations.contract import Done
from portico.errors import MessageError
from portico.hl7 import ack, header
from portico.model.delivery import Answered, Attempt
from portico.wire import mllp


@dataclass(frozen=True, slots=True)
class Terms:
    """How this peer answers. want: `any`, `application` or `none`; commits: release 2;
    elsewhere: the application's answer comes on another connection.
    """

    want: str
    commits: bool
    elsewhere: bool = False

    @property
    def silent(self) -> bool:
        """The peer says nothing at all on its line: written is all that can be known."""
        return self.want == "none" and not self.commits


class Exchange:
    """A Delivery on its way.

    control_id: MSH-10 of what is sent, None when it is not HL7: then any answer is its own.
    began, deadline: seconds of the reactor. passed: the line has nothing more to say of it.
    receiver: MSH-5 and MSH-6, read where the answer comes on another connection.
    """

    __slots__ = (
        "_terms",
        "began",
        "control_id",
        "deadline",
        "done",
        "frame",
        "passed",
        "receiver",
    )

    def __init__(self, content: bytes, terms: Terms, done: Done, began: float) -> None:
        """Raises FrameBroken when the content cannot be framed."""
        self.frame = mllp.encode(content)
        self.control_id = header.control_id(content)
        self.done = done
        self.began = began
        self.deadline = began
        self.passed = False
        self.receiver = (b"", b"")
        if terms.elsewhere and self.control_id is not None:
            head = header.read(content)
            self.receiver = (head.receiving_application, head.receiving_facility)
        self._terms = terms

    def heard(self, content: bytes, now: float) -> Attempt | None:
        """What this frame makes of the attempt; None: wait on."""
        micros = int((now - self.began) * 1e6)
        if self._terms.commits and content in (mllp.STORED, mllp.NOT_STORED):
            return self._committed(content, micros)
        try:
            answer = ack.read(content)
        except MessageError:
            return Attempt(Answered.UNCLEAR, "garbled", content, micros, "not an HL7 answer")
        if self.control_id is not None and answer.control_id != self.control_id:
            text = "the answer names another message"
            return Attempt(Answered.UNCLEAR, "wrong_id", content, micros, text)
        if answer.code == "CA" and self._terms.elsewhere:
            self.passed = True
            return None
        if answer.code == "CA" and self._terms.want == "application":
            return None
        return Attempt(Answered.ANSWERED, answer.code, content, micros)

    def failed(self, answered: Answered, code: str, detail: str, now: float) -> Attempt:
        """The attempt that ended without an answer."""
        return Attempt(answered, code, b"", int((now - self.began) * 1e6), detail)

    def credited(self, code: str, content: bytes, now: float) -> Attempt:
        """The attempt whose answer came on another connection."""
        micros = int((now - self.began) * 1e6)
        return Attempt(Answered.ANSWERED, code, content, micros)

    def written(self, now: float) -> Attempt:
        """The attempt whose peer is not asked for more."""
        return Attempt(Answered.ANSWERED, "written", micros=int((now - self.began) * 1e6))

    def _committed(self, content: bytes, micros: int) -> Attempt | None:
        if content == mllp.NOT_STORED:
            return Attempt(Answered.UNCLEAR, "nak", content, micros, "the peer could not store")
        if self._terms.want == "none" and self._terms.elsewhere:
            self.passed = True
        elif self._terms.want == "none":
            return Attempt(Answered.ANSWERED, "written", content, micros)
        return None
