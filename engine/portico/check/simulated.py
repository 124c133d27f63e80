"""The models of a case: a step whose provider is `sim` asks it, and a person says yes.

No other model is ever asked: a case costs nothing and needs no network.
"""

from typing import Any

import msgspec

from portico.check.site import Site
from portico.llm import asking, script
from portico.llm.asking import Wanted
from portico.model.call import MEANWHILE, Call, Reply
from portico.spec.agent import Agent
from portico.spec.models import Chosen

_KEY = b"the same tokens in every case..."  # tokens of a case tell nobody anything


class Simulated:
    """The scripts of one session, from their beginning."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._scripts: dict[str, script.Script] = {}

    def reply(self, agent: Agent, call: Call) -> Reply | None:
        """What is answered; None where a case must stand in. Raises ConfigError."""
        if call.verb in ("review", MEANWHILE):
            answer = msgspec.json.decode(call.request)["answer"]
            return _told(call, {"verdict": "approved", "answer": answer})
        if call.verb != "llm":
            return None
        wanted = asking.decode(call.request)
        own = Chosen(*wanted.model) if wanted.model else None
        chosen = own or agent.model or Chosen.default(self._site.config.providers)
        provider = self._site.config.providers.get(chosen.provider)
        if provider is None or provider.type != "sim":
            return None
        if chosen.provider not in self._scripts:
            path = self._site.root / provider.address if provider.address else None
            self._scripts[chosen.provider] = script.load(path)
        acts = self._scripts[chosen.provider]
        model = chosen.model or provider.model
        return _answered(acts, call, wanted, model, provider.detect)


def _answered(
    acts: script.Script, call: Call, wanted: Wanted, model: str, detect: bool
) -> Reply:
    veil = asking.veil(wanted, lambda: _KEY, detect)
    request = asking.request(wanted, model, veil)
    act = acts.act(request.prompt, request.schema, model)
    if act.status != 200 or act.cut:
        text = script.refused(act, request.prompt)
        return Reply(call.digest, error=f"llm.http_{act.status}", text=text)
    text = act.text if act.text is not None else msgspec.json.encode(act.answer).decode()
    return Reply(call.digest, asking.outcome(veil.back(text) if veil else text))


def _told(call: Call, outcome: Any) -> Reply:
    return Reply(call.digest, msgspec.json.encode(outcome))
