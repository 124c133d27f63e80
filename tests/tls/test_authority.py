"""tls/authority.py: what `portico certs` issues."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from portico.errors import TlsInvalid
from portico.tls import authority


def test_certificates_have_one_purpose_and_a_sane_life(papers):
    """EC P-256, no CA of its own, about a year; a client's certificate serves no listener."""
    client = authority.issue(
        papers.ca, "lab", ("10.1.2.3", "lab"), papers.now, purpose="client"
    )
    certificate = client.certificate
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value

    assert isinstance(client.key.curve, ec.SECP256R1)
    assert life < timedelta(days=398)
    assert list(purposes) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not limits.ca


def test_a_ca_is_read_back_and_goes_on(papers):
    """A second run adds to the same CA; files that are no CA of ours say so."""
    again = authority.read(papers.ca.certificate_pem, papers.ca.key_pem)
    issued = authority.issue(again, "pacs", ["pacs"], papers.now)

    issued.certificate.verify_directly_issued_by(papers.ca.certificate)
    with pytest.raises(TlsInvalid):
        authority.read(papers.ca.certificate_pem, b"nothing")
