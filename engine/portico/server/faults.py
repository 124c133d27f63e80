"""Faults of ours, told by what they are and where: their words may hold data."""

import traceback
from pathlib import Path

from portico.errors import JournalError, JournalRefused


def place(fault: BaseException) -> str:
    """Where it was raised: `file.py:12`."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def code(error: JournalError) -> str:
    """Why the database refused, as it says it, or why it was not reached."""
    return error.sqlstate if isinstance(error, JournalRefused) else error.code
