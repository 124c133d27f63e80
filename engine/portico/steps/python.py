"""`python: module:function`: a function of the site, the only loader of site code.

The function is called with the content as it is, and with what `with` names as keywords: a
Message for HL7, the parsed value for JSON, bytes for all else. It changes a Message in place
or returns what takes its place: a Message, bytes, text, or for JSON a value; with `into` it
returns a JSON value that is put aside.
"""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from portico.errors import (
    ConfigError,
    MessageError,
    Permanent,
    StepError,
    StepTimeout,
)
from portico.hl7.message import Message
from portico.hl7.view import MessageView
from portico.language.content import Content, encode_json, parse_json
from portico.spec import fields
from portico.spec.fields import Options, Span
from portico.spec.rules import AsideField, TemplateField
from portico.steps import deadline
from portico.steps.ambient import ambient
from portico.steps.body import Body, Hl7Body, JsonBody, encoded, json_body, open_body, plain
from portico.steps.contract import Build, End, StepType
from portico.steps.deadline import Expired
from portico.steps.state import RunState

Function = Callable[..., Any]

_CALL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def _call(value: Any) -> str:
    text = fields.text_of(value)
    if not _CALL.fullmatch(text):
        raise fields.wrong(
            "config.call",
            f"{text!r} is not module:function",
            "such as 'transforms.phones:normalize'",
        )
    return text


class PythonOptions(Options):
    """A text is `call`. timeout: of one call. content: the kind of what it returns."""

    short: ClassVar[str] = "call"

    call: Annotated[str, PlainValidator(_call), WithJsonSchema({"type": "string"})]
    with_: dict[str, TemplateField] = Field(default_factory=dict, alias="with")
    timeout: Span = 5.0
    content: Literal["hl7", "json", "xml", "csv", "bytes"] | None = None
    into: AsideField | None = None


class _Python:
    def __init__(self, options: PythonOptions, function: Function, root: Path) -> None:
        self._function = function
        self._with = tuple(options.with_.items())
        self._timeout = options.timeout
        self._content = options.content
        self._into = options.into
        self._root = root

    def run(self, state: RunState) -> End | None:
        draft = state.body.fork()
        given = _given(draft)
        named = {name: text.render(state.context) for name, text in self._with}
        returned = self._called(state, given, named)
        if self._into is not None:
            state.aside[self._into] = parse_json(encode_json(returned))
            returned = None
        state.take(self._taken(draft, given, returned))
        return None

    def _called(self, state: RunState, given: Any, named: dict[str, str]) -> Any:
        """The function's value; whatever it raises comes out as StepError or MessageError."""
        left = state.left()
        ambient.state = state
        try:
            return deadline.call(min(self._timeout, left), self._function, given, **named)
        except Expired as error:
            limit = "the agent's limits.time" if left < self._timeout else "its timeout"
            raise StepTimeout(f"passed {limit}", at=self._at(error)) from None
        except StepError as error:
            error.at = error.at or self._at(error)
            raise
        except MessageError as error:
            text, location = str(error), error.location
            raise Permanent(f"{text} [{error.code}]", location, self._at(error)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- the fence of site code
            # The text may quote the patient, so the type and the line must do.
            text = f": {error}" if state.limits.candid and str(error) else ""
            raised = f"raised {type(error).__name__}{text}"
            raise Permanent(raised, at=self._at(error)) from None
        finally:
            ambient.state = None

    def _at(self, error: BaseException) -> str | None:
        """`file:line` of the innermost frame that is site code."""
        root = str(self._root) + "/"
        at = None
        for frame, line in walk_tb(error.__traceback__):
            name = frame.f_code.co_filename
            if name.startswith(root):
                at = f"{name.removeprefix(root)}:{line}"
        return at

    def _taken(self, draft: Body, given: Any, returned: Any) -> Body:
        """The body that goes on."""
        kind = self._content or draft.kind
        if isinstance(returned, Message):
            return Hl7Body(returned)
        if isinstance(returned, bytes):
            return open_body(_form(kind, draft), returned, *_policy(draft))
        if isinstance(returned, str) and kind != "json":
            content = _bytes(returned, kind, draft)
            return open_body(_form(kind, draft), content, *_policy(draft))
        if returned is None and self._content in (None, draft.kind):
            return _edited(draft, given) if isinstance(draft, JsonBody) else draft
        if kind == "json":
            return json_body(_sound(returned))
        raise Permanent(
            f"returned {type(returned).__name__}, which is no {kind} content; see into"
        )


def _given(body: Body) -> Any:
    if isinstance(body, Hl7Body):
        return body.message
    return plain(body.value) if isinstance(body, JsonBody) else body.content()


def _edited(body: JsonBody, value: Any) -> JsonBody:
    """The value after the call; the body as it came when nothing changed."""
    # By their texts: 1 equals true, and a decimal is not the float that stood for it.
    after = encode_json(value)
    return body if after == encode_json(plain(body.value)) else json_body(parse_json(after))


def _sound(value: Any) -> Any:
    """The value as JSON knows it, shared with nobody. Raises ContentInvalid."""
    return parse_json(encode_json(value))


def _form(kind: str, body: Body) -> Content:
    return body.form if kind == body.kind else Content(kind)


def _policy(body: Body) -> tuple[str, ...]:
    return body.message.view.policy if isinstance(body, Hl7Body) else ()


def _bytes(text: str, kind: str, body: Body) -> bytes:
    """Text in UTF-8, or as the message's own MSH-18 says. Raises TextUnencodable."""
    if kind != "hl7":
        return text.encode()
    return encoded(text, MessageView(text.encode(), *_policy(body)))


def _build(options: Any, build: Build) -> _Python:
    return _Python(options, _function(options.call, build.root.resolve()), build.root.resolve())


def _function(call: str, root: Path) -> Function:
    """Raises ConfigError, which may hold the text of what the site's own code raises."""
    name, _, attribute = call.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).resolve().is_relative_to(root):
        raise ConfigError(f"{name} is not a module of this site")
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(f"{name} has no function {attribute!r}")
    return function  # type: ignore[no-any-return]


PYTHON = StepType("python", "Calls a function of the site", PythonOptions, _build)
