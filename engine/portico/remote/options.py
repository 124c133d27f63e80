"""How a site says with whom to log in, and how the other side is known."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from portico.spec.fields import Address, Options, Shown, Text, kind_of, wrong
from portico.spec.secrets import SecretField
from portico.spec.tls import TlsField

_PIN = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_HINT = "such as SHA256:… (ssh-keyscan HOST | ssh-keygen -lf -), or {known_hosts: FILE}"


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The host keys that are trusted (F4): fingerprints, or a file as ssh(1) keeps it."""

    fingerprints: tuple[str, ...] = ()
    file: str = ""

    def plain(self) -> str | list[str] | dict[str, str]:
        """As a site file spells it."""
        if self.file:
            return {"known_hosts": self.file}
        return list(self.fingerprints) if len(self.fingerprints) > 1 else self.fingerprints[0]


def _host_keys(value: Any) -> Any:
    if isinstance(value, HostKeys):
        return value
    if isinstance(value, dict) and list(value) == ["known_hosts"]:
        if isinstance(value["known_hosts"], str):
            return HostKeys(file=value["known_hosts"])
    pins = value if isinstance(value, list) else [value]
    if not pins or not all(isinstance(pin, str) for pin in pins):
        raise wrong("config.type", f"expected a fingerprint, found {kind_of(value)}", _HINT)
    for pin in pins:
        if not _PIN.fullmatch(pin):
            raise wrong("config.value", f"{pin!r} is not a SHA-256 fingerprint", _HINT)
    return HostKeys(tuple(pin.rstrip("=") for pin in pins))


HostKeysField = Annotated[
    HostKeys,
    PlainValidator(_host_keys),
    Shown(HostKeys.plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^SHA256:"},
                {"type": "array", "items": {"type": "string", "pattern": r"^SHA256:"}},
                {"type": "object", "properties": {"known_hosts": {"type": "string"}}},
            ]
        }
    ),
]


class SshOptions(Options):
    """With which SFTP server, as whom. One of key (a private key) and password, or both."""

    address: Address
    user: Annotated[Text, Field(min_length=1)]
    key: SecretField | None = None
    password: SecretField | None = None
    host_key: HostKeysField

    @model_validator(mode="after")
    def _proof(self) -> "SshOptions":
        if self.key is None and self.password is None:
            text, hint = "'key' or 'password' is missing", "such as key: ${credential:NAME}"
            raise wrong("config.missing_key", text, hint)
        return self


class FtpOptions(Options):
    """With which FTP server, as whom. tls: explicit FTPS (RFC 4217), control and data."""

    address: Address
    user: Annotated[Text, Field(min_length=1)]
    password: SecretField
    tls: TlsField = None
