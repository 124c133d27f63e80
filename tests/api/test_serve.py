"""The control socket: who may open it, and where it may lie."""

import asyncio
import stat

import httpx2

from portico.api import serve


async def test_only_the_owner_may_open_the_socket(served):
    """It speaks for the engine, so it is 0600."""
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


async def test_a_data_folder_of_any_depth_will_do(serve_at, tmp_path):
    """A Unix address ends at 107 bytes; a path may be longer."""
    deep = tmp_path.joinpath(*["a folder with a long name"] * 6)
    deep.mkdir(parents=True)
    path = serve.socket_path(deep)
    async with serve_at(path):
        with serve.reachable(path) as name:
            transport = httpx2.AsyncHTTPTransport(uds=name)
            async with httpx2.AsyncClient(transport=transport) as client:
                answer = await client.get("http://portico/v1/status")

    assert len(str(path)) > 107
    assert answer.status_code == 200


async def test_what_a_killed_engine_left_is_replaced(serve_at, tmp_path):
    """A file where the socket should be is no reason not to start."""
    folder = tmp_path / "again"
    folder.mkdir()
    path = serve.socket_path(folder)
    path.touch()
    async with serve_at(path):
        assert path.is_socket()


async def test_the_socket_goes_with_the_engine(serve_at, tmp_path):
    """A client then learns at once that nobody is there."""
    folder = tmp_path / "gone"
    folder.mkdir()
    path = serve.socket_path(folder)
    async with serve_at(path):
        assert path.exists()

    assert not path.exists()


async def test_who_waits_when_the_engine_stops_is_told_so(
    serve_at, served, tmp_path, monkeypatch
):
    """A problem with a code, which says that nobody knows what was done; no bare 500."""
    folder = tmp_path / "stopping"
    folder.mkdir()
    asked, path = asyncio.Event(), serve.socket_path(folder)

    async def reload():
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(serve, "_GRACE", 0.01)
    monkeypatch.setattr(served.engine, "reload", reload)
    async with serve_at(path):
        client = type(served)(served.engine, path)
        waiting = asyncio.create_task(client.ask("POST", "/v1/reload"))
        await asked.wait()
    answer = await waiting

    assert (answer.status_code, answer.json()["code"]) == (503, "api.stopping")
