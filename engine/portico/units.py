"""Durations, sizes and money as people write them: `30s`, `forever`, `16MiB`, `12.50`."""

import math
import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MONEY = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?")

FOREVER = math.inf


def duration(text: str) -> float:
    """Seconds of `500ms 30s 5m 2h 3d 1w 1y forever`; forever is infinity. Raises ValueError."""
    if text == "forever":
        return FOREVER
    if match := _DURATION.fullmatch(text):
        return float(match[1]) * _SECONDS[match[2]]
    raise ValueError(f"{text!r} is not a duration; try '30s', '5m', '3d' or 'forever'")


def size(text: str) -> int:
    """Bytes of `512B 64KiB 16MiB 1GiB`. Raises ValueError."""
    if match := _SIZE.fullmatch(text):
        return int(match[1]) * _BYTES[match[2]]
    loose = re.fullmatch(r"\s*(\d+)\s*([kmgt]?)i?b?\s*", text.lower())
    near = f"{loose[1]}{loose[2].upper()}{'i' if loose[2] else ''}B" if loose else "16MiB"
    raise ValueError(f"{text!r} is not a size; try {near!r}")


def money(text: str) -> int:
    """An amount such as `12.50`, in millionths. Raises ValueError."""
    match = _MONEY.fullmatch(text)
    if match:
        return int(match[1] + (match[2] or "").ljust(6, "0"))
    raise ValueError(f"{text!r} is not an amount of money; try '12.50', with no sign of it")


def duration_text(seconds: float) -> str:
    """The shortest exact form: 90 is `90s`, 120 is `2m`, infinity is `forever`."""
    if seconds == FOREVER:
        return "forever"
    for unit in ("y", "w", "d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"


def size_text(count: int) -> str:
    """The shortest exact form: 16777216 is `16MiB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


def money_text(millionths: int) -> str:
    """The shortest exact form: 12500000 is `12.5`."""
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06}".rstrip("0").rstrip(".")
