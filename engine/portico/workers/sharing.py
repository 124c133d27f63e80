"""Sharing: whose worker makes room for an agent that waits with less than its part."""

from collections.abc import Iterable

from portico.workers.staff import Staff, rested

_SPARE_SECONDS = 1.0  # of idling after which another agent may have a worker's place


def giver(poor: Staff, staffs: Iterable[Staff], now: float) -> Staff | None:
    """Who gives it one of those beyond the fewest: one that idles, else of who has the most
    for its weight; none where that would only turn who is poor. now: monotonic."""
    able = [staff for staff in staffs if staff is not poor and staff.extras()]
    idle = next((staff for staff in able if _idles(staff, now)), None)
    richest = max(able, key=_part, default=None)
    if idle is not None or richest is None:
        return idle
    return richest if _part(richest) > _part(poor, 1) else None


def _part(staff: Staff, more: int = 0) -> float:
    """Its workers, and so many more, for its weight."""
    return (len(staff.active()) + more) / staff.terms.weight


def _idles(staff: Staff, now: float) -> bool:
    return any(
        worker.life.version and not worker.sent and now - rested(worker) > _SPARE_SECONDS
        for worker in staff.active()
    )
