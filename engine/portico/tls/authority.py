"""A private CA for trials, and what it issues: EC P-256, SHA-256, one purpose each.

For a house that has no CA yet. Its key lies beside the certificates, so whoever reads that
folder can be anybody; production certificates come from the hospital's own CA.
Source: RFC 5280; RFC 9325 section 4.5 (keys and validity).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from portico.errors import TlsInvalid

CA_DAYS = 3650
DAYS = 397
LONGEST = 64  # characters of a name (RFC 5280, ub-common-name)
_SKEW = timedelta(minutes=5)  # the clock of a peer may be behind ours
_PURPOSES = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
}


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """PEM of the certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PEM of the key, PKCS #8, not locked: it belongs in a file of mode 0600."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read(certificate: bytes, key: bytes) -> Issued:
    """The CA that was made before. Raises TlsInvalid."""
    try:
        private = load_pem_private_key(key, None)
        issued = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError):
        raise TlsInvalid("the CA's files are not as 'portico certs' makes them") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TlsInvalid("the CA's key is not one that 'portico certs' made")
    return Issued(issued, private)


def found(name: str, now: datetime, days: int = CA_DAYS) -> Issued:
    """A new CA that may issue certificates of peers, and no further CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    usage = _usage(signs=False, certifies=True)
    builder = _builder(subject, subject, key, now, days)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
    builder = builder.add_extension(usage, True)
    return Issued(builder.sign(key, hashes.SHA256()), key)


def issue(
    ca: Issued,
    name: str,
    hosts: Sequence[str],
    now: datetime,
    days: int = DAYS,
    purpose: str = "server",
) -> Issued:
    """A certificate for peers that are reached by these hosts: DNS names or addresses.

    purpose: `server` (which dials too, as an engine does) or `client`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = ca.certificate
    builder = _builder(_subject(name), issuer.subject, key, now, days)
    builder = builder.add_extension(x509.BasicConstraints(False, None), True)
    builder = builder.add_extension(_usage(signs=True, certifies=False), True)
    purposes = x509.ExtendedKeyUsage(_PURPOSES[purpose])
    builder = builder.add_extension(purposes, False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    builder = builder.add_extension(identifier, False)
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, False)
    return Issued(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + timedelta(days=days)) - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(signs: bool, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )
