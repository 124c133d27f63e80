"""check/references.py: names that lead nowhere, and what nobody uses."""

from portico.check.site import examine
from portico.spec.finding import Severity

CHANNEL = """\
channel: adt_in
source: {type: mllp, listen: "127.0.0.1:2575"}
"""
DESTINATION = """\
destination: his
type: mllp
address: his.internal:2575
"""


def agent(on="{channel: adt_in}", *steps, name="a"):
    """The step `steps[0]` stands on the fifth line of the document."""
    lines = "".join(f"  - {step}\n" for step in steps or ("send: his",))
    return f"agent: {name}\ngoal: g\non: {on}\nsteps:\n{lines}"


def test_a_destination_that_is_not_there_is_corrected(site):
    """The line is that of the name in the list."""
    site.said(CHANNEL, agent("{channel: adt_in}", "send: [his,\n          hsi]"), DESTINATION)

    _, (finding,) = site.examine()

    assert (finding.code, finding.line) == ("site.unknown_destination", 9)
    assert finding.hint == "did you mean 'his'?"


def test_the_line_is_that_of_the_name_and_not_of_one_that_holds_it(site):
    """Above a wrong name there often stands a longer one: `his` below `his_copy`."""
    step = """send: [his,
          his_copy,
          copy]
  - filter: {keep: {PID-2: "not kept",
             all: [{not: {kept_1: x}},
                {kept: x}]}}"""
    copy = DESTINATION.replace("destination: his", "destination: his_copy")
    site.said(CHANNEL, agent("{channel: adt_in}", step), DESTINATION, copy)

    _, found = site.examine()

    assert [(one.code, one.line) for one in found] == [
        ("site.unknown_destination", 10),
        ("site.unknown_name", 12),
        ("site.unknown_name", 13),
    ]


def test_a_destination_that_does_not_fit_is_not_called_missing(site):
    """One mistake is one finding."""
    said = site.said(CHANNEL, agent(), DESTINATION + "colour: red\n")

    assert said == [("config.unknown_key", 13, "colour")]


def test_a_channel_that_is_not_there_is_corrected(site):
    """`on` names channels; also in a list."""
    site.said(CHANNEL, agent("{channel: [adt_in, adt_inn]}"), DESTINATION)

    _, (finding,) = site.examine()

    assert (finding.code, finding.line, finding.key) == (
        "site.unknown_channel",
        6,
        "on.channel",
    )
    assert finding.hint == "did you mean 'adt_in'?"


def test_a_signal_that_no_step_emits_is_found(site):
    """An agent that waits for it would never run."""
    said = site.said(CHANNEL, agent(), agent("{signal: arrived}", name="b"), DESTINATION)

    assert said == [("site.unknown_signal", 12, "on.signal")]


def test_a_signal_is_known_when_any_step_emits_it(site):
    """Also one deep inside another agent."""
    emits = "route: [{when: {PV1-2: I}, emit: {signal: arrived}}, {otherwise: drop}]"

    said = site.said(
        CHANNEL,
        agent("{channel: adt_in}", emits),
        agent("{signal: arrived}", name="b"),
        DESTINATION,
    )

    assert said == []


def test_an_agent_says_which_channel_or_signal_it_answers(site):
    """`on: {type: ...}` alone would answer whatever is added later."""
    said = site.said(CHANNEL, agent("{type: ADT^A01}"), DESTINATION)

    assert said == [("site.on", 6, "on")]


def test_a_name_that_nothing_puts_aside_is_corrected(site):
    """Places of steps, templates and conditions are looked at."""
    site.write({"transforms/tables/t.csv": "a,region\nA,B\n"})
    site.said(
        CHANNEL,
        agent(
            "{channel: adt_in}",
            "lookup: {table: t, key: MSH-4.1, into: region}",
            "{when: {regoin: north}, send: his}",
            'send: {to: his, set: {MSH-6: "{regon}"}}',
            "filter: {keep: {region: north}}",
        ),
        DESTINATION,
    )

    _, found = site.examine()

    assert [(f.code, f.line, f.hint) for f in found] == [
        ("site.unknown_name", 9, "did you mean 'region'?"),
        ("site.unknown_name", 10, "did you mean 'region'?"),
    ]


def test_a_map_puts_aside_too(site):
    """`map: {set: {note: ...}}` makes the name known."""
    steps = ('map: {set: {note: "{PID-5.1}"}}', 'send: {to: his, set: {NTE-3: "{note}"}}')

    assert site.said(CHANNEL, agent("{channel: adt_in}", *steps), DESTINATION) == []


def test_channels_of_one_agent_read_one_character_set(site):
    """Otherwise it would depend on the channel what a byte means."""
    said = site.said(
        CHANNEL,
        'channel: b\nsource: {type: mllp, listen: "127.0.0.1:2576"}\ncharset: utf-8\n',
        agent("{channel: [adt_in, b]}"),
        DESTINATION,
    )

    assert said == [("site.mixed_charset", 10, "on.channel")]


def infos(site):
    site_, found = examine(site.root, {})
    assert site_ is not None
    assert {f.severity for f in found} <= {Severity.INFO}
    return [(f.code, f.line) for f in found]


def test_what_nobody_uses_is_information(site):
    """It keeps nothing from starting: a site grows in steps."""
    site.said(CHANNEL, agent("{channel: adt_in}", "emit: {signal: x}"), DESTINATION)
    assert infos(site) == [("site.unheard_signal", 8), ("site.unused_destination", 10)]

    site.said(CHANNEL)
    assert infos(site) == [("site.unheard_channel", 1)]


def test_a_channel_is_heard_by_a_wildcard(site):
    """`channel: adt_*` answers adt_in."""
    site.said(CHANNEL, agent("{channel: adt_*}"), DESTINATION)
    assert infos(site) == []

    site.said(CHANNEL, agent("{channel: oru_*}"), DESTINATION)
    assert infos(site) == [("site.unheard_channel", 1)]
