"""The log destination: counts, sends nothing. For trials of a new interface."""

from typing import Any

from portico.destinations.contract import DestinationType, Done, Surroundings
from portico.model.delivery import Answered, Attempt, Delivery
from portico.spec.fields import Options


class LogTarget(Options):
    """No options of its own."""


class LogDestination:
    """Every Delivery is `counted`: a Destination."""

    def __init__(self, name: str, spec: Any, around: Surroundings) -> None:
        self.width = 64

    async def start(self) -> None:
        """Nothing to open."""

    def deliver(self, delivery: Delivery, done: Done) -> None:
        """Answer at once."""
        done(Attempt(Answered.ANSWERED, "counted"))

    def adopt(self, spec: object) -> bool:
        """There is nothing to change."""
        return isinstance(getattr(spec, "options", None), LogTarget)

    async def stop(self, grace: float) -> None:
        """Nothing is ever in flight."""


LOG = DestinationType(
    name="log",
    summary="counts and sends nothing, for trials",
    options=LogTarget,
    build=LogDestination,
)
