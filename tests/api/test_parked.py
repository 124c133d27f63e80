"""/v1/parked, /v1/acts, /v1/replays as a client sees them."""

import getpass
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from portico.errors import NounUnknown, RequestError
from portico.flow.acts import choosing
from portico.flow.acts.acting import ActOutcome
from portico.flow.acts.choosing import ReplayChoice
from portico.flow.acts.previewing import Preview
from portico.flow.acts.releasing import Target
from portico.ids import SignalId
from portico.journal.found import ActFound, Heap, JobFound, ParkedFilter, ParkedSummary

AT = datetime(2026, 3, 14, 8, tzinfo=UTC)
ID = "019ceb5b-e660-7000-8000-0000000000aa"
SIGNAL = SignalId(bytes.fromhex(ID.replace("-", "")))


class Messages:
    """What people ask for is remembered; `error` is raised instead."""

    def __init__(self):
        self.asked, self.error = [], None

    async def parked(self, wanted, counts):
        """One refused Delivery."""
        self.asked.append(wanted)
        row = ParkedSummary(
            SIGNAL, "delivery", 2, 7, "his", "", "4711", True, "AR", "rejected", "", "", "", 1,
            AT, "adt", "ADT^A01", "MSG1",
        )  # fmt: skip
        return [row], [Heap("delivery", "his", "", "AR", 9, AT)] if counts else []

    async def acts(self, of, limit):
        """One release."""
        self.asked.append((of, limit))
        return [ActFound(1, AT, "anna", "release", SIGNAL, "delivery", 2, "", None, "")]

    async def release(self, targets, who):
        """Done."""
        self.asked.append((targets, who))
        return [ActOutcome(target.text, True) for target in targets]

    async def discard(self, targets, who, reason):
        """Not done."""
        self.asked.append((targets, who, reason))
        return [ActOutcome(target.text, False, "nothing of it is parked") for target in targets]

    async def edit(self, target, change, who):
        """Gives what the change makes of a message."""
        if self.error:
            raise self.error
        content = b"MSH|^~\\&|HIS|ST|LAB|ST|2026||ADT^A01|1|P|2.5\rPID|||7||MUSTER\r"
        return ActOutcome(target.text, True, change(content).decode())

    async def resend(self, target, to, received, who):
        """There is no such destination."""
        raise NounUnknown("destination", to, ["his"])

    async def preview(self, wanted, most):
        """Two would go to one destination."""
        self.asked.append((wanted, most))
        found = Preview(runs=2)
        found.destinations["his"] += 2
        found.agents["forward", "deliver"] += 2
        found.skipped["no agent"] += 1
        return 5000, found

    async def replay(self, wanted, who):
        """Begun."""
        query = choosing.dump(wanted)
        return JobFound(ID, AT, who, query, "running", 3, 0, 0, "")


@pytest.fixture
def messages(served):
    """What the engine's twin does with messages."""
    served.engine.messages = Messages()
    return served.engine.messages


async def test_parked_messages_are_listed_and_counted_without_patient_data(served, messages):
    """An order key may be a patient's id."""
    asked = {"destination": "his", "code": "AR", "limit": "1", "after": "3,signal,1"}
    body = (await served.get("/v1/parked", **asked)).json()

    assert messages.asked == [
        ParkedFilter("delivery", "his", "", "AR", None, (3, "signal", 1), 1)
    ]
    (item,) = body["parked"]
    assert (item["id"], item["code"], item["hold"]) == (f"{ID}/d2", "AR", True)
    assert "4711" not in item["lane"]
    assert (body["counts"][0]["count"], body["next"]) == (9, "7,delivery,2")
    body = (await served.get("/v1/parked", **asked, counts="false")).json()
    assert (len(body["parked"]), body["counts"]) == (1, [])


async def test_an_act_reaches_the_engine_with_who_asked(served, messages):
    """The operating system's user at the other end of the socket, and for whom."""
    url, body = "/v1/parked/release", {"ids": [ID, f"{ID}/s1", f"{ID}/d2"]}
    answer = await served.ask("POST", url, json=body, params={"by": "anna"})

    assert [one["done"] for one in answer.json()] == [True, True, True]
    targets = [Target(SIGNAL), Target(SIGNAL, "signal"), Target(SIGNAL, "delivery", 2)]
    assert messages.asked == [(targets, f"anna ({getpass.getuser()})")]


@pytest.mark.parametrize("body", [
    {"ids": []}, {"ids": ["x"]}, {"ids": [f"{ID}/x1"]}, {"ids": [ID], "more": 1}, [],
])  # fmt: skip
async def test_what_is_no_target_is_refused_before_the_engine(served, messages, body):
    """As a problem that names what is wrong, without the values given."""
    answer = await served.ask("POST", "/v1/parked/release", json=body)
    assert answer.json()["detail"].startswith("the body: " if body == [] else ("ids", "more"))
    assert (answer.status_code, answer.json()["code"]) == (422, "api.invalid")
    assert messages.asked == []


async def test_a_discard_needs_its_reason(served, messages):
    """It is what the next person reads."""
    refused = await served.ask("POST", "/v1/parked/discard", json={"ids": [ID]})
    assert refused.status_code == 422
    body = {"ids": [ID], "reason": "seen by the ward"}
    (told,) = (await served.ask("POST", "/v1/parked/discard", json=body)).json()
    assert told["text"] == "nothing of it is parked"
    assert messages.asked[0][2] == "seen by the ward"


async def test_an_edit_writes_texts_at_places(served, messages):
    """On the recorded bytes."""
    body = {"id": ID, "set": {"PID-5.1": "MÜLLER^X", "MSH-18": "UNICODE UTF-8"}}
    told = (await served.ask("POST", "/v1/parked/edit", json=body)).json()
    assert "|||7||MÜLLER\\S\\X\r" in told["text"]


async def test_an_edit_whose_bytes_are_no_base64_is_refused(served, messages):
    """As the request's fault, not as one of the engine."""
    body = {"id": ID, "base64": "abc"}
    answer = await served.ask("POST", "/v1/parked/edit", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "api.invalid")
    assert messages.asked == []


async def test_what_cannot_be_done_is_a_conflict(served, messages):
    """With the reason; of an unknown destination, with those that there are."""
    messages.error = RequestError("the edit changes nothing; release it as it is")
    answer = await served.ask("POST", "/v1/parked/edit", json={"id": ID})
    assert (answer.status_code, answer.json()["code"]) == (409, "request")
    answer = await served.ask("POST", "/v1/resend", json={"id": ID, "to": "lab"})
    assert answer.status_code == 404
    assert "his" in answer.json()["detail"]


async def test_a_preview_and_a_job_tell_no_patient(served, messages):
    """Counts, and in words which Signals."""
    body = {"channel": "adt", "patient": "4711", "since": "2026-03-14T08:00:00Z", "rate": 5}
    seen = (await served.ask("POST", "/v1/replays/preview?most=7", json=body)).json()
    assert (seen["total"], seen["seen"], seen["destinations"]) == (5000, 7, {"his": 2})
    since = 1_773_475_200_000_000_000
    wanted = ReplayChoice(channel="adt", patient="4711", since=since, rate=5.0)
    assert messages.asked == [(wanted, 7)]

    job = await served.ask("POST", "/v1/replays", json=body)
    assert job.status_code == 202
    assert job.json()["what"] == "channel adt, one patient given"
    assert "4711" not in job.text


@pytest.mark.parametrize(
    "body",
    [{}, {"signals": []}, {"rate": 1}, {"channel": ""}, {"signals": [ID], "channel": "adt"}],
)
@pytest.mark.parametrize("path", ["/v1/replays", "/v1/replays/preview"])
async def test_a_replay_says_of_what(served, messages, path, body):
    """A list that came out empty, or a forgotten filter, does not run all of it anew."""
    refused = await served.ask("POST", path, json=body)

    assert refused.status_code == 422, refused.text
    assert "give signals, or a filter" in refused.json()["detail"]
    assert not messages.asked


async def test_acts_are_listed(served, messages):
    """Of one Signal, or of all."""
    (one,) = (await served.get("/v1/acts", signal=ID, limit="5")).json()
    assert (one["who"], one["what"], one["id"]) == ("anna", "release", f"{ID}/d2")
    assert messages.asked == [(SIGNAL, 5)]


def test_the_user_of_no_unix_socket_is_unknown():
    """TCP says nothing about a process."""
    from portico.api import who

    assert who.user_of(None) == who.UNKNOWN
    assert who.user_of(SimpleNamespace(family=2)) == who.UNKNOWN
