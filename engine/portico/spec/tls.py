"""`tls:` settings: what we show, whom we trust, and how old a protocol may be.

Named ones stand in `config/portico.yaml`; a source or destination names one of them, writes
its own mapping, or says `no`. Source: RFC 9325 (BCP 195); IHE ITI TF-2, ITI-19.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from portico.spec.fields import ONE_OR_MANY, Inner, Options, Text, name, wrong
from portico.spec.secrets import SecretField

SYSTEM = "system"
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def pin(text: str) -> bytes:
    """SHA-256 of a public key (SPKI), 64 hex digits or base64, `sha256/` before it or not.

    Raises ValueError. Source: RFC 7469, section 2.4 (how a pin is made).
    """
    bare = re.sub(r"^sha256[/:]", "", text, flags=re.IGNORECASE)
    if _HEX.fullmatch(bare):
        return bytes.fromhex(bare)
    try:
        digest = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise ValueError(f"{text!r} is no SHA-256 of a key; `portico certs show` prints them")
    return digest


def pin_text(digest: bytes) -> str:
    """As `portico certs show` prints it: `sha256/` and base64."""
    return f"sha256/{base64.b64encode(digest).decode()}"


def _pin(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return pin_text(pin(value))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.tls", text, hint) from None


Pin = Annotated[str, BeforeValidator(_pin), WithJsonSchema({"type": "string"})]
FilePath = Annotated[Path, WithJsonSchema({"type": "string"})]


class Tls(Options):
    """One `tls:`. Files are absolute or below the site.

    certificate: PEM, ours first, then those between it and the CA; key: its private key.
    trust: `system`, or a PEM file of the certificates that the peer's must be, or come from.
    crl: a PEM file of what the CAs have revoked.
    clients: whether peers of a listener must show a certificate. pins: then the peer's key is
    one of these. names: one of these stands in the peer's certificate; none: for a
    destination the host of its address, for a listener any. name: how people call it.
    """

    certificate: FilePath | None = None
    key: SecretField | None = None
    trust: Text = SYSTEM
    crl: FilePath | None = None
    clients: Literal["no", "optional", "required"] = "no"
    pins: Annotated[tuple[Pin, ...], ONE_OR_MANY] = ()
    names: Annotated[tuple[Text, ...], ONE_OR_MANY] = ()
    floor: Literal["1.2", "1.3"] = "1.2"
    name: Inner = Field("", exclude=True)

    @classmethod
    def named(cls, text: str) -> Self:
        """Stands for the setting of that name until `check` has found it."""
        return cls.model_construct(_fields_set={"name"}, name=text)

    @property
    def reference(self) -> str:
        """The name that it only stands for; empty for a setting."""
        return str(self.name) if self.model_fields_set == {"name"} else ""

    @property
    def bare(self) -> Self:
        """Without what people call it: two that say the same are equal."""
        return self.model_copy(update={"name": ""})

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise wrong("config.tls", "'certificate' and 'key' go together")
        if self.clients != "no" and self.trust == SYSTEM and not (self.pins or self.names):
            text = "'clients' would admit any certificate that the public CAs have sold"
            raise wrong("config.tls", text, "name the file of your CA in 'trust', or 'pins'")
        return self


class _Told:
    """`no`, the name of a setting, or a mapping."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_told, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        mapping = handler(core["schema"])
        return {"anyOf": [{"type": "string"}, {"const": False}, mapping]}


def _told(value: Any, handler: Any) -> Any:
    if not isinstance(value, str):
        return handler(value)
    if value == "no":
        return None
    try:
        return Tls.named(name(value))
    except ValueError as error:
        text, _, hint = str(error).partition("; ")
        raise wrong("config.name", text, hint) from None


TlsField = Annotated[Tls | None, _Told()]
