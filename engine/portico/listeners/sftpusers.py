"""Who may put files into an SFTP server of ours, and how much at a time."""

from pathlib import PurePosixPath
from typing import Annotated

import asyncssh
from pydantic import AfterValidator, model_validator

from portico.spec.fields import ONE_OR_MANY, Options, Size, Text, wrong
from portico.spec.secrets import SecretField


def _public_key(text: str) -> str:
    try:
        asyncssh.import_public_key(text)
    except asyncssh.KeyImportError:
        hint = "such as ssh-ed25519 AAAA…, a line of the user's .pub file"
        raise wrong("config.value", "that is not a public key", hint) from None
    return text


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise wrong("config.value", f"{text!r} leads out of `path`", "name a folder below it")
    return text


PublicKey = Annotated[Text, AfterValidator(_public_key)]


class SftpUser(Options):
    """Who may put files. key: public keys, any of which opens. folder: below the source's path,
    by default the user's name; folders in it can be changed into.
    """

    key: Annotated[tuple[PublicKey, ...], ONE_OR_MANY] = ()
    password: SecretField | None = None
    folder: Annotated[Text, AfterValidator(_inside)] = ""

    @model_validator(mode="after")
    def _proof(self) -> "SftpUser":
        if not self.key and self.password is None:
            text, hint = "'key' or 'password' is missing", "such as key: ssh-ed25519 AAAA…"
            raise wrong("config.missing_key", text, hint)
        return self


class Uploads(Options):
    """Bytes of files that are not stored yet: of one user, and in all."""

    user: Size = 4 << 30
    all: Size = 16 << 30
