"""The routes of /v1."""

import asyncio
import uuid
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query

from portico import __version__
from portico.api import (
    answers,
    calling,
    doctor,
    keeping,
    live,
    models,
    operating,
    parked,
    problems,
    replay,
    shapes,
)
from portico.api.port import EnginePort
from portico.api.wanted import Wanted
from portico.api.witness import Witness
from portico.ids import SignalId


def build(engine: EnginePort) -> FastAPI:
    """The application over a running engine."""
    app = FastAPI(
        title="Portico",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    app.add_middleware(Witness, tell=engine.tell)
    app.include_router(_engine_routes(engine))
    app.include_router(_signal_routes(engine))
    # Before the verbs of agents, which `signals` would be one of.
    app.include_router(calling.routes(lambda: engine.callers))
    app.include_router(operating.routes(engine))
    app.include_router(keeping.routes(engine))
    app.include_router(parked.routes(lambda: engine.messages))
    app.include_router(replay.routes(lambda: engine.messages))
    app.include_router(models.routes(lambda: engine.models, lambda signal: engine.show(signal)))
    app.include_router(live.routes(lambda: engine.sessions))
    return app


def _engine_routes(engine: EnginePort) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/status")
    async def status() -> shapes.Status:
        """What runs, and the books of every channel and destination."""
        return await engine.status()

    @router.get("/doctor")
    async def examine() -> shapes.Doctor:
        """The machine and the site as this engine sees them."""
        return await asyncio.to_thread(doctor.examine, engine.site, True)

    @router.post("/reload")
    async def reload() -> shapes.Reloaded:
        """Check the site whole and swap it in; or keep the old one, and the findings."""
        return await engine.reload()

    @router.post("/stop", status_code=202)
    async def stop() -> dict[str, str]:
        """Begin to drain."""
        engine.stop()
        return {"state": "draining"}

    return router


def _signal_routes(engine: EnginePort) -> APIRouter:
    router = APIRouter(prefix="/v1/signals")

    @router.get("")
    async def signals(wanted: Annotated[Wanted, Query()]) -> shapes.SignalPage:
        """Signals, newest first."""
        rows = await engine.search(wanted.query(), wanted.page())
        return answers.page(rows, wanted.page(), wanted.phi)

    @router.get("/{signal}")
    async def show(signal: uuid.UUID, phi: bool = False) -> shapes.SignalDetail:
        """One Signal whole."""
        record = await engine.show(SignalId(signal.bytes))
        if record is None:
            raise HTTPException(404, f"the journal has no Signal {signal}")
        return answers.detail(record, phi)

    return router
