"""Which of the files that lie there are taken now, and in which order: decided from values."""

from collections.abc import Iterable
from dataclasses import dataclass

from portico.listeners.tray import FileSeen
from portico.spec.fetching import PollSource, Ready, pattern

MOST = 20_000  # files that are watched at a time; the rest comes when these are taken
# Names under which programs write what they then rename. Source: practice of rsync, WinSCP,
# FileZilla, lftp, curl scripts.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", "~")


def unfinished(name: str) -> bool:
    """Whether a name says that its file is not whole yet."""
    return name.lower().endswith(_UNFINISHED)


class Sieve:
    """The first files of a look in the source's order. Memory is bound by `most`."""

    def __init__(self, source: PollSource, most: int = MOST) -> None:
        self._matches = pattern(source.files).match
        self._suffix = source.ready.suffix
        self._by_time = source.sort == "time"
        self._most = most
        self._kept: list[FileSeen] = []
        self._markers: set[str] = set()

    def wanted(self, found: Iterable[FileSeen]) -> list[FileSeen]:
        """Those whose names the source wants. Markers are remembered on the way."""
        out = []
        for one in found:
            if self._suffix and one.name.endswith(self._suffix):
                self._markers.add(one.name)
            elif self._matches(one.name) and not unfinished(one.name):
                out.append(one)
        return out

    def keep(self, found: Iterable[FileSeen]) -> None:
        """These are candidates."""
        self._kept += found
        if not self._suffix and len(self._kept) >= 2 * self._most:
            self._cut()

    def chosen(self) -> list[FileSeen]:
        """In order, at most `most`; where a marker is wanted, those that have one."""
        if self._suffix:
            marked = self._markers
            self._kept = [one for one in self._kept if one.name + self._suffix in marked]
        self._cut()
        return self._kept

    def _cut(self) -> None:
        self._kept.sort(key=self._place)
        del self._kept[self._most :]

    def _place(self, one: FileSeen) -> tuple[int, str]:
        return (one.changed if self._by_time else 0), one.name


@dataclass(slots=True)
class _Seen:
    size: int
    changed: int
    since: float


class Watch:
    """How long files have been as they are (F1). Times are of a monotonic clock."""

    def __init__(self, ready: Ready) -> None:
        self._needed = ready.seconds if ready.way == "stable" else 0.0
        self._seen: dict[str, _Seen] = {}

    def settled(self, found: list[FileSeen], now: float) -> tuple[list[FileSeen], float | None]:
        """Those that are whole, and the seconds until the next may be; None: none is awaited.

        Files that are not among `found` are forgotten.
        """
        if not self._needed:
            return found, None
        before, self._seen = self._seen, {}
        ready, soonest = [], None
        for one in found:
            seen = before.get(one.name)
            if seen is None or (seen.size, seen.changed) != (one.size, one.changed):
                seen = _Seen(one.size, one.changed, now)
            self._seen[one.name] = seen
            left = seen.since + self._needed - now
            if left <= 0:
                ready.append(one)
            else:
                soonest = left if soonest is None else min(left, soonest)
        return ready, soonest
