"""What a message is to those before it with the same identity (PROTOCOLS A13).

Source: SITE reference, `channel`, `duplicates`.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from portico.model.states import SignalState

_POSITIVE = (SignalState.DONE, SignalState.FILTERED)
_UNTAKEN = (SignalState.REFUSED, SignalState.DISCARDED)


class Rules(Struct, frozen=True):
    """A channel's `duplicates`. window: seconds; same: `answer process`; changed: `process
    park refuse`.
    """

    window: float = 7 * 86_400.0
    same: str = "answer"
    changed: str = "process"


DEFAULT = Rules()


class Kinship(StrEnum):
    """What it is to those before it."""

    NEW = "new"  # to be run like any other
    SAME = "same"  # the same bytes: told again, not run again
    CHANGED = "changed"  # other bytes under the same identity


def kinship(rules: Rules, digest: bytes, earlier: Sequence[bytes]) -> Kinship:
    """digest: SHA-256 of this one; earlier: those of the accepted ones, newest first.

    Where changed ones are refused, only the oldest was accepted: having come before in a
    message that was refused makes it no repeat of one that was told `AA`.
    """
    accepted = earlier[-1:] if rules.changed == "refuse" else earlier
    if digest in accepted:
        return Kinship.SAME if rules.same == "answer" else Kinship.NEW
    return Kinship.CHANGED if earlier else Kinship.NEW


def resolve(
    rules: Rules, digest: bytes, earlier: Sequence[tuple[bytes, SignalState]]
) -> tuple[Kinship, int] | None:
    """The same where a sender is told how a message ended: what this one is, and which of the
    earlier ones it repeats; None while that is open.

    One that was refused counts as never sent. One that was parked was answered with an error:
    the same bytes run anew.
    """
    taken = [one for one in earlier if one[1] not in _UNTAKEN]
    found = kinship(rules, digest, [one for one, _ in taken])
    if found is not Kinship.SAME:
        return found, 0
    same = [(state, n) for n, (one, state) in enumerate(earlier) if one == digest]
    if told := [n for state, n in same if state in _POSITIVE]:
        return Kinship.SAME, told[-1]
    if not any(state is SignalState.PARKED for state, _ in same) or any(
        state is SignalState.WAITING for state, _ in same
    ):
        return None
    return kinship(rules, digest, [one for one, _ in taken if one != digest]), 0
