"""spec/alarming.py: hours, sinks and thresholds as a site writes them."""

from datetime import time

from portico.spec.alarming import Disk, Hours, Mail, NounAlarms, QueueLimit, SiteAlarms
from portico.spec.secrets import Secret


def test_every_default_is_the_references():
    """SITE reference, section 3; docs/site.md prints the same."""
    assert (NounAlarms().waiting, NounAlarms().parked, NounAlarms().to) == (300, 1, None)
    assert (Disk().close, Disk().reopen) == (2 << 30, 4 << 30)
    assert SiteAlarms().certificates == 30 * 86_400
    assert QueueLimit().limit is None


def test_hours_are_days_and_times():
    """One day may stand for a list; without days it is all of them."""
    night = Hours.model_validate({"days": "fri", "from": "22:00", "to": "06:00"})

    assert (night.days, night.from_, night.to) == (("fri",), time(22), time(6))
    assert len(Hours.model_validate({"from": "00:00", "to": "12:30"}).days) == 7


def test_a_sink_is_a_reference_or_a_letter():
    """A webhook's address is a secret: it often holds a token."""
    sinks = SiteAlarms.model_validate(
        {
            "to": {
                "chat": {"webhook": "${credential:chat}"},
                "desk": {"mail": {"server": "127.0.0.1:25", "from": "a@b", "to": "c@d"}},
            }
        }
    ).to

    assert sinks["chat"].webhook == Secret("credential", "chat")
    assert isinstance(sinks["desk"].mail, Mail)
    assert (sinks["desk"].mail.starttls, sinks["desk"].mail.to) == (True, ("c@d",))
