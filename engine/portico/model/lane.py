"""Order keys in one text: mostly one key; where patients meet, several, each a lane of its own.

A Signal or Delivery with several keys goes after all that came before it under any of them,
and before all that comes after it: a barrier. One column holds them, so that a message with
one key costs nothing more.
"""

from collections.abc import Iterable

SEPARATOR = "\x1f"


def joined(keys: Iterable[str]) -> str:
    """The keys as one text, each once, empty ones left out."""
    return SEPARATOR.join(dict.fromkeys(key for key in keys if key))


def several(text: str) -> bool:
    """Whether it names more than one key."""
    return SEPARATOR in text


def keys(text: str) -> tuple[str, ...]:
    """The keys of a text; one that is empty or no barrier is its own only key."""
    return tuple(text.split(SEPARATOR)) if SEPARATOR in text else (text,)


def told(text: str) -> str:
    """For people: `4711 + 4712`."""
    return text.replace(SEPARATOR, " + ")
