"""Faults of ours, told by what they are and where: their words may hold data."""

import traceback
from pathlib import Path


def place(fault: BaseException) -> str:
    """Where it was raised: `file.py:12`."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
