"""/v1 as a client sees it."""

import base64
import getpass
from types import SimpleNamespace

import pytest

from portico import ids
from portico.events.auditing import RecordsRead
from portico.ids import SignalId
from portico.journal.found import Page, Query

ID = "019ceb5b-e660-7000-8000-0000000000aa"


async def test_status_tells_whether_every_book_adds_up(served):
    """Promise P2, for programs."""
    body = (await served.get("/v1/status")).json()

    assert body["channels"]["adt"]["received"] == 3
    assert body["channels"]["adt"]["balanced"] is True
    assert body["balanced"] is True


async def test_a_search_reaches_the_engine_as_asked(served):
    """Every parameter of the route."""
    answer = await served.get(
        "/v1/signals", channel="adt", type="ADT^A0*", control_id="M", patient="P",
        since="2026-03-14T08:00:00Z", until="2026-03-14T10:00:00+01:00", state="parked",
        before=ID, limit="7",
    )  # fmt: skip

    assert answer.status_code == 200
    start = 1_773_475_200_000_000_000
    query = Query("adt", "ADT^A0*", "M", "P", start, start + 3600 * 10**9, "parked")
    assert served.engine.asked == [(query, Page(SignalId(ids.parse(ID)), 7))]


async def test_a_full_page_names_the_next(served):
    """`next` is the `before` of the page after; the last page has none."""
    full = (await served.get("/v1/signals", limit="1")).json()
    rest = (await served.get("/v1/signals", limit="1", before=full["next"])).json()

    assert full["next"] == ID
    assert rest == {"signals": [], "next": None}


async def test_patient_data_are_masked_unless_asked_for(served):
    """The same Signal both ways: list, message, lane and file name."""
    masked = (await served.get(f"/v1/signals/{ID}")).text
    whole = (await served.get(f"/v1/signals/{ID}", phi="true")).json()
    row = (await served.get("/v1/signals")).text

    assert "Muster" not in masked and "4711" not in masked and "4711" not in row
    assert whole["message"]["lines"][1] == "PID|1||4711||Muster^Erika"
    assert base64.b64decode(whole["message"]["base64"]).startswith(b"MSH|")
    assert whole["deliveries"][0]["file"] == "4711.hl7"


async def test_one_signal_comes_with_steps_and_answers(served):
    """What an analyst follows: sessions, Deliveries, attempts, what waits for a person."""
    body = (await served.get(f"/v1/signals/{ID}")).json()

    assert body["signal"]["flags"] == ["replay", "changed"]
    assert body["sessions"][0]["runs"][0]["name"] == "send_1"
    assert body["sessions"][0]["detail"] == {"failure": None}
    assert body["deliveries"][0]["attempts"][0]["answer"]["lines"][1] == "MSA|AA|MSG1"
    assert body["parked"][0]["location"] == "PID-3"


async def test_an_unknown_signal_is_a_problem(served):
    """RFC 9457, with a code that programs can rely on."""
    answer = await served.get("/v1/signals/019ceb5b-e660-7000-8000-0000000000ff")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "api.not_found"


async def test_wrong_parameters_are_named_without_their_values(served):
    """A value may be a patient's; the parameter's name says enough."""
    answer = await served.get("/v1/signals", limit="many", patiend="4711")

    assert answer.status_code == 422
    assert "limit" in answer.json()["detail"] and "patiend" in answer.json()["detail"]
    assert "many" not in answer.text and "4711" not in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        "/v1/signals?patient=4%0011",
        "/v1/signals?channel=%00",
        "/v1/parked?code=%00",
        "/v1/parked?after=99999999999999999999,delivery,1",
        "/v1/parked?after=1,delivery,9999999999",
    ],
)
async def test_what_no_journal_can_be_asked_is_the_callers_fault(served, asked):
    """Not the journal's: it is well, and to ask again would not help."""
    answer = await served.ask("GET", asked)

    assert (answer.status_code, answer.json()["code"]) == (422, "api.invalid")


async def test_what_left_is_told_of_a_signal_that_there_is(served):
    """ "Nothing" is an answer about a Signal, and none about a mistyped id."""

    async def egress(signal):
        return []

    served.engine.models = SimpleNamespace(egress=egress)
    known = await served.get(f"/v1/signals/{ID}/egress")
    nobodys = await served.get(f"/v1/signals/{ID[:-2]}ff/egress")

    assert (known.status_code, known.json()["calls"]) == (200, [])
    assert nobodys.status_code == 404


async def test_a_journal_that_is_away_is_a_problem(served, journal_down):
    """503, so that a client may try again."""
    served.engine.error = journal_down
    answer = await served.get("/v1/signals")

    assert (answer.status_code, answer.json()["code"]) == (503, "journal.unavailable")


async def test_what_nobody_foresaw_ends_one_request_alone(served):
    """No trace and no text of the error leave, and the next request is answered."""
    served.engine.error = ValueError("4711")
    broken = await served.get("/v1/status")
    served.engine.error = None

    assert (broken.status_code, broken.json()["code"]) == (500, "api.internal")
    assert "4711" not in broken.text
    assert (await served.get("/v1/status")).status_code == 200


async def test_a_refused_reload_tells_its_findings(served):
    """The old site stays, and the client learns why."""
    body = (await served.ask("POST", "/v1/reload")).json()

    assert body == {"swapped": False, "findings": [{"severity": "error", "text": "a: b"}]}


async def test_stop_is_answered_before_the_engine_ends(served):
    """202: it has begun to drain."""
    answer = await served.ask("POST", "/v1/stop")

    assert answer.status_code == 202
    assert served.engine.stopped


async def test_a_wrong_method_is_a_problem(served):
    """405, as JSON like every other error."""
    assert (await served.ask("DELETE", "/v1/status")).json()["code"] == "api.method"


async def test_who_is_shown_data_of_patients_is_told(served):
    """Masked answers and failures are not; a search by patient is, without the patient."""
    await served.get("/v1/signals")
    await served.get(f"/v1/signals/{ID}", phi="false")
    await served.get("/v1/signals/00000000-0000-7000-8000-000000000000", phi="true")
    assert served.engine.told == []

    await served.get("/v1/signals", patient="4711", channel="adt")
    await served.get(f"/v1/signals/{ID}", phi="yes")
    user = getpass.getuser()
    assert served.engine.told == [
        RecordsRead("search", user, "", "", "channel=adt&patient=***"),
        RecordsRead("show", user, "", ID, "phi=yes"),
    ]
