"""check/site.py and check/draft.py: a folder becomes one typed value, or all findings."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from portico.check.case import read_cases
from portico.check.codes import CODES
from portico.check.site import examine, load_site
from portico.errors import SiteInvalid
from portico.spec.fields import HostPort

HERE = Path(__file__).parent
CHANNEL = """\
channel: adt_in
source: {type: mllp, listen: "127.0.0.1:2575"}
"""
AGENT = """\
agent: forward
goal: Everything reaches the HIS
on: {channel: adt_in}
steps:
  - send: his
"""
DESTINATION = """\
destination: his
type: mllp
address: his.internal:2575
"""


def test_a_sound_site_is_loaded_with_typed_options(site):
    """Sources and destinations hold the models of their types, not texts."""
    site.write({"channels/a.yaml": "---\n".join((CHANNEL, AGENT, DESTINATION))})

    loaded = load_site(site.root, {})

    assert loaded.channels["adt_in"].source.type == "mllp"
    assert loaded.channels["adt_in"].source.options.listen == HostPort("127.0.0.1", 2575)
    assert loaded.destinations["his"].options.address == HostPort("his.internal", 2575)
    assert list(loaded.agents) == ["forward"]


def test_a_forgotten_line_between_documents_is_all_that_is_said(site):
    """Each is read as what it is; nothing of it is unknown."""
    assert site.said(CHANNEL + AGENT + DESTINATION) == [
        ("config.noun_apart", 3, "agent"),
        ("config.noun_apart", 8, "destination"),
    ]


def test_what_begins_with_a_dot_is_no_file_of_the_site(site):
    """Emacs puts a link to nowhere beside a file that it has open, macOS its own notes; neither
    keeps a site from being started, nor its cases from being run."""
    site.write({"channels/a.yaml": "---\n".join((CHANNEL, AGENT, DESTINATION))})
    channels = site.root / "channels"
    for name in (".#a.yaml", ".#a.test.yaml"):
        (channels / name).symlink_to("somebody@here.4711:1795000000")
    site.write({f"channels/._a{end}": b"\0\5\x16\7" for end in (".yaml", ".yml", ".test.yaml")})

    found = load_site(site.root, {})

    assert list(found.channels) == ["adt_in"]
    assert site.examine()[1] == ()
    assert read_cases(site.root) == ([], [])


def test_all_errors_come_at_once_with_their_lines(site):
    """One run names everything that is wrong, in the order of the file."""
    said = site.said(
        CHANNEL.replace("2575", "2575x") + "unmached: drop\n",
        AGENT.replace("goal: Everything reaches the HIS\n", "on_error: explode\n"),
        DESTINATION + "timeout: 5 minutes\n",
    )

    assert said == [
        ("config.host_port", 2, "source.listen"),
        ("config.unknown_key", 3, "unmached"),
        ("config.missing_key", 5, "goal"),
        ("config.on_error", 6, "on_error"),
        ("config.duration", 14, "timeout"),
    ]


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ("channel", "source.timeout"),
        ("agent", "limits.time"),
        ("agent", "retry.first"),
        ("agent", "steps[1].python.timeout"),
        ("destination", "timeout"),
        ("destination", "retry.most"),
    ],
)
def test_no_time_at_all_is_no_time_to_wait(site, where, key):
    """It would be no limit, or one that nothing keeps, or tries without a pause."""
    site.write({"transforms/__init__.py": "", "transforms/m.py": "def f(m): ...\n"})
    channel, agent, destination = CHANNEL, AGENT, DESTINATION
    head, _, last = key.rpartition(".")
    if "python" in key:
        agent = agent.replace(
            "  - send", "  - python: {call: transforms.m:f, timeout: 0s}\n  - send"
        )
    elif where == "channel":
        channel = channel.replace('575"}', '575", timeout: 0s}')
    elif where == "agent":
        agent = agent.replace("steps:", f"{head}: {{{last}: 0s}}\nsteps:")
    else:
        said = f"{head}: {{{last}: 0s}}" if head else f"{last}: 0s"
        destination += f"{said}\n"

    assert [of for _, _, of in site.said(channel, agent, destination)] == [key]


def test_a_finding_reads_as_the_style_asks(site):
    """File, line, key, what is wrong, what would be right, and a code to look up."""
    site.said(CHANNEL.replace('"127.0.0.1:2575"', '"127.0.0.1:2575", limit: 16 mb'))

    _, (finding, *_) = site.examine()

    assert str(finding) == (
        "channels/a.yaml:2 source.limit: '16 mb' is not a size; try '16MiB'  [config.size]"
    )


def test_load_site_raises_every_error_and_no_warning(site):
    """SiteInvalid holds what keeps the engine from starting."""
    site.write({"channels/a.yaml": "order_by: none\n" + CHANNEL + "unmatched: maybe\n"})

    with pytest.raises(SiteInvalid) as raised:
        load_site(site.root, {})

    assert [finding.code for finding in raised.value.findings] == ["config.choice"]


def test_an_unknown_type_is_corrected(site):
    """A typing mistake in `type:` is answered with the nearest type."""
    site.said(CHANNEL.replace("mllp", "mlp"))

    _, (finding, *_) = site.examine()

    assert (finding.code, finding.hint) == ("config.unknown_type", "did you mean 'mllp'?")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{type: mllp}", ("config.missing_key", 2, "source")),
        (
            '{type: mllp, listen: "127.0.0.1:2575", address: "127.0.0.1:2576"}',
            ("config.key", 2, "source"),
        ),
    ],
)
def test_a_source_listens_or_dials_and_never_neither_or_both(site, source, said):
    """One way of the two: which one the author meant is not guessed."""
    assert site.said(f"channel: adt_in\nsource: {source}\n") == [said]


@pytest.mark.parametrize("key", ["allow: 10.0.0.0/8", "connections: 3"])
def test_who_may_connect_is_not_said_where_nobody_does(site, key):
    """A source that dials; who writes it believes that it holds something off."""
    source = f'{{type: mllp, address: "10.0.0.9:2575", {key}}}'
    assert site.said(f"channel: adt_in\nsource: {source}\n") == [("config.key", 2, "source")]


def test_nor_at_a_destination_that_connects(site):
    """`allow` is of one that listens."""
    said = site.said(
        CHANNEL,
        AGENT,
        DESTINATION.replace("mllp", "tcp") + "frame: close\nallow: 10.0.0.0/8\n",
    )

    assert said == [("config.key", 10, "")]


def test_a_source_is_looked_at_though_its_channel_is_wrong(site):
    """An error in one part of a document hides none in another."""
    said = site.said(CHANNEL.replace("adt_in", "ADT In").replace("2575", "99999"))

    assert said == [("config.name", 1, "channel"), ("config.host_port", 2, "source.listen")]


def test_a_key_of_a_destination_is_corrected_from_both_its_models(site):
    """The hint knows the type's own keys and the common ones."""
    site.said(CHANNEL, AGENT, DESTINATION + "adress: x\nretries: 3\n")

    _, found = site.examine()

    assert [(f.key, f.hint) for f in found] == [
        ("adress", "did you mean 'address'?"),
        ("retries", "did you mean 'retry'?"),
    ]


def test_two_things_of_one_name_are_refused_with_both_places(site):
    """The second is the finding, the first its hint."""
    site.said(CHANNEL, AGENT, DESTINATION, CHANNEL.replace("2575", "2576"))

    _, (finding,) = site.examine()

    assert (finding.code, finding.line) == ("site.duplicate_name", 14)
    assert finding.hint == "see channels/a.yaml:1"


def test_the_same_name_may_stand_for_different_nouns(site):
    """A channel and a destination `his` do not meet."""
    said = site.said(
        CHANNEL.replace("adt_in", "his"), AGENT.replace("adt_in", "his"), DESTINATION
    )

    assert said == []


def test_a_case_outside_a_test_file_is_told_where_to_go(site):
    """Cases live in *.test.yaml; those files are not part of the site."""
    site.write({"channels/a.test.yaml": "case: anything\nnonsense: here\n"})

    said = site.said(CHANNEL, AGENT, DESTINATION, "case: an admission\nchannel: adt_in\n")

    assert said == [("site.case_place", 14, "case")]


def test_a_yml_file_is_warned_about(site):
    """A file with the other ending would otherwise be silently unread."""
    site.write({"channels/b.yml": CHANNEL})

    site.said(CHANNEL, AGENT, DESTINATION)
    _, (warning,) = site.examine()

    assert (warning.code, warning.path) == ("site.yml", "channels/b.yml")


def test_a_folder_without_channels_is_no_site(tmp_path):
    """The answer says how to get one."""
    _, (finding,) = examine(tmp_path, {})

    assert finding.code == "site.no_channels"
    assert "portico init" in finding.hint


def test_a_broken_document_hides_no_other(site):
    """Each document is parsed by itself: the error of the last is found too."""
    said = site.said(CHANNEL + "order_by: {PID-3[5=MR].1: x}\n", DESTINATION + "port: 1\n")

    assert ("yaml.syntax", 3, "") in said
    assert ("config.unknown_key", 8, "port") in said


def test_nothing_is_called_missing_while_a_file_is_unreadable(site):
    """The broken document may well hold the destination that seems to be missing."""
    said = site.said(CHANNEL, AGENT, DESTINATION + "\tx\n")

    assert [code for code, *_ in said] == ["yaml.syntax"]


def test_the_configuration_has_defaults_for_everything(site):
    """A site needs no config/portico.yaml."""
    site.write({"channels/a.yaml": "---\n".join((CHANNEL, AGENT, DESTINATION))})

    loaded = load_site(site.root, {})

    assert str(loaded.config.metrics.listen) == "127.0.0.1:9464"
    assert loaded.config.journal.url is None


def test_the_environment_goes_before_the_configuration(site):
    """PORTICO_DATA, PORTICO_JOURNAL_URL, PORTICO_METRICS and PORTICO_API override the file."""
    site.write(
        {
            "config/portico.yaml": "data: var\nmetrics: {listen: 127.0.0.1:1}\n",
            "channels/a.yaml": "---\n".join((CHANNEL, AGENT, DESTINATION)),
        }
    )
    environ = {
        "PORTICO_DATA": "/srv/portico",
        "PORTICO_JOURNAL_URL": "postgresql://x:hidden@db/y",
        "PORTICO_METRICS": "127.0.0.1:2",
        "PORTICO_API": "127.0.0.1:3",
    }

    config = load_site(site.root, environ).config

    assert str(config.data) == "/srv/portico"
    assert (config.metrics.listen.port, config.api.listen.port) == (2, 3)
    assert config.journal.url.reveal(site.root, environ) == "postgresql://x:hidden@db/y"
    assert "hidden" not in repr(config)


def test_a_bad_address_in_the_environment_is_a_finding(site):
    """It names the variable."""
    site.environ = {"PORTICO_METRICS": "localhost"}

    said = site.said(CHANNEL, AGENT, DESTINATION)
    _, (finding,) = site.examine()

    assert said == [("config.host_port", 0, "")]
    assert (finding.path, finding.hint) == ("PORTICO_METRICS", "try 'localhost:9464'")


def test_the_configuration_is_one_document(site):
    """A second one would be ignored."""
    site.write({"config/portico.yaml": "data: var\n---\ndata: other\n"})

    said = site.said(CHANNEL, AGENT, DESTINATION)

    assert said == [("config.one_document", 3, "")]


def test_an_agent_reads_the_content_of_its_channels(site):
    """The normal form carries content and charset of the channel that `on` names."""
    json_in = "content: json\ncharset: {name: utf-8, on_error: replace}\n"
    site.write({"channels/a.yaml": "---\n".join((CHANNEL + json_in, AGENT, DESTINATION))})

    plain = load_site(site.root, {}).agents["forward"].plain()

    assert plain["content"] == "json"
    assert plain["charset"] == {"name": "utf-8", "on_error": "replace"}


@pytest.mark.parametrize(
    ("other", "name"), [("8859/1", "8859/1"), ("8859/2", "ascii")], ids=["one", "two"]
)
def test_an_agent_of_signals_reads_them_as_those_who_emit_them(site, other, name):
    """What is emitted says as little of its set as what came; of two sets it is neither."""
    second = CHANNEL.replace("adt_in", "adt_too").replace("2575", "2576")
    first, second = (f"{c}charset: {s}\n" for c, s in ((CHANNEL, "8859/1"), (second, other)))
    one = AGENT.replace("send: his", "emit: {signal: early}")
    two = one.replace("adt_in", "adt_too").replace("forward", "also")
    three = one.replace("channel: adt_in", "signal: early").replace("forward", "on")
    three = three.replace("emit: {signal: early}", "emit: {signal: late}")
    four = AGENT.replace("channel: adt_in", "signal: late").replace("forward", "last")
    parts = (first, second, one, two, three, four, DESTINATION)
    site.write({"channels/a.yaml": "---\n".join(parts)})

    found = load_site(site.root, {})

    assert {found.agents[agent].charset.name for agent in ("on", "last")} == {name}
    assert found.rules("signal:late").charset == name


def test_an_agent_of_signals_looks_at_each_content(site):
    """What agents emit may be HL7 or JSON."""
    emitting = AGENT.replace("send: his", "emit: {signal: arrived}")
    hearing = AGENT.replace("forward", "second").replace("channel: adt_in", "signal: arrived")
    site.write({"channels/a.yaml": "---\n".join((CHANNEL, emitting, hearing, DESTINATION))})

    assert load_site(site.root, {}).agents["second"].plain()["content"] == "auto"


def test_three_hundred_channels_are_checked_in_seconds(site):
    """A regional site is checked before each start: well under the watchdog's patience."""
    for number in range(300):
        text = "---\n".join(
            (
                CHANNEL.replace("adt_in", f"in_{number}").replace("2575", str(20_000 + number)),
                AGENT.replace("forward", f"f_{number}").replace("adt_in", f"in_{number}"),
            )
        )
        site.write({f"channels/c{number}.yaml": text})
    site.write({"channels/his.yaml": DESTINATION})
    began = time.process_time()

    loaded = load_site(site.root, {})

    assert len(loaded.channels) == 300
    assert time.process_time() - began < 10


_KEYS = (
    "channel agent destination source type mllp on steps send his route split at when filter "
    "keep PID-3.1 OBX[*]-5 map set lookup into python x.y:z {PID-3} on_error continue otherwise"
)
_SIGNS = ("[", "{", "}", "]", ":", ": ", ",", "\n", "- ", "  ", "---\n", '"', "'", "|\n")
_REFUSED = ("&a", "*a", "!t", "? ", "${env:X}", "${file:x}", "%TAG", "<<: ", "\t")
_WORDS = st.sampled_from([*_KEYS.split(), *_SIGNS, *_REFUSED])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_WORDS, max_size=40).map("".join) | st.text(max_size=200))
@example('channel: "\\UFFFFFFFF"')
@example("agent: a\ngoal: b\non: {channel: c}\nsteps: [{route: [{otherwise: {steps: x}}]}]")
@example("agent: a\nsteps: {steps: [[]]}")
@example("destination: {a: b}\ntype: [mllp]")
def test_any_text_gives_findings_and_nothing_else(tmp_path_factory, text):
    """Nothing that stands in a file can crash `check`; every code is one we explain."""
    folder = tmp_path_factory.mktemp("site", numbered=True)
    (folder / "channels").mkdir()
    (folder / "channels/a.yaml").write_text(text, "utf-8", errors="replace")

    _, found = examine(folder, {})

    assert {finding.code for finding in found} <= CODES.keys()


_TEXTS = [path.read_text() for path in sorted((HERE / "interfaces").glob("*.yaml"))]
_BITS = st.sampled_from(
    [*_SIGNS, *_REFUSED, "", "''", "null", "OBX[*]-5", "{PID-3}", "\0", "é"]
)
_EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), _BITS), max_size=5)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(_TEXTS), _EDITS)
@example(_TEXTS[0] + "---\nagent: x\non: {a: {b: c}}\non: {d: {e: f}}\n", [])
@example(_TEXTS[0].replace("{PV1-2: I}", "{PV1-2:I}"), [])
def test_a_mutilated_interface_gives_findings_and_nothing_else(tmp_path_factory, text, edits):
    """Half-typed files are what `check` mostly sees: cut, doubled, with strange signs."""
    for where, length, bit in edits:
        at = int(where * len(text))
        text = text[:at] + bit + text[at + length :]
    folder = tmp_path_factory.mktemp("site", numbered=True)
    (folder / "channels").mkdir()
    (folder / "channels/a.yaml").write_text(text, "utf-8")

    _, found = examine(folder, {})

    assert {finding.code for finding in found} <= CODES.keys()
