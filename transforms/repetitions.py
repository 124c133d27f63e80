"""The repetitions of a field, each as a place to read and to write."""

from portico.authoring import Message


def places(msg: Message, field: str) -> list[str]:
    """`PID-13[1]`, `PID-13[2]`, ... for as many as the field has; none for an absent one."""
    raw = msg.raw(field)
    if raw is None:
        return []
    count = raw.count(msg.view.delimiters.repetition) + 1
    return [f"{field}[{number}]" for number in range(1, count + 1)]
