"""spec/auditing.py: where audit messages go."""

import pytest

from portico.spec.auditing import Audit, Repository
from portico.spec.fields import HostPort


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tls://audit.example:6600", Repository("tls", HostPort("audit.example", 6600))),
        ("tls://audit.example", Repository("tls", HostPort("audit.example", 6514))),
        ("udp://10.0.0.1", Repository("udp", HostPort("10.0.0.1", 514))),
        ("tls://[::1]", Repository("tls", HostPort("::1", 6514))),
        ("tls://[::1]:6600/", Repository("tls", HostPort("::1", 6600))),
    ],
)
def test_a_repository_is_a_way_and_an_address(text, meant):
    """Ports as RFC 5425 and RFC 5426 register them, unless one is named."""
    assert Audit.model_validate({"to": text}).to == meant


@pytest.mark.parametrize("text", ["audit.example", "tcp://a:1", "tls://", "tls://a:99999", []])
def test_what_is_none_is_refused_with_an_example(text):
    """Before anything is lost on the way to nowhere."""
    with pytest.raises(ValueError, match=r"repository|address|one text"):
        Audit.model_validate({"to": text})


def test_tls_goes_with_tls_alone():
    """Nobody believes that datagrams are encrypted."""
    with pytest.raises(ValueError, match="tls://"):
        Audit.model_validate({"to": "udp://10.0.0.1", "tls": "hospital"})
    assert Audit().to is None
