"""tls/handshake.py: servers of asyncio whose peers begin with TLS."""

import asyncio
import ssl

import pytest

from portico.tls.certificates import Certificates
from portico.tls.handshake import Handshake


@pytest.fixture
def certificates(papers):
    """What an engine has."""
    return Certificates(papers.folder, {})


class Echo(asyncio.Protocol):
    """Says what it hears, and how it began."""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"in\n")

    def data_received(self, data):
        self.transport.write(data)


@pytest.fixture
async def serving(papers, certificates):
    """`await serving(clients=...)`: a port of a server, and whom it refused."""
    servers = []

    async def serve(patience=5.0, **options):
        secured, refused = certificates.server(papers.tls("server", **options)), []

        def met():
            return Handshake(Echo, secured, patience, lambda *said: refused.append(said))

        servers.append(await asyncio.get_running_loop().create_server(met, "127.0.0.1", 0))
        return servers[-1].sockets[0].getsockname()[1], refused

    yield serve
    for server in servers:
        server.close()


async def entered(port, context):
    """A peer that is in: the server's serial number, reader, writer."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    assert await asyncio.wait_for(reader.readline(), 10) == b"in\n"
    return writer.get_extra_info("peercert")["serialNumber"], reader, writer


async def turned_away(port, context):
    """A peer that is not let in: where it came from."""
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        address = writer.get_extra_info("sockname")
        await asyncio.wait_for(reader.readexactly(1), 10)
    return "{}:{}".format(*address)


async def until(holds):
    """Look again until it holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_each_handshake_shows_the_newest_certificate(papers, certificates, serving):
    """T5: open connections stay, new ones see the new."""
    port, refused = await serving()
    believer = certificates.client(papers.tls())
    old, reader, writer = await entered(port, believer.context)
    papers.issue("server")
    certificates.refresh()
    new, _, other = await entered(port, believer.context)

    assert old != new
    writer.write(b"still here\n")
    assert await asyncio.wait_for(reader.readline(), 10) == b"still here\n"
    writer.close(), other.close()
    assert refused == []


async def test_each_handshake_follows_what_is_trusted_now(papers, certificates, serving):
    """T5, T6: a CA that is taken away lets nobody in any more, without a restart; who it was
    and why is told."""
    port, refused = await serving(clients="required")
    lab = certificates.client(papers.tls("lab", trust=str(papers.folder / "server.pem")))
    (await entered(port, lab.context))[2].close()
    papers.trust.write_bytes((papers.folder / "server.pem").read_bytes())
    certificates.refresh()
    peer = await turned_away(port, lab.context)

    await until(lambda: refused)
    assert [(where, fault.word) for where, fault in refused] == [(peer, "untrusted")]


@pytest.mark.parametrize("word", ["not_tls", "timeout", "closed"])
async def test_a_peer_that_does_not_finish_is_named(serving, word):
    """T3, T6: one that speaks plain text, says nothing, or hangs up."""
    port, refused = await serving(patience=0.05 if word == "timeout" else 5.0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    host, its = writer.get_extra_info("sockname")
    if word == "not_tls":
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
    elif word == "closed":
        writer.close()

    await until(lambda: refused)
    assert [(where, fault.word) for where, fault in refused] == [(f"{host}:{its}", word)]
    writer.close()


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(
    papers, certificates, serving
):
    """A client may send its request in the same segment as its Finished."""
    port, _ = await serving()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client(papers.tls()).context.wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    writer.write(outgoing.read())
    while True:
        incoming.write(await asyncio.wait_for(reader.read(65536), 10))
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            continue
    client.write(b"early\n")
    writer.write(outgoing.read())
    heard = b""
    while len(heard) < len(b"in\nearly\n"):
        try:
            heard += client.read()
        except ssl.SSLWantReadError:
            incoming.write(await asyncio.wait_for(reader.read(65536), 10))
    assert heard == b"in\nearly\n"
    writer.close()
