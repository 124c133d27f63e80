"""`sim`: answers without a model, in this process; the words of a script (llm/script.py)."""

import json

import msgspec

from portico.llm import script
from portico.llm.contract import (
    Completion,
    ModelFailed,
    Provider,
    ProviderType,
    Request,
    Round,
    Surroundings,
)
from portico.spec.models import Provider as Settings


class Sim:
    """What would leave is a JSON body of the request, so that it can be looked at."""

    def __init__(self, acts: script.Script, around: Surroundings) -> None:
        self._acts = acts
        self._around = around

    async def complete(self, request: Request) -> Completion:
        """The answer of the script. Raises ModelFailed, as it says."""
        sent = msgspec.json.encode(
            {
                "model": request.model,
                "system": request.system,
                "prompt": request.prompt,
                "schema": request.schema,
                "tools": [tool.name for tool in request.tools],
                "rounds": request.rounds,
            }
        )
        if request.leaving is not None:
            await request.leaving(sent)
        act = self._acts.act(
            request.prompt, request.schema, request.model, request.tools, request.rounds
        )
        if act.delay:
            await self._around.sleep(min(act.delay, request.timeout))
        if act.delay >= request.timeout:
            raise ModelFailed("llm.timeout", "no answer in time", True, sent)
        if act.status != 200:
            transient = act.status == 429 or act.status >= 500
            text = script.refused(act, request.prompt)
            raise ModelFailed(f"llm.http_{act.status}", text, transient, sent)
        if act.cut:
            raise ModelFailed("llm.cut", "the connection was lost", True, sent)
        text = act.text if act.text is not None else json.dumps(act.answer)
        text = "" if act.uses else text
        words = len(request.prompt.split()) + sum(map(_words, request.rounds))
        received = msgspec.json.encode(act.uses) if act.uses else text.encode()
        tokens = words, len(received.split())
        return Completion(text, sent, received, *tokens, act.uses)

    async def close(self) -> None:
        """Nothing is open."""


def _words(one: Round) -> int:
    said = (one.text, *(use.arguments for use in one.uses), *one.told)
    return sum(len(text.split()) for text in said)


def _build(settings: Settings, around: Surroundings) -> Provider:
    path = around.root / settings.address if settings.address else None
    return Sim(script.load(path), around)


SIM = ProviderType("sim", "No model: answers by a script", _build)
