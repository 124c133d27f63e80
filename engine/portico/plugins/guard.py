"""What a plugin's server may say: each line is looked at before the SDK sees it.

Answers are for what was asked and has no answer yet; what is said besides (progress, logs,
requests of its own) is bounded between two answers. Whatever else a line holds ends it.
Source: JSON-RPC 2.0, sections 4 and 5.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from portico.plugins.faults import PluginNonsense

Heard = Literal["word", "result", "error"]

MOST_WORDS = 10_000  # that are no answers, between two answers
MOST_GIVEN_UP = 1_000


class _Said(Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | None = None
    method: str | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Said).decode


class Guard:
    """limit: bytes that may be said between two answers, beside them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[int | str] = set()
        self._given_up: dict[int | str, None] = {}
        self._words = self._bytes = 0

    def asked(self, number: int | str) -> None:
        """An answer to this may come, once."""
        self._open.add(number)

    def given_up(self, number: int | str) -> None:
        """Its answer is not wanted any more; it may come late."""
        self._open.discard(number)
        self._given_up[number] = None
        if len(self._given_up) > MOST_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def passes(self, line: bytes) -> Heard | None:
        """What the line is; None when it is not to be heard. Raises PluginNonsense, without
        its words."""
        try:
            said = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PluginNonsense("a line that is not of the protocol") from error
        if said.method is not UNSET:
            self._count(len(line))
            return "word"
        if (said.result is UNSET) == (said.error is UNSET):
            raise PluginNonsense("a line that is neither request nor answer")
        kind: Heard = "result" if said.error is UNSET else "error"
        return kind if self._answers(said.id) else None

    def _answers(self, number: int | str | None) -> bool:
        if number in self._open and number is not None:
            self._open.remove(number)
            self._words = self._bytes = 0
            return True
        if number in self._given_up and number is not None:
            del self._given_up[number]
            return False
        raise PluginNonsense("an answer to what was not asked")

    def _count(self, size: int) -> None:
        self._words += 1
        self._bytes += size
        if self._words > MOST_WORDS or self._bytes > self._limit:
            raise PluginNonsense("a flood of words that are no answers")
