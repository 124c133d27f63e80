"""`certs`: certificates for trials, and what a site uses."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from typer import Argument, BadParameter, Option

from portico.check import site as sites
from portico.check.site import Site
from portico.cli import console, exits, when
from portico.cli.exits import Ended
from portico.cli.options import SITE
from portico.errors import TlsInvalid
from portico.spec.tls import SYSTEM, Tls
from portico.tls import authority, contexts
from portico.tls.authority import Issued

_CA, DAYS = "ca", authority.DAYS
HOSTS = ("localhost", "127.0.0.1", "::1")
_SOON = 30  # days before its end at which a certificate is pointed out


def new(
    names: Annotated[
        list[str], Argument(metavar="NAME...", help="Who gets one: `server`, `lab`, ...")
    ],
    host: Annotated[
        list[str] | None,
        Option(help="A DNS name or address it is reached by; again for more."),
    ] = None,
    purpose: Annotated[
        Literal["server", "client"], Option(help="What it may be used for.")
    ] = "server",
    days: Annotated[int, Option(help="How long it is good for.", min=1, max=DAYS)] = DAYS,
    folder: Annotated[Path, Option(help="Where the files go.")] = Path("certs"),
) -> int:
    """Make certificates of a private CA, for trials; the CA itself the first time."""
    for name in names:
        if name == _CA or not name.isascii() or Path(name).name != name or name[:1] == ".":
            raise BadParameter(f"{name!r} cannot be the name of a file here")
        if not 0 < len(name) <= authority.LONGEST or names.count(name) > 1:
            most = f"at most {authority.LONGEST} characters"
            raise BadParameter(f"{name!r} cannot name a certificate: {most}, each name once")
    for one in host or ():
        if not one or not one.isascii():
            raise BadParameter(f"{one!r} is no DNS name: give its ASCII form (xn--...)")
    made = [folder / f"{name}.{kind}" for name in names for kind in ("pem", "key")]
    if there := [path for path in made if path.exists()]:
        raise Ended(exits.FAILED, f"{there[0]} exists; nothing was made")
    make(folder, names, host or HOSTS, days, purpose)
    first = folder / names[0]
    console.note(
        f"in config/portico.yaml: tls: {{trial: {{certificate: {first}.pem, "
        f'key: "${{file:{first}.key}}", trust: {folder / _CA}.pem}}}}'
    )
    return exits.OK


def make(
    folder: Path, names: Sequence[str], hosts: Sequence[str], days: int, purpose: str
) -> None:
    """NAME.pem and NAME.key of the folder's CA, which is made if there is none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, now = _authority(folder), when.now()
    for name in names:
        issued = authority.issue(ca, name, hosts, now, days, purpose)
        _write(folder, name, issued)
        pin = contexts.pin_of(issued.certificate)
        console.line(f"{folder / name}.pem and .key, until {_day(issued.certificate)}, {pin}")


def show(
    json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Show the certificates that a site uses: whose, whose CA's, until when, their pins."""
    root = site.absolute()
    checked, findings = sites.examine(root, os.environ)
    if checked is None:
        raise Ended(exits.FAILED, f"{findings[0]}; see 'portico check'")
    rows = [row for tls in _used(checked) for row in _rows(root, tls)]
    if json:
        console.say_json(rows)
        return exits.OK
    table = console.table("TLS", "IS", "SUBJECT", "ISSUER", "UNTIL", "PIN")
    for row in rows:
        console.row(table, *row.values(), style=_style(row["until"]))
    if rows:
        console.show(table)
    else:
        console.note("no source or destination of this site uses TLS")
    return exits.OK


def _authority(folder: Path) -> Issued:
    """The folder's CA, made if there is none."""
    certificate, key = folder / f"{_CA}.pem", folder / f"{_CA}.key"
    if certificate.exists() or key.exists():
        return authority.read(certificate.read_bytes(), key.read_bytes())
    name = f"Portico trial CA of {os.uname().nodename}"[: authority.LONGEST]
    ca = authority.found(name, when.now())
    _write(folder, _CA, ca)
    console.line(f"{certificate} and .key: the CA, until {_day(ca.certificate)}")
    return ca


def _write(folder: Path, name: str, issued: Issued) -> None:
    """The key first, for its owner alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(folder / f"{name}.key", flags, 0o600), "wb") as file:
        file.write(issued.key_pem)
    with os.fdopen(os.open(folder / f"{name}.pem", flags, 0o644), "wb") as file:
        file.write(issued.certificate_pem)


def _used(site: Site) -> list[Tls]:
    """Every setting of the configuration, then those that stand where they are used."""
    found = dict.fromkeys(site.config.tls.values())
    options = [channel.source.options for channel in site.channels.values()]
    options += [destination.options for destination in site.destinations.values()]
    for each in options:
        if isinstance(tls := getattr(each, "tls", None), Tls):
            found.setdefault(tls)
    return list(found)


def _rows(root: Path, tls: Tls) -> list[dict[str, str]]:
    """Ours and those between, then what is trusted."""
    try:
        material = contexts.read(tls, root, os.environ)
    except TlsInvalid as error:
        raise Ended(exits.FAILED, f"{tls.name}: {error}") from None
    rows = [_row(tls.name, "ours", each) for each in material.certificates]
    if tls.trust != SYSTEM:
        trusted = x509.load_pem_x509_certificates(material.trust)
        rows += [_row(tls.name, "trusted", each) for each in trusted]
    return rows


def _row(name: str, kind: str, certificate: x509.Certificate) -> dict[str, str]:
    return {
        "tls": name,
        "is": kind,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "until": _day(certificate),
        "pin": contexts.pin_of(certificate),
    }


def _day(certificate: x509.Certificate) -> str:
    return str(certificate.not_valid_after_utc.date())


def _style(until: str) -> str:
    left = (when.parse(until) - when.now()).days
    return "bold red" if left < 0 else "yellow" if left < _SOON else ""


CERTS = {"new": new, "show": show}
