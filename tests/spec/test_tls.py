"""spec/tls.py: what `tls:` may say."""

import base64

import pytest

from portico.spec.document import parse
from portico.spec.shape import fit
from portico.spec.site import Config
from portico.spec.tls import pin, pin_text

DIGEST = bytes(range(32))


def read(text):
    ((one,), _) = parse(f"tls:\n  partners: {text}\n", "x.yaml", nouns=False)
    return fit(Config, one.value, one)


def test_a_setting_knows_its_name_and_its_defaults():
    """The name is what metrics and events call it."""
    config, findings = read("{certificate: a.pem, key: '${file:a.key}', trust: ca.pem}")
    one = config.tls["partners"]

    assert findings == []
    assert (one.name, one.clients, one.floor, one.reference) == ("partners", "no", "1.2", "")


@pytest.mark.parametrize(
    "text",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        base64.b64encode(DIGEST).decode(),
        "sha256/" + base64.b64encode(DIGEST).decode(),
        "SHA256:" + base64.b64encode(DIGEST).decode().rstrip("="),
    ],
)
def test_a_pin_is_read_in_the_spellings_of_other_tools(text):
    """Hex as certificates' viewers print it, base64 as OpenSSH and curl do."""
    config, _ = read(f"{{pins: '{text}'}}")

    assert config.tls["partners"].pins == (pin_text(DIGEST),)
    assert pin(text) == DIGEST


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{certificate: a.pem}", "config.tls", "go together"),
        ("{pins: abc}", "config.tls", "no SHA-256"),
        ("{clients: required}", "config.tls", "public CAs"),
        ("{clients: maybe}", "config.choice", "maybe"),
        ("{floor: '1.1'}", "config.choice", "1.1"),
        ("{key: secret, certificate: a.pem}", "config.secret", "never written here"),
        ("{colour: red}", "config.unknown_key", "colour"),
        ("{name: x}", "config.unknown_key", "name"),
    ],
)
def test_what_cannot_work_is_a_finding(text, code, said):
    """Each with its code, and what is wrong."""
    config, findings = read(text)

    assert config is None
    assert [(one.code, said in one.text) for one in findings] == [(code, True)]
