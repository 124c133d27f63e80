"""The models of a case: a step whose provider is `sim` asks it, and a person says yes.

No other model is ever asked: a case costs nothing and needs no network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from portico.check.case import StandIn
from portico.check.site import Site
from portico.check.talks import Talks
from portico.llm import asking, script
from portico.llm.asking import Question
from portico.llm.contract import Completion, ModelFailed, Use
from portico.llm.granted import Frozen
from portico.model.call import MEANWHILE, Call, Reply
from portico.spec.agent import Agent
from portico.spec.models import Chosen

_KEY = b"the same tokens in every case..."  # tokens of a case tell nobody anything


@dataclass(frozen=True, slots=True)
class _Model:
    """Who answers. detect: as its provider says."""

    acts: script.Script
    name: str
    detect: bool


class Simulated:
    """The scripts of one session, from their beginning. tools: the case's stand-ins."""

    def __init__(self, site: Site, tools: Mapping[str, StandIn]) -> None:
        self._site = site
        self._tools = tools
        self._scripts: dict[str, script.Script] = {}
        self._talks: dict[str, Talks] = {}

    async def reply(self, agent: Agent, call: Call) -> Reply | None:
        """What is answered; None where a case must stand in. Raises ConfigError."""
        if call.verb in ("review", MEANWHILE):
            answer = msgspec.json.decode(call.request)["answer"]
            return _told(call, {"verdict": "approved", "answer": answer})
        if call.verb not in ("llm", "converse"):
            return None
        wanted = asking.decode_talk(call.request)
        model = self._model(agent, wanted)
        if model is None:
            return None
        try:
            if call.verb == "llm":
                return Reply(call.digest, asking.outcome(_answer(model, wanted).text))
            made = Talks(partial(_answer, model), self._tools)
            talks = self._talks.setdefault(call.step, made)
            frozen = agent.granted.get(call.step, Frozen())
            return Reply(call.digest, await talks.outcome(wanted, frozen))
        except ModelFailed as error:
            return Reply(call.digest, error=error.code, text=str(error))

    def _model(self, agent: Agent, wanted: Question) -> _Model | None:
        own = Chosen(*wanted.model) if wanted.model else None
        chosen = own or agent.model or Chosen.default(self._site.config.providers)
        provider = self._site.config.providers.get(chosen.provider)
        if provider is None or provider.type != "sim":
            return None
        if chosen.provider not in self._scripts:
            path = self._site.root / provider.address if provider.address else None
            self._scripts[chosen.provider] = script.load(path)
        acts = self._scripts[chosen.provider]
        return _Model(acts, chosen.model or provider.model, provider.detect)


def _answer(model: _Model, wanted: Question) -> Completion:
    """One exchange, put back. Raises ModelFailed."""
    veil = asking.veil(wanted, lambda: _KEY, model.detect)
    request = asking.request(wanted, model.name, veil)
    said = request.prompt, request.schema, model.name, request.tools, request.rounds
    act = model.acts.act(*said)
    if act.status != 200 or act.cut:
        text = script.refused(act, request.prompt)
        raise ModelFailed(f"llm.http_{act.status}", text, False)
    text = act.text if act.text is not None else msgspec.json.encode(act.answer).decode()
    if veil is None:
        return Completion(text, b"", b"", uses=act.uses)
    uses = tuple(Use(u.id, u.name, asking.back(veil, u.arguments)) for u in act.uses)
    return Completion(asking.back(veil, text), b"", b"", uses=uses)


def _told(call: Call, outcome: Any) -> Reply:
    return Reply(call.digest, msgspec.json.encode(outcome))
