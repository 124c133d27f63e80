"""spec/order.py: `order_by`."""

import pytest

from portico.language.order import Order
from portico.language.place import Place
from portico.spec.order import order_of

PID, MRG = Place.parse("PID-3.1"), Place.parse("MRG-1.1")


@pytest.mark.parametrize(
    ("value", "order"),
    [
        ("sender", Order(("sender",))),
        (["PID-3.1", "none"], Order((PID, "none"))),
        ({"key": "PID-3.1", "with": "MRG-1.1"}, Order((PID,), (MRG,))),
        ({"key": ["PID-3.1"], "with": ["MRG-1.1"]}, Order((PID,), (MRG,))),
    ],
)
def test_order_has_keys_and_others_beside_them(value, order):
    """One item may stand for a list of one."""
    assert order_of(value) == order
    assert order_of(order) is order


@pytest.mark.parametrize(
    "value",
    [{"key": "PID-3.1"}, {"key": "PID-3.1", "with": "sender"}, {"key": "P", "with": []}],
)
def test_a_broken_pair_says_what_would_be_right(value):
    """`with` without a key, with a word, with nothing."""
    with pytest.raises(ValueError, match=r".") as error:
        order_of(value)
    assert error.value.context["hint"]
