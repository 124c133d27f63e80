"""check/lint.py: addresses, secrets, tables and calls of a site."""

import pytest

CHANNEL = """\
channel: adt_in
source: {type: mllp, listen: "127.0.0.1:2575"}
"""
DESTINATION = """\
destination: his
type: mllp
address: his.internal:2575
"""


def agent(*steps):
    """An agent of these steps, then a `send`; its first step stands on the fifth line."""
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"agent: a\ngoal: g\non: {{channel: adt_in}}\nsteps:\n{lines}  - send: his\n"


def channel(name, listen):
    return f'channel: {name}\nsource: {{type: mllp, listen: "{listen}"}}\n'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("127.0.0.1:2575", "127.0.0.1:2575"),
        ("0.0.0.0:2575", "127.0.0.1:2575"),
        ("127.0.0.1:2575", "[::]:2575"),
    ],
)
def test_two_channels_cannot_share_an_address(site, one, other):
    """A listener on every address takes the port on each."""
    said = site.said(channel("a", one), channel("b", other))

    assert said == [("site.same_address", 5, "source.listen")]


@pytest.mark.parametrize("other", ["127.0.0.1:2576", "127.0.0.2:2575"])
def test_another_port_or_address_is_free(site, other):
    """The same port on two addresses of the machine is fine."""
    assert site.said(channel("a", "127.0.0.1:2575"), channel("b", other)) == []


def test_port_zero_is_never_taken(site):
    """The system chooses a free one."""
    assert site.said(channel("a", "127.0.0.1:0"), channel("b", "127.0.0.1:0")) == []


def test_a_channel_cannot_take_the_metrics_port(site):
    """The engine's own listeners count."""
    site.said(channel("a", "0.0.0.0:9464"))

    _, (finding, *_) = site.examine()

    assert finding.text == "0.0.0.0:9464 is taken by the metrics"


def test_a_secret_that_is_not_there_is_found_before_the_start(site):
    """A missing credential shows at check, not at the first delivery."""
    site.write({"config/portico.yaml": "journal: {url: '${file:secrets/journal}'}\n"})

    missing = site.said(CHANNEL)
    site.write({"secrets/journal": "postgresql://db/portico\n"})
    (site.root / "secrets/journal").chmod(0o640)

    assert missing == [("config.secret_missing", 1, "journal.url")]
    assert site.said(CHANNEL) == []


def test_a_secret_that_everybody_can_read_is_warned_of(site):
    """The owner and the group may, as root:portico does."""
    site.write({"config/portico.yaml": "journal: {url: '${file:secrets/journal}'}\n"})
    site.write({"secrets/journal": "postgresql://db/portico\n"})
    (site.root / "secrets/journal").chmod(0o644)

    assert site.said(CHANNEL) == [("config.secret_open", 1, "journal.url")]


def test_the_journal_of_the_environment_needs_no_secret_of_the_file(site):
    """PORTICO_JOURNAL_URL goes before the reference, so that is never read."""
    site.write({"config/portico.yaml": "journal: {url: '${file:secrets/journal}'}\n"})
    site.environ = {"PORTICO_JOURNAL_URL": "postgresql://db/portico"}

    assert site.said(CHANNEL) == []


def test_a_table_that_is_not_there_is_corrected(site):
    """Lookups and conditions name tables; the hint is the nearest one."""
    site.write({"transforms/tables/wards.csv": "code,name\nA,B\n"})
    site.said(
        CHANNEL,
        agent(
            "lookup: {table: ward, key: PV1-3.1}",
            "filter: {keep: {PV1-3.1: {in_table: wrads}}}",
        ),
        DESTINATION,
    )

    _, found = site.examine()

    assert [(f.code, f.line, f.hint) for f in found] == [
        ("site.unknown_table", 8, "did you mean 'wards'?"),
        ("site.unknown_table", 9, "did you mean 'wards'?"),
    ]


def test_a_column_that_is_not_there_is_found(site):
    """The table is read, so that a lookup cannot fail at the first message."""
    site.write({"transforms/tables/wards.csv": "code,name\nA,B\n"})

    said = site.said(
        CHANNEL, agent("lookup: {table: wards, key: PV1-3.1, column: nane}"), DESTINATION
    )

    assert said == [("site.unknown_column", 8, "steps[1].lookup")]


def test_a_table_that_cannot_be_read_names_its_line(site):
    """The finding says which line of the table is wrong."""
    site.write({"transforms/tables/wards.csv": "code,name\nA,B\nA,C\n"})
    site.said(CHANNEL, agent("lookup: {table: wards, key: PV1-3.1}"), DESTINATION)

    _, (finding,) = site.examine()

    assert finding.code == "site.table"
    assert "transforms/tables/wards.csv:3" in finding.text


def test_a_verb_says_itself_what_cannot_work(site):
    """Options that fit their shape may still not fit the verb: a split needs a segment."""
    said = site.said(CHANNEL, agent("split: {at: PID-5, steps: [{send: his}]}"), DESTINATION)

    assert said == [("config.step", 8, "steps[1].split")]


def test_a_python_step_is_checked_without_running_it(site):
    """The module would raise if it were imported."""
    site.write({"transforms/__init__.py": "", "transforms/x.py": "def f(msg): ...\n1 / 0\n"})

    assert site.said(CHANNEL, agent("python: transforms.x:f"), DESTINATION) == []


def test_a_function_that_is_not_there_is_corrected(site):
    """The nearest function of the module."""
    site.write({"transforms/__init__.py": "", "transforms/x.py": "def clean(msg): ...\n"})
    site.said(CHANNEL, agent("python: transforms.x:clen"), DESTINATION)

    _, (finding,) = site.examine()

    assert (finding.code, finding.line) == ("site.unknown_function", 8)
    assert finding.hint == "did you mean 'clean'?"


def test_wrong_python_is_a_finding_of_the_python_file(site):
    """A person looks there, not at the step."""
    site.write({"transforms/__init__.py": "", "transforms/x.py": "x = 1\ndef f(msg:\n"})
    site.said(CHANNEL, agent("python: transforms.x:f"), DESTINATION)

    _, (finding,) = site.examine()

    assert (finding.code, finding.path, finding.line) == ("site.syntax", "transforms/x.py", 2)


def test_a_folder_of_transforms_needs_its_init(site):
    """Without it the wheel of a site, and mypy, see no package."""
    site.write({"transforms/x.py": "def f(msg): ...\n"})
    site.said(CHANNEL, agent("python: transforms.x:f"), DESTINATION)

    _, (finding,) = site.examine()

    assert finding.code == "site.no_init"
    assert finding.text == "transforms/__init__.py is missing"


def test_preloaded_modules_must_be_there(site):
    """They are imported by every worker, so that a missing one stops them all."""
    site.write({"config/portico.yaml": "workers:\n  preload: [transforms.big]\n"})

    assert site.said(CHANNEL) == [("site.unknown_module", 2, "workers.preload")]


def test_steps_of_an_agent_that_does_not_fit_are_looked_at_too(site):
    """A missing goal hides no missing table."""
    text = agent("lookup: {table: wards, key: PV1-3.1}").replace("goal: g\n", "")

    said = site.said(CHANNEL, text, DESTINATION)

    assert [code for code, *_ in said] == ["config.missing_key", "site.unknown_table"]


def test_steps_inside_steps_are_looked_at(site):
    """Routes, splits, groups and on_error hold steps; the line is the inner one's."""
    text = """\
agent: a
goal: g
on: {channel: adt_in}
on_error: {steps: [{lookup: {table: one, key: MSH-3}}]}
steps:
  - split:
      at: OBR
      steps:
        - route:
            - when: {OBR-25: F}
              lookup: {table: two, key: MSH-3}
            - otherwise: {steps: [{lookup: {table: three, key: MSH-3}}]}
  - send: his
    on_error:
      steps:
        - lookup: {table: four, key: MSH-3}
"""
    said = site.said(CHANNEL, text, DESTINATION)

    assert [(code, line) for code, line, _ in said] == [
        ("site.unknown_table", line) for line in (7, 14, 15, 19)
    ]


def test_a_condition_that_cannot_be_read_is_said_once(site):
    """Where it stands; not once more of the route that holds it."""
    route = 'route: [{when: {PV1-2: {matches: "("}}, send: his}, {otherwise: drop}]'

    assert site.said(CHANNEL, agent(route), DESTINATION) == [
        ("config.condition", 8, "steps[1].route[1].when")
    ]
