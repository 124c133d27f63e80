"""The plugins of a running engine: loaded with the first site that has any."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from portico.check.site import Site
from portico.clock import Clock
from portico.events.emit import Emit
from portico.events.metrics import Metrics
from portico.flow.sessions.asking import Asked
from portico.journal.calls import Called
from portico.model.call import Reply
from portico.plugins.faults import PluginAway, PluginError

_PLUGINS = "portico.plugins.plugins"  # with it come the SDK and its libraries: half a second


class _Request(Struct, frozen=True):
    """What a `plugin` step asks (steps/plugin.py)."""

    call: str
    arguments: dict[str, Any]
    timeout: float


_decode = msgspec.json.Decoder(_Request).decode


class Plugging:
    """What the engine has of plugins. environ: its environment."""

    def __init__(
        self, root: Path, environ: Any, clock: Clock, emit: Emit, metrics: Metrics
    ) -> None:
        self._around = root, environ
        self._ways = {"clock": clock, "emit": emit, "metrics": metrics}
        self._clock = clock
        self._plugins: Any = None

    def follow(self, site: Site) -> None:
        """Have the processes that this site wants."""
        if site.plugins and self._plugins is None:
            self._plugins = importlib.import_module(_PLUGINS).Plugins(
                *self._around, **self._ways
            )
        if self._plugins is not None:
            known = {name: (one.plugin, one.tools) for name, one in site.plugins.items()}
            self._plugins.adopt(known)

    async def warm(self, limit: float) -> None:
        """Wait until the first processes answer, at most so many seconds."""
        if self._plugins is not None:
            await self._plugins.warm(limit)

    async def do(self, asked: Asked) -> Called:
        """A call of a step; what goes wrong with it is an answer too."""
        call, signal = asked.call, asked.run.signal.id
        request = _decode(call.request)
        began = self._clock.monotonic()
        sent = msgspec.json.encode(request.arguments, order="sorted")
        try:
            if self._plugins is None:
                raise PluginAway("this site has no plugins")
            given = await self._plugins.call(
                asked.agent,
                bytes(signal).hex(),
                request.call,
                request.arguments,
                request.timeout,
                lambda: asked.leaves(request.call, sent),
            )
            reply = Reply(call.digest, given)
        except PluginError as error:
            given = b""
            reply = Reply(call.digest, b"", error.code, str(error), error.transient)
        micros = int((self._clock.monotonic() - began) * 1e6)
        version = self.status().get(request.call.partition(".")[0], {}).get("version", "")
        detail = msgspec.json.encode({"version": version})
        return Called(reply, request.call, micros, detail, sent, given)

    async def stop(self, grace: float) -> None:
        """End all processes."""
        if self._plugins is not None:
            await self._plugins.stop(grace)

    def status(self) -> dict[str, dict[str, Any]]:
        """By plugin, as plugins.crew says."""
        return self._plugins.status() if self._plugins is not None else {}

    def live(self, signal: str) -> Iterator[Any]:
        """The calls of a Signal that run or wait now."""
        return self._plugins.live((signal,)) if self._plugins is not None else iter(())
