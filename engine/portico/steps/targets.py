"""Targets of `map`: which places a line writes, by number, and whether two lines collide."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from portico.hl7.path import Path
from portico.hl7.reading import Reading
from portico.language.context import Context
from portico.language.place import AsidePlace, EnvelopePlace, Hl7Place, Place, PointerPlace


def targets(place: Place, context: Context) -> list[Place]:
    """The place by numbers: what `[*]` and conditions name before anything is written."""
    reading = context.view
    if not isinstance(place, Hl7Place) or not isinstance(reading, Reading):
        return [place]
    path = place.path
    if path.every or path.where is not None:
        paths = reading.expand(path)
        paths = paths if path.every else paths or [path]
    elif path.repetition_where is None:
        return [place]
    else:
        paths = [path]
    return [Hl7Place.of(_numbered(reading, one)) for one in paths]


def _numbered(reading: Reading, path: Path) -> Path:
    """The path with its repetition by number, when one fits."""
    wanted = path.repetition_where
    if wanted is None or path.field is None:
        return path
    field = replace(path, repetition_where=None, component=None, subcomponent=None)
    raw = reading.raw(field) or b""
    component, subcomponent = (*wanted.place, None)[:2]
    for number in range(1, raw.count(reading.delimiters.repetition) + 2):
        probe = replace(
            field, repetition=number, component=component, subcomponent=subcomponent
        )
        if reading.text(probe) == wanted.text:
            return replace(path, repetition=number, repetition_where=None)
    return path


def made(place: Place, count: int) -> list[Place]:
    """Numbered places of a `[*]` that no segment fits yet, for a message that starts empty."""
    if not isinstance(place, Hl7Place) or place.path.where is not None:
        return []
    path = replace(place.path, every=False)
    return [Hl7Place.of(replace(path, occurrence=number + 1)) for number in range(count)]


def from_behind(places: Iterable[Place]) -> list[Place]:
    """Numbered places, each once, the last first: taking one out moves none that follows."""
    return [one for _, one in sorted({_spot(one): one for one in places}.items(), reverse=True)]


def _spot(place: Place) -> tuple[str | int, ...]:
    """The words of a place with its numbers as numbers: `OBX[10]` stands behind `OBX[9]`."""
    text = place.source
    if isinstance(place, Hl7Place) and place.path.where is None:
        text = str(replace(place.path, occurrence=place.path.occurrence or 1))
    parts = re.split("([0-9]+)", text)
    return tuple(int(part) if at % 2 else part for at, part in enumerate(parts))


def level(place: Place) -> int:
    """How much structure a place can hold: 0 a whole field, 3 a subcomponent."""
    if not isinstance(place, Hl7Place):
        return 3 if isinstance(place, EnvelopePlace) else 0
    path = place.path
    if path.component is not None:
        return 2 if path.subcomponent is None else 3
    return 0 if path.repetition is None and path.repetition_where is None else 1


def overlap(one: Place, other: Place) -> bool:
    """Whether one place lies within the other, as far as their words say."""
    if isinstance(one, Hl7Place) and isinstance(other, Hl7Place):
        return _path_overlap(one.path, other.path)
    if isinstance(one, PointerPlace) and isinstance(other, PointerPlace):
        return _begins(one.source.split("/"), other.source.split("/"))
    if isinstance(one, AsidePlace) and isinstance(other, AsidePlace):
        return one.name == other.name and _begins(one.tokens, other.tokens)
    return False


def _begins(one: Sequence[Any], other: Sequence[Any]) -> bool:
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _path_overlap(one: Path, other: Path) -> bool:
    def owner(path: Path) -> tuple[Any, ...]:
        return path.segment, path.occurrence or 1, path.every, path.where

    def inside(path: Path) -> tuple[Any, ...]:
        """From the outside in, as far as the path goes."""
        steps: tuple[Any, ...] = () if path.field is None else (path.field,)
        repetition = path.repetition_where or path.repetition
        if repetition or path.component:
            steps += (repetition or 1,)
        return steps + tuple(n for n in (path.component, path.subcomponent) if n is not None)

    return owner(one) == owner(other) and _begins(inside(one), inside(other))
