"""The control socket: who may open it, and where it may lie."""

import asyncio
import stat
from contextlib import suppress

import httpx2

from portico.api import serve


async def ended(task):
    """The task, cancelled and gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def started(engine, path):
    """A serving task whose socket is there."""
    task = asyncio.create_task(serve.serve(engine, path))
    while not path.exists():
        await asyncio.sleep(0.005)
    return task


async def test_only_the_owner_may_open_the_socket(served):
    """It speaks for the engine, so it is 0600."""
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


async def test_a_data_folder_of_any_depth_will_do(served, tmp_path):
    """A Unix address ends at 107 bytes; a path may be longer."""
    deep = tmp_path.joinpath(*["a folder with a long name"] * 6)
    deep.mkdir(parents=True)
    path = serve.socket_path(deep)
    task = await started(served.engine, path)
    with serve.reachable(path) as name:
        transport = httpx2.AsyncHTTPTransport(uds=name)
        async with httpx2.AsyncClient(transport=transport) as client:
            answer = await client.get("http://portico/v1/status")
    await ended(task)

    assert len(str(path)) > 107
    assert answer.status_code == 200


async def test_what_a_killed_engine_left_is_replaced(served, tmp_path):
    """A socket file without a listener is no reason not to start."""
    folder = tmp_path / "again"
    folder.mkdir()
    path = serve.socket_path(folder)
    path.touch()
    task = asyncio.create_task(serve.serve(served.engine, path))
    while not path.is_socket():
        await asyncio.sleep(0.005)
    await ended(task)


async def test_the_socket_goes_with_the_engine(served, tmp_path):
    """A client then learns at once that nobody is there."""
    folder = tmp_path / "gone"
    folder.mkdir()
    path = serve.socket_path(folder)
    await ended(await started(served.engine, path))

    assert not path.exists()
