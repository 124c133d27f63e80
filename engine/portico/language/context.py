"""The Context: all that places, conditions and templates are evaluated against."""

from collections.abc import Mapping
from typing import Any

from portico.language.content import View
from portico.language.tables import Table

# Words of the envelope. `id` and `part` are for templates: the Signal's id and a split's count.
TEXTS = ("channel", "signal", "type", "file", "peer", "user")
WORDS = frozenset((*TEXTS, "size", "received", "flags", "header", "query", "id", "part"))

_NONE: Mapping[str, Any] = {}


class Context:
    """One Signal (or one part of it) as the language sees it.

    view: of the content as it is now, None for opaque bytes. envelope: by the words above:
    texts, but `size` and `part` int, `received` nanoseconds since 1970 UTC, `id` 16 bytes,
    `flags` a tuple of text, `header` and `query` mappings (header names in lower case).
    aside: what steps put aside, JSON values by name. tables: by name.
    """

    __slots__ = ("aside", "envelope", "tables", "view")

    def __init__(
        self,
        view: View,
        envelope: Mapping[str, Any],
        aside: Mapping[str, Any] = _NONE,
        tables: Mapping[str, Table] = _NONE,
    ) -> None:
        self.view = view
        self.envelope = envelope
        self.aside = aside
        self.tables = tables
