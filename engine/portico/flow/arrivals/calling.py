"""Calling: a Signal that a person or a program makes for one agent, and may wait for.

It is journaled like any other. Its origin names who made it; the agent is chosen by name, not
by its `on:`, and stands in `about`, so that it is the same after a restart. It has no order
key and repeats nothing.
"""

import asyncio
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from portico.agents.item import RESULT
from portico.errors import JournalError, RequestError
from portico.flow.arrivals.recalling import AGENT, Recaller
from portico.flow.runs import Ending, Run
from portico.journal.contract import Earlier
from portico.language.content import encode_json
from portico.model.signal import Signal, SignalKind
from portico.model.verdict import Output

CALLER = "caller:"  # of an origin, before the name


class Called:
    """A Signal on its way into the journal, and whoever waits for it (journal Pending, Run
    waiter). kept: done once it is stored; answer: once its agent has concluded it. waited: set
    before it is stored, where somebody does. Raises RequestError for what cannot be read.
    """

    def __init__(
        self, recaller: Recaller, agent: str, content: bytes, who: str, kind: SignalKind
    ) -> None:
        loop = asyncio.get_running_loop()
        self.kept: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[Ending] = loop.create_future()
        self.known: tuple[Earlier, ...] = ()
        self.waited = False
        self._recaller = recaller
        drafted = Signal(
            recaller.ids.next(),
            f"{CALLER}{who}",
            recaller.clock.time_ns(),
            content,
            sha256(content).digest(),
            peer=who,
            ended="" if kind == "run" else kind,
            about=encode_json({AGENT: agent}),
        )
        routed, self.envelope, self.agents = recaller.read(drafted, None)
        if routed.fault is not None and kind == "run":
            raise RequestError(f"the content cannot be taken: {routed.fault.code}")
        self.signal = replace(
            drafted,
            type=routed.type,
            control_id=routed.control_id,
            sender=routed.sender,
            patient=routed.patient,
            flags=routed.flags,
        )

    @property
    def open(self) -> bool:
        """Somebody waits for the end."""
        return self.waited and not self.answer.done()

    def stored(self, seq: int, earlier: tuple[Earlier, ...]) -> None:
        """It is durable: run it."""
        if not self.kept.done():
            self.kept.set_result(None)
        if not self.signal.ended:
            envelope: dict[str, Any] = self.envelope
            if self.waited:
                envelope = {**envelope, RESULT: True}
            waiter = self if self.waited else None
            run = Run(self.signal, seq, set(self.agents), envelope, waiter)
            self._recaller.dispatch.offer(run)

    def failed(self, error: JournalError) -> None:
        """It is not known to be stored."""
        if not self.kept.done():
            self.kept.set_exception(error)

    def begun(self, run: Run) -> None:
        """It runs."""

    def closing(self, run: Run, owed: int) -> tuple[tuple[Output, ...], bool]:
        """Nothing is owed beside its Deliveries."""
        return (), True

    def ended(self, ending: Ending) -> None:
        """Its agent has concluded, and that is journaled."""
        if not self.answer.done():
            self.answer.set_result(ending)

    def settled(self, outcome: str, destination: str = "", content: bytes = b"") -> None:
        """What becomes of its Deliveries is not waited for."""
