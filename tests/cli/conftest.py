"""The command line as a process, a peer that is not ours, and a site of the scaffold."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hl7.mllp import start_hl7_server

from portico.cli import init

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples/hl7"


class Done:
    """What a command left: exit code and text."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        """Standard output as JSON."""
        return json.loads(self.out)


def environment(**more):
    """This process's environment without what would lead to another engine or journal."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PORTICO_")
    }
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **more}


@pytest.fixture(scope="session")
def portico():
    """Runs `portico ARGUMENTS...` to its end; other tasks of the loop go on meanwhile."""

    async def run(*arguments, stdin=b"", cwd=ROOT, **variables):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "portico"),
            *map(str, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(**variables),
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        return Done(process.returncode, out.decode(), err.decode())

    return run


class Peer:
    """A python-hl7 server. code: what it answers; None: nothing. got: what it received."""

    def __init__(self):
        self.code = "AA"
        self.got = []
        self.address = ""
        self.wrong_id = False

    async def serve(self, reader, writer):
        """One connection."""
        while not writer.is_closing():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            self.got.append(str(message))
            if self.code is None:
                continue
            answer = message.create_ack(self.code)
            if self.wrong_id:
                answer["MSA.F2"] = "ANOTHER"
            writer.writemessage(answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(peer, serve):
    """That way of serving on a free port, as the peer's address, while the block runs."""
    server = await start_hl7_server(serve, "127.0.0.1", 0, encoding="latin-1")
    peer.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield
    server.close()


@pytest.fixture
def serving_at():
    """See `serving`."""
    return serving


@pytest.fixture
async def peer():
    """A peer that answers AA to everything."""
    made = Peer()
    async with serving(made, made.serve):
        yield made


@pytest.fixture
def site(tmp_path):
    """A site of the scaffold, in a folder with a space in its name."""
    folder = tmp_path / "a site"
    init.init(folder)
    return folder
