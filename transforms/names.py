"""Family names as the HIS searches them: upper case, without stray blanks."""

from portico.authoring import Message
from transforms import repetitions

FIELDS = ("PID-5", "MRG-7")  # the patient, and the one that a merge takes away


def normalize(msg: Message) -> None:
    """The family name of every repetition, trimmed and in upper case; given names trimmed."""
    for field in FIELDS:
        for place in repetitions.places(msg, field):
            write(msg, f"{place}.1", tidy(msg.get(f"{place}.1")).upper())
            write(msg, f"{place}.2", tidy(msg.get(f"{place}.2")))


def tidy(name: str) -> str:
    """One blank between words, none around them."""
    return " ".join(name.split())


def write(msg: Message, place: str, text: str) -> None:
    """Change the place only if that changes anything: the rest keeps its bytes."""
    if text and text != msg.get(place):
        msg[place] = text
