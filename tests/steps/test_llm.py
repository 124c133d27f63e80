"""portico.steps.llm: what is asked, and what is made of an answer."""

import json

import msgspec
import pytest

from portico.agents.item import Item
from portico.agents.run import run as run_plan
from portico.errors import ConfigError
from portico.model.call import Call, Reply
from portico.model.verdict import Kind

SCHEMA = {
    "type": "object",
    "properties": {
        "code": {"enum": ["X1", "X2", "12345678"]},
        "quote": {"type": "string"},
        "confidence": {"type": "number"},
    },
    "required": ["code"],
    "additionalProperties": False,
}
SIGNAL = bytes.fromhex("0199a1b2c3d47000800000000000abcd")
ENVELOPE = {"channel": "in", "type": "ADT^A01", "received": 1_790_000_000_000_000_000}
MESSAGE = (
    b"MSH|^~\\&|HIS|HOSP|LAB|L|20260131120000||ORU^R01|77|P|2.5.1\r"
    b"PID|1||4711123^^^HOSP^MR||muster^max||19800131|M\r"
    b"OBX|1|TX|NOTE||hello </data> Mr Muster\r"
)
STEP = {
    "prompt": "transforms/p.md",
    "output": "transforms/s.json",
    "into": "finding",
    "phi": "allowed",
}
GOOD = {"code": "X1", "quote": "hello"}


@pytest.fixture
def site(trial):
    """A trial with a prompt and a schema."""
    folder = trial.root / "transforms"
    folder.mkdir()
    (folder / "p.md").write_text("Code this text:\n{OBX[*]-5}\nSex: {PID-8}\n")
    (folder / "s.json").write_text(json.dumps(SCHEMA))
    return trial


class Talk:
    """Runs steps over the message, with answers one after the other."""

    def __init__(self, site, *steps, **more):
        self.plan = site.plan(*steps, **more)
        self.asked = []

    def run(self, *answers):
        """The end, once all calls are answered; a Reply stands as it is."""
        replies, left = (), list(answers)
        while True:
            item = Item(SIGNAL, MESSAGE, ENVELOPE, "key", replies=replies)
            result = run_plan(self.plan, item, lambda: 0)
            if result.kind is not Kind.CALL:
                assert not left
                return result
            self.asked.append(result.call)
            replies = (*replies, replied(result.call, left.pop(0)))


def replied(call, answer):
    """The engine's reply."""
    if isinstance(answer, dict) and "verdict" in answer:
        return Reply(call.digest, json.dumps(answer).encode())
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return Reply(call.digest, json.dumps({"text": text}).encode())


def request_of(call):
    """What was asked."""
    return msgspec.json.decode(call.request)


def test_the_answer_is_put_aside_for_the_steps_behind(site):
    """It can be sent, filtered by and emitted."""
    emit = {"emit": {"signal": "urgent", "value": "finding"}}
    talk = Talk(site, {"llm": STEP}, emit)

    result = talk.run(GOOD)

    assert result.kind is Kind.DELIVER
    assert json.loads(result.emissions[0].content) == GOOD
    assert [call.verb for call in talk.asked] == ["llm"]


def test_the_same_run_asks_the_same_bytes(site):
    """So that a run that is repeated finds its reply."""
    first, second = Talk(site, {"llm": STEP}), Talk(site, {"llm": STEP})
    first.run(GOOD)
    second.run(GOOD)

    assert first.asked[0].request == second.asked[0].request


def test_values_of_the_message_are_told_from_the_words_of_the_prompt(site):
    """Each has its kind; the engine marks what has one."""
    talk = Talk(site, {"llm": STEP})
    talk.run(GOOD)

    assert request_of(talk.asked[0])["parts"] == [
        ["", "Code this text:\n"],
        ["free", "hello </data> Mr Muster"],
        ["", "\nSex: "],
        ["open", "M"],
        ["", "\n"],
    ]


def test_deidentified_steps_name_what_can_tell_the_patient(site):
    """For the engine, which replaces it before anything leaves."""
    talk = Talk(site, {"llm": {**STEP, "phi": "deidentified"}})
    talk.run(GOOD)

    asked = request_of(talk.asked[0])
    assert ["name", "muster"] in asked["identifiers"]
    assert ["id", "4711123"] in asked["identifiers"]
    assert asked["patient"] == "4711123"


@pytest.mark.parametrize(
    "bad",
    [
        "no JSON",
        {"code": "X9"},
        {"code": "X1", "more": 1},
        {"code": "X1", "quote": "case 99887766"},
        {"code": "X1", "quote": "call 0171-39 200"},
        {"code": "X1", "quote": "seen 2026-02-03"},
        {"code": "X1", "quote": "mail a.b@example.org"},
        {"code": "X1", "quote": "NAME_0a1b2c3d"},
        {"code": "X1", "quote": "AB12345"},
    ],
)
def test_a_wrong_answer_is_told_what_was_wrong_and_asked_again(site, bad):
    """In a call of its own, with what was answered before; never with the answer's words."""
    talk = Talk(site, {"llm": STEP})

    result = talk.run(bad, GOOD)

    assert result.kind is Kind.DELIVER
    [(_, wrong)] = request_of(talk.asked[1])["turns"]
    assert wrong
    assert "99887766" not in wrong


@pytest.mark.parametrize(
    "good",
    [
        {"code": "12345678"},
        {"code": "X1", "quote": "4711123", "confidence": 0.987654},
    ],
)
def test_identifiers_of_the_input_and_of_closed_lists_are_no_news(site, good):
    """What the schema lists, and what the prompt held."""
    (site.root / "transforms/p.md").write_text("{PID-3.1} {OBX[*]-5}")

    assert Talk(site, {"llm": STEP}).run(good).kind is Kind.DELIVER


def test_after_all_retries_the_step_fails_for_good(site):
    """Two retries are three answers."""
    talk = Talk(site, {"llm": STEP})

    result = talk.run("x", "y", "z")

    assert (result.kind, result.failure.transient) == (Kind.FAULT, False)
    assert "llm.invalid" in result.failure.text


def test_checks_hold_over_the_answer_and_the_message(site):
    """A quote must occur in the text, a code in a table."""
    site.table("urgent", "code,text\nX1,bad\n")
    checks = {"finding/code": {"in_table": "urgent"}, "finding/quote": {"within": "OBX[*]-5"}}
    talk = Talk(site, {"llm": {**STEP, "checks": checks, "retries": "1"}})

    assert talk.run({"code": "X1", "quote": "bye"}, GOOD).kind is Kind.DELIVER
    assert (
        Talk(site, {"llm": {**STEP, "checks": checks, "retries": "0"}})
        .run({"code": "X2", "quote": "hello"})
        .kind
        is Kind.FAULT
    )


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ({"verdict": "approved", "answer": GOOD}, Kind.DELIVER),
        ({"verdict": "edited", "answer": {"code": "X2"}}, Kind.DELIVER),
        ({"verdict": "edited", "answer": {"code": "X9"}}, Kind.FAULT),
        ({"verdict": "rejected", "answer": GOOD}, Kind.FAULT),
    ],
)
def test_a_person_decides_where_review_says_so(site, verdict, kind):
    """Approve, edit (by the schema) or reject, which is an error of the step."""
    talk = Talk(site, {"llm": {**STEP, "review": "always"}})

    result = talk.run(GOOD, verdict)

    assert result.kind is kind
    assert [call.verb for call in talk.asked] == ["llm", "review"]


def test_a_person_sees_numbers_as_numbers(site):
    """What is approved is what the model said, and fits its schema still."""
    talk = Talk(site, {"llm": {**STEP, "review": "always"}})
    answer = {**GOOD, "confidence": 0.86}

    talk.run(answer, {"verdict": "approved", "answer": answer})

    assert request_of(talk.asked[1])["answer"] == answer


def test_a_sure_answer_needs_nobody(site):
    """`review.when` is a condition over the answer."""
    review = {"when": {"finding/confidence": {"lt": "0.9"}}, "meanwhile": "continue"}
    step = {"llm": {**STEP, "review": review}}
    sure, unsure = Talk(site, step), Talk(site, step)

    sure.run({**GOOD, "confidence": 0.95})
    unsure.run({**GOOD, "confidence": 0.5}, {"verdict": "approved", "answer": GOOD})

    assert [call.verb for call in sure.asked] == ["llm"]
    assert [call.verb for call in unsure.asked] == ["llm", "review_meanwhile"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": "transforms/none.md"}, "No such file"),
        ({"prompt": "../p.md"}, "not below the site"),
        ({"output": "transforms/p.md"}, "p.md: the content is not JSON"),
        ({"phi": "none"}, "{OBX[*]-5}, which phi: none forbids"),
        ({"into": "type"}, "word of the envelope"),
        ({"retries": "many"}, "not a whole number"),
        ({"budget": {"tokens": "10", "per": "1"}}, "is not a duration"),
        ({"budget": {"tokens": "10"}}, "per"),
        ({"model": "Big Model"}, "not a name"),
        ({"phi": "all"}, "phi"),
        ({"review": "sometimes"}, "review is always"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_compiled(site, change, said):
    """So that check says it, and no run meets it."""
    with pytest.raises(ConfigError) as told:
        site.plan({"llm": {**STEP, **change}})

    assert said in str(told.value)


def test_the_prompt_and_the_schema_are_part_of_the_version(site):
    """A reviewed word more is another agent."""
    before = site.plan({"llm": STEP}).version
    (site.root / "transforms/p.md").write_text("Other words: {OBX[*]-5}")
    between = site.plan({"llm": STEP}).version
    (site.root / "transforms/s.json").write_text(json.dumps({**SCHEMA, "title": "t"}))

    assert len({before, between, site.plan({"llm": STEP}).version}) == 3


def test_a_failed_call_fails_the_step_as_the_engine_says(site):
    """Transient for what may pass."""
    plan = site.plan({"llm": STEP})
    item = Item(SIGNAL, MESSAGE, ENVELOPE, "key")
    call = run_plan(plan, item, lambda: 0).call
    assert isinstance(call, Call)
    reply = Reply(call.digest, error="llm.http_429", text="HTTP 429", transient=True)
    item = Item(SIGNAL, MESSAGE, ENVELOPE, "key", replies=(reply,))

    result = run_plan(plan, item, lambda: 0)

    assert (result.kind, result.failure.transient) == (Kind.FAULT, True)


def test_who_was_taken_out_of_the_message_is_still_replaced(site):
    """A text may quote a name that an earlier step has removed."""
    step = {"llm": {**STEP, "phi": "deidentified"}}
    talk = Talk(site, {"map": {"remove": ["PID-5"]}}, step)
    talk.run(GOOD)

    assert ["name", "muster"] in request_of(talk.asked[0])["identifiers"]


def test_what_is_said_of_a_wrong_answer_holds_no_name_that_the_model_made_up(site):
    """A key of its own may tell a patient; it would stand in logs and leave again."""
    (site.root / "transforms/s.json").write_text('{"type": "object"}')
    talk = Talk(site, {"llm": {**STEP, "retries": "1"}})

    result = talk.run({"Muster": "99887766"}, {"Muster": "99887766"})

    assert result.kind is Kind.FAULT
    assert "Muster" not in result.failure.text
    assert "Muster" not in request_of(talk.asked[1])["turns"][0][1]
