"""One `tls:` as an ssl.SSLContext that keeps its promises whoever uses it.

Twisted's streams, asyncio, uvicorn, httpx2 and ftplib take the same context: pins and names
are checked by the handshake itself (SecureContext), not by its caller.

| of RFC 9325     | here                                                              |
|-----------------|-------------------------------------------------------------------|
| 3.1 versions    | TLS 1.2 or 1.3 and later; `floor: 1.3` leaves 1.2 out              |
| 3.3 compression | off                                                               |
| 3.4 resumption  | no tickets from servers: their keys would have to be changed often |
| 3.5 renegotiation | refused                                                         |
| 4.2 suites      | the four of 1.2 that it recommends; 1.3 has none to leave out      |
| 4.5 keys        | RSA of 2048 bits at least, no SHA-1 (OpenSSL's security level 2)   |
"""

import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from service_identity import CertificateError, VerificationError
from service_identity import cryptography as identity

from portico.errors import SecretMissing, TlsInvalid
from portico.gate import is_ip
from portico.spec import tls
from portico.spec.tls import SYSTEM, Tls

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_LEVEL = "@SECLEVEL=2"
_FLOORS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "no": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SERVER_ONLY = ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE


class WrongPeer(ssl.SSLCertVerificationError):
    """The chain holds, but the peer is not whom we want. word: `wrong_name` or `wrong_pin`."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(1, text)
        self.word = word


class _Object(ssl.SSLObject):
    """What wrap_bio makes: asyncio and our streams."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _judge(self.context, self.getpeercert(True))


class _Socket(ssl.SSLSocket):
    """What wrap_socket makes: blocking libraries in threads."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _judge(self.context, self.getpeercert(True))


class SecureContext(ssl.SSLContext):
    """A context whose handshakes fail when pins or names do not fit. options: what it is of."""

    sslobject_class = _Object
    sslsocket_class = _Socket
    options_of: Tls


def _judge(context: ssl.SSLContext, der: bytes | None) -> None:
    """Raises WrongPeer. A peer that shows no certificate is OpenSSL's to judge."""
    if der is None or not isinstance(context, SecureContext):
        return
    wanted = context.options_of
    if not (wanted.pins or wanted.names):
        return
    certificate = x509.load_der_x509_certificate(der)
    if wanted.pins and pin_of(certificate) not in wanted.pins:
        raise WrongPeer("wrong_pin", "the peer's key is none of those that are pinned")
    if wanted.names and not any(_bears(certificate, each) for each in wanted.names):
        raise WrongPeer("wrong_name", "the peer's certificate has none of the names wanted")


def pin_of(certificate: x509.Certificate) -> str:
    """SHA-256 of its public key (SPKI), as a site's file spells it."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return tls.pin_text(hashlib.sha256(key).digest())


def _bears(certificate: x509.Certificate, wanted: str) -> bool:
    """A subject alternative name (RFC 9525), or the whole common name of a client."""
    try:
        if is_ip(wanted):
            identity.verify_certificate_ip_address(certificate, wanted)
        else:
            identity.verify_certificate_hostname(certificate, wanted)
    except (VerificationError, CertificateError, ValueError):
        return common_name(certificate) == wanted
    return True


def common_name(certificate: x509.Certificate) -> str:
    """The subject's CN, or nothing."""
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


@dataclass(frozen=True, slots=True)
class Material:
    """What the files of a `tls:` hold. chain: ours first; trust: empty for the system's; crl:
    empty where no list is asked for.
    """

    chain: bytes
    key: bytes
    trust: bytes
    crl: bytes

    @property
    def certificates(self) -> list[x509.Certificate]:
        """Ours, then those between it and the CA."""
        return x509.load_pem_x509_certificates(self.chain) if self.chain else []

    @property
    def expires(self) -> datetime | None:
        """When the first of ours and those between ends."""
        ends = [each.not_valid_after_utc for each in self.certificates]
        return min(ends, default=None)


def read(options: Tls, root: Path, environ: Mapping[str, str]) -> Material:
    """Read the files. Raises TlsInvalid with what is in the way."""
    try:
        chain = b"" if options.certificate is None else _file(root / options.certificate)
        key = b"" if options.key is None else options.key.reveal(root, environ).encode()
        trust = b"" if options.trust == SYSTEM else _file(root / options.trust)
        crl = b"" if options.crl is None else _file(root / options.crl)
    except SecretMissing as error:
        raise TlsInvalid(str(error)) from error
    if b"ENCRYPTED" in key:
        raise TlsInvalid("'key' is locked by a password; store it without one, mode 0600")
    return Material(chain, key, trust, crl)


def _file(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TlsInvalid(f"{path}: {error.strerror}") from None
    if not content:  # of `trust` that would mean the system's CAs
        raise TlsInvalid(f"{path}: the file is empty")
    return content


def build(options: Tls, material: Material, server: bool) -> SecureContext:
    """A context for one side. Raises TlsInvalid with which of the files is wrong."""
    protocol = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
    context = SecureContext(protocol)
    context.options_of = options
    context.minimum_version = _FLOORS[options.floor]
    context.set_ciphers(":".join((*SUITES, _LEVEL)))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # `trust` may hold the peer's own
    if server:
        context.options |= _SERVER_ONLY
        context.num_tickets = 0
        context.verify_mode = _VERIFY[options.clients]
    else:
        context.check_hostname = not options.names
    if material.chain:
        _show(context, material)
    elif server:
        raise TlsInvalid("a listener needs 'certificate' and 'key'; try 'portico certs'")
    if not server or options.clients != "no":
        _trust(context, material.trust)
        if options.crl is not None:
            _revoke(context, material.crl)
    return context


def _show(context: ssl.SSLContext, material: Material) -> None:
    """Give the context what we show of ourselves."""
    try:
        if not material.certificates:
            raise TlsInvalid("'certificate' holds no certificate")
    except ValueError:
        raise TlsInvalid("'certificate' is no PEM of certificates") from None
    with _in_memory(material.chain + b"\n" + material.key) as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except ssl.SSLError as error:
            if "MISMATCH" in (error.reason or ""):
                raise TlsInvalid("'key' is not the key of 'certificate'") from None
            text = "'key' or 'certificate' cannot be used"
            raise TlsInvalid(f"{text}: {_reason(error)}") from None


def _no_password() -> str:
    return ""


def _trust(context: ssl.SSLContext, trust: bytes) -> None:
    if not trust:
        context.load_default_certs(
            ssl.Purpose.SERVER_AUTH
            if context.protocol == ssl.PROTOCOL_TLS_CLIENT
            else ssl.Purpose.CLIENT_AUTH
        )
        return
    try:
        context.load_verify_locations(cadata=trust.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        raise TlsInvalid(f"'trust' holds no certificates: {_reason(error)}") from None


def _revoke(context: ssl.SSLContext, crl: bytes) -> None:
    """From now on the peer's CA must vouch, by a list that is in force, that it still stands.

    Source: RFC 5280, section 6.3.
    """
    try:
        x509.load_pem_x509_crl(crl)
        with _in_memory(crl) as path:
            context.load_verify_locations(cafile=path)
    except (ValueError, ssl.SSLError):
        raise TlsInvalid("'crl' is no PEM of revocation lists") from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "not readable").replace("_", " ").lower()


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path that OpenSSL can read the content from; no copy of a key stays on a disk."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("tls", os.MFD_CLOEXEC)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{number}"
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(content)
        file.flush()
        yield file.name
