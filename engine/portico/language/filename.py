"""Names of files that must differ: the same name with a number before its ending."""

from collections.abc import Iterator

_MOST = 100_000


def numbered(name: str, number: int) -> str:
    """`a-2.hl7` for `a.hl7`; `.a-2` for `.a`, which has no ending."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-{number}.{suffix}" if dot and stem else f"{name}-{number}"


def candidates(name: str) -> Iterator[str]:
    """`a.hl7`, `a-1.hl7`, `a-2.hl7`: what to try in turn where names are taken."""
    yield name
    for number in range(1, _MOST):
        yield numbered(name, number)
