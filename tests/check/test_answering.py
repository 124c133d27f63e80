"""check/answering.py: how senders are answered, where it takes others to do it."""

import pytest

CHANNEL = """\
channel: adt_in
source: {{type: mllp, listen: "127.0.0.1:2575"}}
acknowledge: {{{told}}}
{more}"""
AGENT = """\
agent: a
goal: g
on: {channel: adt_in}
steps: [{send: his}]
"""
HIS = """\
destination: his
type: mllp
address: his.internal:2575
"""
ACKS = HIS.replace("his", "acks") + "ack: none\n"
LAB = HIS.replace("his", "lab") + "ack: application\n"
RAD = HIS.replace("his", "rad") + "ack_on: adt_in\n"


def said(site, told, *others, more=""):
    """What is said of a channel whose `acknowledge` holds this."""
    found = site.said(CHANNEL.format(told=told, more=more), AGENT, HIS, *others)
    return [(code, key) for code, _, key in found]


@pytest.mark.parametrize(
    "told",
    [
        "when: processed, reply: result",
        "when: delivered, reply: result",
        "when: delivered, reply: his",
        "mode: enhanced, when: processed, deferred: acks",
        "when: delivered, deferred: acks",
        "when: delivered, deferred: his",
    ],
)
def test_what_holds_together_is_not_complained_of(site, told):
    """Each way of answering as the reference shows it; what takes answers is in use."""
    others = (ACKS,) if "acks" in told else ()
    assert said(site, told, *others) == []


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ("reply: result", "reply"),
        ("when: processed, reply: his", "reply"),
        ("when: delivered, reply: acks", "reply"),
        ("when: delivered, deferred: acks, mode: original", "deferred"),
        ("when: delivered, deferred: acks, mode: none", "deferred"),
        ("deferred: acks", "deferred"),
        ("when: delivered, deferred: lab", "deferred"),
        ("when: delivered, deferred: rad", "deferred"),
        ("when: delivered, deferred: acks, reply: result", "reply"),
        ("when: delivered, deferred: acks, on_error: close", "on_error"),
    ],
)
def test_what_cannot_hold_is_found(site, told, key):
    """Answers that would leave too early, never, or twice; at the key that is wrong."""
    found = said(site, told, ACKS, LAB, RAD)

    assert ("site.acknowledge", f"acknowledge.{key}") in found
    assert {code for code, _ in found} == {"site.acknowledge"}


@pytest.mark.parametrize("key", ["reply", "deferred"])
def test_a_destination_that_is_not_there_is_corrected(site, key):
    """Both keys name destinations."""
    site.said(CHANNEL.format(told=f"when: delivered, {key}: hiss", more=""), AGENT, HIS)

    _, (finding,) = site.examine()

    assert (finding.code, finding.key) == ("site.unknown_destination", f"acknowledge.{key}")
    assert finding.hint == "did you mean 'his'?"


def test_a_reply_of_a_destination_to_which_nobody_sends_is_found(site):
    """Its answer would never be this sender's."""
    other = HIS.replace("his", "lab")
    assert ("site.acknowledge", "acknowledge.reply") in said(
        site, "when: delivered, reply: lab", other
    )


def test_answers_come_to_a_channel_that_is_there_and_takes_hl7(site):
    """`ack_on` names a channel; one that is named so is heard."""
    replies = (
        CHANNEL.format(told="", more="").replace("adt_in", "replies").replace("2575", "2576")
    )
    base = (CHANNEL.format(told="", more=""), AGENT)
    fine = site.said(*base, HIS + "ack_on: replies\n", replies)
    missing = site.said(*base, HIS + "ack_on: replys\n", replies)
    wrong = site.said(*base, HIS + "ack_on: replies\n", replies + "content: json\n")

    assert fine == []
    assert [(code, key) for code, _, key in missing] == [("site.unknown_channel", "ack_on")]
    assert [(code, key) for code, _, key in wrong] == [("site.acknowledge", "ack_on")]


def test_answers_do_not_come_from_a_folder(site):
    """A channel of `ack_on` is one on which a peer opens a connection: mllp or tcp."""
    folder = "channel: replies\nsource: {type: folder, path: in}\n"
    base = (CHANNEL.format(told="", more=""), AGENT)
    found = site.said(*base, HIS + "ack_on: replies\n", folder)
    assert [(code, key) for code, _, key in found] == [("site.acknowledge", "ack_on")]


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ("", []),
        ("content: json\n", [("site.acknowledge", "source.replies")]),
        ("acknowledge: {mode: none}\n", [("site.acknowledge", "source.replies")]),
    ],
)
def test_files_of_answers_hold_acks(site, more, codes):
    """Where there are none, `replies` promises too much."""
    channel = f"channel: adt_in\nsource: {{type: folder, path: in, replies: acks}}\n{more}"
    found = site.said(channel, AGENT, HIS)

    assert [(code, key) for code, _, key in found if code == "site.acknowledge"] == codes
