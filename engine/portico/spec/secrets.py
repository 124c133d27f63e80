"""Secrets by reference: `${file:PATH}`, `${env:NAME}`, `${credential:NAME}`.

A secret is read when it is used, never kept in a model, never printed. A credential is a file
of that name in $CREDENTIALS_DIRECTORY, as systemd passes it (systemd.exec(5), LoadCredential).
Texts that are no secrets may hold `${env:NAME}` anywhere (spec/expanding.py).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from portico.errors import SecretMissing
from portico.spec.fields import wrong

REFERENCE = re.compile(r"\$\{(file|env|credential):([^${}]+)\}")
_MOST_BYTES = 64 << 10


class Secret:
    """A reference to a secret. Neither repr, str nor an error of it shows the value."""

    __slots__ = ("kind", "target")

    def __init__(self, kind: str, target: str) -> None:
        self.kind = kind
        self.target = target

    @classmethod
    def parse(cls, text: str) -> "Secret":
        """The reference that is the whole text. Raises ValueError, which does not repeat it."""
        if match := REFERENCE.fullmatch(text):
            return cls(match[1], match[2])
        raise ValueError(
            "a secret is never written here; write ${credential:NAME} or ${file:PATH}"
        )

    def __str__(self) -> str:
        """The reference as a site file spells it."""
        return f"${{{self.kind}:{self.target}}}"

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def reveal(self, root: Path, environ: Mapping[str, str]) -> str:
        """The secret itself, without the line feed that editors leave. Raises SecretMissing.

        root: the site, to which file paths are relative.
        """
        if self.kind == "env":
            if self.target in environ:
                return environ[self.target]
            raise SecretMissing(f"{self}: there is no such environment variable")
        path = self._path(root, environ)
        try:
            content = path.read_bytes()[: _MOST_BYTES + 1]
        except OSError as error:
            raise SecretMissing(f"{self}: {path}: {error.strerror}") from None
        if len(content) > _MOST_BYTES:
            raise SecretMissing(f"{self}: larger than {_MOST_BYTES} bytes")
        try:
            return content.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissing(f"{self}: not UTF-8") from None

    def exposed(self, root: Path) -> bool:
        """It is a file that every user of this machine may read or change."""
        if self.kind != "file":
            return False
        try:
            return bool((root / self.target).stat().st_mode & 0o006)
        except OSError:
            return False

    def _path(self, root: Path, environ: Mapping[str, str]) -> Path:
        if self.kind == "file":
            return root / self.target
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SecretMissing(f"{self}: CREDENTIALS_DIRECTORY is not set (see systemd.exec)")
        if self.target in (".", "..") or "/" in self.target:
            raise SecretMissing(f"{self}: a credential is a name, not a path")
        return Path(folder) / self.target


class Expanded(str):
    """A text whose `${env:...}` are replaced; `typed` is what the file says."""

    __slots__ = ("typed",)
    typed: str

    @classmethod
    def of(cls, value: str, typed: str) -> "Expanded":
        """The value, remembering what was typed."""
        text = cls(value)
        text.typed = typed
        return text


def typed_text(value: object) -> object:
    """What the file says, for messages: an environment value may itself be private."""
    return value.typed if isinstance(value, Expanded) else value


def plain(value: Any) -> Any:
    """The same value of exact dict, list and str, for those who write it as JSON."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


def secret(value: Any) -> Any:
    """What a secret key takes. Raises `config.secret` for anything but one reference."""
    if isinstance(value, Secret):
        return value
    try:
        return Secret.parse(str(typed_text(value)))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.secret", text, hint) from None


# A key that takes a reference and nothing else.
SecretField = Annotated[
    Secret,
    PlainValidator(secret),
    WithJsonSchema({"type": "string", "pattern": r"^\$\{(file|env|credential):[^${}]+\}$"}),
]
