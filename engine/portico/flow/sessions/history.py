"""History: what tools of models may know of other Signals: how far they came, never what they
held, nor whose they were."""

from collections.abc import Callable, Mapping
from typing import Any

from portico import ids
from portico.clock import Clock
from portico.errors import JournalError
from portico.journal.found import Page, Query, Record, Row
from portico.journal.search import Search
from portico.llm.contract import ToolFailed


class History:
    """Reads the journal (llm.tools.contract.Journal). search: once the journal is open."""

    def __init__(self, search: Callable[[], Search], clock: Clock) -> None:
        self._search = search
        self._clock = clock

    async def signals(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The newest that fit."""
        hours = asked.get("hours")
        since = self._clock.time_ns() - int(float(hours) * 3.6e12) if hours else None
        channel, kind, state = (str(asked.get(key, "")) for key in ("channel", "type", "state"))
        query = Query(channel, kind, since=since, state=state)
        page = Page(limit=int(asked.get("limit", 10)))
        try:
            found = await self._search().signals(query, page)
        except JournalError as error:
            raise ToolFailed("tool.failed", f"the journal was not read: {error.code}") from None
        return [_row(one) for one in found]

    async def signal(self, name: str) -> dict[str, Any] | None:
        """What became of one; None when there is none."""
        try:
            found = await self._search().signal(ids.parse(name))
        except ValueError:
            return None
        except JournalError as error:
            raise ToolFailed("tool.failed", f"the journal was not read: {error.code}") from None
        return _record(found) if found else None


def _row(one: Row) -> dict[str, Any]:
    return {
        "id": ids.text(one.id),
        "channel": one.origin,
        "type": one.type,
        "received": one.received.isoformat(timespec="seconds"),
        "state": one.state,
        "ended": one.ended.partition(":")[0],
        "size": one.size,
    }


def _record(found: Record) -> dict[str, Any]:
    return {
        **_row(found.row),
        "sessions": [
            {"agent": s.agent, "verdict": s.verdict, "step": s.step, "error": s.error}
            for s in found.sessions
        ],
        "deliveries": [
            {
                "destination": d.destination,
                "state": d.state,
                "attempts": [{"outcome": a.outcome, "code": a.code} for a in d.attempts[-5:]],
            }
            for d in found.deliveries
        ],
        "parked": [
            {"agent": p.agent, "step": p.step, "at": p.at, "code": p.code, "place": p.location}
            for p in found.parked
        ],
    }
