"""Message: an HL7 message as transforms see it. Authors import it from portico.authoring."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from portico.errors import ContentInvalid
from portico.hl7 import datetimes, diff, jsonform
from portico.hl7.datetimes import DateTime
from portico.hl7.diff import Difference
from portico.hl7.edit import MessageEdit
from portico.hl7.path import Path
from portico.hl7.reading import DELETED, Deleted, Reading
from portico.hl7.view import MessageView, Segment

_CONTROL_ID = Path.parse("MSH-10")

Assigned = str | DateTime | Deleted | None


class Message:
    """An HL7 v2 message: read by path, changed by path; all else keeps its bytes.

        >>> msg = Message(b"MSH|^~\\\\&|HIS||LAB||2026||ADT^A01|1|P|2.5\\rPID|||7||muster\\r")
        >>> msg["PID-5.1"] = msg["PID-5.1"].upper()
        >>> msg["PID-5.1"], msg["PID-8"], msg.type
        ('MUSTER', None, 'ADT^A01')

    charset, on_charset_error: of a message whose MSH-18 is empty or wrong, see MessageView.
    Raises MessageError kinds, whose texts hold no patient data: PathInvalid for a path that is
    none, NotHl7 for content that is none, TextUnencodable for text that the charset cannot
    carry.
    """

    __slots__ = ("_edit", "_view")

    def __init__(
        self,
        content: bytes | MessageView,
        charset: str = "ascii",
        on_charset_error: str = "refuse",
    ) -> None:
        self._edit: MessageEdit | None = None
        if isinstance(content, MessageView):
            self._view = content
        else:
            self._view = MessageView(content, charset, on_charset_error)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Message":
        """The message of its JSON form. Raises ContentInvalid, NotHl7."""
        return Message(jsonform.load(value), value.get("charset", "ascii"))

    @property
    def reading(self) -> Reading:
        """What paths are read from: the bytes as they came, or the edit once there is one."""
        return self._view if self._edit is None else self._edit

    @property
    def edit(self) -> MessageEdit:
        """What the short forms below write with."""
        if self._edit is None:
            self._edit = MessageEdit(self._view)
        return self._edit

    @property
    def view(self) -> MessageView:
        """The message as it is now, read-only."""
        return self._view if self._edit is None else self._edit.view

    @property
    def content(self) -> bytes:
        """The message's bytes as they are now; the very same object while nothing changed."""
        return self._view.content if self._edit is None else self._edit.encode()

    def __bytes__(self) -> bytes:
        return self.content

    def __getitem__(self, path: str | Path) -> str | Deleted | None:
        """The text there, unescaped: None is absent, DELETED is HL7's `\"\"`."""
        return self.reading.text(path)

    def __contains__(self, path: str | Path) -> bool:
        """Whether the place is valued: there, not empty, not deleted."""
        return any(isinstance(text, str) for text in self.reading.texts(path))

    def get(self, path: str | Path, default: str = "") -> str:
        """The text there, or the default when it is absent or deleted."""
        text = self.reading.text(path)
        return text if isinstance(text, str) else default

    def texts(self, path: str | Path) -> list[str | Deleted]:
        """Every text of a `[*]` path that is valued or deleted, in order."""
        return self.reading.texts(path)

    def time(self, path: str | Path) -> DateTime | None:
        """The date-time there, with the precision it was written with; else None."""
        return datetimes.read(self.get(path))

    def raw(self, path: str | Path) -> bytes | None:
        """The bytes there, with separators and escapes; None when absent."""
        return self.reading.raw(path)

    def expand(self, path: str | Path) -> list[Path]:
        """A `[*]` path once for each segment that it names, to read and write one by one."""
        return self.reading.expand(path)

    def repetitions(self, path: str | Path) -> list[Path]:
        """A field's path once for each of its repetitions: `PID-3[1]`, `PID-3[2]`."""
        return self.reading.repetitions(path)

    def __setitem__(self, path: str | Path, value: Assigned) -> None:
        """Write text, escaped: it can shift no field. None empties, DELETED writes `\"\"`."""
        if value is None:
            self.edit.remove(path)
        else:
            self.edit.set(path, '""' if value is DELETED else str(value))

    def __delitem__(self, path: str | Path) -> None:
        """Empty a field or a part of it; a path of a segment takes it out (`OBX[*2=ED]`)."""
        self.edit.remove(path)

    def set_raw(self, path: str | Path, value: bytes) -> None:
        """Write bytes as they are, separators and escapes included."""
        self.edit.set_raw(path, value)

    def segments(self, name: str | None = None) -> Iterator[Segment]:
        """The segments as they are now, or those of one name, in order. Read-only."""
        return self.view.segments(name)

    def insert_segment(self, raw: bytes, after: int | None = None) -> None:
        """Put a segment behind the one at that position (from 0), or at the end."""
        self.edit.insert_segment(raw, after)

    def groups(self, name: str, *ends: str) -> list[list[Segment]]:
        """Each segment of that name with what follows, to the next of its name or of `ends`.

        `msg.groups("OBR", "ORC")`: every order with its results.
        """
        found: list[list[Segment]] = []
        inside = False
        for segment in self.segments():
            if segment.name == name:
                found.append([])
            inside = segment.name == name or (inside and segment.name not in ends)
            if inside:
                found[-1].append(segment)
        return found

    def path_of(self, segment: Segment) -> str:
        """The path of a segment of this message as it is now: `OBX[3]`, to write below it."""
        before = [one for one in self.segments(segment.name) if one.index <= segment.index]
        return f"{segment.name}[{len(before)}]"

    @property
    def type(self) -> str:
        """`ADT^A01`: the first two components of MSH-9."""
        return self.view.header.type

    @property
    def control_id(self) -> str:
        """MSH-10 as it stands."""
        return (self.reading.raw(_CONTROL_ID) or b"").decode("latin-1")

    def copy(self) -> "Message":
        """A message of its own with the same content."""
        return Message(self.view)

    def diff(self, other: "Message") -> list[Difference]:
        """What differs in `other`, field by field; see portico.hl7.diff."""
        return diff.compare(self.view, other.view)

    def to_json(self) -> dict[str, Any]:
        """The message as a JSON value, from which `from_json` makes the very same bytes."""
        return jsonform.dump(self.view)

    def hl7(self) -> Any:
        """python-hl7's object of the message as it is now; 50 times slower than this one.

        Its changes reach this message only when the step returns `str(...)` of it.
        """
        view = self.view
        try:
            text = view.content[view.start :].decode(view.codec)
        except UnicodeDecodeError:
            raise ContentInvalid("the message is not of its character set") from None
        # By name: the library costs time and memory that only those who ask should pay.
        return importlib.import_module("portico.hl7.pythonhl7").parsed(text)

    def __repr__(self) -> str:
        return f"<Message {self.type}, {len(self.content)} bytes>"
