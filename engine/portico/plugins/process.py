"""One process of a plugin: started, spoken to by the official SDK, ended with its group.

The SDK speaks over two streams in memory; what goes between them and the pipes is ours: lines
of bounded length that the guard has let pass. Its standard error is not read: it may hold
patients. One call at a time.
"""

import asyncio
import math
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from portico import __version__
from portico.plugins.faults import (
    PluginAway,
    PluginDied,
    PluginError,
    PluginFailed,
    PluginNonsense,
    PluginTimeout,
)
from portico.plugins.guard import Guard, Heard
from portico.plugins.launch import Launch
from portico.wire.lines import LineDecoder
from portico.workers import limits, manner

_READY_SECONDS = 30.0
_PONG_SECONDS = 2.0  # after a call that was given up
_EXIT_SECONDS = 1.0
_OVERHEAD = 64 << 10  # of a line, beside the answer that it holds

Progress = Callable[[float, float | None], None]


class Process:
    """A plugin's server. answer: bytes of one result, at most.

    gone: done once the process is; its result says how it ended, in our words. fault: why we
    ended it.
    """

    def __init__(self, answer: int, errors: Any = asyncio.subprocess.DEVNULL) -> None:
        self.pid = 0
        self.runs = 0
        self.fault: PluginError | None = None
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._errors = errors
        self._decoder = LineDecoder(answer + _OVERHEAD)
        self._guard = Guard(answer + _OVERHEAD)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._session: ClientSession | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._heard, self._hears = anyio.create_memory_object_stream[
            SessionMessage | Exception
        ](math.inf)

    @property
    def scratch(self) -> str:
        """The folder that it may write to, made when first asked for; it goes with the
        process. Raises OSError."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(
                prefix="portico-plugin-", ignore_cleanup_errors=True
            )
        return self._scratch.name

    async def start(self, launch: Launch) -> None:
        """Start it and shake hands. Raises PluginError; the process is then ended."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[ClientSession] = loop.create_future()
        try:
            self._transport, _ = await loop.subprocess_exec(
                lambda: _Pipes(self),
                *(sys.executable, "-P", "-m", "portico.plugins.launch"),
                msgspec.json.encode(launch).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._errors,
                env=limits.environment(os.environ),
                start_new_session=True,
            )
            self.pid = self._transport.get_pid()
            if self.gone.done():  # it was ended while it was being started
                _kill(self.pid)
                raise self.fault or PluginAway("it is not wanted any more")
            self._keeper = loop.create_task(self._keep(ready))
            async with asyncio.timeout(_READY_SECONDS):
                self._session = await ready
        except (TimeoutError, OSError, PluginError) as error:
            self.end(error if isinstance(error, PluginError) else PluginAway("no handshake"))
            raise self.fault or PluginAway("it does not start") from error
        except asyncio.CancelledError:
            self.end(PluginAway("it is not wanted any more"))
            raise

    async def tools(self) -> dict[str, tuple[Any, Any]]:
        """Name to input and output schema, as the server says. Raises PluginError."""
        assert self._session is not None
        listed = await self._asked(self._session.list_tools())
        return {tool.name: (tool.input_schema, tool.output_schema) for tool in listed.tools}

    async def call(
        self, tool: str, arguments: dict[str, Any], limit: float, heard: Progress
    ) -> CallToolResult:
        """What the tool gives; isError too. After the time limit and where the caller is
        cancelled the SDK tells the server that nobody waits any more. Raises PluginTimeout,
        PluginDied, PluginNonsense and PluginFailed."""
        assert self._session is not None
        self.runs += 1

        async def told(
            progress: float, total: float | None = None, message: str | None = None
        ) -> None:
            heard(progress, total)  # the message may name a patient

        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        given: CallToolResult = await self._asked(
            self._session.send_request(
                request,
                CallToolResult,
                request_read_timeout_seconds=limit,
                progress_callback=told,
            )
        )
        return given

    async def answers(self) -> bool:
        """Whether it hears, soon enough; one that does not is ended."""
        assert self._session is not None
        try:
            async with asyncio.timeout(_PONG_SECONDS):
                await self._asked(self._session.send_ping())
        except (TimeoutError, PluginError):
            self.end(PluginTimeout("deaf after a call that was given up"))
        return self.fault is None and not self.gone.done()

    def end(self, fault: PluginError | None = None) -> None:
        """Kill it with its group. The first fault counts; none: it is not needed any more."""
        self.fault = self.fault or fault
        if self._transport is not None and not self.gone.done():
            _kill(self.pid)
        elif self._transport is None and not self.gone.done():
            self.gone.set_result("not started")
            self._clean()

    async def leave(self) -> None:
        """Let it end by itself, as its standard input does; then by force."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._transport is not None and (pipe := self._transport.get_pipe_transport(0)):
            pipe.close()
        await asyncio.wait([self.gone], timeout=_EXIT_SECONDS)
        self.end()
        await asyncio.wait([self.gone], timeout=_EXIT_SECONDS)

    def heard(self, data: bytes) -> None:
        """Bytes of its standard output."""
        if self.fault is not None:
            return
        try:
            for line in self._decoder.feed(data):
                if kind := self._guard.passes(line):
                    self._heard.send_nowait(SessionMessage(_read(kind, line)))
            if self._decoder.fault is not None:
                raise PluginNonsense("a line that is too long")
        except PluginError as error:
            self.end(error)
        except ValidationError:
            self.end(PluginNonsense("a line that is not of the protocol"))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session has ended, and the process is about to

    def exited(self) -> None:
        """The process is reaped."""
        assert self._transport is not None
        code = self._transport.get_returncode() or 0
        how = manner.told(code)
        _kill(self.pid)  # what it may have left in its group
        self._heard.close()
        self._transport.close()
        if self._keeper is not None:
            self._keeper.cancel()
        self._clean()
        if not self.gone.done():
            self.gone.set_result(how)

    def _clean(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    async def _keep(self, ready: asyncio.Future[ClientSession]) -> None:
        """Hold the SDK's session open in one task, as it wants; the fence of the SDK."""
        write, written = anyio.create_memory_object_stream[SessionMessage](0)
        who = Implementation(name="portico", version=__version__)
        writer = asyncio.get_running_loop().create_task(self._write(written))
        try:
            async with ClientSession(self._hears, write, client_info=who) as session:
                await session.initialize()
                if not ready.done():
                    ready.set_result(session)
                await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001  the fence of one session: it ends, not we
            if not ready.done():
                ready.set_exception(self.fault or PluginAway(f"no handshake: {_said(error)}"))
            self.end(PluginNonsense("its session broke"))
        finally:
            writer.cancel()
            if not ready.done():
                ready.set_exception(self.fault or PluginAway("it ended before it was ready"))

    async def _write(self, written: MemoryObjectReceiveStream[SessionMessage]) -> None:
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        async for item in written:
            message = item.message
            if isinstance(message, JSONRPCRequest):
                self._guard.asked(message.id)
            elif isinstance(message, JSONRPCNotification):
                self._note(message)
            line = message.model_dump_json(by_alias=True, exclude_unset=True)
            pipe.write(f"{line}\n".encode())  # type: ignore[union-attr]  # stdin is a pipe

    def _note(self, message: JSONRPCNotification) -> None:
        if message.method == "notifications/cancelled":
            number = (message.params or {}).get("requestId")
            if isinstance(number, int | str):
                self._guard.given_up(number)

    async def _asked(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except MCPError as error:
            code = error.error.code
            if code == REQUEST_TIMEOUT:
                raise PluginTimeout("passed its time limit") from None
            if code == CONNECTION_CLOSED:
                raise self.fault or PluginDied("its process ended") from None
            raise PluginFailed(f"the server answers with error {code}") from None
        except ValidationError:
            self.end(PluginNonsense("an answer that is not of the protocol"))
            raise PluginNonsense("an answer that is not of the protocol") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self.fault or PluginDied("its process ended") from None


class _Pipes(asyncio.SubprocessProtocol):
    """What asyncio tells of the process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Standard output."""
        self._process.heard(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It closed a pipe: without both there is nothing to say any more."""
        self._process.end()

    def process_exited(self) -> None:
        """It is gone."""
        self._process.exited()


def _read(kind: Heard, line: bytes) -> JSONRPCMessage:
    """The SDK's message. Of a result, which may be of several MiB, one shape is tried: with all
    of them it takes four times as long."""
    if kind == "result":
        return JSONRPCResponse.model_validate_json(line, by_name=False)
    return jsonrpc_message_adapter.validate_json(line, by_name=False)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _said(error: BaseException) -> str:
    """Our own errors in full; of others the type: their text may quote the server."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, PluginError) else type(error).__name__
