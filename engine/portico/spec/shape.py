"""Fitting a document's value to a model: a typed value, or findings with their lines."""

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from portico.spec.document import Document, Location
from portico.spec.fields import kind_of, nearest
from portico.spec.finding import Finding
from portico.spec.secrets import Expanded, typed_text

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}


def fit(
    model: type[Model], value: Any, document: Document, at: Location = ()
) -> tuple[Model | None, list[Finding]]:
    """The typed value, or None and every reason why not. `at`: where `value` stands."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, list(_findings(error, document, at))


def _findings(error: ValidationError, document: Document, at: Location) -> Iterator[Finding]:
    for line in error.errors(include_url=False):
        code, text, hint = _words(line)
        place = document.known((*at, *line["loc"]))
        if code == "config.missing_key" and line["loc"]:
            place = (*place, line["loc"][-1])
        if isinstance(line["input"], Expanded):
            if "${env:" in line["input"]:
                continue  # a variable that is not set, which `expand` has said
            typed = repr(str(typed_text(line["input"])))
            text = text.replace(repr(str(line["input"])), typed)
            hint = hint if str(line["input"]) not in hint else ""
        yield document.finding(place, code, text, hint)


def _words(line: ErrorDetails) -> tuple[str, str, str]:
    """Code, text and hint of one of pydantic's complaints."""
    kind, context = line["type"], line.get("ctx", {})
    if "." in kind:
        return kind, str(context.get("text", line["msg"])), str(context.get("hint", ""))
    if kind == "missing":
        return "config.missing_key", f"{line['loc'][-1]!r} is missing", ""
    if kind in ("literal_error", "enum"):
        return _choice(line["input"], str(context["expected"]))
    if kind == "value_error":
        text, _, hint = str(context["error"]).partition("; ")
        return "config.value", text, hint
    if kind in _EXPECTED:
        found = kind_of(line["input"])
        return "config.type", f"expected {_EXPECTED[kind]}, found {found}", ""
    return "config.value", line["msg"][:1].lower() + line["msg"][1:], ""


def _choice(value: object, expected: str) -> tuple[str, str, str]:
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    if not isinstance(value, str):
        return "config.type", f"expected one of {', '.join(words)}, found {kind_of(value)}", ""
    near = nearest(value, words)
    hint = near if "mean" in near else f"one of {', '.join(words)}"
    return "config.choice", f"{value!r} is not a choice here", hint
