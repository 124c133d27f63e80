"""The drills' messages: who they are and what is in them."""

import hashlib
from dataclasses import dataclass

START, END = b"\x0b", b"\x1c\r"


@dataclass(frozen=True, slots=True)
class Sent:
    """One message: patient is its order key, number its place in that patient's story."""

    control_id: str
    patient: str
    number: int
    content: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of what went out."""
        return hashlib.sha256(self.content).digest()


def make(control_id: str, patient: str, number: int, filling: int = 400) -> Sent:
    """A message about a patient. filling: bytes of notes."""
    content = (
        f"MSH|^~\\&|DRILL|WARD|PORTICO|HOUSE|20260314091500||ADT^A08^ADT_A01|{control_id}|P|2.5.1\r"
        f"EVN|A08|20260314091500\rPID|1||{patient}^^^HOUSE^MR||DRILL^{patient}||19700101|F\r"
        f"PV1|1|I|W^1^1\rZSQ|{number}|{'n' * filling}|\r"
    )
    return Sent(control_id, patient, number, content.encode())


def field(content: bytes, segment: bytes, number: int) -> str:
    """A field's text; empty where there is none."""
    for line in content.split(b"\r"):
        if line.startswith(segment + b"|"):
            fields = line.split(b"|")
            at = number - 1 if segment == b"MSH" else number
            return fields[at].decode() if at < len(fields) else ""
    return ""


def answer(code: str, control_id: str) -> bytes:
    """A framed ACK."""
    head = f"MSH|^~\\&|SINK|DRILL|PORTICO|HOUSE|20260314091500||ACK|A{control_id}|P|2.5.1\r"
    return START + f"{head}MSA|{code}|{control_id}\r".encode() + END
