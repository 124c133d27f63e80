"""check/report.py: the same findings for people, programs and a code review."""

import json

from portico.check import report
from portico.spec.finding import Finding, Severity

ERROR = Finding("channels/a.yaml", 14, "source.limit", "no", "try '1MiB'", "config.size")
WARNING = Finding("channels/b.yml", 0, "", "is not read", "", "site.yml", Severity.WARNING)


def test_people_get_a_line_each_and_a_count():
    """The last line is all that a quick look needs."""
    assert report.text([ERROR, WARNING, ERROR]).splitlines() == [
        "channels/a.yaml:14 source.limit: no; try '1MiB'  [config.size]",
        "channels/b.yml: warning: is not read  [site.yml]",
        "channels/a.yaml:14 source.limit: no; try '1MiB'  [config.size]",
        "2 errors, 1 warning",
    ]


def test_a_sound_site_has_nothing_to_report():
    """Silence would look like a check that did not run."""
    assert report.text([]) == "nothing to report\n"


def test_programs_get_every_part_and_what_the_code_means():
    """A list of objects, so that nothing needs to be cut out of a text."""
    assert json.loads(report.json([ERROR])) == [
        {
            "path": "channels/a.yaml",
            "line": 14,
            "key": "source.limit",
            "text": "no",
            "hint": "try '1MiB'",
            "code": "config.size",
            "severity": "error",
            "meaning": "not a size such as 16MiB",
        }
    ]


def test_a_review_shows_each_finding_at_its_line():
    """GitHub's workflow commands; a finding of a whole file has no line."""
    assert report.annotations([ERROR, WARNING]).splitlines() == [
        "::error file=channels/a.yaml,line=14,title=config.size::source.limit: no; try '1MiB'",
        "::warning file=channels/b.yml,title=site.yml::is not read",
    ]


def test_a_text_cannot_forge_a_workflow_command():
    """Line feeds and separators of a file's text are escaped."""
    forged = Finding("a,b:c%.yaml", 1, "", "x\n::error::y", "", "yaml.syntax")

    (line,) = report.annotations([forged]).splitlines()

    assert line.startswith("::error file=a%2Cb%3Ac%25.yaml,line=1")
    assert line.endswith("x%0A::error::y")
