"""tls/certificates.py: files that change while they are used."""

import pytest

from portico.errors import TlsInvalid
from portico.tls.certificates import Certificates


@pytest.fixture
def said():
    """The events."""
    return []


@pytest.fixture
def certificates(papers, said):
    """What an engine has."""
    return Certificates(papers.folder, {}, said.append)


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


@pytest.mark.parametrize("side", ["server", "client"])
def test_an_empty_file_of_cas_does_not_mean_those_of_the_system(
    papers, certificates, said, side
):
    """T2: whoever may be trusted is named; amid an upload the old CAs stay, at a start nobody
    gets in."""
    options = papers.tls("server", clients="required")
    secured = getattr(certificates, side)(options)
    before = secured.context
    papers.trust.write_bytes(b"")
    certificates.refresh()

    assert secured.context is before
    assert [type(each).__name__ for each in said] == ["CertificateKept"]
    with pytest.raises(TlsInvalid, match="empty"):
        getattr(Certificates(papers.folder), side)(options)


def test_what_stands_beside_the_cas_may_be_of_any_letters(papers, certificates, said):
    """Bundles name their CAs above them; a file with no CA in it is told as such."""
    options = papers.tls("server", clients="required")
    named = "# Universit\u00e4tsspital Z\u00fcrich\n".encode() + papers.trust.read_bytes()
    papers.trust.write_bytes(named)
    secured = certificates.server(options)
    papers.trust.write_bytes(named[:20] + b"\xe9\xff\x00")
    certificates.refresh()

    assert secured.context.get_ca_certs()
    assert [type(each).__name__ for each in said] == ["CertificateKept"]
    assert "'trust' holds no certificates" in said[0].text
