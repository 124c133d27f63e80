"""tls/certificates.py: files that change while they are used."""

import asyncio
import ssl

import pytest

from portico.tls.certificates import Certificates


@pytest.fixture
def said():
    """The events."""
    return []


@pytest.fixture
def certificates(papers, said):
    """What an engine has."""
    return Certificates(papers.folder, {}, said.append)


async def shown(port, context):
    """The serial number that the server there shows."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    serial = writer.get_extra_info("peercert")["serialNumber"]
    return serial, reader, writer


def test_one_setting_is_loaded_once_and_forgotten_when_nobody_uses_it(papers, certificates):
    """Sources that share a setting share its contexts; its expiry leaves with the last."""
    options = papers.tls("server")
    one, two = certificates.server(options), certificates.server(options)

    assert one is two
    assert [each.name for each in certificates.expiries()] == [str(options.certificate)]
    del one, two
    assert certificates.expiries() == []


def test_new_files_are_used_by_the_next_handshake(papers, certificates, said):
    """T5: nothing changes until files do; then new contexts, and an event with the last day."""
    secured = certificates.server(papers.tls("server"))
    before = secured.context
    certificates.refresh()
    assert (secured.context, said) == (before, [])

    papers.issue("server", days=7)
    certificates.refresh()

    assert secured.context is not before
    assert [type(each).__name__ for each in said] == ["CertificateReloaded"]
    assert said[0].expires == str(secured.expires.date())


def test_a_broken_new_file_keeps_the_old_one_and_says_why_once(papers, certificates, said):
    """T5: half an upload is no outage; one complaint, and the mended file is used."""
    options = papers.tls("server")
    secured = certificates.server(options)
    before, good = secured.context, options.certificate.read_bytes()
    options.certificate.write_bytes(good[:100])
    certificates.refresh()
    certificates.refresh()

    assert secured.context is before
    assert [type(each).__name__ for each in said] == ["CertificateKept"]
    assert "certificate" in said[0].text

    papers.issue("server")
    certificates.refresh()
    assert secured.context is not before


async def test_a_server_that_keeps_its_context_shows_the_newest_certificate(
    papers, certificates
):
    """T5: uvicorn and asyncio get `lasting`; open connections stay, new ones see the new."""
    secured = certificates.server(papers.tls("server"))

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    serving = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=secured.lasting(print))
    port = serving.sockets[0].getsockname()[1]
    believer = certificates.client(papers.tls())
    old, reader, writer = await shown(port, believer.context)
    papers.issue("server")
    certificates.refresh()
    new, _, other = await shown(port, believer.context)

    assert old != new
    writer.write(b"still here\n")
    assert await asyncio.wait_for(reader.readline(), 10) == b"still here\n"
    writer.close(), other.close(), serving.close()


async def test_a_server_that_keeps_its_context_follows_what_it_trusts(papers, certificates):
    """T5: a CA that is taken away lets nobody in any more, without a restart; why is told."""
    refused = []
    secured = certificates.server(papers.tls("server", clients="required"))
    lab = certificates.client(papers.tls("lab", trust=str(papers.folder / "server.pem")))
    serving = await asyncio.start_server(
        lambda r, w: w.write(b"in\n"), "127.0.0.1", 0, ssl=secured.lasting(refused.append)
    )
    port = serving.sockets[0].getsockname()[1]

    async def enter():
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=lab.context, server_hostname="localhost"
        )
        try:
            return await asyncio.wait_for(reader.readline(), 10)
        except ssl.SSLError:
            return b""
        finally:
            writer.close()

    assert await enter() == b"in\n"
    papers.trust.write_bytes((papers.folder / "server.pem").read_bytes())
    certificates.refresh()
    assert await enter() == b""
    assert [fault.word for fault in refused] == ["untrusted"]
    serving.close()
