"""What differs between what a case wants and what came, field by field."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from portico.errors import PathInvalid
from portico.hl7.edit import MessageEdit
from portico.hl7.view import DELETED, MessageView
from portico.language.condition import Condition
from portico.language.content import AUTO, Content, open_content
from portico.language.context import Context
from portico.language.place import Hl7Place, Place
from portico.language.tables import Table

_WORDS = ("any", "all", "not")


def of_condition(
    wanted: Condition,
    content: bytes,
    envelope: Mapping[str, Any],
    tables: Mapping[str, Table],
    form: Content = AUTO,
    charset: tuple[str, str] = ("ascii", "refuse"),
) -> list[str]:
    """One line for each part of the condition that does not hold for this content.

    form, charset: of the content that it was made from. Raises MessageError where it cannot be
    read.
    """
    view = open_content(form.like(content), content, *charset)
    context = Context(view, envelope, tables=tables)
    source = wanted.source
    if not isinstance(source, dict):
        return [] if wanted.holds(context) else [f"none of {_shown(source)} holds"]
    return [line for key, value in source.items() for line in _of_part(key, value, context)]


def _of_part(key: str, value: Any, context: Context) -> list[str]:
    if Condition.parse({key: value}).holds(context):
        return []
    if key in _WORDS:
        return [f"{key} {_shown(value)} does not hold"]
    return [f"{key}: wanted {_shown(value)}, found {_found(key, context)}"]


def _found(key: str, context: Context) -> str:
    values = Place.parse(key).texts(context)
    words = ['"" (deleted)' if value is DELETED else repr(value) for value in values]
    return ", ".join(words) or "nothing"


def _shown(value: Any) -> str:
    """A value of a site file as it is typed there, in one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_shown(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_shown(each) for each in value)}]"
    return repr(value)


def of_golden(wanted: bytes, content: bytes, ignore: Sequence[Place]) -> list[str]:
    """One line for each field that differs; of content that is not HL7 the first byte."""
    if wanted == content:
        return []
    before, after = open_content("auto", wanted), open_content("auto", content)
    if not (isinstance(before, MessageView) and isinstance(after, MessageView)):
        first = next((n for n, (a, b) in enumerate(zip_longest(wanted, content)) if a != b), 0)
        return [f"differs from byte {first} on ({len(wanted)} wanted, {len(content)} found)"]
    return list(_of_messages(_without(before, ignore), _without(after, ignore)))


def _without(view: MessageView, ignore: Sequence[Place]) -> MessageView:
    """The message with the ignored places emptied."""
    edit = MessageEdit(view)
    for place in ignore:
        if isinstance(place, Hl7Place):
            try:
                edit.remove(place.path)
            except PathInvalid:
                continue
    return MessageView(edit.encode(), on_charset_error="replace")


def _of_messages(before: MessageView, after: MessageView) -> Iterator[str]:
    """Segments are compared by their number, fields within them by theirs."""
    counts: dict[str, int] = {}
    for one, other in zip_longest(before.segments(), after.segments()):
        name = one.name if one else other.name
        counts[name] = counts.get(name, 0) + 1
        where = name if counts[name] == 1 else f"{name}[{counts[name]}]"
        if one is None or other is None or one.name != other.name:
            wanted = one.name if one else "no more segments"
            found = other.name if other else "no more segments"
            yield f"{where}: wanted {wanted}, found {found}"
            return
        yield from _of_fields(where, _fields(before, one.raw), _fields(after, other.raw))


def _fields(view: MessageView, raw: bytes) -> list[str]:
    fields = view.decoded(raw).split(view.delimiters.field.decode("latin-1"))
    return ["", *fields] if fields[0] in ("MSH", "FHS", "BHS") else fields


def _of_fields(where: str, before: list[str], after: list[str]) -> Iterator[str]:
    for number, (one, other) in enumerate(zip_longest(before, after, fillvalue="")):
        if one != other:
            yield f"{where}-{number}: wanted {one!r}, found {other!r}"
