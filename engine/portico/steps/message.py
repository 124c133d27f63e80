"""Message: an HL7 message as transforms see it. Authors import it from portico.authoring."""

from collections.abc import Iterator

import hl7
from portico.errors import ContentInvalid
from portico.hl7.edit import MessageEdit
from portico.hl7.path import Path
from portico.hl7.reading import DELETED, Deleted, Reading
from portico.hl7.view import MessageView, Segment

_CONTROL_ID = Path.parse("MSH-10")

Assigned = str | Deleted | None


class Message:
    """An HL7 v2 message: read by path, changed by path; all else keeps its bytes.

        >>> msg = Message(b"MSH|^~\\\\&|HIS||LAB||2026||ADT^A01|1|P|2.5\\rPID|||7||muster\\r")
        >>> msg["PID-5.1"] = msg["PID-5.1"].upper()
        >>> msg["PID-5.1"], msg["PID-8"], msg.type
        ('MUSTER', None, 'ADT^A01')

    charset: of a message whose MSH-18 is empty, by a name of HL7 table 0211. Raises
    MessageError kinds, whose texts hold no patient data: PathInvalid for a path that is none,
    NotHl7 for content that is none, TextUnencodable for text that the charset cannot carry.
    """

    __slots__ = ("_edit", "_view")

    def __init__(self, content: bytes | MessageView, charset: str = "ascii") -> None:
        self._edit: MessageEdit | None = None
        if isinstance(content, MessageView):
            self._view = content
        else:
            self._view = MessageView(content, charset)

    @property
    def reading(self) -> Reading:
        """What paths are read from: the bytes as they came, or the edit once there is one."""
        return self._view if self._edit is None else self._edit

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

    def __getitem__(self, path: str) -> str | Deleted | None:
        """The text there, unescaped: None is absent, DELETED is HL7's `\"\"`."""
        return self.reading.text(path)

    def get(self, path: str, default: str = "") -> str:
        """The text there, or the default when it is absent or deleted."""
        text = self.reading.text(path)
        return text if isinstance(text, str) else default

    def texts(self, path: str) -> list[str | Deleted]:
        """Every text of a `[*]` path that is valued or deleted, in order."""
        return self.reading.texts(path)

    def __setitem__(self, path: str, text: Assigned) -> None:
        """Write text, escaped: it can shift no field. None empties, DELETED writes `\"\"`."""
        if text is None:
            self.edit.remove(path)
        else:
            self.edit.set(path, '""' if text is DELETED else str(text))

    def __delitem__(self, path: str) -> None:
        """Empty a field or a part of it; a path of a segment takes it out (`OBX[*2=ED]`)."""
        self.edit.remove(path)

    def raw(self, path: str) -> bytes | None:
        """The bytes there, with separators and escapes; None when absent."""
        return self.reading.raw(path)

    def set_raw(self, path: str, value: bytes) -> None:
        """Write bytes as they are, separators and escapes included."""
        self.edit.set_raw(path, value)

    def segments(self, name: str | None = None) -> Iterator[Segment]:
        """The segments as they are now, or those of one name, in order. Read-only."""
        return self.view.segments(name)

    def insert_segment(self, raw: bytes, after: int | None = None) -> None:
        """Put a segment behind the one at that position (from 0), or at the end."""
        self.edit.insert_segment(raw, after)

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

    def hl7(self) -> "hl7.Message":
        """python-hl7's object of the message as it is now; 50 times slower than this one.

        Its changes reach this message only when the step returns `str(...)` of it.
        """
        view = self.view
        try:
            text = view.content[view.start :].decode(view.codec)
        except UnicodeDecodeError:
            raise ContentInvalid("the message is not of its character set") from None
        return hl7.parse(text.replace("\r\n", "\r").replace("\n", "\r"))

    def __repr__(self) -> str:
        return f"<Message {self.type}, {len(self.content)} bytes>"

    @property
    def edit(self) -> MessageEdit:
        """What the short forms above write with."""
        if self._edit is None:
            self._edit = MessageEdit(self._view)
        return self._edit
