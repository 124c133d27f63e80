"""check/operating.py: what alarms name, and an API that is left open."""

import pytest

from portico.check.explain import explain
from portico.check.site import examine

CONFIG = """
hours: {business: {days: [mon, tue], from: 07:00, to: 19:00}}
alarms: {to: {desk: {webhook: "${env:DESK}"}}}
"""
SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:2575"}}
{keys}
---
agent: a
goal: All
on: {{channel: adt}}
steps: [{{send: log}}]
---
{{destination: log, type: log}}
"""
ENVIRON = {"DESK": "http://127.0.0.1/x"}


def checked(folder, keys="", config=CONFIG, environ=ENVIRON):
    """The site and its findings."""
    for name in ("channels", "config"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "channels/all.yaml").write_text(SITE.format(keys=keys))
    (folder / "config/portico.yaml").write_text(config)
    return examine(folder, environ)


@pytest.mark.parametrize(
    ("keys", "code", "hint"),
    [
        (
            "expect: {every: 5m, during: busines}",
            "site.unknown_hours",
            "did you mean 'business'?",
        ),
        ("alarms: {to: [desk, dusk]}", "site.unknown_sink", "did you mean 'desk'?"),
    ],
)
def test_a_name_that_leads_nowhere_is_found(tmp_path, keys, code, hint):
    """With its line and the nearest name."""
    site, (finding,) = checked(tmp_path, keys)

    assert site is None
    assert (finding.code, finding.line, finding.hint) == (code, 4, hint)


def test_a_quota_for_nobody_is_found(tmp_path):
    """An owner is spelt as its agents spell it."""
    config = f"{CONFIG}workers: {{quotas: {{labb: {{workers: 2}}}}}}\n"
    _, (finding,) = checked(tmp_path, config=config)
    assert (finding.code, finding.line) == ("site.unknown_owner", 4)

    (tmp_path / "channels/all.yaml").write_text(
        SITE.format(keys="").replace("goal: All", "owner: labb\ngoal: All")
    )
    assert examine(tmp_path, ENVIRON)[1] == ()


@pytest.mark.parametrize(
    ("listen", "codes"),
    [("127.0.0.1:9000", []), ("'[::1]:9000'", []), ("0.0.0.0:9000", ["site.open_door"])],
)
def test_an_api_in_the_clear_stays_on_this_machine(tmp_path, listen, codes):
    """Where the file says so; the loopback is fine."""
    _, findings = checked(tmp_path, config=f"{CONFIG}api: {{listen: {listen}}}\n")

    assert [finding.code for finding in findings] == codes


def test_an_api_with_tls_may_be_reached_by_others(tmp_path, papers):
    """It then shows the certificate that its `tls` names; one that cannot work is found."""
    shown = papers.issue()
    api = "api: {listen: 0.0.0.0:9000, tls: house}\n"
    tls = "tls: {{house: {{certificate: {certificate}, key: '{key}'}}}}\n"
    site, findings = checked(tmp_path, config=CONFIG + api + tls.format(**shown))
    assert findings == () and site.config.api.tls == site.config.tls["house"]

    shown["certificate"] = "gone.pem"
    _, (finding,) = checked(tmp_path, config=CONFIG + api + tls.format(**shown))
    assert (finding.code, finding.path) == ("config.tls", "config/portico.yaml")
    _, (finding,) = checked(tmp_path, config=CONFIG + api)
    assert finding.code == "site.unknown_tls"


def test_audit_messages_are_held_together_on_their_way(tmp_path, papers):
    """UDP beyond the loopback is warned of; the `tls` of a repository is a client's."""
    _, (finding,) = checked(tmp_path, config=CONFIG + "audit: {to: 'udp://10.0.0.1'}\n")
    assert (finding.code, finding.severity, finding.line) == ("site.audit", "warning", 4)
    assert checked(tmp_path, config=CONFIG + "audit: {to: 'udp://127.0.0.1'}\n")[1] == ()

    audit = f"audit: {{to: 'tls://a', tls: house}}\ntls: {{house: {{trust: {papers.trust}}}}}\n"
    site, findings = checked(tmp_path, config=CONFIG + audit)
    assert findings == () and site.config.audit.tls == site.config.tls["house"]
    _, (finding,) = checked(tmp_path, config=CONFIG + audit.replace("tls: house", "tls: hous"))
    assert (finding.code, finding.key) == ("site.unknown_tls", "audit.tls")


def test_the_variable_is_held_to_the_same(tmp_path):
    """PORTICO_API, also of a site without a configuration."""
    _, (finding,) = checked(tmp_path, config="", environ={"PORTICO_API": "10.0.0.1:9000"})

    assert (finding.code, finding.path) == ("site.open_door", "PORTICO_API")


def test_hours_and_sinks_are_explained_as_they_are_written(tmp_path):
    """`check --explain` is YAML that a site could hold; a secret stays a reference."""
    site, findings = checked(tmp_path, "expect: {every: 5m, during: business}")
    told = explain(site)

    assert findings == ()
    assert "{business: {days: [mon, tue], from: 07:00, to: 19:00}}" in told
    assert "${env:DESK}" in told and "127.0.0.1/x" not in told
    assert "limit" in told and "close: 2GiB" in told
