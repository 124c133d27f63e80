"""`providers:` of the configuration; `model`, `phi` and `budget` wherever they stand."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from portico.spec import fields
from portico.spec.fields import Count, Money, Options, Shown, Span, Switch, Text, wrong
from portico.spec.secrets import SecretField

Phi = Literal["none", "deidentified", "allowed"]
LEVELS: tuple[Phi, ...] = ("none", "deidentified", "allowed")


class Budget(Options):
    """What may be spent within any span of that many seconds. tokens: in and out together.
    cost: millionths of the currency of `prices`."""

    tokens: Annotated[Count, Field(ge=1)] | None = None
    cost: Annotated[Money, Field(ge=1)] | None = None
    per: Span

    @model_validator(mode="after")
    def _some(self) -> "Budget":
        if self.tokens is None and self.cost is None:
            raise wrong("config.value", "a budget without a limit", "name tokens, cost or both")
        return self


class Price(Options):
    """What a million tokens cost, in millionths of the site's currency."""

    input: Money
    output: Money


class Rate(Options):
    """Calls within any span of that many seconds."""

    calls: Annotated[Count, Field(ge=1)]
    per: Span


class Provider(Options):
    """Who answers `llm` steps. address: of the API; of `sim`, its script, below the site.

    phi: the most that may leave for it: no value that could tell a patient, de-identified
    content, or all; agreement: under which contract, for the record. detect: look for more to
    replace in free text. prices: by model.
    """

    type: Literal["sim", "openai", "anthropic"] = "sim"
    address: Text = ""
    key: SecretField | None = None
    model: Text = ""
    phi: Phi = "none"
    agreement: Text = ""
    detect: Switch = False
    prices: dict[str, Price] = Field(default_factory=dict)
    budget: Budget | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What `model` says. model: empty when the provider's own is meant."""

    provider: str
    model: str = ""

    @classmethod
    def default(cls, providers: Collection[str]) -> "Chosen":
        """Of a step that says nothing: the only one, or the one called `default`."""
        return cls(next(iter(providers)) if len(providers) == 1 else "default")

    def plain(self) -> str | dict[str, str]:
        """As a file spells it."""
        return {self.provider: self.model} if self.model else self.provider


def _model(value: Any) -> Chosen:
    if isinstance(value, Chosen):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(name, model)] = value.items()
        if isinstance(model, str) and model:
            return Chosen(_name(name), str(model))
    elif isinstance(value, str):
        return Chosen(_name(value))
    hint = "a provider of config/portico.yaml, or {PROVIDER: MODEL}"
    raise wrong("config.model", "not a model", hint)


def _name(value: str) -> str:
    try:
        return fields.name(str(value))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.model", text, hint) from None


# A provider's name, or `{provider: model}`.
ModelField = Annotated[
    Chosen,
    PlainValidator(_model),
    Shown(Chosen.plain),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": 1}]}),
]


def exceeds(wanted: Phi, granted: Phi) -> bool:
    """Whether data of that kind are more than a provider may have."""
    return LEVELS.index(wanted) > LEVELS.index(granted)
