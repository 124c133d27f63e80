"""Clients and servers that we did not write, both ways, against the running appliance.

python-hl7: its commands, its client and its server. Node: node-hl7-client and node-hl7-server,
installed into var/peers (see .ci/run). netcat and curl: plain sockets.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hl7.mllp import open_hl7_connection, start_hl7_server

import hl7
from conformance.words import END, START, fields, frames, fresh, message

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "var/peers/node_modules"
SCRIPTS = Path(__file__).parent / "peers"


def missing(what: str):
    """Skip, or fail where no skip may hide it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is not on this machine; .ci/run installs it")


def tool(name: str) -> str:
    """A program of this machine."""
    return shutil.which(name) or missing(name)


@contextlib.asynccontextmanager
async def running(*command: str, stdin=None, **environment: str):
    """A process that is killed when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def output(*command: str, stdin: bytes | None = None, **environment: str) -> bytes:
    """What a command prints; it must end well."""
    pipe = asyncio.subprocess.PIPE if stdin is not None else None
    async with running(*command, stdin=pipe, **environment) as process:
        said, complaint = await asyncio.wait_for(process.communicate(stdin), 30)
        assert process.returncode == 0, complaint.decode()
        return said


def node(script: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs one of our scripts in Node."""
    command = tool("node")
    if not (NODE_MODULES / "node-hl7-server").is_dir():
        missing("node-hl7-server in var/peers")
    return command, str(SCRIPTS / script), *map(str, arguments)


@pytest.fixture
def contents():
    """Three messages that one sender sends in a row."""
    return [message(fresh()) for _ in range(3)]


@pytest.fixture
def files(tmp_path, contents):
    """The same as files."""
    paths = [tmp_path / f"{number}.hl7" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def ids(contents) -> list[str]:
    """Their MSH-10."""
    return [fields(one, b"MSH")[10].decode() for one in contents]


async def test_node_hl7_client_is_answered(appliance, contents, files):
    """A sender in another language reads our answers: code, id, event and its own name."""
    command = node("send.cjs", appliance.ports["auto"], *files)
    said = await output(*command, NODE_PATH=str(NODE_MODULES))

    assert said.decode().splitlines() == [f"AA {one} A01 HIS" for one in ids(contents)]


async def test_node_hl7_server_acknowledges(appliance, contents):
    """A receiver in another language: the sender's AA is that server's.

    From its second message on, this server reads all that a connection has ever sent and
    answers the first again: such an answer is not credited (A11, M5), and the message goes
    out once more on a new connection.
    """
    command = node("receive.cjs", appliance.peers["to_node"])
    async with running(*command, NODE_PATH=str(NODE_MODULES)) as server:
        assert await server.stdout.readline() == b"listening\n"
        told = await asyncio.to_thread(appliance.answers, "to_node", *contents)
        got = [json.loads(await server.stdout.readline()) for _ in contents]

    assert [fields(one, b"MSA")[1:3] for one in told] == [
        [b"AA", one.encode()] for one in ids(contents)
    ]
    assert got[0].rstrip("\r") == contents[0].decode().rstrip("\r")


async def test_mllp_send_sends_a_file(appliance, contents, tmp_path):
    """python-hl7's command, a file of three messages."""
    file = tmp_path / "three.hl7"
    file.write_bytes(b"".join(contents))
    said = await output(
        str(Path(sys.executable).with_name("mllp_send")),
        *("--loose", f"--file={file}", f"--port={appliance.ports['auto']}", "127.0.0.1"),
    )

    assert [b"MSA|AA|%b" % one.encode() in said for one in ids(contents)] == [True] * 3


async def test_the_asyncio_client_of_python_hl7_is_answered(appliance, contents):
    """One connection, message after message."""
    reader, writer = await open_hl7_connection(
        "127.0.0.1", appliance.ports["auto"], encoding="ascii"
    )
    told = []
    for content in contents:
        writer.writemessage(hl7.parse(content.decode()))
        await writer.drain()
        answer = await asyncio.wait_for(reader.readmessage(), 10)
        told.append(str(answer["MSA.F2"]))
        assert str(answer["MSA.F1"]) == "AA"
    writer.close()

    assert told == ids(contents)


async def test_the_asyncio_server_of_python_hl7_acknowledges(appliance, contents):
    """`delivered`: our AA is its AA; it gets the same fields, in order, on one connection."""
    got = []

    async def acknowledge(reader, writer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                got.append(await reader.readmessage())
                writer.writemessage(got[-1].create_ack())
                await writer.drain()

    port = appliance.peers["to_python"]
    server = await start_hl7_server(acknowledge, "127.0.0.1", port, encoding="ascii")
    try:
        told = await asyncio.to_thread(appliance.answers, "to_python", *contents)
    finally:
        server.close()

    assert [fields(one, b"MSA")[1] for one in told] == [b"AA"] * 3
    assert [str(one).encode().rstrip() for one in got] == [one.rstrip() for one in contents]


async def test_netcat_is_answered_after_its_last_byte(appliance, contents):
    """`nc -N` closes its half at the end of the file and waits for the answers."""
    framed = b"".join(START + one + END for one in contents)
    port = str(appliance.ports["auto"])
    said = await output(tool("nc"), "-N", "127.0.0.1", port, stdin=framed)

    assert [fields(one, b"MSA")[2].decode() for one in frames(said)] == ids(contents)


async def test_curl_over_telnet_is_answered(appliance, contents):
    """curl's telnet leaves all but bytes of 255 alone, so it speaks MLLP."""
    framed = b"".join(START + one + END for one in contents)
    address = f"telnet://127.0.0.1:{appliance.ports['auto']}"
    command = (tool("curl"), "--silent", "--no-buffer", address)
    async with running(*command, stdin=asyncio.subprocess.PIPE) as process:
        process.stdin.write(framed)
        await process.stdin.drain()
        told = [await asyncio.wait_for(process.stdout.readuntil(END), 10) for _ in contents]

    assert [fields(one[1:], b"MSA")[2].decode() for one in told] == ids(contents)
