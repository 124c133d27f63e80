"""`emit`: makes a Signal for agents with `on: {signal: NAME}`.

Its content is the message as it is here, or with `value` the JSON of what stands there. With
`content` those agents read it as that, else as its first bytes look.
"""

from typing import Any

from portico.language.content import encode_json
from portico.language.place import Place
from portico.model.verdict import Emission
from portico.spec.content import Content
from portico.spec.fields import Name, Options
from portico.spec.rules import PlaceField
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState


class EmitOptions(Options):
    """signal: its name. content: what it is, for who answers it. order_by: the place of its
    order key; without, this Signal's.
    """

    signal: Name
    value: PlaceField | None = None
    content: Content | None = None
    order_by: PlaceField | None = None


class _Emit:
    def __init__(self, signal: str, value: Place | None, order_by: Place | None) -> None:
        self._signal = signal
        self._value = value
        self._order_by = order_by

    def run(self, state: RunState) -> End | None:
        if self._value is None:
            content = state.body.content()
        else:
            content = encode_json(self._value.value(state.context))
        key = self._order_by.text(state.context) if self._order_by else None
        order_key = key if isinstance(key, str) else None
        state.emissions.append(Emission(self._signal, content, order_key))
        return None


def _build(options: Any, build: Build) -> _Emit:
    return _Emit(options.signal, options.value, options.order_by)


EMIT = StepType("emit", "Makes a Signal for other agents", EmitOptions, _build)
