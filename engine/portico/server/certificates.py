"""When the certificates of this site end, as those who hold them say.

A room that holds certificates registers what it knows once: `certificates.register(read)`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

# (name of the TLS setting or the part that uses it, nanoseconds since 1970 UTC).
Expiry = tuple[str, int]


@dataclass(slots=True)
class Certificates:
    """All who know of certificates; read at every look, so a renewed one is seen."""

    _reads: list[Callable[[], Iterable[Expiry]]] = field(default_factory=list)

    def register(self, read: Callable[[], Iterable[Expiry]]) -> None:
        """Ask this one too, from now on."""
        self._reads.append(read)

    def expiries(self) -> Iterator[Expiry]:
        """Every certificate that somebody knows of."""
        for read in self._reads:
            yield from read()
