"""Why a handshake failed, in a word that never changes and a sentence of our own."""

import ssl

from portico.errors import HandshakeBroken

_TEXTS = {
    "no_certificate": "the peer showed no certificate, and must",
    "untrusted": "the peer's certificate does not come from what 'trust' names",
    "expired": "the peer's certificate has ended, or has not begun",
    "revoked": "the peer's certificate has been revoked by its CA",
    "no_crl": "'crl' holds no list in force of the CA of the peer's certificate",
    "wrong_name": "the peer's certificate has none of the names wanted",
    "wrong_pin": "the peer's key is none of those that are pinned",
    "not_tls": "the peer does not speak TLS",
    "old_version": "the peer's newest TLS version is older than 'floor'",
    "no_suite": "the peer has no suite of BCP 195",
    "refused": "the peer refused us, perhaps our certificate or our TLS version",
    "timeout": "the handshake was not done in time",
    "closed": "the peer hung up before the handshake was done",
    "cut": "the peer ended without close_notify: what it sent may have been cut short",
    "broken": "the peer broke the rules of TLS",
}
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_certificate",
    "CERTIFICATE_VERIFY_FAILED": "untrusted",
    "WRONG_VERSION_NUMBER": "not_tls",
    "HTTP_REQUEST": "not_tls",
    "UNSUPPORTED_PROTOCOL": "old_version",
    "VERSION_TOO_LOW": "old_version",
    "NO_PROTOCOLS_AVAILABLE": "old_version",
    "NO_SHARED_CIPHER": "no_suite",
}
# X509_V_ERR_*, as in <openssl/x509_vfy.h>.
_VERIFY_CODES = {
    3: "no_crl",  # UNABLE_TO_GET_CRL
    8: "no_crl",  # CRL_SIGNATURE_FAILURE
    9: "expired",  # CERT_NOT_YET_VALID
    10: "expired",  # CERT_HAS_EXPIRED
    11: "no_crl",  # CRL_NOT_YET_VALID
    12: "no_crl",  # CRL_HAS_EXPIRED
    23: "revoked",  # CERT_REVOKED
    62: "wrong_name",  # HOSTNAME_MISMATCH
    64: "wrong_name",  # IP_ADDRESS_MISMATCH
}


def fault(word: str) -> HandshakeBroken:
    """The error of that word."""
    return HandshakeBroken(word, _TEXTS[word])


def unread(error: ssl.SSLError) -> bool:
    """The peer refused our certificate: it has not finished its handshake, so it can have read
    nothing of what came after ours (RFC 8446, sections 4.4.4 and 6.2).
    """
    reason = error.reason or ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


def within(error: BaseException) -> HandshakeBroken | None:
    """What TLS said, where that is behind an error of a library."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLError):
        found = found.__cause__ or found.__context__
    if not isinstance(found, ssl.SSLError):
        return None
    broken = of(found)
    broken.unread = unread(found)
    return broken


def of(error: ssl.SSLError) -> HandshakeBroken:
    """What OpenSSL, or our own look at pins and names, says of this handshake."""
    if own := getattr(error, "word", ""):
        return fault(own)
    reason = error.reason or ""
    if "ALERT" in reason:
        return fault("refused")
    if isinstance(error, ssl.SSLCertVerificationError):
        return fault(_VERIFY_CODES.get(error.verify_code, "untrusted"))
    return fault(_REASONS.get(reason, "broken"))
