"""check/addresses.py and check/wsdls.py: what shares an address, who may send, WSDLs."""

import pytest


def web(name, path, listen="127.0.0.1:8443", **more):
    """A channel by HTTPS."""
    options = "".join(f", {key}: {value}" for key, value in more.items())
    source = f'{{type: https, listen: "{listen}", path: {path}{options}}}'
    return f"channel: {name}\nsource: {source}\n"


def test_channels_with_paths_share_an_address(site):
    """An address is one server; each path is one channel's."""
    assert site.said(web("a", "/a"), web("b", "/b")) == []


def test_a_tls_that_each_channel_writes_out_is_one_tls(site, papers):
    """What people call it, the channel's own name, makes no difference; what it says does."""
    said = "{{certificate: {certificate}, key: '{key}'}}".format(**papers.issue())
    newer = said.replace("{certificate", "{floor: '1.3', certificate")
    assert site.said(web("a", "/a", tls=said), web("b", "/b", tls=said)) == []
    assert site.said(web("a", "/a", tls=said), web("b", "/b", tls=newer)) == [
        ("site.same_address", 5, "source.listen")
    ]


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        (web("a", "/a"), web("b", "/a"), "path"),
        (
            web("a", "/a"),
            web("b", "/b", "0.0.0.0:8443", auth="{api_key: '${env:K}'}"),
            "listen",
        ),
        (
            web("a", "/a"),
            'channel: b\nsource: {type: mllp, listen: "127.0.0.1:8443"}\n',
            "listen",
        ),
    ],
)
def test_what_cannot_share_says_which_key_is_in_the_way(site, one, other, key):
    """The same path, another server on the same port, another protocol."""
    site.environ = {"K": "k"}
    assert site.said(one, other) == [("site.same_address", 5, f"source.{key}")]


def test_a_channel_that_anybody_could_send_to_is_refused(site):
    """Without `auth` an HTTP source is for this machine alone."""
    assert site.said(web("a", "/a", "0.0.0.0:8443")) == [("site.open_door", 2, "source.listen")]
    site.environ = {"K": "k"}
    assert site.said(web("a", "/a", "0.0.0.0:8443", auth="{bearer: '${env:K}'}")) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("profile: cdc-iis", []),
        ("wsdl: gone.wsdl", [("config.wsdl", 2, "wsdl")]),
        ("profile: cdc-iis, operation: nope", [("config.wsdl", 2, "operation")]),
        ("wsdl: broken.wsdl", [("config.wsdl", 2, "wsdl")]),
    ],
)
def test_a_wsdl_is_looked_at_before_it_is_needed(site, options, found):
    """A file that is away or broken, an operation that it does not have."""
    site.write({"broken.wsdl": "<definitions/>"})
    text = f"destination: iis\n{options.replace(', ', chr(10))}\ntype: soap\n"
    said = site.said(text + "address: https://iis.example/\n", web("a", "/a"))
    assert [(code, key) for code, _, key in said] == [(code, key) for code, _, key in found]
