"""The C library, for what Linux offers and Python does not.

Found once: each look-up makes a class, which costs a fresh worker a hundred pages of memory.
"""

import ctypes
import os
from functools import cache


@cache
def library() -> ctypes.CDLL:
    """It sets `ctypes.get_errno`."""
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """A system call; numbers go as `long`. Raises OSError."""
    made = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found: int = library().syscall(ctypes.c_long(number), *made)
    if found < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return found
