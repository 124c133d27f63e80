"""A channel's retention that the site's own overrules is said."""

CHANNEL = "channel: a\nsource: {{type: mllp, listen: '127.0.0.1:1'}}\n{}\n"


def test_a_channel_that_asks_for_less_is_warned(site):
    """What is known of a day goes whole: with its line, and what to set instead. Bytes go by
    channel, and a longer wish is one."""
    text = CHANNEL.format("retention: {bodies: 7d, headers: 90d}")
    site.write({"channels/a.yaml": text})
    _, found = site.examine()

    said = [(str(one.severity), one.line) for one in found if one.code == "site.retention"]
    assert said == [("warning", 3)]

    site.write({"channels/a.yaml": CHANNEL.format("retention: {bodies: 7d, headers: 2y}")})
    _, found = site.examine()
    assert not [one for one in found if one.code == "site.retention"]
