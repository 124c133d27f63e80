"""check/securing.py: `tls` of sources and destinations."""

import pytest

from portico.check.site import examine

CONFIG = """\
tls:
  hospital: {{certificate: {certificate}, key: "{key}", trust: {trust}}}
  bare: {{trust: {trust}}}
"""
SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:2575", tls: {tls}}}
---
agent: a
goal: Nothing
on: {{channel: adt}}
steps: [{{filter: {{keep: {{MSH-1: {{exists: yes}}}}}}}}]
"""


@pytest.fixture
def check(tmp_path, papers):
    """The site and the findings of `tls: ...` on its source."""
    (tmp_path / "config").mkdir()
    (tmp_path / "channels").mkdir()

    def run(tls, **changes):
        shown = {**papers.issue("server"), "trust": papers.trust, **changes}
        (tmp_path / "config/portico.yaml").write_text(CONFIG.format(**shown))
        (tmp_path / "channels/all.yaml").write_text(SITE.format(tls=tls))
        return examine(tmp_path, {})

    return run


def test_a_named_setting_becomes_the_sources_own(check):
    """`tls: hospital` is what the configuration says under that name."""
    site, findings = check("hospital")
    options = site.channels["adt"].source.options

    assert findings == ()
    assert (options.tls.name, options.tls) == ("hospital", site.config.tls["hospital"])


def test_no_means_none_and_a_mapping_is_called_like_its_channel(check, papers):
    """`tls: no` is plain; one written in place carries the channel's name."""
    own = papers.issue("own")
    mapping = f'{{certificate: {own["certificate"]}, key: "{own["key"]}"}}'

    assert check("no")[0].channels["adt"].source.options.tls is None
    assert check(mapping)[0].channels["adt"].source.options.tls.name == "adt"


@pytest.mark.parametrize(
    ("tls", "changes", "code", "said"),
    [
        ("hopsital", {}, "site.unknown_tls", "did you mean 'hospital'?"),
        ("bare", {}, "config.tls", "needs 'certificate'"),
        ("hospital", {"certificate": "gone.pem"}, "config.tls", "gone.pem: No such file"),
        ("hospital", {"key": "${file:gone}"}, "config.secret_missing", "${file:gone}"),
        ("Bad", {}, "config.name", "not a name"),
    ],
)
def test_a_setting_that_cannot_work_is_found_where_it_is_used(check, tls, changes, code, said):
    """By `portico check`, before anything is started, and once."""
    site, findings = check(tls, **changes)

    assert site is None
    assert [one.code for one in findings] == [code]
    assert said in str(findings[0])
