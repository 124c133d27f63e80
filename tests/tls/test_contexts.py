"""tls/contexts.py: handshakes in memory, between our contexts and Python's plain ones."""

import ssl

import pytest

from portico.errors import TlsInvalid
from portico.spec.tls import Tls
from portico.tls import authority, contexts, faults
from portico.tls.certificates import Certificates


def shake(server, client, host="localhost"):
    """Both sides after their handshake, in memory. Raises what either side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = {ours, theirs}
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    return ours, theirs


def server(options):
    """The server's context of a setting."""
    return Certificates().server(options).context


def client(options):
    """The client's."""
    return Certificates().client(options).context


def plain(papers=None, **changes):
    """A context as a peer may have it, that believes everybody and offers what it can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(changes.pop("ciphers", "ALL:@SECLEVEL=0"))
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def test_both_sides_agree_on_1_3_and_on_1_2_with_a_recommended_suite(papers):
    """T3: 1.3 where both can; 1.2 with a suite of RFC 9325 where one cannot."""
    shown, dialled = server(papers.tls("server")), client(papers.tls())

    assert shake(shown, dialled)[0].version() == "TLSv1.3"
    ours, _ = shake(shown, plain(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert ours.version() == "TLSv1.2"
    assert ours.cipher()[0] in contexts.SUITES
    assert ours.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_below_the_floor_gets_in(papers):
    """T3: TLS 1.1 never; 1.2 unless the floor is 1.3."""
    high = server(papers.tls("server", floor="1.3"))

    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake(high, plain(maximum_version=ssl.TLSVersion.TLSv1_2))
    old = plain(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake(server(papers.tls("server")), old)


def test_required_clients_must_show_a_certificate_of_ours(papers):
    """T1: no certificate, no session; another CA's neither."""
    shown = server(papers.tls("server", clients="required"))

    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(shown, plain())
    ours, _ = shake(shown, client(papers.tls("lab")))
    assert ours.getpeercert()["subject"] == ((("commonName", "lab"),),)
    strange = authority.found("CA of others", papers.now)
    lab = Tls.model_validate({"trust": str(papers.trust), **papers.issue("x", ca=strange)})
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(shown, client(lab))


def test_a_revoked_certificate_is_refused(papers):
    """T2: by its CA's list, on either side; a list that has ended vouches for nobody."""
    good, bad = client(papers.tls("lab")), client(papers.tls("lost"))
    shown = papers.tls("server", clients="required", crl=papers.revoke("lost"))

    shake(server(shown), good)
    with pytest.raises(ssl.SSLCertVerificationError) as told:
        shake(server(shown), bad)
    assert faults.of(told.value).word == "revoked"
    papers.revoke("server")
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake(server(papers.tls("other")), client(papers.tls(crl=papers.revoke("other"))))
    papers.revoke(days=-1)
    with pytest.raises(ssl.SSLCertVerificationError) as told:
        shake(server(shown), good)
    assert faults.of(told.value).word == "no_crl"


def test_a_new_revocation_list_is_used_by_the_next_handshake(papers):
    """T5: whoever is revoked is out within a minute."""
    certificates = Certificates(papers.folder)
    lost = Certificates(papers.folder).client(papers.tls("lost")).context
    secured = certificates.server(papers.tls("server", clients="required", crl=papers.revoke()))
    shake(secured.context, lost)
    papers.revoke("lost")
    certificates.refresh()

    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake(secured.context, lost)


def test_optional_clients_may_stay_unknown(papers):
    """`clients: optional` takes a peer without a certificate, and a good one."""
    shown = server(papers.tls("server", clients="optional"))

    assert shake(shown, client(papers.tls()))[0].getpeercert() is None
    assert shake(shown, client(papers.tls("lab")))[0].getpeercert()


def test_pins_and_names_are_part_of_the_handshake(papers):
    """T2: a good chain is not enough where a key is pinned or a name wanted, on either side."""
    shown = papers.tls("server", clients="required")
    lab = papers.tls("lab")
    key = contexts.pin_of(contexts.read(lab, papers.folder, {}).certificates[0])
    other = contexts.pin_of(contexts.read(shown, papers.folder, {}).certificates[0])

    shake(server(shown.model_copy(update={"pins": (key,)})), client(lab))
    shake(server(shown.model_copy(update={"names": ("lab",)})), client(lab))
    shake(server(shown), client(lab.model_copy(update={"names": ("server",)})), "127.9.9.9")
    with pytest.raises(contexts.WrongPeer) as told:
        shake(server(shown.model_copy(update={"pins": (other,)})), client(lab))
    assert told.value.word == "wrong_pin"
    with pytest.raises(contexts.WrongPeer) as told:
        shake(server(shown.model_copy(update={"names": ("pacs",)})), client(lab))
    assert told.value.word == "wrong_name"


def test_the_name_of_the_address_is_verified_on_the_way_out(papers):
    """T4: the certificate must be of the host that is dialled."""
    shown = server(papers.tls("server"))

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(shown, client(papers.tls()), "pacs.internal")


def test_a_peers_own_certificate_can_be_what_is_trusted(papers):
    """T2: `trust` may hold the peer's certificate itself, whoever signed it."""
    shown = papers.tls("server")
    direct = Tls.model_validate({"trust": str(shown.certificate)})

    shake(server(shown), client(direct))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server(papers.tls("other")), client(direct))


def test_an_expired_certificate_is_refused(papers):
    """T2: on the way out; a listener's peers are judged by the same OpenSSL."""
    shown = Tls.model_validate(papers.issue("server", days=-1))

    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake(server(shown), client(papers.tls()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"certificate": "gone.pem"}, "gone.pem: No such file"),
        ({"certificate": "{key}"}, "no PEM of certificates|holds no certificate"),
        ({"key": "${{file:{trust}}}"}, "cannot be used"),
        ({"key": "${{file:{other}}}"}, "not the key of"),
        ({"key": "${{file:{locked}}}"}, "locked by a password"),
        ({"trust": "{key}", "clients": "required"}, "'trust' holds no certificates"),
        ({"crl": "{trust}", "clients": "required"}, "'crl' is no PEM of revocation lists"),
    ],
)
def test_files_that_cannot_work_are_told_apart(papers, change, told):
    """`check` and a reload say which file is wrong, and how."""
    good = papers.issue("server")
    papers.issue("other")
    locked = papers.folder / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    names = {
        "key": papers.folder / "server.key", "other": papers.folder / "other.key",
        "trust": papers.trust, "locked": locked,
    }  # fmt: skip
    change = {key: text.format(**names) for key, text in change.items()}
    options = Tls.model_validate({"trust": str(papers.trust), **good, **change})

    with pytest.raises(TlsInvalid, match=told):
        server(options)


def test_a_listener_without_a_certificate_is_none(papers):
    """There is nothing to show."""
    with pytest.raises(TlsInvalid, match="needs 'certificate'"):
        server(papers.tls())
