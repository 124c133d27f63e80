"""The message that a transform's author holds: read and write by path."""

import importlib
from typing import Any

from portico.hl7.edit import MessageEdit
from portico.hl7.path import Path
from portico.hl7.reading import DELETED
from portico.hl7.view import MessageView, Segment


class Message:
    """An HL7 message under the author's hand.

    `msg["PID-5.1"]` is text or None, `msg["PID-5.1"] = "MUSTER"` writes it escaped, `del
    msg["PID-13"]` empties it, `"ZPI" in msg` asks. What is not touched keeps its bytes.
    Raises NotHl7 when there is no usable MSH, PathInvalid for a path that is none.
    """

    __slots__ = ("_edit",)

    def __init__(
        self, content: bytes, charset: str = "ascii", on_charset_error: str = "refuse"
    ) -> None:
        self._edit = MessageEdit(MessageView(content, charset, on_charset_error))

    def __repr__(self) -> str:
        return f"<Message {self.type}>"

    def __getitem__(self, path: str | Path) -> str | None:
        """Unescaped text; None when absent, and when deleted (see `deleted`)."""
        return self._edit.text(path) or None

    def __setitem__(self, path: str | Path, text: str) -> None:
        self._edit.set(path, text)

    def __delitem__(self, path: str | Path) -> None:
        self._edit.remove(path)

    def __contains__(self, path: str | Path) -> bool:
        """Whether the place is valued."""
        return any(self._edit.texts(path))

    def get(self, path: str | Path, default: str = "") -> str:
        """Unescaped text, or the default when absent or deleted."""
        return self._edit.text(path) or default

    def all(self, path: str | Path) -> list[str]:
        """The texts of every match, in order: `msg.all("OBX[*]-5")`; only valued ones."""
        return [text for text in self._edit.texts(path) if text is not DELETED]

    def deleted(self, path: str | Path) -> bool:
        """Whether HL7's delete (`\"\"`) stands there."""
        return self._edit.text(path) is DELETED

    def raw(self, path: str | Path) -> bytes | None:
        """The bytes as they stand, escapes and separators included; None when absent."""
        return self._edit.raw(path)

    def expand(self, path: str | Path) -> list[Path]:
        """A `[*]` path once for each segment that it names, to read and write one by one."""
        return self._edit.expand(path)

    def set(self, path: str | Path, text: str) -> None:
        """The same as `msg[path] = text`; `\"\"` in the text (two quotes) writes a delete."""
        self._edit.set(path, text)

    def set_raw(self, path: str | Path, value: bytes) -> None:
        """Writes bytes as they are: structure copied from another place."""
        self._edit.set_raw(path, value)

    def remove(self, path: str | Path) -> None:
        """Empties each place that the path names; a path without a field removes segments."""
        self._edit.remove(path)

    def insert_segment(self, raw: bytes, after: int | None = None) -> None:
        """Puts a segment behind the one at that position (from 0), or at the end."""
        self._edit.insert_segment(raw, after)

    def segments(self, name: str | None = None) -> list[Segment]:
        """The segments, or those of one name, as they are now; later edits do not show."""
        return list(self._edit.view.segments(name))

    def copy(self) -> "Message":
        """Another message with the same bytes; edits of one do not show in the other."""
        return Message(self.content, *self._edit.policy)

    @property
    def content(self) -> bytes:
        """The bytes with all edits."""
        return self._edit.encode()

    @property
    def type(self) -> str:
        """`ADT^A01`, or the code alone."""
        return self._edit.header.type

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.get("MSH-10")

    def hl7(self) -> Any:
        """python-hl7's `hl7.Message` of the message as it is now; edits of it stay there."""
        view = self._edit.view
        # By name: the library costs time and memory that only those who ask should pay.
        pythonhl7 = importlib.import_module("portico.hl7.pythonhl7")
        return pythonhl7.parsed(view.decoded(view.content[view.start :]))
