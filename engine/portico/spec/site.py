"""`config/portico.yaml` (SITE reference, section 3), and what the environment overrides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from portico.spec.alarming import Disk, Hours, SiteAlarms
from portico.spec.auditing import Audit
from portico.spec.capability import Capability
from portico.spec.channel import Retention
from portico.spec.fields import (
    ONE_OR_MANY,
    Address,
    Count,
    Duration,
    HostPort,
    Name,
    Options,
    Size,
    Text,
    host_port,
    wrong,
)
from portico.spec.finding import Finding
from portico.spec.models import Provider
from portico.spec.plugin import PLUGINS
from portico.spec.secrets import Secret, secret
from portico.spec.tls import Tls, TlsField

DATA, JOURNAL = "PORTICO_DATA", "PORTICO_JOURNAL_URL"
METRICS, API = "PORTICO_METRICS", "PORTICO_API"


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        hint = "such as Europe/Berlin"
        raise wrong("config.timezone", f"{text!r} is not a time zone", hint) from None
    return text


def _called(settings: dict[str, Tls]) -> dict[str, Tls]:
    """Each knows its name."""
    return {name: tls.model_copy(update={"name": name}) for name, tls in settings.items()}


def _url(value: Any) -> Any:
    return None if value in (None, "embedded") else secret(value)


class Journal(Options):
    """Where the journal is. url None: the embedded PostgreSQL, with its own binaries or ours.

    binaries: a folder with `postgres` and `initdb`, absolute or below the site.
    """

    url: Annotated[
        Secret | None,
        PlainValidator(_url),
        WithJsonSchema({"type": "string", "pattern": r"^(embedded|\$\{[a-z]+:[^${}]+\})$"}),
    ] = None
    binaries: Annotated[Path, WithJsonSchema({"type": "string"})] | None = None
    disk: Disk = Disk()


class Api(Options):
    """The network API: only where somebody says `listen`, or PORTICO_API."""

    listen: Address = HostPort("127.0.0.1", 9000)
    tls: TlsField = None

    @property
    def open(self) -> bool:
        """/v1 is served on TCP, too."""
        return "listen" in self.model_fields_set


class Metrics(Options):
    """Prometheus text."""

    listen: Address = HostPort("127.0.0.1", 9464)


class Quota(Options):
    """What all agents of one owner may use. workers: beyond their fewest; waiting: Signals that
    wait for a worker, beyond which callers are refused. None: no bound of its own.
    """

    workers: Count | None = None
    waiting: Count | None = None


class Workers(Options):
    """Worker processes. most None: one for each core. memory: bytes of each; recycle: runs
    after which one is replaced; preload: modules that all of them share; quotas: by `owner`.
    """

    most: Annotated[Count, Field(ge=1)] | None = None
    memory: Size = 256 << 20
    recycle: Annotated[Count, Field(ge=1)] = 10_000
    preload: Annotated[tuple[Text, ...], ONE_OR_MANY] = ()
    quotas: dict[Text, Quota] = Field(default_factory=dict)


class SiteRetention(Retention):
    """What channels do not say themselves, and the audit trail. Seconds."""

    audit: Duration = 6 * 365 * 86_400.0


class Config(Options):
    """Settings. data: absolute or below the site; timezone empty: the machine's; plugins: the
    file of their registry, below the site."""

    data: Annotated[Path, WithJsonSchema({"type": "string"})] = Path("var")
    timezone: Annotated[Text, AfterValidator(_zone)] = ""
    hours: dict[Name, Hours] = Field(default_factory=dict)
    journal: Journal = Journal()
    api: Api = Api()
    metrics: Metrics = Metrics()
    plugins: Text = PLUGINS
    workers: Workers = Workers()
    providers: dict[Name, Provider] = Field(default_factory=dict)
    capabilities: dict[Name, Capability] = Field(default_factory=dict)
    tls: Annotated[dict[Name, Tls], AfterValidator(_called)] = Field(default_factory=dict)
    retention: SiteRetention = SiteRetention()
    alarms: SiteAlarms = SiteAlarms()
    audit: Audit = Audit()


def override(config: Config, environ: Mapping[str, str]) -> tuple[Config, list[Finding]]:
    """The configuration with what the environment sets instead, and what is wrong with that."""
    changes: dict[str, Any] = {}
    findings: list[Finding] = []
    if environ.get(DATA):
        changes["data"] = Path(environ[DATA])
    if environ.get(JOURNAL):
        url = Secret("env", JOURNAL)
        changes["journal"] = config.journal.model_copy(update={"url": url})
    for variable, key in ((METRICS, "metrics"), (API, "api")):
        if environ.get(variable):
            try:
                usual: int = getattr(Config(), key).listen.port
                listen = host_port(environ[variable], usual)
            except ValueError as error:
                text, _, hint = str(error).partition("; ")
                findings.append(Finding(variable, 0, "", text, hint, "config.host_port"))
            else:
                changes[key] = getattr(config, key).model_copy(update={"listen": listen})
    return config.model_copy(update=changes), findings
