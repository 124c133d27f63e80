"""Looks a type up by its YAML name: our own tables first, then installed extensions.

An extension is a package with entry points in the groups `portico.listeners`,
`portico.destinations` or `portico.steps`; each points at a ListenerType, DestinationType or
StepType. Nothing is imported before a site names it.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from portico.destinations import table as destinations
from portico.destinations.contract import DestinationType
from portico.errors import TypeUnknown
from portico.listeners import table as listeners
from portico.listeners.contract import ListenerType
from portico.spec.fields import nearest
from portico.steps import table as steps
from portico.steps.contract import StepType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One kind of types. noun: for messages; group: its entry points."""

    noun: str
    group: str
    table: Mapping[str, str]
    planned: tuple[str, ...]


_LISTENERS = _Shelf("source type", "portico.listeners", listeners.LISTENERS, listeners.PLANNED)
_DESTINATIONS = _Shelf(
    "destination type", "portico.destinations", destinations.DESTINATIONS, destinations.PLANNED
)
_STEPS = _Shelf("step", "portico.steps", steps.STEPS, steps.PLANNED)


def listener(name: str) -> ListenerType:
    """The source type of that name. Raises TypeUnknown."""
    return _found(_LISTENERS, name, ListenerType)


def destination(name: str) -> DestinationType:
    """The destination type of that name. Raises TypeUnknown."""
    return _found(_DESTINATIONS, name, DestinationType)


def step(verb: str) -> StepType:
    """The step type of that verb. Raises TypeUnknown."""
    return _found(_STEPS, verb, StepType)


def listeners_named() -> tuple[str, ...]:
    """Names of all source types that can be used."""
    return _names(_LISTENERS)


def destinations_named() -> tuple[str, ...]:
    """Names of all destination types that can be used."""
    return _names(_DESTINATIONS)


def steps_named() -> tuple[str, ...]:
    """All verbs that can be used."""
    return _names(_STEPS)


def _names(shelf: _Shelf) -> tuple[str, ...]:
    return tuple(sorted({*shelf.table, *_extensions(shelf.group)}))


def _found(shelf: _Shelf, name: str, kind: type[T]) -> T:
    if name in shelf.table:
        module, _, attribute = shelf.table[name].partition(":")
        found: Any = getattr(importlib.import_module(module), attribute)
    elif name in _extensions(shelf.group):
        found = _extensions(shelf.group)[name].load()
    elif name in shelf.planned:
        raise TypeUnknown(f"{shelf.noun} {name!r}: not built yet", planned=True)
    else:
        hint = nearest(name, (*_names(shelf), *shelf.planned))
        raise TypeUnknown(f"there is no {shelf.noun} {name!r}", hint)
    if not isinstance(found, kind):
        raise TypeUnknown(f"{shelf.noun} {name!r} is not a {kind.__name__}")
    return found


@lru_cache(maxsize=8)
def _extensions(group: str) -> dict[str, EntryPoint]:
    """Installed extensions of a group by name; they never hide a type of ours."""
    return {point.name: point for point in entry_points(group=group)}
