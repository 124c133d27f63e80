"""The kinds of values that site files hold, as annotated types for pydantic models.

A scalar of a site file is the text that was typed (`NO`, `007`, `2.10`); these types turn it
into a value and say what would be right when they cannot (SITE reference, sections 1 and 3).
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    core_schema,
)

from portico import units

T = TypeVar("T")


class Options(BaseModel):
    """Base of every shape in a site file: frozen, unknown keys are errors.

    A field whose YAML key is a Python word has an alias (`for_`, alias `for`). `short` names
    the one key that a bare text or list stands for: `charset: utf-8` is
    `charset: {name: utf-8}`. beneath: keys that people look for here, with the key under which
    they stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    short: ClassVar[str] = ""
    beneath: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys of the mapping, as a file spells them, without those that code fills."""
        fields = cls.model_fields.items()
        return tuple(field.alias or key for key, field in fields if not field.exclude)

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if cls.short and isinstance(value, str | list):
            value = {cls.short: value}
        try:
            return handler(value)
        except ValidationError as error:
            lines = [_named(line, cls) for line in error.errors()]
            raise ValidationError.from_exception_data(cls.__name__, lines) from error

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        if not cls.short:
            return schema
        full = handler.resolve_ref_schema(schema)
        return {"anyOf": [full["properties"][cls.short], schema]}


def _named(line: ErrorDetails, cls: type[Options]) -> InitErrorDetails:
    """The same error; what is wrong with this very mapping says which keys there are."""
    loc, kind, context = line["loc"], line["type"], line.get("ctx", {})
    again = InitErrorDetails(type=kind, loc=loc, input=line["input"], ctx=context)
    if len(loc) == 1 and kind in ("extra_forbidden", "inner"):
        again["type"] = unknown_key(str(loc[0]), cls.keys(), cls.beneath)
    elif not loc and kind == "model_type":
        text = f"expected a mapping, found {kind_of(line['input'])}"
        again["type"] = wrong("config.type", text, _as_mapping(line["input"], cls))
    elif "." in kind:
        again["type"] = PydanticCustomError(kind, "{text}", context)
    return again


def wrong(code: str, text: str, hint: str = "") -> PydanticCustomError:
    """What a validator raises: a stable code, what is wrong, and what would be right."""
    return PydanticCustomError(code, "{text}", {"text": text, "hint": hint})


def not_yet(what: str) -> PydanticCustomError:
    """The language knows it, this engine cannot do it yet."""
    return wrong("site.not_yet", f"{what}: not built yet")


def unknown_key(
    key: str, keys: Iterable[str], beneath: Mapping[str, str] = MappingProxyType({})
) -> PydanticCustomError:
    """No such key in this mapping; the hint is the nearest one, or all of them."""
    hint = f"it stands under {beneath[key]!r}" if key in beneath else nearest(key, keys)
    return wrong("config.unknown_key", f"there is no key {key!r} here", hint)


def _as_mapping(value: Any, cls: type[Options]) -> str:
    """What was meant by a bare value: the key that takes such a word, or the keys there are."""
    for name, field in cls.model_fields.items():
        if isinstance(value, str) and value in get_args(field.annotation):
            return f"try {{{field.alias or name}: {value}}}"
    keys = cls.keys()
    return f"its keys: {', '.join(keys)}" if len(keys) > 1 else f"try {{{keys[0]}: ...}}"


def nearest(text: str, known: Iterable[str]) -> str:
    """`did you mean 'lab'?`, or the list of what is known, or nothing."""
    names = sorted(set(known))
    if close := difflib.get_close_matches(text, names, 1, 0.6):
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names[:24])}" if names else ""


class Later:
    """Marks a key whose machinery comes later: `fine` texts are taken, all else is not_yet."""

    def __init__(self, what: str, *fine: str) -> None:
        self.what, self.fine = what, fine

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"description": f"{self.what}: not built yet"}

    def _read(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.fine:
            return value
        raise not_yet(self.what)


def _refuse(value: Any) -> Any:
    raise PydanticCustomError("inner", "a file never names this key")


# A field that code fills by model_copy; a file never names it: `Field(None, exclude=True)`.
Inner = SkipJsonSchema[Annotated[Any, PlainValidator(_refuse)]]


# For the schemas: peers connect to us, or we to them.
ONE_WAY = ConfigDict(
    json_schema_extra={"oneOf": [{"required": ["listen"]}, {"required": ["address"]}]}
)


def one_sided(options: Any, *keys: str) -> None:
    """Raises a finding's error where one of these keys, which say who may connect to us, stands
    beside `address`: there we do.
    """
    for key in keys:
        if options.address is not None and key in options.model_fields_set:
            text = f"{key!r} is of who connects to us, and with 'address' we do"
            raise wrong("config.key", text, "leave it out")


class HostPort(NamedTuple):
    """Where to listen or connect. Port 0 lets the system choose (tests)."""

    host: str
    port: int

    def __str__(self) -> str:
        """`127.0.0.1:2575`, `[::1]:2575`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text_of(value: object) -> str:
    """The scalar as typed; raises ValueError for a list or a mapping."""
    if not isinstance(value, str):
        hint = "; quote a text that begins with {" if isinstance(value, dict) else ""
        raise ValueError(f"expected one text, found {kind_of(value)}{hint}")
    return value


def kind_of(value: object) -> str:
    """`a list`, `a mapping` or `a text`, for messages."""
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else "a text"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a file would spell the value of a field: for `check --explain` and the schemas.

    text: gives the text, or a mapping or list of texts.
    """

    text: Callable[[Any], Any]


def _parsed(read: Callable[[str], T]) -> BeforeValidator:
    """A validator that reads text and leaves values of the final type alone."""

    def validate(value: Any) -> Any:
        if isinstance(value, list | dict):
            raise wrong("config.type", f"expected one text, found {kind_of(value)}")
        if isinstance(value, str) and "${" in value:
            raise wrong("config.secret", "no secret belongs here", "${env:NAME} is for texts")
        try:
            return read(value) if isinstance(value, str) else value
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise wrong(f"config.{read.__name__}", text, hint) from None

    return BeforeValidator(validate)


def host_port(text: str, usual: int = 2575) -> HostPort:
    """`HOST:PORT` or `[IPV6]:PORT`. Raises ValueError, whose hint names the usual port."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:(\d{1,5})|([^:\s/\[\]]+):(\d{1,5})", text)
    if not match or int(match[2] or match[4]) > 65_535:
        raise ValueError(f"{text!r} is not HOST:PORT; try {_completed(text, usual)!r}")
    return HostPort(match[1] or match[3], int(match[2] or match[4]))


def _completed(text: str, usual: int) -> str:
    """What was typed with what it lacks; an example where that cannot be told."""
    if re.fullmatch(r"\d{1,5}", text) and int(text) <= 65_535:
        return f"127.0.0.1:{text}"
    host = text if re.fullmatch(r"[\w.-]+", text) else "127.0.0.1"
    return f"{host}:{usual}"


def switch(text: str) -> bool:
    """`yes` or `no`. Raises ValueError."""
    if text in ("yes", "no"):
        return text == "yes"
    raise ValueError(f"{text!r} is not a switch; write yes or no")


def count(text: str) -> int:
    """A whole number from 0. Raises ValueError."""
    if re.fullmatch(r"\d{1,18}", text):
        return int(text)
    raise ValueError(f"{text!r} is not a whole number")


def name(text: str) -> str:
    """`[a-z][a-z0-9_]*`. Raises ValueError with the nearest good name."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,62}", text):
        return text
    near = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") or "name"
    near = near if near[0].isalpha() else f"n_{near}"
    raise ValueError(
        f"{text!r} is not a name (a-z, 0-9 and _, a letter first); try {near[:63]!r}"
    )


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


# A scalar as typed; an editor may take `103` or `yes` for a number or a boolean.
Text = Annotated[str, _parsed(str), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Duration = Annotated[
    float,
    _parsed(units.duration),
    Shown(units.duration_text),
    WithJsonSchema({"type": "string", "examples": ["30s", "forever"]}),
]
# One in which something has to happen, or between two tries of it: none would never do.
Span = Annotated[Duration, Field(ge=0.001)]
Size = Annotated[
    int,
    _parsed(units.size),
    Shown(units.size_text),
    WithJsonSchema({"type": "string", "examples": ["16MiB"]}),
]
Switch = Annotated[bool, _parsed(switch), WithJsonSchema({"enum": ["yes", "no", True, False]})]
Count = Annotated[
    int, _parsed(count), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})
]
# Millionths of a currency: the one that the site's prices are in.
Money = Annotated[
    int,
    _parsed(units.money),
    Shown(units.money_text),
    WithJsonSchema({"type": ["number", "string"], "examples": ["12.50"]}),
]
Address = Annotated[
    HostPort,
    _parsed(host_port),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:2575"]}),
]
Name = Annotated[
    str, _parsed(name), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})
]


class OneOrMany:
    """One item may stand for a list of one: `Annotated[tuple[Name, ...], ONE_OR_MANY]`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        return {"anyOf": [schema.get("items", {}), schema]}


ONE_OR_MANY = OneOrMany()
