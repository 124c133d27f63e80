"""Where things lie: a site's settings, its data folder, its journal."""

import os
from pathlib import Path

from portico.errors import ConfigError
from portico.spec import document, expanding, shape
from portico.spec import site as sites
from portico.spec.site import Config

SETTINGS = "config/portico.yaml"


def settings(site: Path) -> Config:
    """The engine's settings with what the environment overrides.

    Raises ConfigError when they cannot be read: `check` says all that is wrong.
    """
    documents, findings = document.read(site / SETTINGS, SETTINGS, nouns=False)
    config: Config | None = Config()
    if (site / SETTINGS).exists() and documents:
        value, missing = expanding.expand(documents[0], os.environ)
        config, wrong = shape.fit(Config, value, documents[0])
        findings = [*findings, *missing, *wrong]
    elif not (site / SETTINGS).exists():
        findings = []
    if config is None or findings:
        raise ConfigError(str(findings[0]) if findings else f"{SETTINGS} cannot be read")
    config, wrong = sites.override(config, os.environ)
    if wrong:
        raise ConfigError(str(wrong[0]))
    return config


def data_folder(site: Path) -> Path:
    """PORTICO_DATA, else the site's `data:`, else `var`; below the site unless absolute."""
    given = os.environ.get(sites.DATA)
    return site / (given or settings(site).data)


def journal_url(site: Path) -> str | None:
    """The URL of the journal, None for the embedded one. It may hold a password."""
    from portico.journal import connect  # the driver, which few commands need

    url = settings(site).journal.url
    if url is None:
        return None
    text = url.reveal(site, os.environ)
    connect.require_url(text)
    return text


def a_site(site: Path) -> Path:
    """The folder, absolute. Raises ConfigError when it cannot be a site."""
    if not site.is_dir():
        raise ConfigError(f"there is no folder {site}")
    if not (site / "channels").is_dir():
        raise ConfigError(
            f"{site} is no site: it has no folder `channels`; `portico init DIR` makes one"
        )
    return site.absolute()
