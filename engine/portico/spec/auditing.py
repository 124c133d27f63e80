"""`audit:` of the configuration: the audit repository, and how we call ourselves."""

import re
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import PlainValidator, WithJsonSchema, model_validator

from portico.spec.fields import HostPort, Options, Shown, Size, Text, host_port, kind_of, wrong
from portico.spec.tls import TlsField

_PORTS = {"tls": 6514, "udp": 514}
_HINT = "such as tls://audit.hospital.example:6514"


class Repository(NamedTuple):
    """Where audit messages go, and how: syslog over TLS or UDP."""

    way: Literal["tls", "udp"]
    where: HostPort

    def __str__(self) -> str:
        """`tls://audit.hospital.example:6514`."""
        return f"{self.way}://{self.where}"


def _repository(value: Any) -> Any:
    if isinstance(value, Repository):
        return value
    if not isinstance(value, str):
        raise wrong("config.type", f"expected one text, found {kind_of(value)}")
    match = re.fullmatch(r"(tls|udp)://(.+?)/?", value)
    if match is None:
        raise wrong("config.value", f"{value!r} is no repository of audit messages", _HINT)
    way, where = match[1], match[2]
    if not re.search(r":\d+$", where) or where.endswith("]"):
        where = f"{where}:{_PORTS[way]}"
    try:
        return Repository(way, host_port(where))  # type: ignore[arg-type]
    except ValueError:
        raise wrong("config.value", f"{value!r} is no address", _HINT) from None


RepositoryField = Annotated[
    Repository,
    PlainValidator(_repository),
    Shown(str),
    WithJsonSchema({"type": "string", "pattern": r"^(tls|udp)://.+"}),
]


class Audit(Options):
    """The audit trail of ATNA. to None: none is told. source: what we are called there;
    enterprise: our organisation; spool: bytes that may wait while the repository is away.
    """

    to: RepositoryField | None = None
    tls: TlsField = None
    source: Text = "portico"
    enterprise: Text = ""
    spool: Size = 64 << 20

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.tls is not None and (self.to is None or self.to.way != "tls"):
            raise wrong("config.value", "'tls' is for a repository at tls://", _HINT)
        return self
