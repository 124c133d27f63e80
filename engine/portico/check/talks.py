"""Conversations of a case: a scripted model, the engine's own tools, and stand-ins for others.

Whoever may be asked for an approval says yes. The journal that tools may search is empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from portico.check.case import StandIn
from portico.errors import ConfigError
from portico.llm.asking import Past, Pieces, Question, Talk
from portico.llm.contract import Completion, ModelFailed, ToolFailed, Use
from portico.llm.granted import Frozen
from portico.llm.tools.contract import ToolDesk
from portico.llm.tools.table import BUILTINS
from portico.policy import talking


@dataclass(slots=True)
class Talks:
    """Those of one session. answer: the model's, raises ModelFailed. tools: by `plugin.tool`.
    said: what was said before, since a turn is talked through again from its beginning."""

    answer: Callable[[Question], Completion]
    tools: Mapping[str, StandIn]
    said: dict[bytes, Completion] = field(default_factory=dict)

    async def outcome(self, talk: Talk, frozen: Frozen) -> bytes:
        """What the step is told. Raises ModelFailed, ConfigError: a tool needs a stand-in."""
        desk = talking.desk(talk, frozen, _Empty())
        rounds: list[Past] = []
        text = await self._turn(talk, frozen, desk, rounds)
        for _, wrong in talk.turns:
            rounds.append(Past(text, (), ((("", wrong),),)))
            text = await self._turn(talk, frozen, desk, rounds)
        given = [one for kind, one in talking.given(rounds) if kind]
        return msgspec.json.encode({"text": text, "given": given})

    async def _turn(
        self, talk: Talk, frozen: Frozen, desk: ToolDesk, rounds: list[Past]
    ) -> str:
        for _ in range(frozen.rounds):
            said = self._said(talking.exchange(talk, frozen, rounds))
            if not said.uses:
                return said.text
            told = [await self._told(frozen, desk, *each) for each in enumerate(said.uses)]
            rounds.append(Past(said.text, said.uses, tuple(told)))
        text = f"no answer after {frozen.rounds} exchanges (rounds)"
        raise ModelFailed("llm.rounds", text, False)

    def _said(self, wanted: Question) -> Completion:
        key = msgspec.json.encode(wanted, order="sorted")
        if key not in self.said:
            self.said[key] = self.answer(wanted)
        return self.said[key]

    async def _told(self, frozen: Frozen, desk: ToolDesk, index: int, use: Use) -> Pieces:
        if index >= talking.MOST_USES:
            return (("", f"at most {talking.MOST_USES} calls at once [tool.too_many]"),)
        try:
            tool, arguments = talking.allowed(frozen, use)
            if tool.builtin:
                return await BUILTINS[tool.call].run(desk, arguments)
        except ToolFailed as error:
            return (("", f"{error} [{error.code}]"),)
        stand_in = self.tools.get(tool.call)
        if stand_in is None:
            raise ConfigError(
                f"the model calls {tool.call}, which a case never does; "
                f"stand in for it: tools: {{{tool.call}: {{gives: ...}}}}"
            )
        if stand_in.fails is not None:
            return (("", f"{tool.call}: failed [plugin.failed]"),)
        return talking.pieces(tool, stand_in.gives)


class _Empty:
    """The journal of a case (llm.tools.contract.Journal)."""

    async def signals(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return []

    async def signal(self, name: str) -> dict[str, Any] | None:
        return None
