"""The gate: who may connect, and how many (M7)."""

import pytest
from pydantic import TypeAdapter, ValidationError

from portico.gate import NEAR, Gate, Networks

NETWORKS = TypeAdapter(Networks)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.2.3.4", "172.31.0.1", "192.168.9.9", "fd00::7"]
)
def test_loopback_and_private_peers_may_connect_by_default(host):
    """Hospital networks are private ones."""
    assert Gate(NEAR, 1).refusal(host, 0) is None


@pytest.mark.parametrize("host", ["192.0.2.1", "172.32.0.1", "2001:db8::1", "169.254.1.1"])
def test_public_peers_may_not_by_default(host):
    """The open internet needs an explicit `allow`."""
    assert Gate(NEAR, 1).refusal(host, 0) == "not_allowed"


def test_an_ipv4_peer_on_an_ipv6_socket_is_judged_as_ipv4():
    """`::ffff:10.0.0.1` is 10.0.0.1."""
    gate = Gate(NETWORKS.validate_python("10.0.0.0/8"), 1)

    assert gate.refusal("::ffff:10.0.0.1", 0) is None
    assert gate.refusal("::ffff:192.168.0.1", 0) == "not_allowed"


def test_one_more_than_the_limit_is_refused():
    """`connections` is the most that may be in at a time."""
    gate = Gate(NEAR, 2)

    assert gate.refusal("127.0.0.1", 1) is None
    assert gate.refusal("127.0.0.1", 2) == "too_many"


def test_a_network_with_host_bits_is_refused_with_the_right_one():
    """A finding says what would be right."""
    with pytest.raises(ValidationError, match=r"try '10\.1\.0\.0/16'"):
        NETWORKS.validate_python(["10.1.2.3/16"])
    with pytest.raises(ValidationError, match="is not a network"):
        NETWORKS.validate_python("hospital")
