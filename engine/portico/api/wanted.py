"""The parameters of a search, as a request spells them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from portico.ids import SignalId
from portico.journal import found
from portico.model.states import SignalState

MOST = 1000  # Signals of one page
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL, which the journal cannot")
    return text


Words = Annotated[str, AfterValidator(_storable)]


class Asked(BaseModel):
    """What a request says. A key that is not known is a mistake of the caller's."""

    model_config = ConfigDict(extra="forbid")


class Filter(Asked):
    """Which Signals; times with their zone. What is not said asks for nothing."""

    channel: Words = ""
    type: Words = ""
    control_id: Words = ""
    patient: Words = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    state: SignalState | None = None

    def query(self) -> found.Query:
        """What to look for."""
        return found.Query(
            self.channel,
            self.type,
            self.control_id,
            self.patient,
            nanoseconds(self.since),
            nanoseconds(self.until),
            self.state or "",
        )


class Wanted(Filter):
    """The parameters of a search. before: `next` of the page before."""

    before: uuid.UUID | None = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50
    phi: bool = False

    def page(self) -> found.Page:
        """Which part of it."""
        before = SignalId(self.before.bytes) if self.before else None
        return found.Page(before, self.limit)


def nanoseconds(at: datetime | None) -> int | None:
    """Since 1970 UTC, exactly: a float of that size is some hundred too few or too many."""
    return None if at is None else (at - _EPOCH) // timedelta(microseconds=1) * 1000
