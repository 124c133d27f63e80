"""`emit`."""

from portico.model.verdict import Emission


def test_the_message_is_emitted_as_it_is(trial):
    """Unchanged bytes, and the order key of a place."""
    result = trial.run({"emit": {"signal": "seen", "order_by": "PID-3.1"}})

    (emission,) = result.emissions
    assert emission.signal == "seen"
    assert emission.content.startswith(b"MSH|")
    assert emission.order_key == "123"


def test_a_value_is_emitted_as_json(trial):
    """A put-aside value with its structure, a field as a JSON text."""
    module = trial.module("def look(msg):\n    return {'code': 'X1'}\n")
    result = trial.run(
        {"python": {"call": f"{module}:look", "into": "finding"}},
        {"emit": {"signal": "found", "value": "finding"}},
        {"emit": {"signal": "named", "value": "PID-5.1", "order_by": "PID-99"}},
    )

    assert result.emissions == (
        Emission("found", b'{"code":"X1"}', None),
        Emission("named", b'"muster"', None),
    )
