"""The metrics port: `GET /metrics` in Prometheus text, on a loopback address of its own."""

import asyncio
import importlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from portico.events.metrics import CONTENT_TYPE, Metrics

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def serve(metrics: Metrics, listening: socket.socket) -> None:
    """Serve until cancelled. The web parts are loaded in a thread: no start waits for them."""

    async def application(scope: dict[str, Any], receive: Any, send: Send) -> None:
        known = scope["type"] == "http" and scope["path"] == "/metrics"
        status, body = (200, metrics.exposition()) if known else (404, b"see /metrics\n")
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    http = await asyncio.to_thread(importlib.import_module, "portico.api.http")
    try:
        await http.run_application(application, listening, 1)
    finally:
        listening.close()
