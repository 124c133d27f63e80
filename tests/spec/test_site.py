"""spec/site.py: `config/portico.yaml`."""

import pytest

from portico.spec.document import parse
from portico.spec.secrets import Secret
from portico.spec.shape import fit
from portico.spec.site import Config


def read(text):
    ((one,), _) = parse(text, "x.yaml", nouns=False)
    return fit(Config, one.value, one)


def test_a_configuration_is_typed():
    """Every key that is built."""
    config, findings = read(
        "data: /srv/p\ntimezone: Europe/Berlin\n"
        "journal: {url: '${credential:j}', binaries: pg}\n"
        "api: {listen: '[::1]:9000', tls: no}\nmetrics: {listen: 0.0.0.0:1}\n"
        "workers: {most: 3, memory: 1GiB, recycle: 5, preload: a.b}\n"
        "retention: {bodies: 1d, headers: 2d, audit: 3d}\n"
    )

    assert findings == []
    assert (str(config.data), config.timezone) == ("/srv/p", "Europe/Berlin")
    assert (config.journal.url, str(config.journal.binaries)) == (
        Secret("credential", "j"),
        "pg",
    )
    assert (config.workers.most, config.workers.memory) == (3, 1 << 30)
    assert config.workers.preload == ("a.b",)
    assert config.retention.audit == 3 * 86_400


def test_the_embedded_journal_may_be_named():
    """`embedded` is what holds when nothing is said."""
    config, findings = read("journal: {url: embedded}\n")

    assert (config.journal.url, findings) == (None, [])


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("journal: {url: postgresql://x:hidden@db/y}", "config.secret", "journal.url"),
        ("journal: {disk: {close: 5GiB}}", "config.value", "journal.disk"),
        ("timezone: Europe/Berln", "config.timezone", "timezone"),
        ("timezone: ../../etc/passwd", "config.timezone", "timezone"),
        ("api: {tls: Hospital}", "config.name", "api.tls"),
        ("workers: {most: 0}", "config.value", "workers.most"),
        ("providers: {sim: {type: bard}}", "config.choice", "providers.sim.type"),
        ("plugins: [a]", "config.type", "plugins"),
        (
            "hours: {day: {days: funday, from: 07:00, to: 08:00}}",
            "config.choice",
            "hours.day.days",
        ),
        ("hours: {day: {from: 7, to: 08:00}}", "config.time", "hours.day.from"),
        ("alarms: {to: {it: {}}}", "config.value", "alarms.to.it"),
        ("alarms: {to: {it: {webhook: 'https://x'}}}", "config.secret", "alarms.to.it.webhook"),
        (
            "alarms: {to: {it: {mail: {server: m.org:25, from: a@b, to: c@d, starttls: no}}}}",
            "config.value",
            "alarms.to.it.mail",
        ),
        ("jurnal: {}", "config.unknown_key", "jurnal"),
        ("[data]", "config.type", ""),
    ],
)
def test_what_is_wrong_has_a_code(text, code, key):
    """One finding, which repeats no secret."""
    config, findings = read(text + "\n")

    assert config is None
    assert [(each.code, each.key) for each in findings] == [(code, key)]
    assert "hidden" not in str(findings[0])
