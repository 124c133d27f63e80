"""The routes of an operator: pause, resume, drain, stop; open alarms and trials of sinks."""

from typing import Literal

from fastapi import APIRouter

from portico.api import shapes
from portico.api.port import EnginePort
from portico.api.who import Who

Verb = Literal["pause", "resume", "drain", "stop"]


def routes(engine: EnginePort) -> APIRouter:
    """Under /v1."""
    router = APIRouter(prefix="/v1")

    @router.post("/channels/{name}/{verb}")
    async def channel(name: str, verb: Verb, who: Who) -> shapes.Wished:
        """What is wanted of a channel, from now on and after a restart."""
        return await _wish(engine, "channel", name, verb, who)

    @router.post("/agents/{name}/{verb}")
    async def agent(name: str, verb: Literal["pause", "resume"], who: Who) -> shapes.Wished:
        """What is wanted of an agent, from now on and after a restart."""
        return await _wish(engine, "agent", name, verb, who)

    @router.post("/destinations/{name}/{verb}")
    async def destination(name: str, verb: Verb, who: Who) -> shapes.Wished:
        """What is wanted of a destination, from now on and after a restart."""
        return await _wish(engine, "destination", name, verb, who)

    @router.post("/schedules/{name}/fire")
    async def fire(name: str) -> dict[str, str]:
        """Fire a schedule now, beside its plan; answers once the Signal is stored."""
        await engine.fire(name)
        return {"channel": name, "state": "stored"}

    @router.get("/alarms")
    async def alarms() -> tuple[shapes.Alarm, ...]:
        """Alarms that are open."""
        return (await engine.status()).alarms

    @router.post("/alarms/{sink}/trial")
    async def trial(sink: str) -> dict[str, str]:
        """Send a trial to a sink; answers once it was taken."""
        await engine.try_sink(sink)
        return {"sink": sink, "state": "taken"}

    return router


async def _wish(
    engine: EnginePort, scope: str, name: str, verb: str, who: str
) -> shapes.Wished:
    stored = await engine.wish(scope, name, verb, who)
    return shapes.Wished.model_validate(stored, from_attributes=True)
