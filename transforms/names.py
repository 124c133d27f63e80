"""Family names as the HIS searches them: upper case, without stray blanks."""

from portico.authoring import Message

FIELDS = ("PID-5", "MRG-7")  # the patient, and the one that a merge takes away
REPETITIONS = 10  # as many names as one field is searched for


def normalize(msg: Message) -> None:
    """The family name of every repetition, trimmed and in upper case; given names trimmed."""
    for field in FIELDS:
        for number in range(1, REPETITIONS + 1):
            write(msg, f"{field}[{number}].1", tidy(msg.get(f"{field}[{number}].1")).upper())
            write(msg, f"{field}[{number}].2", tidy(msg.get(f"{field}[{number}].2")))


def tidy(name: str) -> str:
    """One blank between words, none around them."""
    return " ".join(name.split())


def write(msg: Message, place: str, text: str) -> None:
    """Change the place only if that changes anything: the rest keeps its bytes."""
    if text and text != msg.get(place):
        msg[place] = text
