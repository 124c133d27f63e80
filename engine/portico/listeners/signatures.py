"""Signatures of requests that were taken, as long as they are good: each counts once."""

from portico.wire.http import Head

STAMP, SIGNATURE = "x-timestamp", "x-signature"
WINDOW = 300  # seconds that a signature is good for, before and after its timestamp
MOST = 500_000  # that are remembered, of about 100 bytes each; beyond them none is taken


class Signatures:
    """What was signed with which timestamp; the oldest second is forgotten as a whole."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._count = 0
        self._used: dict[int, set[bytes]] = {}

    def first(self, head: Head, now: int) -> bool:
        """Remember a good signature; False when it was used before, or there are too many.
        now: seconds since 1970 UTC.
        """
        stamp, signature = _of(head)
        used = self._used.get(stamp)
        if used is None:
            self._forget(now - WINDOW)
            used = self._used[stamp] = set()
        if signature in used or self._count >= self._most:
            return False
        used.add(signature)
        self._count += 1
        return True

    def free(self, head: Head) -> None:
        """What it signed was not stored: it may come again as it is."""
        stamp, signature = _of(head)
        used = self._used.get(stamp, set())
        if signature in used:
            used.discard(signature)
            self._count -= 1

    def _forget(self, before: int) -> None:
        for stamp in [one for one in self._used if one < before]:
            self._count -= len(self._used.pop(stamp))


def _of(head: Head) -> tuple[int, bytes]:
    return int(head.fields[STAMP]), bytes.fromhex(head.fields[SIGNATURE])
