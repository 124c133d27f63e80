"""How a process ended, in words for people."""

import signal


def told(code: int | None) -> str:
    """`exit 3`, `SIGSEGV`; of a signal that has no name its number, `signal 40`.

    code: its exit code, or the signal's number below zero; None: nobody knows.
    """
    if code is None:
        return "unknown"
    if code >= 0:
        return f"exit {code}"
    named = {int(one): one.name for one in signal.Signals}
    return named.get(-code, f"signal {-code}")
