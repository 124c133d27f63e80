"""Kits: worked examples of sources and destinations, which `init --with` puts into a new site.

A kit's files lie in `kits/NAME`, as in the site; its README.md is a section of the site's. What
cannot lie there is made anew for each site: passwords and tokens, SSH keys, certificates.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.cli import certs

ALL = "all"
SECRETS = "secrets"
_MARK = b"PUBLIC-KEY-OF-"  # in a kit's file, followed by a name of `keys`


@dataclass(frozen=True, slots=True)
class Kit:
    """What a kit shows, and what is made for it.

    words: files below `secrets/` with a random text; keys: SSH keys there, the public one in
    NAME.pub; tls: it needs the certificates and the settings of `kits/tls_settings.yaml`.
    """

    summary: str
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tls: bool = False


KITS: dict[str, Kit] = {
    "mllp": Kit("HL7 over MLLP, received and sent on"),
    "tls": Kit("MLLP over mutual TLS, with certificates of a CA for trials", tls=True),
    "tcp": Kit("lines and frames over plain TCP"),
    "https": Kit("JSON over HTTPS with a token", words=("https.token",), tls=True),
    "soap": Kit("the CDC's SOAP interface", words=("soap.password",), tls=True),
    "sftp": Kit("files of a partner's SFTP server", keys=("sftp_us",)),
    "sftp-server": Kit("files that partners put by SFTP here", keys=("sftp_host", "sftp_lab")),
    "ftp": Kit("files of a partner's FTP server", words=("ftp.password",)),
    "folder": Kit("files of a folder of this machine"),
    "schedule": Kit("a Signal at planned times"),
}


def chosen(text: str) -> list[str]:
    """The kits of a list such as `sftp,soap`, in the table's order; `all` is all of them.

    Raises KeyError with the name of one that there is not.
    """
    names = [name for name in text.replace(",", " ").split() if name != ALL]
    for name in names:
        if name not in KITS:
            raise KeyError(name)
    return [name for name in KITS if name in names or ALL in text.replace(",", " ").split()]


def make(site: Path, names: Sequence[str]) -> dict[str, str]:
    """Secrets and certificates of these kits, as files of the site for their owner alone.

    The public SSH keys by name.
    """
    kits = [KITS[name] for name in names]
    if any(kit.words or kit.keys for kit in kits):
        (site / SECRETS).mkdir(mode=0o700)
    for word in (word for kit in kits for word in kit.words):
        _private(site / SECRETS / word, secrets.token_urlsafe(24).encode() + b"\n")
    public = {key: _pair(site / SECRETS / key) for kit in kits for key in kit.keys}
    if any(kit.tls for kit in kits):
        certs.make(site / "certs", ["server"], certs.HOSTS, certs.DAYS, "server")
        certs.make(site / "certs", ["partner"], certs.HOSTS, certs.DAYS, "client")
    return public


def filled(content: bytes, public: dict[str, str]) -> bytes:
    """A kit's file with the public keys where it asks for them."""
    for name, key in public.items():
        content = content.replace(_MARK + name.encode(), key.encode())
    return content


def _pair(path: Path) -> str:
    """An SSH key at that path, the public one beside it; `ssh-ed25519 AAAA...`."""
    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    plain = serialization.NoEncryption()
    _private(path, key.private_bytes(serialization.Encoding.PEM, form, plain))
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_name(path.name + ".pub").write_bytes(public + b"\n")
    return public.decode()


def _private(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
